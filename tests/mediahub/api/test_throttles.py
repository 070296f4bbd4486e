"""How often one may ask, counted for the right account, cheaply, and without failing when the cache does."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.test import APIClient

from mediahub.api import throttles
from mediahub.api.throttles import CacheAway, Counter, Rate, network_of, wait_to_sign_in
from tests.mediahub.api.ground import People, client_of, error_of, make_key

WHERE = "/api/v1/config/"
TOKEN = "/api/v1/auth/token/"


@pytest.fixture(autouse=True)
def _empty_cache(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache, and a clock that stands still: no window ends in the middle of a test."""
    cache.clear()
    monkeypatch.setattr("mediahub.api.throttles.time.time", lambda: 1_800_000_010.0)
    monkeypatch.setattr(throttles._Complaint, "last", -math.inf)
    yield
    cache.clear()


def statuses(client: APIClient, count: int, **sent: Any) -> list[int]:
    return [client.get(WHERE, **sent).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("600/min", Rate(600, 60)),
        ("5/s", Rate(5, 1)),
        ("10/10s", Rate(10, 10)),
        (" 1000 / Hour ", Rate(1000, 3600)),
        ("1/day", Rate(1, 86400)),
        ("0/min", Rate(0, 60)),
        ("", None),
        ("none", None),
        (None, None),
    ],
)
def test_a_rate_is_read(text: str | None, rate: Rate | None) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["600", "fast", "600/week", "-1/min", "1.5/min", "/min"])
def test_a_rate_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="600/min"):
        Rate.parse(text)


@pytest.mark.parametrize("requests", [1, 2, 19, 20, 21, 33, 600, 1200])
def test_the_blocks_of_a_rate_are_all_of_it(requests: int) -> None:
    rate = Rate(requests, 60)
    assert sum(rate.block(index) for index in range(rate.blocks)) == requests
    assert min(rate.block(index) for index in range(rate.blocks)) >= 1


@pytest.mark.parametrize("limit", [1, 3, 20, 25, 47])
def test_exactly_the_rate_passes(people: People, settings: Any, limit: int) -> None:
    settings.API_RATE = f"{limit}/min"
    client = client_of(people.alice)
    assert statuses(client, limit) == [200] * limit
    response = client.get(WHERE)
    error_of(response, 429, "RATE_LIMITED")
    assert response["Retry-After"] == "50"  # ten seconds of the minute are over


def test_the_next_window_is_a_new_one(
    people: People, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_RATE = "2/min"
    client = client_of(people.alice)
    assert statuses(client, 3) == [200, 200, 429]
    monkeypatch.setattr("mediahub.api.throttles.time.time", lambda: 1_800_000_060.0)
    assert statuses(client, 3) == [200, 200, 429]


def test_no_rate_is_no_limit_and_none_lets_nobody_in(people: People, settings: Any) -> None:
    client = client_of(people.alice)
    settings.API_RATE = ""
    assert set(statuses(client, 30)) == {200}
    settings.API_RATE = "0/min"
    assert statuses(client, 2) == [429, 429]


def test_people_and_keys_are_counted_apart(people: People, settings: Any) -> None:
    settings.API_RATE = "2/min"
    _, first = make_key(people.alice, "read")
    _, second = make_key(people.alice, "read")
    for client in (client_of(people.alice), client_of(people.bob), first, second):
        assert statuses(client, 3) == [200, 200, 429]
    # Another session of the same person is no other person.
    assert statuses(client_of(people.alice), 1) == [429]


def test_two_processes_share_a_rate() -> None:
    rate, now = Rate(40, 60), 1_800_000_010.0
    counters = [Counter(), Counter()]
    passed = sum(counters[turn % 2].take("a", rate, now) for turn in range(60))
    assert passed == 40


def test_a_request_within_a_block_costs_no_query(
    settings: Any, django_assert_num_queries: Any
) -> None:
    counter, rate, now = Counter(), Rate(600, 60), 1_800_000_010.0
    assert counter.take("a", rate, now)
    with django_assert_num_queries(0):
        assert all(counter.take("a", rate, now) for _ in range(29))


def test_a_counter_remembers_no_more_clients_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttles, "_MOST_REMEMBERED", 10)
    counter = Counter(lambda block, seconds: True)
    for number in range(50):
        counter.take(str(number), Rate(5, 60), 1_800_000_010.0)
    assert len(counter._windows) == 10


# ------------------------------------------------------------------- signing in


def try_to_sign_in(name: str = "alice", ip: str = "192.0.2.1", **headers: str) -> Any:
    return APIClient().post(
        TOKEN, {"username": name, "password": "wrong"}, REMOTE_ADDR=ip, headers=headers
    )


def test_signing_in_is_tried_ten_times_a_minute_from_one_address() -> None:
    tried = [try_to_sign_in(f"user{number}").status_code for number in range(11)]
    assert tried == [401] * 10 + [429]
    assert int(try_to_sign_in()["Retry-After"]) == 50
    assert try_to_sign_in(ip="192.0.2.2").status_code == 401


def test_signing_in_is_tried_ten_times_a_minute_under_one_name() -> None:
    tried = [try_to_sign_in("Alice", ip=f"192.0.2.{number}") for number in range(10)]
    assert {each.status_code for each in tried} == {401}
    assert try_to_sign_in("aLICE", ip="192.0.2.77").status_code == 429
    assert try_to_sign_in("bob", ip="192.0.2.77").status_code == 401


def test_a_right_password_helps_nobody_past_the_rate(people: People) -> None:
    for _ in range(10):
        try_to_sign_in()
    data = {"username": "alice", "password": "correct horse"}
    response = APIClient().post(TOKEN, data, REMOTE_ADDR="192.0.2.1")
    error_of(response, 429, "RATE_LIMITED")


def test_ipv6_is_counted_by_its_64() -> None:
    for number in range(10):
        try_to_sign_in(f"user{number}", ip=f"2001:db8:1:2:{number}::1")
    assert try_to_sign_in("other", ip="2001:db8:1:2:ffff::9").status_code == 429
    assert try_to_sign_in("other", ip="2001:db8:1:3::1").status_code == 401


def test_a_made_up_forwarded_address_is_no_way_around() -> None:
    tried = [
        try_to_sign_in(f"user{number}", **{"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(11)
    ]
    assert tried == [401] * 10 + [429]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_the_network_of_a_client(address: str, network: str) -> None:
    request = HttpRequest()
    request.client_ip = address  # type: ignore[attr-defined]
    assert network_of(request) == network


def test_pages_ask_before_they_check_a_password() -> None:
    request = HttpRequest()
    request.client_ip = "192.0.2.1"  # type: ignore[attr-defined]
    waits = [wait_to_sign_in(request, f"user{number}") for number in range(11)]
    assert waits == [0.0] * 10 + [50.0]


# ------------------------------------------------------------------- without a cache


class _Broken:
    def add(self, *args: Any, **kwargs: Any) -> bool:
        raise ConnectionError("redis is away")

    get = add


class _Failing:
    """The database's cache: it answers False to its own errors, and raises when it reads."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def get(self, *args: Any, **kwargs: Any) -> None:
        return None


@pytest.mark.parametrize("broken", [_Broken(), _Failing()], ids=["raises", "says no"])
def test_without_a_cache_requests_pass_and_it_is_logged_once(
    people: People,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: Any,
) -> None:
    settings.API_RATE = "2/min"
    monkeypatch.setattr(throttles, "cache", broken)
    with caplog.at_level(logging.WARNING, "mediahub.api.throttles"):
        assert statuses(client_of(people.alice), 5) == [200] * 5
    complaints = [each for each in caplog.records if each.name == "mediahub.api.throttles"]
    assert len(complaints) == 1


def test_without_a_cache_signing_in_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttles, "cache", _Broken())
    tried = [try_to_sign_in(f"user{number}").status_code for number in range(11)]
    assert tried == [401] * 10 + [429]


def test_a_block_that_another_process_has_is_not_taken_for_a_failure() -> None:
    assert throttles._take_block("a", 60)
    assert not throttles._take_block("a", 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttles, "cache", _Failing())
        with pytest.raises(CacheAway):
            throttles._take_block("b", 60)

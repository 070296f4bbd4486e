"""A repeat with the same Idempotency-Key gets the first answer, and nothing is done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any, cast

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import override_settings
from django.urls import include, path
from django.utils import timezone
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from media_assets import storage
from media_assets.errors import Conflict, ServiceUnavailable
from media_assets.models import MediaAsset, Role, Space
from mediahub.api import idempotency
from mediahub.api.idempotency import DigestedStream
from mediahub.models import ApiKey, IdempotencyKey
from tests import media
from tests.make import make_space
from tests.mediahub.api.ground import People, client_of, error_of, make_key

SPACES = "/api/v1/spaces/"


class Door:
    """What the test's view does, and how often it did."""

    ran = 0
    answer: Any = None
    reads = True
    hold: threading.Event | None = None
    entered = threading.Event()


class Doing(APIView):
    """Counts its runs and does what `Door` says."""

    parser_classes = (MultiPartParser, FormParser)

    def post(self, request: Request) -> HttpResponseBase:
        if Door.reads:
            _ = request.data
        Door.ran += 1
        Door.entered.set()
        if Door.hold is not None:
            assert Door.hold.wait(20)
        if isinstance(Door.answer, Exception):
            raise Door.answer
        if callable(Door.answer):
            return cast("HttpResponseBase", Door.answer(request))
        return Response({"run": Door.ran}, status=201, headers={"Location": "/made/"})

    put = post


def plain(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse([b"a"])


urlpatterns = [
    path("api/v1/do/", Doing.as_view()),
    path("api/v1/do-other/", Doing.as_view()),
    path("api/", include("mediahub.api.urls")),
]


@pytest.fixture(autouse=True)
def _door() -> Iterator[None]:
    Door.ran, Door.answer, Door.hold, Door.reads = 0, None, None, True
    Door.entered = threading.Event()
    with override_settings(ROOT_URLCONF=__name__):
        yield


def post(client: APIClient, key: str = "k1", address: str = "/api/v1/do/", **sent: Any) -> Any:
    sent.setdefault("data", {"a": "1"})
    sent.setdefault("format", "multipart")
    return client.post(address, headers={"Idempotency-Key": key}, **sent)


def test_a_repeat_gets_the_first_answer_and_runs_nothing(people: People) -> None:
    client = client_of(people.alice)
    first, second = post(client), post(client)
    assert Door.ran == 1
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second["Location"] == "/made/"
    assert second["Content-Type"] == first["Content-Type"]
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert second["X-Request-ID"] != first["X-Request-ID"]


def test_a_real_door_makes_one_thing(people: People) -> None:
    client = client_of(people.alice)
    body: dict[str, Any] = {"data": {"name": "Once"}, "format": "json", "address": SPACES}
    assert post(client, **body).json() == post(client, **body).json()
    assert Space.objects.filter(name="Once").count() == 1


def test_a_repeat_counts_as_a_request(people: People, settings: Any) -> None:
    settings.API_RATE = "2/min"
    client = client_of(people.alice)
    assert post(client).status_code == 201
    assert post(client)["Idempotency-Replayed"] == "true"
    response = post(client)
    error_of(response, 429, "RATE_LIMITED")
    assert response["Retry-After"]


def test_without_a_key_every_request_runs(people: People) -> None:
    client = client_of(people.alice)
    for _ in range(2):
        client.post("/api/v1/do/", {"a": "1"}, format="multipart")
    assert Door.ran == 2
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"a": "2"}},
        {"data": {"a": "1", "b": "1"}},
        {"data": {}},
        {"data": {"a": "1" * 100_000}},
        {"data": {"a": BytesIO(b"1")}},
        {"data": {"a": "1"}, "format": None, "content_type": "application/x-www-form-urlencoded"},
        {"address": "/api/v1/do/?space=1"},
    ],
    ids=range(7),
)
def test_another_body_with_the_same_key_is_a_conflict(
    people: People, other: dict[str, Any]
) -> None:
    client = client_of(people.alice)
    first = post(client)
    if other.get("content_type"):
        other = {**other, "data": "a=1"}
    error_of(post(client, **other), 409, "CONFLICT")
    assert Door.ran == 1
    assert post(client).content == first.content


def test_a_boundary_is_no_difference(people: People) -> None:
    client = client_of(people.alice)

    def body(boundary: str) -> dict[str, Any]:
        part = 'Content-Disposition: form-data; name="a"; filename="f"\r\n\r\nbytes'
        return {
            "data": f"--{boundary}\r\n{part}\r\n--{boundary}--\r\n".encode(),
            "content_type": f"multipart/form-data; boundary={boundary}",
            "format": None,
        }

    first = post(client, **body("one"))
    assert first.status_code == 201
    again = post(client, **body("quite-another-boundary"))
    assert again["Idempotency-Replayed"] == "true"
    assert Door.ran == 1


def test_a_large_upload_is_told_from_another_and_never_kept(people: People) -> None:
    storage.incoming_folder()  # the tests empty the data folder
    client = client_of(people.alice)
    content = bytes(range(256)) * 20_000  # 5 MB: Django puts it into a file

    def send(data: bytes) -> Any:
        return post(client, data={"file": SimpleUploadedFile("f.bin", data)})

    assert send(content).status_code == 201
    assert send(content)["Idempotency-Replayed"] == "true"
    error_of(send(content[:-1] + b"x"), 409, "CONFLICT")
    assert Door.ran == 1
    row = IdempotencyKey.objects.get()
    assert row.length > len(content)
    assert len(row.content) < 100


def test_an_upload_is_told_from_another_before_its_door_sees_it(people: People) -> None:
    client = client_of(people.alice)
    picture = media.jpeg(64, 48)

    def upload(content: bytes) -> Any:
        file = SimpleUploadedFile("picture.jpg", content)
        return post(client, data={"file": file, "title": "Once"}, address="/api/v1/assets/")

    first = upload(picture)
    assert first.status_code == 201
    again = upload(picture)
    assert again["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Location"] == first["Location"]
    error_of(upload(media.jpeg(32, 32)), 409, "CONFLICT")
    assert MediaAsset.objects.count() == 1
    assert not list(storage.incoming_folder().iterdir())


def test_an_upload_that_is_refused_may_be_mended_under_the_same_key(people: People) -> None:
    client = client_of(people.alice)

    def upload(content: bytes) -> Any:
        file = SimpleUploadedFile("picture.jpg", content)
        return post(client, data={"file": file}, address="/api/v1/assets/")

    error_of(upload(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "INVALID_FILE_FORMAT")
    assert upload(media.jpeg(64, 48)).status_code == 201


def test_a_body_the_view_does_not_read_counts_too(people: People) -> None:
    client = client_of(people.alice)
    Door.reads = False
    post(client)
    assert post(client)["Idempotency-Replayed"] == "true"
    error_of(post(client, data={"a": "2"}), 409, "CONFLICT")
    assert Door.ran == 1


def test_an_answer_to_a_huge_unread_body_is_not_kept(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "_MOST_UNREAD", 10)
    client = client_of(people.alice)
    Door.reads = False
    assert post(client).status_code == 201
    assert not IdempotencyKey.objects.exists()


def test_keys_of_others_other_addresses_and_other_methods_are_other_keys(people: People) -> None:
    alice = client_of(people.alice)
    post(alice)
    post(client_of(people.bob))
    post(alice, address="/api/v1/do-other/")
    post(alice, key="k2")
    alice.put("/api/v1/do/", {"a": "1"}, format="multipart", headers={"Idempotency-Key": "k1"})
    assert Door.ran == 5


def test_a_key_bound_to_one_space_gets_no_answer_of_another(people: People) -> None:
    other = make_space("Other", alice=Role.MANAGER)
    _, first = make_key(people.alice, "manage", space=people.space)
    _, second = make_key(people.alice, "manage", space=other)
    post(first)
    assert "Idempotency-Replayed" not in post(second)
    assert post(first)["Idempotency-Replayed"] == "true"
    assert Door.ran == 2


def test_a_session_and_a_token_of_the_same_person_are_one(people: People) -> None:
    pair = APIClient().post(
        "/api/v1/auth/token/", {"username": "alice", "password": "correct horse"}
    )
    bearer = APIClient()
    bearer.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.json()['access']}")
    post(client_of(people.alice))
    assert post(bearer)["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "answer",
    [
        ServiceUnavailable(),
        RuntimeError("broken"),
        OperationalError("away"),
        Conflict("not now"),
        lambda request: Response({"error": 1}, status=422),
    ],
    ids=["503", "500", "database", "409", "422"],
)
def test_a_refusal_is_not_kept_and_the_next_try_runs(people: People, answer: Any) -> None:
    client = client_of(people.alice)
    Door.answer = answer
    assert post(client).status_code >= 400
    assert not IdempotencyKey.objects.exists()
    Door.answer = None
    assert post(client, data={"a": "mended"}).status_code == 201
    assert Door.ran == 2


def test_a_body_that_cannot_be_read_is_not_kept(people: People) -> None:
    client = client_of(people.alice)
    response = post(client, data=b"{", content_type="text/x", format=None)
    error_of(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert post(client).status_code == 201


def test_a_stream_is_not_kept(people: People) -> None:
    Door.answer = plain
    client = client_of(people.alice)
    assert post(client).streaming
    assert not IdempotencyKey.objects.exists()


def test_who_may_not_do_it_gets_no_answer_and_leaves_no_row(people: People) -> None:
    _, robot = make_key(people.alice, "read")
    error_of(post(robot), 403, "PERMISSION_DENIED")
    error_of(post(APIClient()), 401, "NOT_AUTHENTICATED")
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION="Token mh_wrong")
    error_of(post(stranger), 401, "NOT_AUTHENTICATED")
    assert not IdempotencyKey.objects.exists()
    assert Door.ran == 0


def test_a_missing_csrf_token_stays_a_403(people: People) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(people.alice)
    error_of(post(client), 403, "PERMISSION_DENIED")
    assert Door.ran == 0


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "ä", "a b"])
def test_a_key_that_is_none_is_refused(people: People, key: str) -> None:
    response = client_of(people.alice).post(
        "/api/v1/do/", {}, format="multipart", HTTP_IDEMPOTENCY_KEY=key
    )
    error_of(response, 400, "VALIDATION_ERROR")
    assert Door.ran == 0


def test_an_answer_is_kept_for_a_day(people: People) -> None:
    client = client_of(people.alice)
    post(client)
    kept = IdempotencyKey.objects.get().expires_at - timezone.now()
    assert timedelta(hours=23) < kept <= timedelta(hours=24)
    assert idempotency.purge() == 0
    IdempotencyKey.objects.update(expires_at=timezone.now())
    assert "Idempotency-Replayed" not in post(client)
    assert Door.ran == 2
    IdempotencyKey.objects.update(expires_at=timezone.now())
    assert idempotency.purge() == 1
    assert not IdempotencyKey.objects.exists()


def test_a_claim_whose_process_died_is_taken_over(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 0)
    client = client_of(people.alice)
    post(client)
    running = {"status": None, "content": b"", "fingerprint": ""}
    IdempotencyKey.objects.update(**running)
    response = post(client)
    error_of(response, 409, "CONFLICT")
    assert response["Retry-After"] == "1"
    long_ago = timezone.now() - timedelta(seconds=idempotency.CLAIM_S + 1)
    IdempotencyKey.objects.update(claimed_at=long_ago)
    assert post(client).status_code == 201
    assert Door.ran == 2
    assert post(client)["Idempotency-Replayed"] == "true"


def test_who_lost_a_claim_writes_nothing(people: People) -> None:
    held = idempotency.claim(user=people.alice, scope="s")
    assert isinstance(held, idempotency.Claim)
    long_ago = timezone.now() - timedelta(seconds=idempotency.CLAIM_S + 1)
    IdempotencyKey.objects.update(claimed_at=long_ago)
    taken = idempotency.claim(user=people.alice, scope="s")
    assert isinstance(taken, idempotency.Claim)
    idempotency.keep(held, response=HttpResponse(b"late"), fingerprint="x", length=1)
    idempotency.release(held)
    row = IdempotencyKey.objects.get()
    assert row.claim == taken.token
    assert row.status is None


def test_the_secret_of_a_key_is_not_kept_and_not_told_again(people: People) -> None:
    client = client_of(people.alice)
    body: dict[str, Any] = {"data": {"label": "Robot", "scopes": ["read"]}, "format": "json"}
    first = post(client, address="/api/v1/api-keys/", **body).json()
    again = post(client, address="/api/v1/api-keys/", **body)
    assert again["Idempotency-Replayed"] == "true"
    assert again.status_code == 201
    assert again.json() == {**first, "key": None}
    assert ApiKey.objects.count() == 1
    assert first["key"].encode() not in bytes(IdempotencyKey.objects.get().content)


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_once_one_runs_and_the_others_wait_for_its_answer(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    people = People.make()
    Door.hold = threading.Event()
    answers: list[Any] = []

    def send() -> None:
        try:
            answers.append(post(client_of(people.alice)))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert Door.entered.wait(20)
    Door.hold.set()
    for thread in threads:
        thread.join(30)
    assert Door.ran == 1
    assert {(each.status_code, each.content) for each in answers} == {(201, b'{"run":1}')}
    assert sum("Idempotency-Replayed" in each for each in answers) == 3


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_is_told_to_come_back(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEFAULT_ROLE = "none"
    monkeypatch.setattr(idempotency, "WAIT_S", 0)
    people = People.make()
    Door.hold = threading.Event()
    first: list[Any] = []

    def send() -> None:
        try:
            first.append(post(client_of(people.alice)))
        finally:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert Door.entered.wait(20)
        response = post(client_of(people.alice))
        error_of(response, 409, "CONFLICT")
        assert response["Retry-After"] == "1"
    finally:
        Door.hold.set()
        thread.join(30)
    assert first[0].status_code == 201
    assert Door.ran == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
def test_a_digest_is_the_same_however_the_body_is_read(size: int) -> None:
    body = b"--bound\r\nab--bobound\r\n--boun" + b"\0" * 50 + b"--bound--\r\nbounbound"
    stream = DigestedStream(BytesIO(body), b"bound")
    read = b"".join(iter(lambda: stream.read(size), b""))
    assert read == body
    whole = DigestedStream(BytesIO(body), b"bound")
    assert b"".join(whole) == body
    assert stream.finish() == whole.finish()
    assert stream.length == whole.length == len(body.replace(b"bound", b""))


def test_a_digest_tells_bodies_apart() -> None:
    digests = set()
    for body in (b"", b"a", b"b", b"ab", b"bound", b"boundbound a", b"abound"):
        stream = DigestedStream(BytesIO(body), b"bound")
        stream.read()
        digests.add((stream.finish(), body.replace(b"bound", b"")))
    assert len({digest for digest, _ in digests}) == len({text for _, text in digests})

"""Log lines: one a event, with ids, without secrets; and a file that several processes share."""

from __future__ import annotations

import json
import logging
import multiprocessing
import string
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from media_assets import log_context
from mediahub.logging import JsonFormatter, LogFile, TextFormatter
from mediahub.redaction import HIDDEN, redact, redact_all

Line = Callable[..., dict[str, Any]]


@pytest.fixture
def text_of() -> Iterator[Callable[[logging.Formatter], str]]:
    """What was logged to the logger `test.lines`, as one formatter writes it."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.getLogger("test.lines")
    handler = Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def read(formatter: logging.Formatter) -> str:
        (record,) = records
        return formatter.format(record)

    yield read
    logger.removeHandler(handler)


LOG = logging.getLogger("test.lines")
TextOf = Callable[[logging.Formatter], str]


# ------------------------------------------------------------------- what a line holds


def test_a_json_line_says_when_how_bad_where_and_what(text_of: TextOf) -> None:
    LOG.warning("Stored %s in %d ms.", "a.jpg", 12, extra={"asset": "42"})
    line = json.loads(text_of(JsonFormatter()))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "test.lines",
        "message": "Stored a.jpg in 12 ms.",
        "asset": "42",
    }


def test_a_text_line_is_for_people(text_of: TextOf) -> None:
    LOG.error("Stored %s.", "a.jpg", extra={"asset": "42"})
    line = text_of(TextFormatter())
    assert line.endswith(" ERROR    test.lines: Stored a.jpg. asset=42")


def test_a_traceback_is_part_of_the_line(text_of: TextOf) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        LOG.exception("It broke.")
    for formatter in (JsonFormatter(), TextFormatter()):
        assert "\n" not in text_of(formatter)
    error = json.loads(text_of(JsonFormatter()))["error"]
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("ValueError: first\nsecond")


def test_ids_that_are_bound_are_in_every_line_inside_and_in_none_outside(text_of: TextOf) -> None:
    with log_context.bind(request_id="r1"), log_context.bind(job_id="j1", step=None):
        assert dict(log_context.fields()) == {"request_id": "r1", "job_id": "j1"}
        LOG.info("Inside.")
        line = json.loads(text_of(JsonFormatter()))
    assert (line["request_id"], line["job_id"]) == ("r1", "j1")
    assert "step" not in line
    assert dict(log_context.fields()) == {}
    assert "request_id" not in json.loads(text_of(JsonFormatter()))


def test_what_one_thread_binds_no_other_sees() -> None:
    seen: list[dict[str, Any]] = []
    with log_context.bind(job_id="j1"):
        thread = threading.Thread(target=lambda: seen.append(dict(log_context.fields())))
        thread.start()
        thread.join()
    assert seen == [{}]


def test_a_failure_inside_unbinds_too() -> None:
    with pytest.raises(ValueError, match="x"), log_context.bind(job_id="j1"):
        raise ValueError("x")
    assert dict(log_context.fields()) == {}


UNSAFE = "a\nb\rc\td\x1b[31me\x00f\x7fg\x85h\u2028i\u202ej\u2066k\ufeffl\ud800m\x9bn"


def test_no_control_character_reaches_the_log() -> None:
    # Made by hand: pytest keeps what is logged, and cannot pass on half a character.
    record = logging.makeLogRecord(
        {
            "name": "x",
            "levelname": "INFO",
            "msg": "%s",
            "args": (UNSAFE,),
            "title": UNSAFE,
            UNSAFE: 1,
        }
    )
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record)
        assert not set(UNSAFE) - set(string.ascii_letters + "[31") & set(line)
        line.encode()
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == UNSAFE  # nothing is lost, only written safely
    assert "a\\nb\\rc\\td\\u001b[31me\\u0000f" in TextFormatter().format(record)


def test_letters_of_all_languages_stay_readable(text_of: TextOf) -> None:
    LOG.info("Größe 写真 фото 🙂")
    assert "Größe 写真 фото 🙂" in text_of(JsonFormatter())


def test_what_is_no_plain_data_is_written_as_text(text_of: TextOf) -> None:
    LOG.info("x", extra={"path": Path("/a"), "odd": {1: {2}}, "none": None})
    line = json.loads(text_of(JsonFormatter()))
    assert (line["path"], line["odd"], line["none"]) == ("/a", {"1": [2]}, None)


def test_a_very_long_message_loses_its_middle(text_of: TextOf) -> None:
    LOG.info("start %s end", "x" * 100_000)
    message = json.loads(text_of(JsonFormatter()))["message"]
    assert len(message) < 33_000
    assert message.startswith("start")
    assert message.endswith("end")


# ------------------------------------------------------------------- secrets

SIGNATURE = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
SECRETS = [
    ("Authorization: Bearer {}", "abc.def.ghi1"),
    ("{{'Authorization': 'Token {}'}}", "mh_" + "a1" * 21),
    ("authorization=Basic {}", "dXNlcjpwYXNzd29yZA=="),
    ("Cookie: sessionid={}; csrftoken=y", "s3ss10ns3ss10n"),
    ('{{"password": "{}"}}', "correct-horse"),
    ("OPENAI_API_KEY={}", "whatever-it-is"),
    ('api_key: "{}"', "whatever-it-is"),
    ("secret_access_key='{}'", "wJalrXUtnFEMI/K7MDENG"),
    ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature={}&X-Amz-Expires=60", "deadbeef"),
    ("GET https://cdn.example.com/k?Expires=1&Signature={}&Key-Pair-Id=K1", "c2lnbmF0dXJl"),
    ("GET https://host/path?token={}", "t0k3n"),
    ("GET /files/eyJrZXkiOiJpbWFnZXMifQ:{}", SIGNATURE),
    ("GET /files/eyJrZXkiOiJpbWFnZXMifQ:1rXyZ9:{}/", SIGNATURE),
    ("postgres://media:{}@db/media", "hunter2"),
    ("redis://:{}@r:6379/0", "hunter2"),
    ("key {} was refused", "sk-proj-abcdefghijklmnop1234"),
    ("key {} was refused", "gsk_abcdefghijklmnop1234"),
    ("key {} was refused", "AKIAIOSFODNN7EXAMPLE"),
    ("key {} was refused", "AIza" + "Sy" * 17),
    ("key {} was refused", "mh_" + "Ab3" * 14),
    ("token {} was refused", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoxfQ.c2lnbmF0dXJl"),
    ("POST https://api.telegram.org/bot{}/getMe", "123456789:AAE-abcdefghijklmnopqrstuvwxyz123456"),
    ("{}", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    told = redact(text.format(secret))
    assert secret not in told
    assert HIDDEN in told


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_no_line_holds_a_secret_wherever_it_came_from(
    text_of: TextOf, text: str, secret: str
) -> None:
    said = text.format(secret)
    try:
        raise RuntimeError(said)
    except RuntimeError:
        LOG.exception("%s", said, extra={"url": said, "deep": {"list": [said]}})
    for formatter in (JsonFormatter(), TextFormatter()):
        assert secret not in text_of(formatter)
        assert secret.encode("unicode_escape").decode() not in text_of(formatter)


@pytest.mark.parametrize(
    "text",
    [
        "tokens: 1234, cost 0.02",
        "Token authentication failed",
        "The bearer of this",
        "token=5 is older than token=6",
        "password must have 10 characters",
        "https://example.com/a?page=2&q=signature",
        "sha256 " + "0123456789abcdef" * 4,
        "key images/ab/" + "ab" * 32 + ".jpg at 12:34:56",
        "asset 0190b0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f of job 12",
        "Stored 写真.jpg as image/jpeg in 12 ms.",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


PIECES = (
    'x - _- a: eyJ- eyJ. sk- token_1 password password= :// ://a: ?sig= 1234567: authorization: "'
)


@pytest.mark.parametrize(
    "piece", [*PIECES.split(), " ", "token ", "basic 1", "-----BEGIN PRIVATE KEY-----"]
)
def test_no_text_makes_the_search_for_secrets_slow(piece: str) -> None:
    text = (piece * 32_000)[:32_000]
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_key",
        "AWS_SECRET_ACCESS_KEY",
        "X-Api-Key",
        "token",
        "access_token",
        "Cookie",
    ],
)
def test_a_value_goes_whole_where_its_name_says_it_is_secret(name: str) -> None:
    assert redact_all({name: "plain words"}) == {name: HIDDEN}
    assert redact_all({name: ["plain words"]}) == {name: [HIDDEN]}


@pytest.mark.parametrize("name", ["tokens", "keyword", "passwordless", "sort_key", "token_count"])
def test_a_name_that_only_sounds_so_hides_nothing(name: str) -> None:
    assert redact_all({name: "plain words", "token": 7}) == {name: "plain words", "token": 7}


def test_the_secrets_of_our_settings_are_taken_out_whatever_they_look_like(settings: Any) -> None:
    settings.OPENAI_API_KEY = "just some words"
    settings.SECRET_KEY_FALLBACKS = ["a former one"]
    text = f"{settings.SECRET_KEY} / just some words / a former one"
    assert redact(text) == f"{HIDDEN} / {HIDDEN} / {HIDDEN}"


def test_the_password_of_an_address_is_taken_out_and_its_host_stays(settings: Any) -> None:
    settings.REDIS_URL = "redis://:p%40ssword@redis.example.com:6379/0"
    assert redact("p%40ssword or p@ssword") == f"{HIDDEN} or {HIDDEN}"
    assert redact("cannot reach redis.example.com:6379") == "cannot reach redis.example.com:6379"


# ------------------------------------------------------------------- the file


def _logger(path: Path, *, most: int = 1000, count: int = 2) -> tuple[logging.Logger, LogFile]:
    handler = LogFile(path, most_bytes=most, count=count)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger(f"test.file.{path}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger, handler


def test_the_file_is_made_with_its_folder_for_its_owner_alone(tmp_path: Path) -> None:
    logger, handler = _logger(tmp_path / "logs" / "media.log")
    logger.info("a line")
    handler.close()
    assert (tmp_path / "logs" / "media.log").read_text() == "a line\n"
    assert (tmp_path / "logs" / "media.log").stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_turned_over_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "media.log"
    logger, handler = _logger(path, most=100, count=2)
    for number in range(10):
        logger.info("%s", f"{number:02} ".ljust(49, "x"))  # two lines fill a file
    handler.close()
    numbers = {
        file.name: [line[:2] for line in file.read_text().splitlines()]
        for file in tmp_path.glob("media.log*")
        if file.suffix != ".lock"
    }
    assert numbers == {
        "media.log": ["08", "09"],
        "media.log.1": ["06", "07"],
        "media.log.2": ["04", "05"],
    }


def test_with_nothing_to_keep_a_full_file_is_begun_anew(tmp_path: Path) -> None:
    logger, handler = _logger(tmp_path / "media.log", most=60, count=0)
    for number in range(3):
        logger.info("%s", f"{number} ".ljust(49, "x"))
    handler.close()
    assert (tmp_path / "media.log").read_text().startswith("2 ")
    assert not (tmp_path / "media.log.1").exists()


def test_a_line_longer_than_a_file_is_written_whole(tmp_path: Path) -> None:
    logger, handler = _logger(tmp_path / "media.log", most=10)
    logger.info("y" * 100)
    logger.info("z" * 100)
    handler.close()
    assert (tmp_path / "media.log").read_text() == "z" * 100 + "\n"
    assert (tmp_path / "media.log.1").read_text() == "y" * 100 + "\n"


def test_a_file_that_another_program_moved_is_made_anew(tmp_path: Path) -> None:
    logger, handler = _logger(tmp_path / "media.log")
    logger.info("one")
    (tmp_path / "media.log").rename(tmp_path / "moved")
    logger.info("two")
    handler.close()
    assert (tmp_path / "moved").read_text() == "one\n"
    assert (tmp_path / "media.log").read_text() == "two\n"


def test_a_file_that_cannot_be_written_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    logger, handler = _logger(tmp_path / "file" / "media.log")
    logger.info("lost")
    handler.close()
    assert capsys.readouterr().err == ""


def _write(path: str, name: int, count: int) -> None:
    logger, handler = _logger(Path(path), most=2000, count=200)
    for number in range(count):
        logger.info("%s", f"{name}:{number}:".ljust(60, "x"))
    handler.close()


def test_several_processes_lose_and_mangle_no_line_while_they_turn_the_file_over(
    tmp_path: Path,
) -> None:
    path = tmp_path / "media.log"
    processes = [
        multiprocessing.get_context("spawn").Process(target=_write, args=(str(path), name, 300))
        for name in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    files = [file for file in tmp_path.glob("media.log*") if file.suffix != ".lock"]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert all(len(line) == 60 for line in lines)
    assert sorted(line.rstrip("x") for line in lines) == sorted(
        f"{name}:{number}:" for name in range(3) for number in range(300)
    )
    assert len(files) > 20


# ------------------------------------------------------------------- the line of a request


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Callable[[], dict[str, Any]]:
    caplog.set_level(logging.DEBUG, logger="mediahub.access")

    def last() -> dict[str, Any]:
        (record,) = [each for each in caplog.records if each.name == "mediahub.access"]
        caplog.clear()
        line: dict[str, Any] = json.loads(JsonFormatter().format(record))
        return line | {"level": record.levelname}

    return last


@pytest.mark.django_db
def test_a_request_is_one_line_without_its_query(
    client: Client, access: Callable[[], dict[str, Any]]
) -> None:
    client.get("/api/v1/no-such-thing/?token=t0ps3cret", headers={"User-Agent": "x"})
    line = access()
    assert line["method"] == "GET"
    assert line["path"] == "/api/v1/no-such-thing/"
    assert line["status"] == 404
    assert line["ms"] >= 0
    assert line["user"] is None
    assert line["ip"] == "127.0.0.1"
    assert line["level"] == "INFO"
    assert "t0ps3cret" not in str(line)


def test_the_line_carries_the_id_of_its_request(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, Any]] = []

    class Look(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(json.loads(JsonFormatter().format(record)))

    look = Look()
    logging.getLogger("mediahub.access").addHandler(look)
    caplog.set_level(logging.DEBUG, logger="mediahub.access")
    try:
        response = client.get("/health")
    finally:
        logging.getLogger("mediahub.access").removeHandler(look)
    assert seen[0]["request_id"] == response["X-Request-ID"]


@pytest.mark.django_db
def test_the_line_names_who_was_signed_in(
    client: Client, django_user_model: Any, access: Callable[[], dict[str, Any]]
) -> None:
    user = django_user_model.objects.create_superuser("alice", password="x")
    client.force_login(user)
    client.get("/admin/")
    assert access()["user"] == str(user.pk)


def test_who_asked_is_not_looked_up_for_a_line(
    client: Client, access: Callable[[], dict[str, Any]]
) -> None:
    client.cookies["sessionid"] = "a" * 32
    client.get("/health")  # a query would fail this test, which has no database
    assert access()["user"] is None


def test_questions_of_machines_are_quiet(
    client: Client, access: Callable[[], dict[str, Any]]
) -> None:
    client.get("/health/live")
    assert access()["level"] == "DEBUG"


def test_a_path_cannot_forge_a_line(client: Client, access: Callable[[], dict[str, Any]]) -> None:
    client.get("/health/%0a2026-01-01 ERROR forged" + "x" * 1000)
    line = access()
    assert len(line["path"]) == 500
    assert "\n" in line["path"]  # as data; the line itself is tested above


def test_lines_go_to_the_console_and_to_the_file(settings: Any) -> None:
    root = settings.LOGGING["root"]
    assert root["handlers"] == ["console", "file"]
    assert settings.LOGGING["handlers"]["file"]["filename"] == settings.LOG_FILE
    kinds = {type(handler) for handler in logging.getLogger().handlers}
    assert {logging.StreamHandler, LogFile} <= kinds
    assert sys.stderr is not None

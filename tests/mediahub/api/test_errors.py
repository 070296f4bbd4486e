"""Every refusal has one shape, whoever makes it, and tells nothing of our insides."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core import exceptions as django_errors
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.test import Client, override_settings
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from media_assets import errors
from mediahub.api.errors import STATUS_OF_CODE, problem_of
from processing.errors import InputFault
from tests.mediahub.api.ground import People, client_of, error_of

_raise: dict[str, Exception] = {}


class Raising(APIView):
    """Raises what the test put into `_raise`."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        raise _raise["error"]

    def post(self, request: Request) -> Response:
        return Response({"got": request.data})


def raising_outside_drf(request: HttpRequest) -> HttpResponse:
    raise _raise["error"]


def refusing_outside_drf(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotAllowed(["PUT"])


urlpatterns = [
    path("api/v1/raise/", Raising.as_view()),
    path("webhooks/raise/", raising_outside_drf),
    path("webhooks/refuse/", refusing_outside_drf),
    path("elsewhere/", raising_outside_drf),
    path("api/", include("mediahub.api.urls")),
]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def _raising() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield
    _raise.clear()


def every_error() -> list[type[errors.MediaHubError]]:
    found = [errors.MediaHubError]
    for each in found:
        found += [kind for kind in each.__subclasses__() if kind.__module__ == errors.__name__]
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
@pytest.mark.usefixtures("_raising")
def test_each_error_of_ours_has_the_status_of_its_code(
    client: Client, kind: type[errors.MediaHubError]
) -> None:
    _raise["error"] = kind("What is wrong", why="because")
    error = error_of(client.get("/api/v1/raise/"), STATUS_OF_CODE[kind.code], kind.code)
    assert error["message"] == "What is wrong"
    assert error["details"] == {"why": "because"}


@pytest.mark.usefixtures("_raising")
def test_unavailable_says_when_to_come_back(client: Client) -> None:
    _raise["error"] = errors.ServiceUnavailable(retry_after=7)
    response = client.get("/api/v1/raise/")
    error_of(response, 503, "SERVICE_UNAVAILABLE")
    assert response["Retry-After"] == "7"


def test_a_code_that_only_jobs_end_with_is_our_fault_here() -> None:
    class Strange(errors.MediaHubError):
        code = "NO_PROVIDER"

    assert problem_of(Strange("secret inside")).code == "INTERNAL_ERROR"
    assert problem_of(InputFault("CORRUPT_FILE", "bad")).code == "INTERNAL_ERROR"


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (exceptions.ParseError("bad"), 400, "VALIDATION_ERROR"),
        (exceptions.NotAuthenticated(), 401, "NOT_AUTHENTICATED"),
        (exceptions.AuthenticationFailed(), 401, "NOT_AUTHENTICATED"),
        (exceptions.PermissionDenied(), 403, "PERMISSION_DENIED"),
        (exceptions.NotFound(), 404, "NOT_FOUND"),
        (exceptions.MethodNotAllowed("PUT"), 405, "METHOD_NOT_ALLOWED"),
        (exceptions.NotAcceptable(), 406, "NOT_ACCEPTABLE"),
        (exceptions.UnsupportedMediaType("text/x"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (exceptions.Throttled(wait=3), 429, "RATE_LIMITED"),
        (Http404(), 404, "NOT_FOUND"),
        (django_errors.PermissionDenied(), 403, "PERMISSION_DENIED"),
        (django_errors.SuspiciousOperation("x"), 400, "VALIDATION_ERROR"),
        (django_errors.TooManyFieldsSent("x"), 400, "VALIDATION_ERROR"),
        (django_errors.RequestDataTooBig("x"), 413, "FILE_TOO_LARGE"),
        (OperationalError("secret address"), 503, "SERVICE_UNAVAILABLE"),
        (InterfaceError("secret address"), 503, "SERVICE_UNAVAILABLE"),
        (RuntimeError("secret inside"), 500, "INTERNAL_ERROR"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.usefixtures("_raising")
def test_foreign_errors_are_translated_and_tell_no_secret(
    client: Client, raised: Exception, status: int, code: str
) -> None:
    _raise["error"] = raised
    response = client.get("/api/v1/raise/")
    error_of(response, status, code)
    assert b"secret" not in response.content
    assert ("Retry-After" in response) == (status in (429, 503))


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (OperationalError("secret address"), 503, "SERVICE_UNAVAILABLE"),
        (RuntimeError("secret inside"), 500, "INTERNAL_ERROR"),
        (django_errors.SuspiciousOperation("secret"), 400, "VALIDATION_ERROR"),
        (django_errors.PermissionDenied("secret"), 403, "PERMISSION_DENIED"),
        (Http404("secret"), 404, "NOT_FOUND"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.usefixtures("_raising")
def test_outside_of_drf_the_shape_is_the_same_even_with_debug(
    client: Client, settings: Any, debug: bool, raised: Exception, status: int, code: str
) -> None:
    settings.DEBUG = debug
    _raise["error"] = raised
    response = client.get("/webhooks/raise/")
    error_of(response, status, code)
    assert b"secret" not in response.content
    assert b"Traceback" not in response.content


@pytest.mark.usefixtures("_raising")
def test_pages_keep_their_own_errors(client: Client) -> None:
    _raise["error"] = Http404()
    assert client.get("/elsewhere/")["Content-Type"].startswith("text/html")


@pytest.mark.usefixtures("_raising")
def test_the_headers_of_a_replaced_answer_stay(client: Client) -> None:
    response = client.get("/webhooks/refuse/")
    error_of(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "PUT"


class _Nested(serializers.Serializer[Any]):
    name = serializers.CharField()


class _Form(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=3)
    parts = _Nested(many=True)


@pytest.mark.usefixtures("_raising")
def test_details_are_by_field_however_deep(client: Client) -> None:
    form = _Form(data={"title": "longer", "parts": [{"name": "a"}, {}]})
    assert not form.is_valid()
    _raise["error"] = exceptions.ValidationError(form.errors)
    error = error_of(client.get("/api/v1/raise/"), 400, "VALIDATION_ERROR")
    assert error["details"]["title"] == ["Ensure this field has no more than 3 characters."]
    assert error["details"]["parts"]["1"] == {"name": ["This field is required."]}
    assert error["message"].startswith("title: ")


@pytest.mark.usefixtures("_raising")
def test_what_belongs_to_no_field_is_under_request(client: Client) -> None:
    _raise["error"] = exceptions.ValidationError("Choose one.")
    error = error_of(client.get("/api/v1/raise/"), 400, "VALIDATION_ERROR")
    assert error["details"] == {"request": ["Choose one."]}
    assert error["message"] == "Choose one."


@pytest.mark.usefixtures("_raising")
def test_a_model_s_validation_error_is_by_field_too(client: Client) -> None:
    _raise["error"] = django_errors.ValidationError({"title": ["Too long."]})
    error = error_of(client.get("/api/v1/raise/"), 400, "VALIDATION_ERROR")
    assert error["details"] == {"title": ["Too long."]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "valid JSON"),
        (b"\xff\xfe{}", "valid JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": "\\u0000"}', "cannot be kept"),
        (b'{"a": {"b": ["\\ud800"]}}', "cannot be kept"),
        (b"[" * 100_000, "nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "valid JSON"),
    ],
)
@pytest.mark.usefixtures("_raising")
def test_json_that_two_readers_might_read_differently_is_refused(
    client: Client, body: bytes, why: str
) -> None:
    response = client.post("/api/v1/raise/", body, content_type="application/json")
    assert why in error_of(response, 400, "VALIDATION_ERROR")["message"]


@pytest.mark.usefixtures("_raising")
def test_good_json_passes_with_its_escapes(client: Client) -> None:
    body = b'\xef\xbb\xbf{"a": "\\u00e4 \\ud83d\\ude00 \\\\u0000"}'
    response = client.post("/api/v1/raise/", body, content_type="application/json")
    assert response.json() == {"got": {"a": "ä 😀 \\u0000"}}


@pytest.mark.usefixtures("_raising")
def test_a_body_too_large_for_memory_is_413(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = client.post("/api/v1/raise/", {"a": "x" * 200}, content_type="application/json")
    error_of(response, 413, "FILE_TOO_LARGE")


@pytest.mark.usefixtures("_raising")
def test_a_broken_multipart_body_is_400(client: Client) -> None:
    response = client.post("/api/v1/raise/", b"nothing", content_type="multipart/form-data")
    error_of(response, 400, "VALIDATION_ERROR")


@pytest.mark.usefixtures("_raising")
def test_json_sent_as_text_is_415(client: Client) -> None:
    response = client.post("/api/v1/raise/", b"{}", content_type="text/plain")
    error_of(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.usefixtures("_raising")
def test_a_client_that_wants_html_alone_gets_406(client: Client) -> None:
    error_of(client.get("/api/v1/raise/", headers={"Accept": "text/html"}), 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize(
    "address", ["/api/", "/api/v1/", "/api/v1/nothing/", "/api/v2/x", "/v1/x", "/webhooks/x/"]
)
def test_an_unknown_address_is_404(
    client: Client, settings: Any, address: str, method: str, debug: bool
) -> None:
    settings.DEBUG = debug
    error_of(getattr(client, method)(address), 404, "NOT_FOUND")


def test_a_forgotten_slash_is_put_there_for_reading_and_told_of_for_writing(client: Client) -> None:
    response = client.get("/api/v1/config?a=1")
    assert response.status_code == 301
    assert response["Location"] == "/api/v1/config/?a=1"
    error = error_of(client.post("/api/v1/spaces"), 404, "NOT_FOUND")
    assert "/api/v1/spaces/?" in error["message"]


def test_a_method_that_is_not_there_is_405_and_says_which_are(people: People) -> None:
    response = client_of(people.alice).put("/api/v1/config/", {})
    error_of(response, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in response["Allow"]


@pytest.mark.django_db
def test_no_credential_is_401_and_says_how_to_bring_one() -> None:
    response = APIClient().get("/api/v1/spaces/")
    error_of(response, 401, "NOT_AUTHENTICATED")
    assert response["WWW-Authenticate"] == 'Bearer realm="mediahub"'


def test_a_refused_host_is_400_in_the_same_shape(client: Client) -> None:
    response = client.get("/api/v1/config/", headers={"Host": "evil.test"})
    error_of(response, 400, "VALIDATION_ERROR")


def test_a_database_that_is_away_is_503_from_the_first_query_on(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(people.alice)
    client.raise_request_exception = False

    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("could not connect to 10.0.0.1")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.backends.utils.CursorWrapper.execute", away)
        response = client.get("/api/v1/spaces/")
    error_of(response, 503, "SERVICE_UNAVAILABLE")
    assert int(response["Retry-After"]) > 0
    assert b"10.0.0.1" not in response.content


@pytest.mark.usefixtures("_raising")
def test_a_form_is_understood_where_json_is(client: Client) -> None:
    response = client.post("/api/v1/raise/", {"a": "b", "c": io.StringIO("file")})
    assert response.json()["got"]["a"] == "b"

"""Every refusal in one shape: {"error": {"code", "message", "details", "request_id"}}.

`exception_handler` answers for what views raise. `ErrorEnvelopeMiddleware` stands around everything else
(unknown paths, refused hosts, failures in other middleware) and gives answers under our API's paths the
same shape, also where DEBUG would show a page.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    JsonResponse,
    UnreadablePostError,
)
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.encoding import force_str
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from media_assets.errors import MediaHubError
from mediahub.api.authentication import AUTHENTICATE

logger = logging.getLogger(__name__)

STATUS_OF_CODE: Final = {
    "VALIDATION_ERROR": 400,
    "EMPTY_FILE": 400,
    "UNSAFE_URL": 400,
    "NOT_AUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "QUOTA_EXCEEDED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "CONFLICT": 409,
    "GONE": 410,
    "FILE_TOO_LARGE": 413,
    "INVALID_FILE_FORMAT": 415,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "MALWARE_DETECTED": 422,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
    "STORAGE_FULL": 507,
}
# What a status means where nobody named a code. 415 names the request's own type, not the file's.
_CODE_OF_STATUS: Final = {
    code_status: code
    for code, code_status in reversed(STATUS_OF_CODE.items())
    if code not in {"INVALID_FILE_FORMAT", "EMPTY_FILE", "UNSAFE_URL", "QUOTA_EXCEEDED"}
}
_MESSAGES: Final = {
    400: "The request is not valid.",
    401: "Sign in, or send a token or an API key.",
    403: "You may not do this.",
    404: "There is no such thing here.",
    405: "This method is not possible here.",
    406: "This can only be answered as JSON.",
    410: "This is no longer here.",
    413: "The request is larger than what is accepted.",
    415: "This type of request body is not understood here.",
    429: "Too many requests. Try again later.",
    500: "Something went wrong on our side.",
    503: "MediaHub cannot answer just now. Try again shortly.",
}
DATABASE_AWAY_S: Final = 5  # seconds after which a caller may ask again
API_PATHS: Final = ("/api/", "/v1/", "/webhooks/")
_HEADERS_OF_A_BODY: Final = {"content-type", "content-length", "content-encoding", "etag"}


class Problem:
    """One refusal on its way out: what the envelope says, and the headers beside it."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        http_status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = http_status or STATUS_OF_CODE[code]
        self.code = code
        self.message = message or default_message(self.status)
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        if self.status == status.HTTP_401_UNAUTHORIZED:
            self.headers.setdefault("WWW-Authenticate", AUTHENTICATE)

    @classmethod
    def of_status(cls, http_status: int, message: str = "") -> Problem:
        """For a refusal of which only the status is known."""
        return cls(code_for_status(http_status), message, http_status=http_status)

    def body(self, request: HttpRequest | Request | None) -> dict[str, Any]:
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "request_id": str(getattr(request, "request_id", "") or ""),
            }
        }


def is_api_path(path: str) -> bool:
    return path.startswith(API_PATHS)


def default_message(http_status: int) -> str:
    return _MESSAGES.get(http_status) or HTTPStatus(http_status).description or "Refused."


def code_for_status(http_status: int) -> str:
    """The code for a status nobody named one for: of our table, else the status's own name."""
    try:
        return _CODE_OF_STATUS.get(http_status) or HTTPStatus(http_status).name
    except ValueError:
        return "VALIDATION_ERROR" if http_status < 500 else "INTERNAL_ERROR"


def problem_of(error: Exception) -> Problem:
    """What a caller is told of an exception. Anything unknown is our own fault and tells nothing."""
    match error:
        case MediaHubError():
            return _problem_of_ours(error)
        case exceptions.APIException():
            return _problem_of_drf(error)
        case OperationalError() | InterfaceError():
            return Problem("SERVICE_UNAVAILABLE", headers={"Retry-After": str(DATABASE_AWAY_S)})
        case _:
            return _problem_of_django(error)


def _problem_of_django(error: Exception) -> Problem:
    match error:
        case Http404():
            return Problem("NOT_FOUND")
        case django_errors.PermissionDenied():
            return Problem("PERMISSION_DENIED")
        case django_errors.ValidationError():
            return _invalid(error.message_dict if hasattr(error, "error_dict") else error.messages)
        case django_errors.RequestDataTooBig():
            return Problem("FILE_TOO_LARGE", default_message(413))
        case django_errors.SuspiciousOperation() | django_errors.BadRequest():
            return Problem("VALIDATION_ERROR")
        case UnreadablePostError():
            return Problem("VALIDATION_ERROR", "The request body ended early.")
        case _:
            return Problem("INTERNAL_ERROR")


def _problem_of_ours(error: MediaHubError) -> Problem:
    if error.code not in STATUS_OF_CODE:  # one that only jobs end with
        return Problem("INTERNAL_ERROR")
    wait = getattr(error, "retry_after", None)
    headers = {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))}
    return Problem(error.code, error.message, details=error.details, headers=headers)


def _problem_of_drf(error: exceptions.APIException) -> Problem:
    match error:
        case exceptions.ValidationError():
            return _invalid(error.detail)
        case exceptions.AuthenticationFailed():
            # Not `status_code`: DRF makes it a 403 in views that know no authentication.
            detail = (
                error.detail.get("detail", "") if isinstance(error.detail, dict) else error.detail
            )
            return Problem("NOT_AUTHENTICATED", force_str(detail))
        case exceptions.NotAuthenticated():
            return Problem("NOT_AUTHENTICATED")
        case exceptions.PermissionDenied():
            return Problem("PERMISSION_DENIED", force_str(error.detail))
        case exceptions.Throttled():
            wait = max(1, math.ceil(getattr(error, "wait", None) or 1))
            return Problem("RATE_LIMITED", headers={"Retry-After": str(wait)})
        case exceptions.NotFound():
            return Problem("NOT_FOUND")
        case _:
            message = force_str(error.detail) if isinstance(error.detail, str) else ""
            return Problem.of_status(error.status_code, message)


def _invalid(detail: Any) -> Problem:
    """VALIDATION_ERROR with its details by field; what belongs to no field is under `request`."""
    if isinstance(detail, Mapping):
        details = {
            ("request" if field == "non_field_errors" else str(field)): value
            for field, value in detail.items()
        }
    else:
        details = {"request": detail if isinstance(detail, list) else [detail]}
    return Problem("VALIDATION_ERROR", _first_message(details), details=details)


def _first_message(details: Mapping[str, Any]) -> str:
    """A sentence for a person: the first field that is wrong, and why."""
    path: list[str] = []
    value: Any = details
    while True:
        if isinstance(value, Mapping) and value:
            field, value = next(iter(value.items()))
            path.append(str(field))
        elif isinstance(value, list) and value:
            value = next((each for each in value if each), value[0])
        else:
            break
    text = force_str(value) if isinstance(value, str) else default_message(400)
    where = ".".join(part for part in path if part != "request")
    return f"{where}: {text}" if where else text


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER."""
    request = context.get("request")
    problem = problem_of(error)
    if problem.status >= status.HTTP_500_INTERNAL_SERVER_ERROR and not isinstance(
        error, MediaHubError
    ):
        logger.error("request failed: %s", type(error).__name__, exc_info=error)
    set_rollback()
    response = Response(problem.body(request), status=problem.status, headers=problem.headers)
    response.enveloped = True  # type: ignore[attr-defined]
    return response


def error_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The envelope as a plain response, for middleware and views outside DRF."""
    response = JsonResponse(problem.body(request), status=problem.status, headers=problem.headers)
    response.enveloped = True  # type: ignore[attr-defined]
    return response


@csrf_exempt
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """What no route matches. A forgotten slash at the end is put there, where that loses no body."""
    hint = ""
    if not request.path.endswith("/") and _leads_somewhere(f"{request.path_info}/"):
        if request.method in {"GET", "HEAD"}:
            return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        hint = f"There is no such address. Did you mean {request.path}/?"
    return error_response(request, Problem("NOT_FOUND", hint))


def _leads_somewhere(path: str) -> bool:
    try:
        return resolve(path).func is not not_found
    except Resolver404:
        return False


def _note_failure(sender: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Keep what broke a request beside it: handlers of a 500 are not told."""
    if request is not None:
        request.failure = sys.exc_info()[1]  # type: ignore[attr-defined]


got_request_exception.connect(_note_failure, dispatch_uid="mediahub.api.errors")


class ErrorEnvelopeMiddleware:
    """Gives every error under the API's paths the envelope, whoever made it.

    Stands outside of all middleware that may refuse. Keeps the headers (Allow, WWW-Authenticate,
    Retry-After) and replaces the body.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code < status.HTTP_400_BAD_REQUEST or not is_api_path(request.path_info):
            return response
        if getattr(response, "enveloped", False) or response.streaming or _is_envelope(response):
            return response
        return self._envelop(request, response)

    def _envelop(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        failure = getattr(request, "failure", None)
        if response.status_code == status.HTTP_500_INTERNAL_SERVER_ERROR and failure is not None:
            problem = problem_of(failure)
        else:
            problem = Problem.of_status(response.status_code)
        answer = error_response(request, problem)
        for name, value in response.items():
            if name.lower() not in _HEADERS_OF_A_BODY:
                answer.setdefault(name, value)
        answer.cookies.update(response.cookies)
        return answer


def _is_envelope(response: HttpResponseBase) -> bool:
    """Whether somebody else, such as the answer kept for a repeat, already wrote one."""
    if not response.get("Content-Type", "").startswith("application/json"):
        return False
    try:
        body = json.loads(response.content)  # type: ignore[attr-defined]
    except ValueError:
        return False
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and "code" in error and "request_id" in error

"""What Prometheus reads at /metrics: requests as counted by each process, and the state of the database.

Other apps define their metrics beside their code; they come out here by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from media_assets import storage
from media_assets.models import Blob, Rendition, Whereabouts
from mediahub import metric_files
from mediahub.api.authentication import JwtAuthentication, KeyAuthentication
from mediahub.api.errors import Problem, error_response
from mediahub.models import Scope
from processing import queue
from processing.models import Job, JobStatus, Priority, WorkerHost

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

REQUESTS: Final = Counter(
    "mediahub_http_requests", "Requests answered", ["method", "status", "view"]
)
SECONDS: Final = Histogram(
    "mediahub_http_request_seconds",
    "Time to an answer; of a stream, to its first byte",
    ["method", "view"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
RUNNING: Final = Gauge(
    "mediahub_http_requests_running", "Requests being answered", multiprocess_mode="livesum"
)
# Whatever else a client calls its method would be a label of its own.
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    """Count a request by the view it reached, never by its path, of which there is no end."""
    method = request.method if request.method in _METHODS else "other"
    match = request.resolver_match
    view = match.view_name if match else "none"
    REQUESTS.labels(method, status, view).inc()
    SECONDS.labels(method, view).observe(seconds)


class StateCollector(Collector):
    """What the database and the disk say now. One that is away is a number too, not an error."""

    def collect(self) -> Iterator[Metric]:
        try:
            yield from [*_jobs(), *_stores(), *_workers()]
            up = 1
        except (DatabaseError, InterfaceError):
            logger.warning("The database did not answer for /metrics.", exc_info=True)
            up = 0
        yield _gauge("mediahub_database_up", "Whether the database answers", [((), up)])
        try:
            free = storage.free_bytes()
        except OSError:
            free = 0
        yield _gauge(
            "mediahub_disk_free_bytes", "Free where uploads land; 0 where it is away", [((), free)]
        )


def _gauge(
    name: str, meaning: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _jobs() -> Iterator[Metric]:
    counted = {
        (row["status"], row["priority"]): row["n"]
        for row in Job.objects.order_by().values("status", "priority").annotate(n=Count("pk"))
    }
    yield _gauge(
        "mediahub_jobs",
        "Jobs by status and priority",
        [
            ((status.value, priority.name.lower()), counted.get((status, priority), 0))
            for status in JobStatus
            for priority in Priority
        ],
        "status",
        "priority",
    )
    due = Job.objects.filter(status=JobStatus.PENDING, waiting_for="").order_by()
    oldest = {
        row["priority"]: row["at"] for row in due.values("priority").annotate(at=Min("created_at"))
    }
    now = timezone.now()
    yield _gauge(
        "mediahub_job_oldest_pending_seconds",
        "Age of the oldest job that waits for a worker; 0 where none does",
        [
            ((each.name.lower(),), (now - oldest[each]).total_seconds() if each in oldest else 0)
            for each in Priority
        ],
        "priority",
    )
    wake_ups = queue.depth()
    if wake_ups is not None:
        yield _gauge("mediahub_queue_wake_ups", "Messages in the queue", [((), wake_ups)])


def _stores() -> Iterator[Metric]:
    sums = {f"at_{each.value}": Sum("size", filter=Q(whereabouts=each)) for each in Whereabouts}
    counts = {f"n_{each.value}": Count("pk", filter=Q(whereabouts=each)) for each in Whereabouts}
    found = Blob.objects.aggregate(
        **sums,
        **counts,
        copies=Sum("size", filter=~Q(archive_key="")),
        n=Count("pk", filter=~Q(archive_key="")),
    )
    renditions = Rendition.objects.aggregate(size=Sum("size"), n=Count("pk"))
    yield _gauge(
        "mediahub_stored_bytes",
        "Bytes of originals by where they are, of their copies in the archive, and of renditions",
        [
            *(((each.value,), found[f"at_{each.value}"] or 0) for each in Whereabouts),
            (("archive_copies",), found["copies"] or 0),
            (("renditions",), renditions["size"] or 0),
        ],
        "store",
    )
    yield _gauge(
        "mediahub_stored_files",
        "The same, counted",
        [
            *(((each.value,), found[f"n_{each.value}"]) for each in Whereabouts),
            (("archive_copies",), found["n"]),
            (("renditions",), renditions["n"]),
        ],
        "store",
    )


def _workers() -> Iterator[Metric]:
    now = timezone.now()
    yield _gauge(
        "mediahub_worker_heartbeat_age_seconds",
        "Since a worker host was last heard of",
        [
            ((host.name,), max((now - host.heartbeat_at).total_seconds(), 0))
            for host in WorkerHost.objects.all()
        ],
        "host",
    )


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """GET /metrics, for staff, a token, or the addresses in METRICS_ALLOW."""
    if not _may_read(request):
        return error_response(request, Problem("PERMISSION_DENIED"))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_registry()), content_type=content_type)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    told = token.strip() if scheme.lower() in {"bearer", "token"} else ""
    if settings.METRICS_TOKEN and constant_time_compare(told, settings.METRICS_TOKEN):
        return True
    if _is_allowed(getattr(request, "client_ip", "")):
        return True
    try:
        user = _user_by_token(request) if token else request.user
    except (DatabaseError, InterfaceError):
        return False
    return user is not None and user.is_active and user.is_staff


def _user_by_token(request: HttpRequest) -> User | None:
    """Whose API key (with the scope to read) or JWT this is."""
    asked = Request(request)
    for way in (KeyAuthentication(), JwtAuthentication()):
        try:
            found = way.authenticate(asked)
        except APIException:
            return None
        if found is not None:
            user, credential = found
            scopes = getattr(credential, "scopes", [Scope.READ])
            return user if Scope.READ in scopes else None
    return None


def _is_allowed(address: str) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return any(client in network for network in settings.METRICS_ALLOW)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    folder = metric_files.shared_folder()
    registry.register(metric_files.SharedCollector(folder) if folder else _Own())
    registry.register(StateCollector())
    return registry


class _Own(Collector):
    """What this process counted, where it counts for itself."""

    def collect(self) -> Iterable[Metric]:
        return REGISTRY.collect()

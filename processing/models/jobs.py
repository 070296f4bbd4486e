"""A job is one durable piece of work; its steps are rows of their own; a batch holds many jobs."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models import ClientSession, MediaAsset, Row, Space


class JobKind(models.TextChoices):
    ANALYSIS = "analysis", "Analysis"
    ARCHIVE = "archive", "Archive"
    BULK = "bulk", "Bulk change"
    DELIVERY = "delivery", "Delivery"
    BENCHMARK = "benchmark", "Benchmark"
    MAINTENANCE = "maintenance", "Maintenance"


class JobStatus(models.TextChoices):
    """The life of a job, moved by `processing.engine` alone.

    pending → processing          claim: takes a lease and a new token
    processing → pending          retry, wait, or the lease ran out with attempts left
    processing → completed        every step is done or skipped
    processing → failed           a step failed for good, or the attempts are used up
    pending, processing → cancelled
    failed, cancelled → pending   retry, asked for by a person
    """

    PENDING = "pending", "Pending"
    PROCESSING = "processing", "Processing"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (JobStatus.PENDING, JobStatus.PROCESSING)


class WaitingFor(models.TextChoices):
    """Why a pending job is not due: its `run_after` or its batch says when it goes on."""

    RETRY = "retry", "Retry"
    BUDGET = "budget", "Budget"
    PROVIDER = "provider", "Provider"
    BATCH = "batch", "Paused batch"


class Priority(models.IntegerChoices):
    """The smaller runs first."""

    INTERACTIVE = 0, "Interactive"
    BULK = 10, "Bulk"


class BatchState(models.TextChoices):
    """The life of a batch, moved by `processing.batches` alone.

    filling → running             it has all its jobs
    filling, running ⇄ paused     no job of it starts meanwhile
    running → completed           no job of it is open
    completed → running           retry of the failed
    filling, running, paused → cancelled
    """

    FILLING = "filling", "Filling"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"


class Batch(Row):
    space = models.ForeignKey(
        Space, null=True, blank=True, on_delete=models.CASCADE, related_name="batches"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="batches"
    )
    label = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=BatchState.choices, default=BatchState.FILLING)
    # Which assets: {"assets": [ids]} or {"filter": {...}}; and how far the filling got.
    selection = models.JSONField(default=dict)
    filled_to = models.UUIDField(null=True, blank=True)
    # What each job is asked to do: a job's own fields.
    params = models.JSONField(default=dict, blank=True)
    total = models.PositiveIntegerField(default=0)
    budget_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "batches"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=BatchState.values), name="batch_state_valid"
            ),
        ]
        indexes: ClassVar = [
            # GET batches/: a space's batches, newest first
            models.Index(fields=["space", "-id"], name="batch_newest_in_space"),
            # the sweeper: batches that may have finished or need filling
            models.Index(fields=["state", "id"], name="batch_by_state"),
        ]

    def __str__(self) -> str:
        return self.label or f"Batch of {self.total}"

    @property
    def owner_id(self) -> int | None:
        """Whose it is, for `media_assets.access`."""
        return self.created_by_id


class Job(Row):
    kind = models.CharField(max_length=12, choices=JobKind.choices, default=JobKind.ANALYSIS)
    space = models.ForeignKey(
        Space, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs", db_index=False
    )
    asset = models.ForeignKey(
        MediaAsset,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="jobs",
        db_index=False,
    )
    batch = models.ForeignKey(
        Batch, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs", db_index=False
    )
    status = models.CharField(max_length=10, choices=JobStatus.choices, default=JobStatus.PENDING)
    waiting_for = models.CharField(max_length=8, choices=WaitingFor.choices, blank=True)
    params = models.JSONField(default=dict, blank=True)

    # The order of claims. `fair_at` is a turn, not a time: see processing.turns. `run_after` counts only
    # while the job waits for something.
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices, default=Priority.INTERACTIVE
    )
    fair_at = models.BigIntegerField(default=0)
    run_after = models.DateTimeField()
    # Only this host may run it (its spool holds the bytes). Empty: any.
    host = models.CharField(max_length=100, blank=True)

    # The lease. Each claim and each cancel raises `token`; a write with an older one changes nothing.
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(
        max_length=120, blank=True, help_text="Host and process of the last claim"
    )
    attempts = models.PositiveIntegerField(default=0, help_text="Runs that failed or died")
    max_attempts = models.PositiveIntegerField()
    # When a wake-up was last sent for it; the sweeper sends another if nobody came.
    woken_at = models.DateTimeField(null=True, blank=True)
    # At most one job of a name: what makes a period's maintenance run once on many hosts.
    once = models.CharField(max_length=120, null=True, blank=True, unique=True)

    progress = models.FloatField(default=0)
    cached = models.BooleanField(default=False)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

    # Who asked, and whose turn it uses up.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    owner_id = models.BigIntegerField(
        default=0, help_text="Whose turn it is: a user's id, 0 for nobody"
    )
    key_label = models.CharField(max_length=100, blank=True)
    session = models.ForeignKey(
        ClientSession, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    # The asset's status before this job, given back when it is cancelled.
    status_before = models.CharField(max_length=12, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(status__in=JobStatus.values), name="job_status_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(waiting_for__in=[*WaitingFor.values, ""]),
                name="job_waiting_for_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=JobKind.values), name="job_kind_valid"
            ),
            # A job is being processed exactly while it holds a lease.
            models.CheckConstraint(
                condition=models.Q(status=JobStatus.PROCESSING)
                ^ models.Q(lease_until__isnull=True),
                name="job_processing_holds_lease",
            ),
            # Only what is pending waits.
            models.CheckConstraint(
                condition=models.Q(status=JobStatus.PENDING) | models.Q(waiting_for=""),
                name="job_waits_while_pending",
            ),
            models.CheckConstraint(
                condition=models.Q(progress__gte=0, progress__lte=1), name="job_progress_a_share"
            ),
        ]
        indexes: ClassVar = [
            # the claim: the most urgent job that waits for nothing. Its SQL has these values as literals,
            # because SQLite uses a partial index only where it can see that the condition holds.
            models.Index(
                fields=["priority", "fair_at", "id"],
                name="job_claim",
                condition=models.Q(status="pending", waiting_for=""),
            ),
            # a turn at submit: the last one an owner holds
            models.Index(
                fields=["owner_id", "priority", "fair_at"],
                name="job_turn_of_owner",
                condition=models.Q(status="pending"),
            ),
            # the sweeper and every drain: waiting jobs that have become due
            models.Index(
                fields=["waiting_for", "run_after"],
                name="job_waiting",
                condition=models.Q(status="pending"),
            ),
            # the sweeper and the supervisor: leases that ran out, or whose worker is gone
            models.Index(
                fields=["lease_until"],
                name="job_leased",
                condition=models.Q(lease_until__isnull=False),
            ),
            # GET assets/{id}/jobs/
            models.Index(fields=["asset", "-id"], name="job_newest_of_asset"),
            # GET jobs/: a space's jobs, and by status
            models.Index(fields=["space", "-id"], name="job_newest_in_space"),
            models.Index(fields=["space", "status", "-id"], name="job_space_in_status"),
            # the admin's list over all spaces
            models.Index(fields=["status", "-id"], name="job_all_in_status"),
            # a batch's counts and failures
            models.Index(fields=["batch", "status", "error_code"], name="job_of_batch"),
            # retry all with this error
            models.Index(fields=["status", "error_code", "-id"], name="job_failed_by_code"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {str(self.id)[:13]}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def processing_time_ms(self) -> int | None:
        """From the first claim (since it was last retried by a person) to the end, waits included."""
        if self.started_at is None or self.completed_at is None:
            return None
        return round((self.completed_at - self.started_at).total_seconds() * 1000)


class StepState(models.TextChoices):
    """pending → processing → completed | skipped | failed | cancelled;  processing → pending (retry, wait)"""

    PENDING = "pending", "Pending"
    PROCESSING = "processing", "Processing"
    COMPLETED = "completed", "Completed"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


DONE = (StepState.COMPLETED, StepState.SKIPPED)


class JobStep(models.Model):
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps", db_index=False)
    name = models.CharField(max_length=30)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    provider = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=100, blank=True)
    cached = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was skipped, or waits")
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    # What the step itself keeps between runs: pieces done, a remote job's id.
    checkpoint = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "name"], name="job_step_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=StepState.values), name="job_step_state_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class WorkerHost(models.Model):
    """One heartbeat row for each supervised host."""

    name = models.CharField(max_length=100, unique=True)
    pid = models.PositiveIntegerField(default=0)
    workers = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)
    info = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

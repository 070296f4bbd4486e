"""The rows of work on media."""

from processing.models.analyses import Analysis, AnalysisKind, PromptTemplate, ReviewClaim
from processing.models.hooks import DeliveryState, Event, WebhookDelivery, WebhookEndpoint
from processing.models.jobs import (
    DONE,
    OPEN,
    Batch,
    BatchState,
    Job,
    JobKind,
    JobStatus,
    JobStep,
    Priority,
    StepState,
    WaitingFor,
    WorkerHost,
)
from processing.models.money import Budget, BudgetPeriod, Outcome, ProviderCall, ProviderState

__all__ = [
    "DONE",
    "OPEN",
    "Analysis",
    "AnalysisKind",
    "Batch",
    "BatchState",
    "Budget",
    "BudgetPeriod",
    "DeliveryState",
    "Event",
    "Job",
    "JobKind",
    "JobStatus",
    "JobStep",
    "Outcome",
    "Priority",
    "PromptTemplate",
    "ProviderCall",
    "ProviderState",
    "ReviewClaim",
    "StepState",
    "WaitingFor",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WorkerHost",
]

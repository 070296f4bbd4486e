"""The staff's pages for work on media. Imported by the admin's autodiscovery."""

from processing.admin.analyses import AnalysisAdmin
from processing.admin.hooks import WebhookDeliveryAdmin, WebhookEndpointAdmin
from processing.admin.jobs import BatchAdmin, JobAdmin, WorkerHostAdmin
from processing.admin.money import BudgetAdmin, ProviderCallAdmin

__all__ = [
    "AnalysisAdmin",
    "BatchAdmin",
    "BudgetAdmin",
    "JobAdmin",
    "ProviderCallAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
    "WorkerHostAdmin",
]

"""The app that works on the media: jobs, steps, analyses and what they cost."""

from __future__ import annotations

import sys
from datetime import timedelta
from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ProcessingConfig(AppConfig):
    name = "processing"
    verbose_name = "Processing"

    def ready(self) -> None:
        import_module("processing.receivers")
        autodiscover_modules("steps")
        schedule = import_module("processing.schedule")
        schedule.every("purge-maintenance-jobs", timedelta(days=1), schedule.purge_old_jobs)
        webhooks = import_module("processing.webhooks")
        schedule.every("purge-webhook-deliveries", timedelta(days=1), webhooks.purge_old)
        if sys.argv[1:2] == ["qcluster"]:
            import_module("processing.supervisor").prepare_cluster_process()

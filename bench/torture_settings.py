"""The settings of the torture benchmark's processes: MediaHub's own and one more app, with its step."""

from mediahub.settings import *  # noqa: F403
from mediahub.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench.torture_app"]

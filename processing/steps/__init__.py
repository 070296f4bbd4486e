"""The steps of this app, registered when the app is ready."""

from processing.steps import base
from processing.steps.inspect import Inspect
from processing.steps.maintenance import Maintenance

base.register(Inspect())
base.register(Maintenance())

"""The steps of this app, registered when the app is ready."""

from processing.steps import base
from processing.steps.inspect import Inspect

base.register(Inspect())

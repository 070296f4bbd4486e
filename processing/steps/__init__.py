"""The steps of this app, registered when the app is ready."""

from processing.steps import base
from processing.steps.deliver import Deliver
from processing.steps.download import Download
from processing.steps.fill_batch import FillBatch
from processing.steps.inspect import Inspect
from processing.steps.maintenance import Maintenance
from processing.steps.read_document import ReadDocument

base.register(Deliver())
base.register(Download())
base.register(FillBatch())
base.register(Inspect())
base.register(Maintenance())
base.register(ReadDocument())

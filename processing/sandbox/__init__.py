"""Runs a function over hostile media in a child process with limits: the child is the wall.

`run` asks a zygote, a small process that has the decoders loaded, to fork one child for one file. The child
gets limits on memory, CPU, time and files, no network, and nothing to read but the file and the libraries;
it may write into its work directory alone. What comes back is plain JSON.
"""

from __future__ import annotations

from processing.sandbox.caller import Sandbox, protections, run, warm
from processing.sandbox.limits import Limits
from processing.sandbox.outcomes import Stopped

__all__ = ["Limits", "Sandbox", "Stopped", "protections", "run", "warm"]

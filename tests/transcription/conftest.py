"""What the tests of transcription share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no fault of the code: examples are checked for what they say, not for how long they take.
settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")

"""How the floors above hear of us: the only two things they are told.

Both are sent inside the transaction that does the thing, so that what a receiver writes commits with it
or not at all. A receiver that raises undoes the whole.
"""

from __future__ import annotations

from django.dispatch import Signal

# An asset is here and wants work: asset, requested_by, key_label, session, priority, repeated.
# Sent when its row is made, with or without its bytes, when its uploader repeats the upload with new
# wishes, and when an address is sent again whose bytes are not here yet.
asset_received = Signal()

# An asset goes to the trash or is purged: assets (ids). Its jobs are to be cancelled.
asset_deleting = Signal()

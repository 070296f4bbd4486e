"""The staff site as a whole: people, and what of others' pages is shown."""

from mediahub.admin.people import ApiKeyAdmin, GroupAdmin, UserAdmin
from mediahub.admin.site import hide_the_queue

hide_the_queue()

__all__ = ["ApiKeyAdmin", "GroupAdmin", "UserAdmin"]

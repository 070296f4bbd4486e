"""The staff's pages for what this app keeps. Imported by the admin's autodiscovery."""

from media_assets.admin.assets import BlobAdmin, MediaAssetAdmin
from media_assets.admin.posts import PostAdmin
from media_assets.admin.spaces import SpaceAdmin
from media_assets.admin.visits import AccessLogAdmin, ClientSessionAdmin

__all__ = [
    "AccessLogAdmin",
    "BlobAdmin",
    "ClientSessionAdmin",
    "MediaAssetAdmin",
    "PostAdmin",
    "SpaceAdmin",
]

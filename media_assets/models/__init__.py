"""The rows of what MediaHub keeps."""

from media_assets.models.assets import Door, MediaAsset, MediaAssetQuerySet, Review, Status, Tag
from media_assets.models.base import Row
from media_assets.models.blobs import Blob, Kind, PhashBand, Rendition, RenditionKind, Whereabouts
from media_assets.models.fetches import UrlFetch
from media_assets.models.posts import Post
from media_assets.models.spaces import Membership, Role, Space
from media_assets.models.uploads import Upload, UploadProtocol, UploadState
from media_assets.models.visits import AccessLog, ClientSession

__all__ = [
    "AccessLog",
    "Blob",
    "ClientSession",
    "Door",
    "Kind",
    "MediaAsset",
    "MediaAssetQuerySet",
    "Membership",
    "PhashBand",
    "Post",
    "Rendition",
    "RenditionKind",
    "Review",
    "Role",
    "Row",
    "Space",
    "Status",
    "Tag",
    "Upload",
    "UploadProtocol",
    "UploadState",
    "UrlFetch",
    "Whereabouts",
]

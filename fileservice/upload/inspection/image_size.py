"""The number of pixels of an image, from its first bytes; that of a JPEG is found by JpegScan."""

import io

import imagesize  # type: ignore[import-untyped]

from fileservice.filetypes import FileType
from fileservice.upload.errors import TooComplex
from fileservice.upload.inspection.content_policy import ContentPolicy


def check_size(file_type: FileType, head: bytes, policy: ContentPolicy) -> None:
    """Raise TooComplex if the image has more pixels than it may.

    A size that is not in the head, such as that of most TIFF files, or that imagesize does not
    know, such as that of an icon, counts as none.
    """
    if file_type.media_type.startswith("image/") and file_type.media_type != "image/jpeg":
        width, height = imagesize.get(io.BytesIO(head), exif_rotation=False)
        if width > 0 and height > 0 and width * height > policy.max_pixels:
            raise TooComplex("pixels", policy.max_pixels, "pixels")

"""Pictures that strangers sent: looked at and made small, with limits on what they may cost."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageOps

logger = logging.getLogger(__name__)

SIDE = 480  # pixels of a thumbnail, at most
THUMBNAIL_TYPE = "image/webp"
LARGEST = 50_000_000  # pixels: a phone's best camera; a bomb has more
PICTURE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_PNG_DEPTH = 24  # where a PNG says how many bits a colour has
_EIGHT_BITS = 8


@dataclass(frozen=True)
class Picture:
    """`colours` is Pillow's mode, with the depth where it is not eight bits."""

    colours: str
    is_animated: bool


def look_at(file: BinaryIO) -> Picture | None:
    """What the head of a picture says; None when it is none that we know."""
    file.seek(0)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            animated = getattr(image, "is_animated", False)
            return Picture(_colours(image, file), is_animated=bool(animated))
    except Exception as error:
        logger.info("a picture cannot be read: %s", type(error).__name__)
        return None


def thumbnail(file: BinaryIO) -> bytes | None:
    """A small WebP of a JPEG, PNG, WebP or GIF (its first picture), upright, without what the
    camera wrote about place and time; None when it cannot be made. Never raises."""
    file.seek(0)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise ValueError("too many pixels")
            image.draft("RGB", (SIDE * 2, SIDE * 2))
            return _small(image)
    except Exception as error:  # whatever a broken file makes Pillow raise
        logger.info("no thumbnail: %s", type(error).__name__)
        return None


def _colours(image: Image.Image, file: BinaryIO) -> str:
    if image.format != "PNG":
        return image.mode
    file.seek(_PNG_DEPTH)
    depth = file.read(1)
    return image.mode if depth == bytes([_EIGHT_BITS]) else f"{image.mode};{depth.hex()}"


def _small(image: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(image)
    has_alpha = upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info
    plain = upright.convert("RGBA" if has_alpha else "RGB")
    plain.thumbnail((SIDE, SIDE))
    clean = Image.new(plain.mode, plain.size)  # a new picture has no metadata to save
    clean.paste(plain)
    written = io.BytesIO()
    clean.save(written, "WEBP", quality=80)
    return written.getvalue()

"""What a file is, by its content alone: names and declared types are claims.

Types that are shown or sent are told by rules of our own; puremagic names the others, for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

import puremagic

from chatbot.pictures import PICTURE_TYPES, look_at

OPUS = "audio/ogg; codecs=opus"
UNKNOWN = "application/octet-stream"
# What a browser may show by itself, and can. Anything else is a download: SVG, HTML and PDF above
# all, but also AMR and 3GP, which no desktop browser plays.
SHOWN_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "audio/ogg",
        OPUS,
        "audio/mpeg",
        "audio/mp4",
        "audio/aac",
        "video/mp4",
    }
)

_SAMPLE = 64 * 1024  # bytes looked at, at each end
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"#!AMR", "audio/amr"),
    (b"%PDF-", "application/pdf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-executable"),
)
_IN_ZIP = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_IN_OLE = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
)
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"msf1": "image/heic",
    b"avif": "image/avif",
    b"avis": "image/avif",
}
_OPEN_DOCUMENT = re.compile(rb"mimetype(application/vnd\.oasis\.opendocument\.[a-z-]{1,40})")
_MARKUP = re.compile(rb"<(svg|!doctype|html|head|body|script|iframe|\?xml)[\s>:\[]", re.IGNORECASE)
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class FileFacts:
    """What a channel's rules ask about. `colours` and `is_animated` of a picture, `channels` of
    Opus (0: not known)."""

    mime_type: str
    size: int
    colours: str = ""
    is_animated: bool = False
    channels: int = 0


def facts_of(file: BinaryIO) -> FileFacts:
    size = file.seek(0, 2)
    mime_type = type_of(file)
    picture = look_at(file) if mime_type in PICTURE_TYPES else None
    file.seek(0)
    head = file.read(256) if mime_type == OPUS else b""
    file.seek(0)
    return FileFacts(
        mime_type,
        size,
        colours=picture.colours if picture else "",
        is_animated=bool(picture and picture.is_animated),
        channels=_opus_channels(head),
    )


def type_of(file: BinaryIO) -> str:
    """The MIME type of the content; UNKNOWN when nobody knows it."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_SAMPLE)
    file.seek(max(len(head), size - _SAMPLE))
    sample = head + file.read(_SAMPLE)
    file.seek(0)
    return (
        _by_signature(head)
        or _picture_or_sound(head)
        or _in_boxes(head, sample)
        or _packed(head, sample)
        or _as_text(head, is_whole=size <= _SAMPLE)
        or _by_puremagic(head)
    )


def _by_signature(head: bytes) -> str:
    return next((mime for start, mime in _SIGNATURES if head.startswith(start)), "")


def _picture_or_sound(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:4] == b"OggS":
        return OPUS if b"OpusHead" in head[:256] else _other_ogg(head[:256])
    if head[:2] in {b"\xff\xf1", b"\xff\xf9"}:
        return "audio/aac"
    if head[:3] == b"ID3" or _is_mp3_frame(head):
        return "audio/mpeg"
    return ""


def _other_ogg(head: bytes) -> str:
    return "video/ogg" if b"theora" in head else "audio/ogg"


def _opus_channels(head: bytes) -> int:
    at = head.find(b"OpusHead")
    return head[at + 9] if 0 <= at < len(head) - 9 else 0


def _is_mp3_frame(head: bytes) -> bool:
    """MPEG audio, layer III, with a bit rate and a sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # noqa: PLR2004  # MPEG's sync bits
        return False
    return head[2] >> 4 not in {0, 15} and head[2] & 0x0C != 0x0C  # noqa: PLR2004  # reserved rates


def _in_boxes(head: bytes, sample: bytes) -> str:
    """MP4 and its relatives: by the brand, and by whether there is a picture track."""
    if head[4:8] != b"ftyp":
        return ""
    brand = head[8:12]
    if brand in _BRANDS:
        return _BRANDS[brand]
    has_sound_only = b"soun" in sample and b"vide" not in sample
    family = "3gpp" if brand[:3] in {b"3gp", b"3g2"} else "mp4"
    return f"{'audio' if has_sound_only else 'video'}/{family}"


def _packed(head: bytes, sample: bytes) -> str:
    """Office documents are packed folders; which, the names inside say. Nothing is unpacked."""
    if head[:4] == b"PK\x03\x04":
        found = _OPEN_DOCUMENT.search(head[:200])
        if found:
            return found[1].decode()
        if b"[Content_Types].xml" in sample:
            return next((mime for part, mime in _IN_ZIP if part in sample), "application/zip")
        return "application/zip"
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        names = ((name.encode("utf-16-le"), mime) for name, mime in _IN_OLE)
        return next((mime for name, mime in names if name in sample), "application/x-ole-storage")
    return ""


def _as_text(head: bytes, *, is_whole: bool) -> str:
    """Text, and whether a browser would take it for a page."""
    if not head or _NOT_IN_TEXT.search(head):
        return ""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        is_cut_letter = not is_whole and error.start >= len(head) - 4
        if not is_cut_letter and not _is_western(head):
            return ""
    marks = {mark.lower() for mark in _MARKUP.findall(head[:4096])}
    if b"svg" in marks:
        return "image/svg+xml"
    if marks - {b"?xml"}:
        return "text/html"
    return "application/xml" if marks else "text/plain"


def _is_western(head: bytes) -> bool:
    """Text of an old Windows program: letters with accents, and mostly ASCII."""
    plain = sum(byte < 0x80 for byte in head)  # noqa: PLR2004  # the end of ASCII
    return plain > len(head) * 0.8


def _by_puremagic(head: bytes) -> str:
    """A name for the rest. What a browser would show must have been told by our own rules."""
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError, IndexError):
        return UNKNOWN
    mime = next((one.mime_type for one in found if one.mime_type), UNKNOWN)
    return UNKNOWN if mime in SHOWN_TYPES else mime[:120]

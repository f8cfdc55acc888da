"""Files that customers send: an id that stays, and addresses that expire."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import time
import zlib
from dataclasses import dataclass, field

from chatbot.soak.journal import File, Journal

VOICE = "audio/ogg; codecs=opus"
IMAGE = "image/png"


@dataclass
class Files:
    """`url_lives`: seconds; afterwards an address is 404 and the id must be resolved again."""

    base: str
    url_lives: float
    journal: Journal
    _contents: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    _addresses: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, number: int, mime_type: str) -> dict[str, str]:
        """A file of its own content, as the media object of a message describes it."""
        content = _voice(number) if mime_type == VOICE else _image(number)
        file_id = f"{700000000000000 + number}"
        self._contents[file_id] = (content, mime_type)
        digest = hashlib.sha256(content)
        self.journal.files[file_id] = File(file_id, digest.hexdigest())
        return {
            "id": file_id,
            "mime_type": mime_type,
            "sha256": base64.b64encode(digest.digest()).decode(),
            "url": self._address(file_id),
        }

    def resolve(self, file_id: str) -> dict[str, str] | None:
        """What `GET /<id>` says; None for an id that is not known."""
        if file_id not in self._contents:
            return None
        content, mime_type = self._contents[file_id]
        self.journal.files[file_id].resolved += 1
        return {
            "messaging_product": "whatsapp",
            "url": self._address(file_id),
            "mime_type": mime_type,
            "sha256": self.journal.files[file_id].sha256,
            "file_size": str(len(content)),
            "id": file_id,
        }

    def read(self, path: str) -> tuple[bytes, str, str] | None:
        """Content, type and id behind an address; None when there is none, or none any more."""
        file_id, until = self._addresses.get(path.rpartition("/")[2], ("", 0.0))
        if not file_id:
            return None
        if time.monotonic() > until:
            self.journal.files[file_id].expired += 1
            return None
        return (*self._contents[file_id], file_id)

    def _address(self, file_id: str) -> str:
        key = secrets.token_hex(12)
        self._addresses[key] = (file_id, time.monotonic() + self.url_lives)
        return f"{self.base}/files/{key}"


def _image(number: int) -> bytes:
    """A PNG of 8 × 8 points whose colour is its number."""
    colour = struct.pack(">I", number)[1:]
    rows = b"".join(b"\0" + colour * 8 for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", _crc(name, content))


def _crc(name: bytes, content: bytes) -> int:
    return zlib.crc32(name + content)


def _voice(number: int) -> bytes:
    """The first pages of an Ogg Opus file; the second holds the number."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIHB", 312, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 8) + f"{number:08d}".encode() + struct.pack("<I", 0)
    return _page(head, 0, 2) + _page(tags, 1, 0)


def _page(content: bytes, sequence: int, flags: int) -> bytes:
    # The checksum of Ogg is left 0: nothing here decodes the sound.
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 1, sequence, 0, 1)
    return head + bytes([len(content)]) + content

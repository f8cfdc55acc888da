"""What a file is, by its content; pictures that are broken, huge or talkative."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chatbot.file_types import SHOWN_TYPES, facts_of, type_of
from chatbot.pictures import SIDE, thumbnail
from chatbot.tests import media_samples as samples


def packed(*names):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as folder:
        for name in names:
            folder.writestr(name, "x" * 50)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (samples.sample("video.webm"), "video/webm"),
        (packed("[Content_Types].xml", "word/document.xml"), "wordprocessingml.document"),
        (packed("[Content_Types].xml", "xl/workbook.xml"), "spreadsheetml.sheet"),
        (packed("[Content_Types].xml", "ppt/presentation.xml"), "presentationml.presentation"),
        (packed("notas.txt", "word/nada.txt"), "application/zip"),
        ("Olá, João".encode(), "text/plain"),
        ("Olá, João, tudo bem com você hoje?".encode("cp1252"), "text/plain"),
        (b"\xef\xbb\xbf  <!DOCTYPE html>", "text/html"),
        (b"palavras <script src=x></script>", "text/html"),
        (b'<?xml version="1.0"?><nota/>', "application/xml"),
        (b'<?xml version="1.0"?><!-- x --><svg xmlns="">', "image/svg+xml"),
        (b"", "application/octet-stream"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/"),
        (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 40, "image/heic"),
        (b"\x00\x00\x00\x14ftypqt  " + b"\x00" * 40, "video/quicktime"),
    ],
)
def test_a_type_is_told_by_the_content(content, mime_type):
    assert mime_type in type_of(io.BytesIO(content))


@given(st.binary(max_size=300))
def test_noise_is_never_an_error_and_looking_changes_nothing(noise):
    file = io.BytesIO(noise)
    facts = facts_of(file)
    assert facts.size == len(noise)
    assert facts.mime_type
    assert len(facts.mime_type) <= 120
    assert file.read() == noise


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(2000, 1000), (30, 20), (1, 3000)])
def test_a_picture_is_made_small_and_never_larger(kind, size):
    small = thumbnail(io.BytesIO(samples.picture(kind, size=size)))
    with Image.open(io.BytesIO(small)) as image:
        assert image.format == "WEBP"
        assert max(image.size) <= max(1, min(SIDE, max(size)))


def test_a_small_picture_stands_upright_and_tells_nothing_of_the_camera():
    small = thumbnail(io.BytesIO(samples.photo_with_place()))
    with Image.open(io.BytesIO(small)) as image:
        assert image.height > image.width
        assert not image.getexif()
    assert b"Ficticio" not in small


def test_what_can_be_seen_through_stays_so():
    small = thumbnail(io.BytesIO(samples.sticker()))
    with Image.open(io.BytesIO(small)) as image:
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0


def bomb(side):
    """A PNG of many pixels in few bytes."""

    def chunk(name, content):
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [
        bomb(9000),
        bomb(60_000),
        samples.picture()[:2000],
        samples.picture("PNG")[:60],
        b"\xff\xd8\xff",
    ],
    ids=["81 million", "3.6 billion", "cut", "head only", "three bytes"],
)
def test_a_picture_that_cannot_be_drawn_has_no_thumbnail_and_breaks_nothing(content):
    assert thumbnail(io.BytesIO(content)) is None
    assert facts_of(io.BytesIO(content)).mime_type in SHOWN_TYPES

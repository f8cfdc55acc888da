"""Small real files of every kind. Sounds and films were made by an encoder from a tone and a test
picture; pictures are drawn here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent / "media"


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def picture(kind: str = "JPEG", *, size: tuple[int, int] = (640, 400), **options: Any) -> bytes:
    """A bill with a red ring, roughly."""
    image = Image.new("RGB", size, "#c9b48f")
    draw = ImageDraw.Draw(image)
    width, height = size
    draw.rectangle((width * 0.2, height * 0.15, width * 0.8, height * 0.85), fill="white")
    for line in range(4):
        at = height * (0.25 + line * 0.09)
        draw.line((width * 0.27, at, width * 0.6, at), fill="#444444", width=3)
    ring = (width * 0.5, height * 0.5, width * 0.74, height * 0.7)
    draw.ellipse(ring, outline="#c22a1f", width=5)
    return saved(image, kind, **options)


def sticker(*, is_animated: bool = False) -> bytes:
    frames = [_face(turn) for turn in range(3 if is_animated else 1)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 300}
    return saved(frames[0], "WEBP", **(options if is_animated else {}))


def photo_with_place() -> bytes:
    """Lying on its side, with what a telephone writes into a photo."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "Telefone Ficticio"
    return picture(size=(640, 400), exif=exif)


def pdf() -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def _face(turn: int) -> Image.Image:
    image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 472, 472), fill="#ffcc33", outline="#886600", width=8)
    for x in (170, 310):
        draw.ellipse((x, 170 + turn * 10, x + 40, 230 + turn * 10), fill="#333333")
    draw.arc((140, 200, 372, 390), 20, 160, fill="#333333", width=12)
    return image

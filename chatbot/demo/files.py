"""Small files that customers and attendants send, drawn here."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw

RECORDING = Path(__file__).parent / "voz.ogg"
PAPER, INK, TEAL, RED = "#fbfaf6", "#3d4745", "#0b6b62", "#c2362b"


def bill(amount: str) -> bytes:
    """A photo of a printed bill, with a ring around the amount."""
    image = Image.new("RGB", (720, 960), "#b7a88a")
    draw = ImageDraw.Draw(image)
    draw.polygon([(70, 60), (660, 40), (690, 900), (50, 920)], fill=PAPER)
    draw.rectangle((110, 110, 330, 160), fill=TEAL)
    draw.text((124, 122), "VENTURA FIBRA", fill="white", font_size=24)
    for line in range(9):
        draw.line((110, 220 + line * 42, 420 + line % 3 * 70, 220 + line * 42), fill=INK, width=5)
    draw.text((430, 640), f"R$ {amount}", fill=INK, font_size=44)
    draw.ellipse((400, 610, 660, 720), outline=RED, width=6)
    for bar in range(48):
        draw.rectangle((110 + bar * 11, 790, 114 + bar * 11 + bar % 3 * 2, 860), fill="black")
    return _saved(image)


def receipt(amount: str) -> bytes:
    """A screen of a bank: paid."""
    image = Image.new("RGB", (540, 900), "#f1f5f4")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 540, 150), fill=TEAL)
    draw.text((40, 56), "Pagamento feito", fill="white", font_size=34)
    draw.text((40, 210), f"R$ {amount}", fill=INK, font_size=52)
    for number, line in enumerate(("Ventura Fibra", "Boleto", "Hoje, 08:41", "Autenticado")):
        draw.text((40, 330 + number * 80), line, fill=INK, font_size=26)
        draw.line((40, 376 + number * 80, 500, 376 + number * 80), fill="#d5dcda", width=2)
    return _saved(image)


def router() -> bytes:
    """The box on the wall, with its red light."""
    image = Image.new("RGB", (960, 640), "#d8d3c7")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 470, 960, 640), fill="#8a6f52")
    draw.rounded_rectangle((220, 260, 740, 470), 24, fill="#20262a")
    for x in (260, 690):
        draw.line((x, 260, x - 30, 60), fill="#20262a", width=14)
    for number, colour in enumerate(("#3ddc84", "#3ddc84", RED, "#55605f")):
        draw.ellipse((300 + number * 90, 350, 326 + number * 90, 376), fill=colour)
    return _saved(image)


def pdf(title: str, *lines: str) -> bytes:
    """One page of text, readable by any viewer."""
    shown = [f"/F1 20 Tf 60 760 Td ({_escaped(title)}) Tj", "/F1 12 Tf 0 -40 Td"]
    shown += [f"({_escaped(line)}) Tj 0 -20 Td" for line in lines]
    content = ("BT " + " ".join(shown) + " ET").encode("cp1252", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R"
        b"/Resources<</Font<</F1 4 0 R>>>>>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    written, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj%s endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count, start = len(objects) + 1, len(written)
    return written + (
        b"xref\n0 %d\n0000000000 65535 f \n%s"
        b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, table, count, start)
    )


def voice() -> bytes:
    """A short recording, as WhatsApp sends them."""
    return RECORDING.read_bytes()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _saved(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=80)
    return written.getvalue()

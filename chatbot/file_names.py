"""Names that senders gave their files: made fit to be shown and offered, never used as paths."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

LONGEST = 120
LONGEST_ENDING = 10
_EXTENSIONS = {
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "audio/amr": ".amr",
    "audio/aac": ".aac",
    "video/3gpp": ".3gp",
    "image/webp": ".webp",
}
_RESERVED = re.compile(r'[<>:"|?*]')


def safe_name(name: str, *, fallback: str = "", mime_type: str = "") -> str:
    """The last part of a path, without what cannot be seen or turns the reading direction round
    ("cod\\u202egpj.exe"); its ending survives when it is cut. `fallback` and the type's own ending
    when nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(one for one in last if unicodedata.category(one)[0] != "C")
    shown = " ".join(_RESERVED.sub("_", seen).split()).strip(" .")
    if not shown:
        return f"{fallback}{_extension(mime_type)}" if fallback else ""
    return cut(shown, LONGEST)


def cut(name: str, longest: int) -> str:
    """At most so many characters of a name, with its ending."""
    if len(name) <= longest:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > LONGEST_ENDING:
        return name[:longest]
    return f"{stem[: longest - len(ending) - 2]}…{dot}{ending}"


def _extension(mime_type: str) -> str:
    bare = mime_type.partition(";")[0]
    return _EXTENSIONS.get(bare) or mimetypes.guess_extension(bare) or ""

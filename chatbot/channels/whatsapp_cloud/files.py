"""What WhatsApp takes as each kind of file. Meta's docs: "Cloud API, media, supported types"."""

from __future__ import annotations

from chatbot.channels.content import FileRule

_KB = 1024
_MB = 1024 * 1024
_OPUS = "audio/ogg; codecs=opus"

FILES = (
    # Above 512 KB a voice message has no play button: it goes as audio then.
    FileRule("voice", frozenset({_OPUS}), 512 * _KB, is_mono=True),
    FileRule(
        "audio",
        frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", _OPUS}),
        16 * _MB,
        is_mono=True,
    ),
    FileRule(
        "image",
        frozenset({"image/jpeg", "image/png"}),
        5 * _MB,
        colours=frozenset({"RGB", "RGBA"}),
    ),
    FileRule("video", frozenset({"video/mp4", "video/3gpp"}), 16 * _MB),
    FileRule("sticker", frozenset({"image/webp"}), 100 * _KB, largest_animated=500 * _KB),
    FileRule("document", None, 100 * _MB),
)

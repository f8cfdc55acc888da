"""What a channel cannot show becomes what it can: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.utils.translation import gettext

from chatbot.channels.content import Capabilities, Content, Option
from chatbot.channels.splitting import cut, size, split, unique_titles

_CAPTIONED = frozenset({"image", "video", "document"})
_MEDIA = _CAPTIONED | {"audio", "voice", "sticker"}


def degrade(content: Content, capabilities: Capabilities) -> list[Content]:
    """The messages that say `content` within `capabilities`, in order; [] when nothing is said.

    Options become buttons, a list or numbered text; long texts are split, and the last part carries
    the options; a caption that is too long follows its media as text. Only the first part quotes.
    """
    if content.kind in {"buttons", "list"}:
        parts = _with_options(content, capabilities)
    elif content.kind in _MEDIA:
        parts = _media(content, capabilities)
    elif content.kind == "text":
        parts = _texts(content, _framed(content, content.text), capabilities)
    else:
        parts = [content]
    return [parts[0], *(replace(part, reply_to="") for part in parts[1:])] if parts else []


def merge(contents: Sequence[Content], capabilities: Capabilities) -> list[Content]:
    """A plain text joins the text or the options that follow, while both fit into one message: each
    message costs money and pace."""
    merged: list[Content] = []
    for content in contents:
        joined = _joined(merged[-1], content, capabilities) if merged else None
        if joined is None:
            merged.append(content)
        else:
            merged[-1] = joined
    return merged


def _joined(first: Content, second: Content, capabilities: Capabilities) -> Content | None:
    has_options = second.kind in {"buttons", "list"} and not second.header
    if not _is_plain(first) or not (has_options or _is_plain(second)) or second.reply_to:
        return None
    text = f"{first.text}\n\n{second.text}"
    longest = capabilities.body_length if has_options else capabilities.text_length
    if size(text) > longest:
        return None
    return replace(second, text=text, reply_to=first.reply_to)


def _is_plain(content: Content) -> bool:
    return content.kind == "text" and not (content.header or content.footer)


def _texts(content: Content, text: str, capabilities: Capabilities) -> list[Content]:
    return [
        Content(kind="text", text=part, reply_to=content.reply_to)
        for part in split(text, capabilities.text_length)
    ]


def _framed(content: Content, text: str) -> str:
    """Header and footer as paragraphs, where there is no other place for them."""
    return "\n\n".join(part for part in (content.header, text, content.footer) if part.strip())


def _media(content: Content, capabilities: Capabilities) -> list[Content]:
    if content.kind == "voice" and "voice" not in capabilities.media:
        content = replace(content, kind="audio")
    has_file = content.media_id or content.media_ref or content.has_file
    if not (has_file or content.media_link):
        return _texts(content, content.text, capabilities)
    if content.kind not in capabilities.media:
        return _texts(content, f"{content.text}\n\n{content.media_link}", capabilities)
    if not content.text.strip():
        return [replace(content, text="")]
    if content.kind in _CAPTIONED and size(content.text) <= capabilities.caption_length:
        return [content]
    return [replace(content, text=""), *_texts(content, content.text, capabilities)]


def _with_options(content: Content, capabilities: Capabilities) -> list[Content]:
    options = tuple(_titled(option) for option in content.options if option.id or option.title)
    content = replace(content, options=options)
    if not options:
        return _texts(content, _framed(content, content.text), capabilities)
    shown = _as_shown(content, capabilities)
    if shown is None:
        return _texts(content, _framed(content, _numbered(content)), capabilities)
    return _after_long_text(_framed_for(shown, capabilities), capabilities)


def _titled(option: Option) -> Option:
    title = " ".join(option.title.split()) or option.id
    return replace(option, title=title, description=" ".join(option.description.split()))


def _framed_for(content: Content, capabilities: Capabilities) -> Content:
    """Header and footer that the channel has no place for move into the text."""
    if size(content.header) > capabilities.header:
        content = replace(content, header="", text=f"{content.header}\n\n{content.text}")
    if size(content.footer) > capabilities.footer:
        content = replace(content, footer="", text=f"{content.text}\n\n{content.footer}")
    return content


def _as_shown(content: Content, capabilities: Capabilities) -> Content | None:
    """Buttons, or a list, or None when the channel can show neither."""
    ids = [option.id for option in content.options]
    if len(set(ids)) < len(ids) or any(not 0 < size(id_) <= capabilities.option_id for id_ in ids):
        return None
    fits = len(ids) <= capabilities.buttons and not _loses_in_buttons(content, capabilities)
    if content.kind == "buttons" and fits:
        return _as_buttons(content, capabilities)
    return _as_list(content, capabilities) or _as_buttons(content, capabilities)


def _loses_in_buttons(content: Content, capabilities: Capabilities) -> bool:
    return any(
        option.description or size(option.title) > capabilities.button_title
        for option in content.options
    )


def _as_buttons(content: Content, capabilities: Capabilities) -> Content | None:
    if len(content.options) > capabilities.buttons:
        return None
    titles = unique_titles([o.title for o in content.options], capabilities.button_title)
    if titles is None:
        return None
    options = (Option(o.id, title) for o, title in zip(content.options, titles, strict=True))
    return replace(content, kind="buttons", options=tuple(options), list_button="")


def _as_list(content: Content, capabilities: Capabilities) -> Content | None:
    if len(content.options) > capabilities.list_rows:
        return None
    titles = unique_titles([o.title for o in content.options], capabilities.list_row_title)
    if titles is None:
        return None
    options = tuple(
        Option(option.id, title, _description(option, title, capabilities))
        for option, title in zip(content.options, titles, strict=True)
    )
    label = cut(content.list_button.strip() or gettext("Options"), capabilities.list_button)
    return replace(content, kind="list", options=options, list_button=label)


def _description(option: Option, title: str, capabilities: Capabilities) -> str:
    """A title that was cut is told whole below it."""
    said = (option.title if title != option.title else "", option.description)
    whole = " – ".join(part for part in said if part)
    return cut(whole, capabilities.list_row_description)


def _numbered(content: Content) -> str:
    rows = (
        f"{number}. " + " – ".join(part for part in (option.title, option.description) if part)
        for number, option in enumerate(content.options, start=1)
    )
    return "\n\n".join(part for part in (content.text, "\n".join(rows)) if part.strip())


def _after_long_text(content: Content, capabilities: Capabilities) -> list[Content]:
    """A message with options must have a text, and a short one: what is too much goes before it."""
    parts = split(content.text, capabilities.text_length)
    if not parts:
        titles = " / ".join(option.title for option in content.options)
        return [replace(content, text=cut(titles, capabilities.body_length))]
    parts = [*parts[:-1], *split(parts[-1], capabilities.body_length)]
    before = [Content(kind="text", text=part, reply_to=content.reply_to) for part in parts[:-1]]
    return [*before, replace(content, text=parts[-1])]

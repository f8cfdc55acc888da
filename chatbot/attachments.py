"""A file that a person sends: looked at, held against the channel's limits, and kept before its
message is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast
from uuid import uuid4

from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot import scanner
from chatbot.channels import transport_class
from chatbot.channels.base import Capabilities, FileRule, SendError
from chatbot.file_names import safe_name
from chatbot.file_types import OPUS, FileFacts, facts_of
from chatbot.media import KeptFile, attach, released, write_out
from chatbot.models import Media, MessageLog
from sessions_app.models import Session
from users.errors import DomainError

DOCUMENT = "document"


class FileRefused(DomainError):
    """The file cannot be sent like this; the message says what to do instead."""

    code = "file_refused"
    status = 400


@dataclass(frozen=True)
class Attachment:
    """A file that waits in the storage for its row. `kind` is what it is sent as."""

    kind: str
    filename: str
    sha256: str
    kept: KeptFile

    def attach_to(self, row: MessageLog) -> Media:
        """In the transaction that writes the row."""
        return attach(row, self.kept, filename=self.filename, sha256=self.sha256)


@contextmanager
def accepted(upload: UploadedFile, session: Session, *, kind: str = "") -> Iterator[Attachment]:
    """The file, in the storage for as long as the block runs, and longer if a row has taken it.

    kind: as what it is sent; "" lets its content decide. Raises FileRefused. Reads, scans and
    writes the file, so no lock may be held.
    """
    capabilities = transport_class(session.channel.kind).capabilities
    if not upload.size:
        raise FileRefused(_("The file is empty. Choose another one."), code="file_empty")
    stream = cast("BinaryIO", upload.file)
    chosen = _rule_for(facts_of(stream), capabilities, kind)
    _scan(stream)
    try:
        kept = write_out(stream, name=f"media/{timezone.now():%Y/%m}/{uuid4().hex}")
    except SendError:
        raise FileRefused(
            _("The file could not be stored. Nothing was sent: try again in a few minutes."),
            code="file_not_stored",
            status=503,
        ) from None
    name = safe_name(upload.name or "", fallback=chosen.kind, mime_type=kept.mime_type)
    with released(kept):
        yield Attachment(chosen.kind, name, _hash(upload), kept)


def _rule_for(facts: FileFacts, capabilities: Capabilities, kind: str) -> FileRule:
    """The wanted rule, or the first one for files of this type that takes the file."""
    rules = [rule for rule in capabilities.files if kind in ("", rule.kind)]
    if not rules:
        raise FileRefused(_("This channel cannot send such a file."), code="file_kind")
    if not kind:
        # A WebP is a picture to most people, who would not expect a sticker.
        listed = [rule for rule in rules if rule.kind != "sticker"]
        rules = [rule for rule in listed if rule.types and facts.mime_type in rule.types] or listed
    refusals = [(rule, _refusal(facts, rule)) for rule in rules]
    fitting = next((rule for rule, refusal in refusals if refusal is None), None)
    if fitting is None:
        reason = refusals[-1][1] or ""
        raise FileRefused(f"{reason} {_advice(facts, rules[-1], capabilities)}".strip())
    return fitting


def _refusal(facts: FileFacts, rule: FileRule) -> str | None:
    largest = rule.largest_animated if facts.is_animated else None
    largest = largest or rule.largest
    sizes = {"size": filesizeformat(facts.size), "most": filesizeformat(largest)}
    if rule.types is not None and facts.mime_type not in rule.types:
        return _("This type of file (%(type)s) cannot be sent this way.") % {
            "type": facts.mime_type
        }
    if facts.size > largest:
        return _("The file has %(size)s, and at most %(most)s are taken.") % sizes
    if rule.colours and facts.colours not in rule.colours:
        return _("The picture is not in 8-bit RGB colours, or it is damaged.")
    if rule.is_mono and facts.mime_type == OPUS and facts.channels != 1:
        return _("The recording is stereo, and only mono is taken.")
    return None


def _advice(facts: FileFacts, rule: FileRule, capabilities: Capabilities) -> str:
    """What to do instead: nearly everything goes as a document."""
    as_document = next((one for one in capabilities.files if one.kind == DOCUMENT), None)
    if as_document and rule.kind != DOCUMENT and _refusal(facts, as_document) is None:
        return _("Send it as a document.")
    return _("Send a smaller file.") if facts.size > rule.largest else ""


def _scan(stream: BinaryIO) -> None:
    try:
        scanner.scan(stream)
    except scanner.Infected:
        raise FileRefused(
            _("The virus scanner found something in this file. It was not sent."),
            code="file_infected",
        ) from None
    except scanner.NotScanned:
        raise FileRefused(
            _("The virus scanner does not answer. Nothing was sent: try again in a few minutes."),
            code="file_not_scanned",
            status=503,
        ) from None


def _hash(upload: UploadedFile) -> str:
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    return digest.hexdigest()

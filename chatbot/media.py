"""The files of messages: fetched for us, kept, and uploaded before they are sent.

Everything here runs in a worker or before a transaction: files are moved with no lock held.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from chatbot import scanner
from chatbot.channels import transport_class, transport_for
from chatbot.channels.base import SendError
from chatbot.channels.inbound import Kind, MediaRef
from chatbot.file_types import type_of
from chatbot.incidents import close_incident, open_incident
from chatbot.models import (
    Author,
    Direction,
    FlowVersion,
    IncidentKind,
    Media,
    MediaStatus,
    MessageLog,
    MessageStatus,
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.pictures import PICTURE_TYPES, thumbnail
from chatbot.wake import wake_workers
from sessions_app.models import Session
from users.errors import DomainError

logger = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=1)  # between two tries
UPLOAD_LIVES = timedelta(days=29)  # a day less than the provider says
UPLOAD_LEASE = timedelta(minutes=4)  # longer than one upload
# How often a file may come wrong before a person has to ask for it.
TRIES = {"wrong_hash": 3, "internal": 5}
# What a person cannot mend by asking again.
FINAL = frozenset({"too_large", "media_expired", "infected", "no_media"})


class CannotFetchAgain(DomainError):
    code = "cannot_fetch_again"


# --- Received ----------------------------------------------------------------------------------


def ask_for(media: Media) -> None:
    """Have the file of a received message fetched, once this transaction commits."""
    if media.provider_id or media.url:
        Task.objects.create(
            kind=TaskKind.MEDIA,
            session_id=media.message.session_id,
            payload={"media": media.pk},
            run_at=timezone.now(),
        )
        wake_workers()


def fetch(media_id: int, *, attempts: int, now: datetime) -> tuple[str, bool]:
    """Get a file from its provider and keep it; (what went wrong, whether to try again later).

    Does nothing when somebody has it already or nobody waits for it. May be cut short anywhere and
    run again, also twice at once: there is one file in the end.
    """
    media = (
        Media.objects.select_related("message__channel")
        .filter(pk=media_id, status=MediaStatus.PENDING)
        .first()
    )
    if media is None:
        return "", False
    try:
        _fetch(media, now=now)
    except SendError as failure:
        return _failed(media, failure, attempts=attempts, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("media %s could not be kept", media.pk)
        unknown = SendError("internal", type(error).__name__, retryable=True)
        return _failed(media, unknown, attempts=attempts, now=now)
    return "", False


def wait_after(attempts: int) -> timedelta:
    """How long until the next try: four seconds, then twice as long each time."""
    return min(LONGEST_WAIT, timedelta(seconds=2 ** min(attempts + 1, 20)))


def may_fetch_again(media: Media) -> bool:
    """Would asking once more help?"""
    is_waiting = media.status == MediaStatus.PENDING and bool(media.error)
    return (
        (media.status == MediaStatus.FAILED or is_waiting)
        and bool(media.provider_id or media.url)
        and error_code(media) not in FINAL
    )


def error_code(media: Media) -> str:
    return media.error.partition(":")[0]


@transaction.atomic
def fetch_again(media: Media) -> Media:
    """A person asks for a file once more, at once. Asked twice, it is fetched once."""
    row = Media.objects.select_for_update(of=("self",)).get(pk=media.pk)
    if row.status == MediaStatus.STORED or (row.status == MediaStatus.PENDING and not row.error):
        return row  # somebody was faster
    if not may_fetch_again(row):
        raise CannotFetchAgain(_("This file cannot be fetched any more."))
    row.status, row.error = MediaStatus.PENDING, ""  # writer: under the row's lock
    row.save(update_fields=["status", "error"])
    waiting = Task.objects.filter(
        kind=TaskKind.MEDIA,
        session_id=row.message.session_id,
        status=TaskStatus.PENDING,
        payload__media=row.pk,
    )
    if waiting.update(run_at=timezone.now()) == 0:
        ask_for(row)
    return row


def _fetch(media: Media, *, now: datetime) -> None:
    channel = media.message.channel
    ref = MediaRef(media.provider_id, media.url, media.mime_type, media.sha256)
    age = now - (media.message.provider_at or media.message.created_at)
    with TemporaryFile() as file:
        with transport_for(channel).fetch_media(ref, age=age) as download:
            sha256 = _write(download.chunks, file, claim=download.sha256)
        try:
            scanner.scan(file)
        except scanner.Infected:
            raise SendError("infected", retryable=False) from None
        except scanner.NotScanned as error:
            raise SendError("not_scanned", str(error), retryable=True) from None
        _keep(media, file, sha256=sha256, now=now)


def _write(chunks: Iterator[bytes], file: BinaryIO, *, claim: str) -> str:
    """Write what comes, up to the limit, and compare its hash with the claim; the hash as hex."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.MEDIA_LARGEST_BYTES:
            raise SendError("too_large", str(settings.MEDIA_LARGEST_BYTES), retryable=False)
        digest.update(chunk)
        file.write(chunk)
    if size == 0:
        raise SendError("empty", "the file has no content", retryable=True)
    if not is_hash(claim, digest.digest()):
        raise SendError("wrong_hash", "other bytes came than were sent", retryable=True)
    return digest.hexdigest()


def is_hash(claim: str, digest: bytes) -> bool:
    """Is the claim this hash, in hex or base64? What is no SHA-256 claims nothing."""
    claim = claim.strip()
    try:
        claimed = (
            bytes.fromhex(claim)
            if len(claim) == 2 * len(digest)
            else base64.b64decode(claim.replace("-", "+").replace("_", "/") + "==")
        )
    except (ValueError, binascii.Error):
        return True
    return len(claimed) != len(digest) or claimed == digest


def _keep(media: Media, file: BinaryIO, *, sha256: str, now: datetime) -> None:
    kept = write_out(file, name=_name_for(media))
    stored = Media.objects.filter(pk=media.pk, status=MediaStatus.PENDING).update(
        status=MediaStatus.STORED,  # writer: guarded by the status before
        sha256=sha256,
        fetched_at=now,
        error="",
        **kept.columns,
    )
    if stored == 0 and not Media.objects.filter(pk=media.pk, file=kept.file).exists():
        kept.remove()  # another worker was faster, or the message is gone


def _name_for(media: Media) -> str:
    """The same for each try, so that one that was cut short leaves nothing behind; told by nothing
    that a sender wrote, and not to be guessed."""
    token = salted_hmac("chatbot.media", str(media.pk), algorithm="sha256").hexdigest()[:32]
    return f"media/{media.message.created_at:%Y/%m}/{token}"


def _failed(media: Media, failure: SendError, *, attempts: int, now: datetime) -> tuple[str, bool]:
    """Note what went wrong. What may pass is tried again for as long as the provider has the file;
    a channel that a person must mend is no reason to give up either."""
    again = failure.retryable or failure.uncertain or failure.is_stop
    again = again and attempts < TRIES.get(failure.code, attempts + 1)
    days = transport_class(media.message.channel.kind).capabilities.media_kept_days
    if again and now + wait_after(attempts) > media.message.created_at + timedelta(days=days):
        failure, again = SendError("media_expired", str(failure), retryable=False), False
    status = MediaStatus.PENDING if again else MediaStatus.FAILED
    if failure.code == "infected":
        status = MediaStatus.BLOCKED
    logger.warning("media %s was not fetched (%s)", media.pk, failure.code)
    mine = Media.objects.filter(pk=media.pk, status=MediaStatus.PENDING)
    mine.update(status=status, error=str(failure)[:500])  # writer: guarded by the status before
    return str(failure), again


# --- Kept --------------------------------------------------------------------------------------


@dataclass
class KeptFile:
    """A file in the storage that no row names yet."""

    file: str
    thumbnail: str
    mime_type: str
    size: int
    is_taken: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "thumbnail": self.thumbnail,
            "mime_type": self.mime_type,
            "size": self.size,
        }

    def remove(self) -> None:
        remove_files([self.file, self.thumbnail])


def write_out(file: BinaryIO, *, name: str) -> KeptFile:
    """Put a file and its thumbnail into the storage. Raises SendError when that does not work,
    which is an incident: nothing can be kept then."""
    mime_type, size = type_of(file), file.seek(0, 2)
    small = thumbnail(file) if mime_type in PICTURE_TYPES else None
    file.seek(0)
    try:
        stored = _save(name, File(file))
        stored_small = _save(f"{name}-thumb", ContentFile(small)) if small else ""
    except Exception as error:
        logger.exception("the file storage cannot be written to")
        kind = type(error).__name__
        open_incident(IncidentKind.MEDIA, now=timezone.now(), facts={"error": kind})
        raise SendError("storage", kind, retryable=True) from None
    close_incident(IncidentKind.MEDIA, now=timezone.now())
    return KeptFile(stored, stored_small, mime_type, size)


def remove_files(names: list[str]) -> None:
    """Take files out of the storage; what cannot be removed is logged, never raised."""
    for name in filter(None, names):
        try:
            default_storage.delete(name)
        except Exception:
            logger.exception("a file could not be removed from the storage: %s", name)


def _save(name: str, content: File[Any]) -> str:
    default_storage.delete(name)  # left by a try that was cut short
    return default_storage.save(name, content)


# --- Sent --------------------------------------------------------------------------------------


@contextmanager
def released(kept: KeptFile) -> Iterator[KeptFile]:
    """Around the transaction that is to take the file: it is removed again if that fails, or did
    not need it."""
    try:
        yield kept
    except BaseException:
        kept.remove()
        raise
    if not kept.is_taken:
        kept.remove()


def attach(row: MessageLog, kept: KeptFile, *, filename: str, sha256: str) -> Media:
    """Make the kept file the one of this outbound row, in the row's transaction."""
    media = Media.objects.create(
        message=row,
        filename=filename[:300],
        sha256=sha256,
        status=MediaStatus.STORED,
        fetched_at=row.created_at,
        **kept.columns,
    )
    row.payload = {**row.payload, "media_ref": str(media.pk)}
    row.save(update_fields=["payload"])
    kept.is_taken = True
    return media


def prepare(row: MessageLog) -> None:
    """Upload the file of a claimed row, if it has one that the provider does not have yet.

    Called just before the row becomes `sending`, with no transaction open; takes a longer lease on
    the row, since an upload takes longer than a call. Raises SendError, which is never uncertain:
    the message itself was not sent.
    """
    if "media_ref" not in row.payload or not _is_still_wanted(row):
        return
    try:
        media = _media_of(row)
        if media is None:
            raise SendError("no_media", _("The file of this message is not kept."), retryable=False)
        if media.uploaded_at and timezone.now() - media.uploaded_at < UPLOAD_LIVES:
            return
        _lease(row)
        _upload(media, row)
    except (SendError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("the file of message %s cannot be uploaded", row.pk)
        raise SendError("storage", type(error).__name__, retryable=True) from None


def uploaded_id(row: MessageLog) -> str:
    """The provider's id of the file that `prepare` saw to; "" for a row without one."""
    media = _media_of(row) if "media_ref" in row.payload else None
    return media.provider_id if media is not None and media.uploaded_at else ""


def forget_upload(row: MessageLog) -> None:
    """The provider does not know the id any more: the next `prepare` uploads the file again."""
    media = _media_of(row)
    if media is not None:
        Media.objects.filter(pk=media.pk).update(uploaded_at=None)


def _is_still_wanted(row: MessageLog) -> bool:
    """Not what the bot said before people took over, nor what the closed window keeps back: those
    rows are only marked."""
    session = Session.objects.get(pk=row.session_id)
    is_silenced = row.author == Author.BOT and row.epoch != session.epoch
    may_go = row.kind == Kind.TEMPLATE or session.window_is_open(timezone.now())
    return may_go and not is_silenced


def _media_of(row: MessageLog) -> Media | None:
    """The stored file that the row names, if the row may have it: a received one, or one of another
    number, as a copy of its own."""
    ref = row.payload.get("media_ref")
    if not isinstance(ref, str) or not ref.isascii() or not ref.isdigit() or len(ref) > 18:  # noqa: PLR2004  # digits of a bigint
        return None
    own = Media.objects.filter(message=row, status=MediaStatus.STORED).first()
    if own is not None:
        return own
    stored = Media.objects.filter(status=MediaStatus.STORED).exclude(file="")
    named = stored.select_related("message__session").filter(pk=int(ref)).first()
    if named is None or not _may_be_sent(named, row):
        return None
    is_uploaded_here = (
        named.message.direction == Direction.OUTBOUND and named.message.channel_id == row.channel_id
    )
    return named if is_uploaded_here else _copy_for(row, named)


def _may_be_sent(media: Media, row: MessageLog) -> bool:
    """Files of the same customer, and those that the flow itself names. A number that a customer
    typed must not fetch somebody else's file."""
    if media.message.session.lead_id == Session.objects.values_list("lead_id", flat=True).get(
        pk=row.session_id
    ):
        return True
    version = FlowVersion.objects.filter(runs__logs__messages=row).first()
    return version is not None and _names_ref(version.document, str(media.pk))


def _names_ref(document: Any, ref: str) -> bool:
    if isinstance(document, dict):
        media = document.get("media")
        if isinstance(media, dict) and str(media.get("ref", "")).strip() == ref:
            return True
        return any(_names_ref(part, ref) for part in document.values())
    return isinstance(document, list) and any(_names_ref(part, ref) for part in document)


def _copy_for(row: MessageLog, media: Media) -> Media:
    with media.file.open() as file, TemporaryFile() as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        kept = write_out(copy, name=f"{media.file.name}-{row.pk}")
    return Media.objects.create(
        message=row,
        filename=media.filename,
        sha256=media.sha256,
        status=MediaStatus.STORED,
        fetched_at=timezone.now(),
        **kept.columns,
    )


def _lease(row: MessageLog) -> None:
    """Keep the row for as long as an upload may take. A lease that is not ours any more is noticed
    when the row is to become `sending`."""
    if row.locked_until is None:
        return
    until = row.locked_until + UPLOAD_LEASE
    mine = MessageLog.objects.filter(
        pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
    )
    if mine.update(locked_until=until):
        row.locked_until = until


def _upload(media: Media, row: MessageLog) -> None:
    with media.file.open() as file:
        provider_id = transport_for(row.channel).upload_media(file, mime_type=media.mime_type)
    Media.objects.filter(pk=media.pk).update(
        provider_id=provider_id[:255], uploaded_at=timezone.now()
    )

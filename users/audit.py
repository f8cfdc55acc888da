"""Who changed what, before and after, when and from where: rows of auditlog's LogEntry.

Only acts of people are kept, that is of requests with somebody logged in or with a token: the
bot's work has logs of its own and costs nothing here. Models are watched by `watch`, from the
AppConfig of their app; services that write past signals, by UPDATE, say so with `changed`.
Values are kept as a reader sees them later: choices as codes, related rows by their name, and of
what is secret only that it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from users import clients
from users.models import ApiToken, User

HIDDEN = "•••"  # in place of a secret: what is kept is that it changed
LONGEST_VALUE = 500
ACT = "act"  # the key in additional_data

# What was done besides creating, changing and deleting; stored as these codes.
REVEALED, EXPORTED, MERGED = "revealed", "exported", "merged"
TWO_FACTOR_ON, TWO_FACTOR_OFF = "two_factor_on", "two_factor_off"
RECOVERY_CODES, SIGNED_OUT, LET_IN = "recovery_codes", "signed_out", "let_in"
RESET_BY_MAIL = "reset_by_mail"
INVITED, UNINVITED, JOINED = "invited", "uninvited", "joined"
ATTRIBUTES = "attributes"
ACTS = {
    REVEALED: _("saw a hidden value"),
    EXPORTED: _("exported"),
    MERGED: _("merged"),
    TWO_FACTOR_ON: _("turned two-step login on"),
    TWO_FACTOR_OFF: _("turned two-step login off"),
    RECOVERY_CODES: _("made new recovery codes"),
    SIGNED_OUT: _("signed out everywhere"),
    LET_IN: _("let in again"),
    RESET_BY_MAIL: _("set a new password by mail"),
    INVITED: _("invited the person"),
    UNINVITED: _("withdrew the invitation"),
    JOINED: _("accepted the invitation"),
    ATTRIBUTES: _("changed attributes"),
}
ACCESSES = frozenset({REVEALED, EXPORTED})

Action = LogEntry.Action
Values = dict[str, Any]


@dataclass(frozen=True)
class Watch:
    """Which fields of a model are kept: `hidden` of them only as changed, `shown` through a
    function that keeps part of the value back."""

    fields: tuple[str, ...]
    hidden: frozenset[str] = frozenset()
    shown: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


_watched: dict[type[models.Model], Watch] = {}
_request: ContextVar[HttpRequest | None] = ContextVar("audit_request", default=None)
_is_quiet: ContextVar[bool] = ContextVar("audit_is_quiet", default=False)


class AuditMiddleware:
    """Lets what happens below know whose request it is. Who that is, is asked when something is
    written, so that a token counts too; a request that writes nothing runs no statement here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


# --- Watching ----------------------------------------------------------------------------------


def watch(
    model: type[models.Model],
    *fields: str,
    hidden: Iterable[str] = (),
    many: Iterable[str] = (),
    shown: Mapping[str, Callable[[Any], Any]] | None = None,
) -> None:
    """Keep what people do with rows of this model. `hidden` fields are watched, too; `many` are its
    many-to-many fields."""
    hidden = frozenset(hidden)
    _watched[model] = Watch((*fields, *sorted(hidden)), hidden, shown or {})
    uid = f"audit-{model._meta.label}"
    pre_save.connect(_before_save, sender=model, dispatch_uid=uid)
    post_save.connect(_after_save, sender=model, dispatch_uid=uid)
    post_delete.connect(_after_delete, sender=model, dispatch_uid=uid)
    for name in many:
        through = model._meta.get_field(name).remote_field.through  # type: ignore[union-attr]  # a relation
        receiver = partial(_after_many, field_name=name, owner=model)
        m2m_changed.connect(receiver, sender=through, weak=False, dispatch_uid=f"{uid}-{name}")


def watched_models() -> list[type[models.Model]]:
    return list(_watched)


def actor() -> User | None:
    """The person whose request this is; None for the bot, the worker and commands."""
    request = _request.get()
    user = getattr(request, "user", None)
    return user if isinstance(user, User) and user.is_authenticated else None


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that happens inside is kept: it is part of an act that is kept as a whole."""
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


# --- Saying ------------------------------------------------------------------------------------


def changed(obj: models.Model, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Rows were written past signals: these fields of this one held `before` and hold `after`."""
    if _is_kept():
        _write_changes(obj, _values(type(obj), before), _values(type(obj), after))


def acted(obj: models.Model, act: str, *, by: User | None = None, **details: Any) -> None:
    """Something of ACTS was done with this row: by whoever makes the request, or, where nobody is
    logged in, by somebody who proved by other means who they are."""
    if by is not None or _is_kept():
        action = Action.ACCESS if act in ACCESSES else Action.UPDATE
        _write(action, obj, {}, {ACT: act, **details}, by=by)


def exported(model: type[models.Model], **details: Any) -> None:
    """A list of rows of this model left as a file."""
    if _is_kept():
        _write(Action.ACCESS, model, {}, {ACT: EXPORTED, **details})


# --- Receivers ---------------------------------------------------------------------------------


def _before_save(
    sender: type[models.Model],
    instance: models.Model,
    raw: bool = False,
    update_fields: Iterable[str] | None = None,
    **_signal: Any,
) -> None:
    """Read what the row holds now, as far as it is about to be written."""
    if raw or instance._state.adding or not _is_kept():
        return
    watched = _watched[sender]
    given = None if update_fields is None else set(update_fields)
    names = [name for name in watched.fields if given is None or name in given]
    if names:
        related = [name for name in names if sender._meta.get_field(name).is_relation]
        rows = sender._base_manager.select_related(*related) if related else sender._base_manager
        old = rows.filter(pk=instance.pk).first()
        if old is not None:
            before = {name: getattr(old, name) for name in names}
            instance._audit_before = before  # type: ignore[attr-defined]  # ours


def _after_save(
    sender: type[models.Model],
    instance: models.Model,
    created: bool,
    raw: bool = False,
    **_signal: Any,
) -> None:
    if raw or not _is_kept():
        return
    if created:
        names = _watched[sender].fields
        held = _values(sender, {name: getattr(instance, name) for name in names})
        made = {name: [None, value] for name, value in held.items() if value not in (None, "", [])}
        _write(Action.CREATE, instance, made)
        return
    before: Values | None = vars(instance).pop("_audit_before", None)
    if before:
        after = {name: getattr(instance, name) for name in before}
        _write_changes(instance, *_told(sender, before, after))


def _after_delete(sender: type[models.Model], instance: models.Model, **_signal: Any) -> None:
    if not _is_kept():
        return
    held = _values(sender, {name: getattr(instance, name) for name in _watched[sender].fields})
    gone = {name: [value, None] for name, value in held.items() if value not in (None, "", [])}
    _write(Action.DELETE, instance, gone)


def _after_many(  # noqa: PLR0913  # what the signal tells
    *,
    instance: models.Model,
    action: str,
    reverse: bool,
    pk_set: set[int] | None,
    owner: type[models.Model],
    field_name: str,
    **_signal: Any,
) -> None:
    """Told of the row whose field it is, from whichever side it was changed."""
    if action not in {"post_add", "post_remove"} or not pk_set or not _is_kept():
        return
    other: Any = owner if reverse else owner._meta.get_field(field_name).related_model
    rows = list(other._base_manager.filter(pk__in=pk_set).order_by("pk"))
    names = [str(instance)] if reverse else [str(row) for row in rows]
    for row in rows if reverse else [instance]:
        change = [None, names] if action == "post_add" else [names, None]
        _write(Action.UPDATE, row, {field_name: change})


# --- Writing -----------------------------------------------------------------------------------


def _is_kept() -> bool:
    return not _is_quiet.get() and actor() is not None


def _told(model: type[models.Model], before: Values, after: Values) -> tuple[Values, Values]:
    """What differs, as it is kept. Hidden values are compared as they are."""
    names = [name for name in before if before[name] != after[name]]
    return (
        _values(model, {name: before[name] for name in names}),
        _values(model, {name: after[name] for name in names}),
    )


def _write_changes(obj: models.Model, before: Values, after: Values) -> None:
    hidden = _watched[type(obj)].hidden if type(obj) in _watched else frozenset()
    changes = {
        name: [before.get(name), value]
        for name, value in after.items()
        if name in hidden or before.get(name) != value
    }
    if changes:
        _write(Action.UPDATE, obj, changes)


def _write(
    action: int,
    subject: models.Model | type[models.Model],
    changes: Values,
    details: Values | None = None,
    *,
    by: User | None = None,
) -> None:
    request, who = _request.get(), by or actor()
    is_row = isinstance(subject, models.Model)
    pk = subject.pk if is_row else None
    told = {**_token_of(request), **(details or {})}
    LogEntry.objects.create(
        action=action,
        content_type=_content_type(type(subject) if is_row else subject),
        object_pk="" if pk is None else str(pk),
        object_id=pk if isinstance(pk, int) else None,
        object_repr=str(subject)[:LONGEST_VALUE] if is_row else "",
        changes=changes,
        additional_data=told or None,
        actor=who,
        actor_email=who.email if who else None,
        remote_addr=clients.address_of(request) if request else None,
    )


def _content_type(model: Any) -> ContentType:
    """Those of all watched models are read at once, and once in a process."""
    return ContentType.objects.get_for_models(*_watched, model)[model]


def _token_of(request: HttpRequest | None) -> Values:
    """By which token it was done, if not in the console."""
    token = getattr(request, "auth", None)
    return {"token": str(token)} if isinstance(token, ApiToken) else {}


def _values(model: type[models.Model], held: Mapping[str, Any]) -> Values:
    watched = _watched.get(model, Watch(tuple(held)))
    return {name: _value(watched, name, value) for name, value in held.items()}


def _value(watched: Watch, name: str, value: Any) -> Any:
    if value in (None, ""):
        return value
    if name in watched.hidden:
        return HIDDEN
    if name in watched.shown:
        value = watched.shown[name](value)
    return _plain(value)


def _plain(value: Any) -> Any:
    """What JSON can hold and a reader makes sense of."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return str(value)
    return str(value)[:LONGEST_VALUE]

"""What must hold after a run, each with its figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from django.db.models import Count, Max, Min

from chatbot import verification
from chatbot.history import HISTORY_KINDS
from chatbot.labels import STALE
from chatbot.models import (
    STATUS_RANK,
    FailedEvent,
    FailedEventState,
    FlowLog,
    Media,
    MediaStatus,
    MessageStatus,
)
from chatbot.soak.evidence import Evidence, Result, Row, ours_of, percentile, verdict
from chatbot.soak.journal import Call, Said
from chatbot.statuses import UNCONFIRMED
from leads.models import Lead
from sessions_app.models import Session

MEDIA_KINDS = frozenset({"image", "audio", "voice"})
SILENT_KINDS = frozenset(kind.value for kind in HISTORY_KINDS) | {"system"}


def check_all(evidence: Evidence) -> Iterator[Result]:
    for check in CHECKS:
        yield check(evidence)


# --- What customers said -----------------------------------------------------------------------


def stored_once(evidence: Evidence) -> Result:
    said = evidence.journal.said
    acknowledged = sum(one.acknowledged_at > 0 for one in said.values())
    again = sum(one.deliveries - 1 for one in said.values())
    wrong = [
        f"{wamid} has {len(rows)} rows, {_answered(one)}"
        for wamid, one in said.items()
        if len(rows := evidence.inbound.get(wamid, [])) != 1
    ]
    wrong += [f"{wamid} was never said" for wamid in evidence.inbound if wamid not in said]
    figures = (
        f"{len(said)} messages said, {acknowledged} answered with 200, "
        f"{again} deliveries repeated, {sum(map(len, evidence.inbound.values()))} rows"
    )
    return verdict("every message has exactly one row", figures, wrong)


def stored_as_said(evidence: Evidence) -> Result:
    compared, wrong = 0, []
    for wamid, one in evidence.journal.said.items():
        for row in evidence.inbound.get(wamid, ()):
            if one.text:
                compared += 1
                stored = row["payload"].get("original_text", row["text"])
                if stored != one.text:
                    wrong.append(f"{wamid}: said {one.text!r}, stored {stored!r}")
    return verdict("the rows hold what was said", f"{compared} texts compared", wrong)


def answered(evidence: Evidence) -> Result:
    """A reply that was decided by this message, or why there is none."""
    reasons: Counter[str] = Counter()
    wrong = []
    asked = _asked_at(evidence)
    for wamid, one in evidence.journal.said.items():
        for row in evidence.inbound.get(wamid, ()):
            reason = _why_no_answer(evidence, row, asked)
            reasons[reason or "UNANSWERED"] += 1
            if not reason:
                wrong.append(f"{wamid} ({one.kind}, {_circumstances(evidence, row)}): no reply")
    figures = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return verdict("every message has its answer or a reason", figures, wrong)


def _circumstances(evidence: Evidence, row: Row) -> str:
    has_stepped = (row["session_id"], row["created_at"]) in evidence.stepped_at
    step = "the flow made a step" if has_stepped else "no step"
    return f"message {row['pk']} of session {row['session_id']}, epoch {row['epoch']}, {step}"


def _asked_at(evidence: Evidence) -> Counter[tuple[int, datetime]]:
    """How many messages each turn had to answer: one body may hold several of one person."""
    found: Counter[tuple[int, datetime]] = Counter()
    for rows in evidence.inbound.values():
        for row in rows:
            if not (row["epoch"] % 2 or row["kind"] in SILENT_KINDS):
                found[row["session_id"], row["created_at"]] += 1
    return found


def _why_no_answer(evidence: Evidence, row: Row, asked: Counter[tuple[int, datetime]]) -> str:
    """ "" for an unanswered one. The epoch is odd while people have the conversation."""
    turn = (row["session_id"], row["created_at"])
    replies = evidence.decided_at.get(turn, ())
    if row["kind"] in SILENT_KINDS:
        return f"never answered ({row['kind']})"
    if row["epoch"] % 2:
        return "with people"
    silent = 0 if row["kind"] in MEDIA_KINDS else evidence.silent_files[turn]
    if len(replies) >= asked[turn] - silent:
        return "answered by the flow" if any(one["flow_log_id"] for one in replies) else "answered"
    return _why_no_reply(evidence, row)


def _why_no_reply(evidence: Evidence, row: Row) -> str:
    """One answer is enough for several files in a row, and for several things not understood."""
    has_stepped = (row["session_id"], row["created_at"]) in evidence.stepped_at
    if row["kind"] in MEDIA_KINDS and has_stepped:
        return "several files, one answer"
    return "the same sentence was the last one" if row["kind"] == "unsupported" else ""


def _answered(one: Said) -> str:
    return "answered with 200" if one.acknowledged_at else "never answered with 200"


# --- What customers received -------------------------------------------------------------------


def at_most_once(evidence: Evidence) -> Result:
    wrong = []
    for pk, calls in evidence.calls.items():
        count = len(evidence.arrived(pk))
        if count > 1:
            wrong.append(f"message {pk} arrived {count} times: {_story(calls)}")
        if pk not in evidence.outbound:
            wrong.append(f"message {pk} arrived, and has no row")
    wrong += [
        f"a call without our id: {call.to}" for call in evidence.journal.calls if not call.ours
    ]
    accepted = sum(call.outcome == "accepted" for call in evidence.journal.calls)
    failed = sum(call.is_failed for call in evidence.journal.calls)
    figures = (
        f"{len(evidence.journal.calls)} calls for {len(evidence.calls)} replies, {accepted} "
        f"accepted, {failed} of them failed afterwards by a status"
    )
    return verdict("every reply arrived at most once", figures, wrong)


def received_as_decided(evidence: Evidence) -> Result:
    compared = 0
    wrong: list[str] = []
    keys = {one["id"]: set(one["keys"]) for one in evidence.journal.customers}
    leads = _leads(evidence)
    for pk, calls in evidence.calls.items():
        row = evidence.outbound.get(pk)
        for call in calls if row else ():
            compared += 1
            if row and call.text != row["text"]:
                wrong.append(f"message {pk}: decided {row['text']!r}, received {call.text!r}")
            if call.to not in keys[call.customer]:
                wrong.append(f"message {pk} went to {call.to}, who is somebody else")
            if row and row["session__lead_id"] not in leads[call.customer]:
                wrong.append(f"message {pk} of session {row['session_id']} went to another person")
    return verdict("replies are what was decided, to whom", f"{compared} calls compared", wrong)


def missing(evidence: Evidence) -> Result:
    """Only what was `sending` at a kill, or whose call had no answer, may not have arrived; and old
    answers to who writes without pause."""
    wrong: list[str] = []
    listed: list[str] = []
    ends: Counter[str] = Counter()
    chatters = _chatters(evidence)
    of_whom = _customers_of_leads(evidence)
    for row in evidence.wanted:
        calls = evidence.calls.get(row["pk"], [])
        if evidence.arrived(row["pk"]):
            if row["error_code"] == UNCONFIRMED:
                ends["arrived, shown to staff as unconfirmed"] += 1
                listed.append(f"message {row['pk']} arrived, unconfirmed: {_story(calls)}")
            elif any(not call.answered for call in calls):
                ends["arrived without an answer, settled by a status"] += 1
            continue
        line = f"message {row['pk']} ({row['status']} {row['error_code']}): {_story(calls)}"
        is_chatter = of_whom.get(row["session__lead_id"]) in chatters
        end = _why_missing(row, calls, writes_without_pause=is_chatter)
        ends[end or "MISSING"] += 1
        (listed if end else wrong).append(line)
    figures = f"{len(evidence.wanted)} replies" + "".join(
        f", {count} {end}" for end, count in ends.most_common()
    )
    return verdict("replies are missing only where nobody can know", figures, wrong, listed)


def _why_missing(row: Row, calls: list[Call], *, writes_without_pause: bool) -> str:
    """Who asks faster than the provider lets anybody be answered gets old answers no more: after a
    quarter of an hour they are shown to staff instead. Nobody else may lose one that way."""
    if row["status"] != MessageStatus.FAILED:
        return ""
    if row["error_code"] == UNCONFIRMED:
        return "missing, unconfirmed, shown to staff"
    if any(call.is_failed for call in calls) and row["error_code"] == "131026":
        return "refused for good by a status"
    if row["error_code"] == STALE and writes_without_pause:
        return "too old for who writes without pause, shown to staff"
    return ""


def _story(calls: list[Call]) -> str:
    if not calls:
        return "no call arrived (killed before it)"
    return "; ".join(
        f"{call.outcome}"
        + (f" ({call.code})" if call.code else "")
        + (f", statuses {' '.join(call.statuses)}" if call.statuses else "")
        for call in calls
    )


def in_order(evidence: Evidence) -> Result:
    """Within a session, first acceptances come in the order of the rows."""
    last: dict[int, int] = {}
    seen: set[int] = set()
    wrong = []
    for call in evidence.journal.calls:
        pk = ours_of(call)
        row = evidence.outbound.get(pk or 0)
        if call.outcome != "accepted" or pk is None or row is None or pk in seen:
            continue
        seen.add(pk)
        session = row["session_id"]
        if pk < last.get(session, 0):
            wrong.append(f"session {session}: message {pk} came after {last[session]}")
        last[session] = max(pk, last.get(session, 0))
    return verdict("order per conversation", f"{len(last)} conversations", wrong)


# --- What is stored ----------------------------------------------------------------------------


def settled(evidence: Evidence) -> Result:
    left = [f"{count} {name}" for name, count in evidence.facts.left.items() if count]
    if not evidence.facts.is_settled and not left:
        left = ["calls were still under way"]
    facts = evidence.facts
    figures = (
        f"{'calm' if facts.is_settled else 'not calm'} after {facts.settle:.0f} s without faults; "
        f"something was queued until {facts.last_reply:.0f} s"
    )
    return verdict("nothing is queued, sending or due at the end", figures, left)


def people(evidence: Evidence) -> Result:
    leads = _leads(evidence)
    owners: dict[int, set[int]] = defaultdict(set)
    for customer, found in leads.items():
        for lead in found:
            owners[lead].add(customer)
    wrong = [f"customer {key} is {len(of)} leads" for key, of in leads.items() if len(of) != 1]
    wrong += [f"lead {key} is customers {of}" for key, of in owners.items() if len(of) != 1]
    stored = Lead.objects.live().count()
    if stored != len(owners):
        wrong.append(f"{stored} leads are stored for {len(owners)} customers")
    return verdict("one lead for each customer", f"{len(leads)} customers, {stored} leads", wrong)


def _leads(evidence: Evidence) -> dict[int, set[int]]:
    """The leads that each customer's messages are stored under."""
    found: dict[int, set[int]] = defaultdict(set)
    for wamid, one in evidence.journal.said.items():
        for row in evidence.inbound.get(wamid, ()):
            found[one.customer].add(row["session__lead_id"])
    return found


def _customers_of_leads(evidence: Evidence) -> dict[int, int]:
    return {lead: customer for customer, found in _leads(evidence).items() for lead in found}


def _chatters(evidence: Evidence) -> set[int]:
    """The customers who write without pause."""
    return {one["id"] for one in evidence.journal.customers if one["chatters"]}


def sessions(evidence: Evidence) -> Result:
    live = Session.objects.live()
    doubled = live.values("lead", "channel").annotate(count=Count("pk")).filter(count__gt=1)
    wrong = [f"lead {one['lead']} has {one['count']} live sessions" for one in doubled.order_by()]
    figures = f"{Session.objects.count()} sessions, {live.count()} live"
    return verdict("one live session for each customer and number", figures, wrong)


def logs(evidence: Evidence) -> Result:
    spans = FlowLog.objects.order_by().values("session")
    spans = spans.annotate(first=Min("seq"), last=Max("seq"), count=Count("pk"))
    wrong = [
        f"session {one['session']}: rows {one['first']} to {one['last']}, {one['count']} of them"
        for one in spans
        if (one["first"], one["last"]) != (1, one["count"])
    ]
    checked = 0
    ids = Session.objects.order_by("pk").values_list("pk", flat=True)
    for session_id, deviation in verification.verify(ids):
        checked += 1
        if deviation is not None:
            wrong.append(f"session {session_id}: {deviation.what} differs from its log")
    figures = f"{FlowLog.objects.count()} log rows of {checked} sessions folded"
    return verdict("flow logs have no gap and fold to the sessions", figures, wrong)


def final_statuses(evidence: Evidence) -> Result:
    compared, without = 0, 0
    wrong: list[str] = []
    listed: list[str] = []
    for pk in evidence.calls:
        row = evidence.outbound.get(pk)
        accepted = [call for call in evidence.calls[pk] if call.outcome == "accepted"]
        if row is None or not accepted:
            continue
        told = accepted[-1].statuses
        if not told:
            without += 1
            continue
        compared += 1
        highest = max(map(MessageStatus, told), key=STATUS_RANK.__getitem__)
        if row["status"] != highest:
            line = f"message {pk}: {row['status']} {row['error_code']}, told {' '.join(told)}"
            reason = _why_another_status(row, accepted[-1])
            if reason:
                listed.append(f"{line}: {reason}")
            else:
                wrong.append(line)
    figures = f"{compared} compared, {without} were told nothing about"
    return verdict("statuses are the highest that was told", figures, wrong, listed)


def _why_another_status(row: Row, call: Call) -> str:
    """What the program could not know, or had decided meanwhile."""
    if row["error_code"] == UNCONFIRMED and call.is_nameless:
        return "its answer was lost, and the statuses did not carry our id"
    if call.is_failed and row["status"] == MessageStatus.SUPERSEDED:
        return "it failed, and people took over before it went again"
    return ""


def media(evidence: Evidence) -> Result:
    files = evidence.journal.files
    rows = Media.objects.order_by("pk").values("pk", "provider_id", "status", "sha256", "error")
    counts: Counter[str] = Counter()
    wrong = []
    for row in rows:
        counts[row["status"]] += 1
        file = files.get(row["provider_id"])
        if file is None:
            wrong.append(f"media {row['pk']} is of no file that was sent")
        elif row["status"] != MediaStatus.STORED:
            wrong.append(f"media {row['pk']} is {row['status']} {row['error']}".rstrip())
        elif row["sha256"] != file.sha256:
            wrong.append(f"media {row['pk']} has another content")
    expired = sum(file.expired for file in files.values())
    stored = ", ".join(f"{count} {name}" for name, count in counts.items())
    figures = f"{len(files)} files sent, {stored or 'none kept'}, {expired} expired addresses tried"
    return verdict("files are fetched", figures, wrong)


def failed_events(evidence: Evidence) -> Result:
    rows = FailedEvent.objects.filter(state=FailedEventState.NEW).values("pk", "error")
    wrong = [f"failed event {row['pk']}: {row['error']}" for row in rows]
    figures = f"{FailedEvent.objects.count()} kept, {len(wrong)} to be looked at"
    return verdict("nothing was set aside", figures, wrong)


# --- How Meta sees us --------------------------------------------------------------------------


def pace(evidence: Evidence) -> Result:
    most = evidence.journal.most_per_number
    rate = evidence.plan.rate
    wrong = [
        f"number {number}: {count} calls within a second"
        for number, count in most.items()
        if count > rate
    ]
    figures = (
        f"at most {max(most.values(), default=0)} calls in any second of one number, "
        f"{rate} are allowed; {evidence.journal.faults['130429 by the limit']} refused by the limit"
    )
    return verdict("the limit of a number", figures, wrong)


def pair_pace(evidence: Evidence) -> Result:
    refused = evidence.journal.faults["131056 by the limit"]
    figures = (
        f"at most {evidence.journal.most_per_pair} calls to one person in any 6 seconds, "
        f"{refused} refused by the limit"
    )
    wrong = [f"{refused} calls were beyond the limit of a pair"] if refused else []
    return verdict("the limit of a pair", figures, wrong)


def bodies(evidence: Evidence) -> Result:
    found = evidence.journal.violations
    wrong = [f"{count} × {what}" for what, count in found.most_common()]
    return verdict("bodies are what Meta takes", f"{len(evidence.journal.calls)} checked", wrong)


def webhook_answers(evidence: Evidence) -> Result:
    answers = evidence.journal.answers
    counted = ", ".join(f"{count} × {what}" for what, count in answers.most_common())
    wrong = [f"{answers['500']} answers were 500"] if answers["500"] else []
    return verdict("the webhook never answered 500", counted, wrong)


def waits(evidence: Evidence) -> Result:
    """How long customers waited for the first reply to a message."""
    chatters = _chatters(evidence)
    ordinary: list[float] = []
    theirs: list[float] = []
    for wamid, one in evidence.journal.said.items():
        for row in evidence.inbound.get(wamid, ()):
            seconds = _seconds_to_reply(evidence, row, one)
            if seconds is not None:
                (theirs if one.customer in chatters else ordinary).append(seconds)
    figures = f"ordinary customers {_percentiles(ordinary)}"
    if theirs:
        figures += f"; {len(chatters)} who write without pause {_percentiles(theirs)}"
    figures += f"; webhook in ms {_percentiles(evidence.journal.milliseconds)}"
    return Result("seconds to the first reply", None, figures)


def _seconds_to_reply(evidence: Evidence, row: Row, one: Said) -> float | None:
    replies = evidence.decided_at.get((row["session_id"], row["created_at"]), ())
    times = [call.at for reply in replies for call in evidence.arrived(reply["pk"])]
    return min(times) - one.at if times else None


def _percentiles(values: list[float]) -> str:
    shown = (f"p{share} {percentile(values, share / 100):.2f}" for share in (50, 95, 99))
    return f"{' '.join(shown)} max {max(values, default=0):.2f}"


CHECKS: tuple[Callable[[Evidence], Result], ...] = (
    stored_once,
    stored_as_said,
    answered,
    at_most_once,
    received_as_decided,
    missing,
    in_order,
    settled,
    people,
    sessions,
    logs,
    final_statuses,
    media,
    failed_events,
    pace,
    pair_pace,
    bodies,
    webhook_answers,
    waits,
)

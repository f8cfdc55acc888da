"""The report of a soak: plain text to read, JSON to keep."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path

from chatbot.soak.evidence import SHOWN, Evidence, Result
from chatbot.soak.plan import SHARES, SPELLS

WIDTH = 100
MARKS = {True: "PASS", False: "FAIL", None: "    "}


def as_text(evidence: Evidence, results: list[Result], *, is_whole: bool = False) -> str:
    """is_whole: every detail; else the first ones of each check."""
    lines = ["Soak of the whole program against a stand-in for Meta", ""]
    lines += _run(evidence)
    lines += ["", "What must hold", ""]
    for result in results:
        lines += _wrapped(f"{MARKS[result.is_ok]}  {result.name}: {result.figures}", "      ")
        shown = result.details if is_whole else result.details[:SHOWN]
        lines += [f"        {one}" for one in shown]
        if len(shown) < len(result.details):
            lines.append(
                f"        … and {len(result.details) - len(shown)} more in the report file"
            )
    failed = sum(result.is_ok is False for result in results)
    checked = sum(result.is_ok is not None for result in results)
    lines += ["", f"{checked - failed} of {checked} checks passed, {failed} failed."]
    return "\n".join(lines)


def write(path: Path, evidence: Evidence, results: list[Result]) -> None:
    """JSON for a name that ends so, else text; with every detail."""
    if path.suffix == ".json":
        content = {
            "plan": asdict(evidence.plan),
            "facts": asdict(evidence.facts),
            "answers": evidence.journal.answers,
            "faults": evidence.journal.faults,
            "results": [asdict(one) for one in results],
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        path.write_text(as_text(evidence, results, is_whole=True) + "\n")


def _run(evidence: Evidence) -> list[str]:
    plan, facts, journal = evidence.plan, evidence.facts, evidence.journal
    accepted = sum(call.outcome == "accepted" for call in journal.calls)
    seconds = max(1.0, facts.traffic)
    kills = ", ".join(f"{count} × {name}" for name, count in facts.kills.items())
    rows = {
        "program": f"{plan.web} web processes, {plan.workers} workers of {plan.threads} threads",
        "traffic": (
            f"{len(journal.customers)} conversations in {facts.traffic:.0f} s, at most "
            f"{plan.at_once} at once, seed {plan.seed}"
        ),
        "rate": (
            f"{len(journal.said) / seconds:.1f} messages/s received, "
            f"{accepted / seconds:.1f}/s sent"
        ),
        "kills": f"every {plan.kill_every:g} s: {kills or 'none'}" if plan.kill_every else "none",
        "database": f"restarted {len(facts.restarts)} times ({'; '.join(facts.restarts) or '–'})",
        "changed waits": _pairs(plan.waits.changed) or "none: those of the product",
        "asked for, %": _pairs({name: plan.faults[name] for name in SHARES}),
        "times": _pairs({name: plan.faults[name] for name in SPELLS}),
        "injected": _pairs(dict(journal.faults.most_common())) or "nothing",
    }
    return [line for name, text in rows.items() for line in _row(name, text)]


def _row(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{name:<15}", subsequent_indent=" " * 15) or [
        name
    ]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def _pairs(values: dict[str, float] | dict[str, int]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())

"""What the program's processes printed: tracebacks by kind, and incidents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatbot.soak.evidence import Result, verdict

CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
TRACEBACK = "Traceback (most recent call last):"
INCIDENT = "INCIDENT"  # a conversation that nobody could take
OPENED = re.compile(r"incident opened: (\w+)")
# What the injected faults and kills bring about; an incident of any other kind is trouble of ours.
BROUGHT_ABOUT = frozenset({"token", "spam", "circuit", "failures", "queue", "worker"})
# Trouble of the database is injected; it is logged where it is met.
DATABASE = re.compile(r"^(psycopg\.|django\.db\.utils\.(OperationalError|InterfaceError))")


def read(files: Iterable[Path], *, expects_database_trouble: bool) -> Result:
    found: Counter[str] = Counter()
    incidents: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for path in files:
        lines = path.read_text(errors="replace").splitlines()
        found.update(f"{path.stem.rstrip('0123456789')}: {one}" for one in _exceptions(lines))
        incidents.update(line for line in lines if INCIDENT in line)
        opened.update(match[1] for match in map(OPENED.search, lines) if match)
    wrong, listed = list(incidents), list[str]()
    for kind, count in opened.most_common():
        (listed if kind in BROUGHT_ABOUT else wrong).append(f"{count} × incident opened: {kind}")
    for one, count in found.most_common():
        is_expected = expects_database_trouble and DATABASE.match(one.partition(": ")[2])
        (listed if is_expected else wrong).append(f"{count} × {one}")
    figures = f"{sum(found.values())} tracebacks, {sum(incidents.values())} incidents, "
    figures += f"{sum(opened.values())} opened by the watch"
    return verdict("the log tells of no other trouble", figures, wrong, listed)


def _exceptions(lines: list[str]) -> Iterator[str]:
    """The line that ends each traceback, without what varies; of a chain only the last."""
    last, is_inside = "", False
    for line in lines:
        if not line or line.startswith((" ", "\t")):
            continue
        if line.startswith(CHAINED):
            last = ""
            continue
        if last:
            yield _without_numbers(last)
        last = line if is_inside else ""
        is_inside = line == TRACEBACK
    if last:
        yield _without_numbers(last)


def _without_numbers(line: str) -> str:
    return re.sub(r"\d+", "N", re.sub(r"/[^\s\"]+", "…", line))[:160]

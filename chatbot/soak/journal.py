"""What Meta and the customers saw. Kept in memory, written as JSON when the run is over."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "journal.json"


@dataclass
class Said:
    """One message of a customer. `acknowledged`: at least one delivery was answered with 200."""

    wamid: str
    number: str
    customer: int
    kind: str
    text: str
    at: float
    deliveries: int = 0
    acknowledged_at: float = 0.0


@dataclass
class Call:
    """One call to /messages. outcome: accepted, refused, or dropped (no word, not taken).

    `answered`: the program got the answer; else it cannot know what became of the call.
    """

    number: str
    to: str
    customer: int
    ours: str
    text: str
    at: float
    outcome: str
    code: str = ""
    wamid: str = ""
    answered: bool = True
    statuses: list[str] = field(default_factory=list)  # those answered with 200
    is_nameless: bool = False  # the statuses did not carry our id

    @property
    def message(self) -> str:
        """Our id without the number of the try."""
        return self.ours.partition(".")[0]

    @property
    def is_failed(self) -> bool:
        return "failed" in self.statuses


@dataclass
class File:
    """A file that a customer sent. `fetched`: the program got all its bytes."""

    id: str
    sha256: str
    resolved: int = 0
    fetched: int = 0
    expired: int = 0


@dataclass
class Journal:
    said: dict[str, Said] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    customers: list[dict[str, Any]] = field(default_factory=list)
    violations: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)  # of the webhook, by status or error
    milliseconds: list[float] = field(default_factory=list)  # of those with 200
    faults: Counter[str] = field(default_factory=Counter)
    receipts: int = 0
    most_per_number: dict[str, int] = field(default_factory=dict)
    most_per_pair: int = 0
    seconds: float = 0.0

    def save(self, folder: Path) -> None:
        # Not asdict: it would copy the counters wrongly, and all the rest for nothing.
        (folder / FILE).write_text(json.dumps(vars(self), default=vars))

    @classmethod
    def load(cls, folder: Path) -> Journal:
        values = json.loads((folder / FILE).read_text())
        values["said"] = {key: Said(**one) for key, one in values["said"].items()}
        values["calls"] = [Call(**one) for one in values["calls"]]
        values["files"] = {key: File(**one) for key, one in values["files"].items()}
        for name in ("violations", "answers", "faults"):
            values[name] = Counter(values[name])
        return cls(**values)

"""What a soak is to do. Written by the command, read by every process of the run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "plan.json"
ACCESS_TOKEN = "EAAsoakFicticio"  # noqa: S105  # of nobody
APP_SECRET = "segredo-ficticio-do-soak"  # noqa: S105  # of nobody
PERCENT = 100.0

# Percent of the calls, messages, bodies or time that each concerns.
SHARES = {
    "error": "calls refused with 5xx and Graph's JSON error (131000, 131016, 2)",
    "page": "calls answered by an HTML page, 502 or 503; half of them after accepting",
    "hang": "calls accepted and never answered",
    "cut": "calls whose connection is cut; half of them after accepting",
    "pair": "calls refused with 131056",
    "throughput": "of the time in which every call of a number is refused with 130429",
    "early": "messages whose statuses come before the answer of the call",
    "nameless": "of those, statuses that do not carry our own id",
    "late": "messages whose statuses come 10 to 30 s later",
    "twice": "messages whose statuses come twice",
    "shuffled": "messages whose statuses come in another order",
    "missing": "messages without any status",
    "failed": "messages accepted, then failed by a status",
    "duplicate": "messages of customers that are delivered again, at once or later",
    "batch": "bodies that hold several customers, numbers and statuses",
    "swapped": "of a customer's messages, two that arrive in the other order",
    "media": "media calls that fail",
}
# How often in the run one number is stopped for some seconds.
SPELLS = {
    "token": "190, token refused",
    "account": "80007, limit of the account",
    "maintenance": "131057, maintenance",
    "spam": "131048, spam limit",
}
DEFAULT_SPELLS = {"token": 1.0, "account": 1.0, "maintenance": 1.0, "spam": 0.0}


class BadPlan(ValueError):
    """An option that means nothing."""


def faults_from(text: str) -> dict[str, float]:
    """ "2" is 2 % of each; "2,hang=0,token=0" or "hang=5" say some by name. Raises BadPlan."""
    chosen = dict.fromkeys(SHARES, 0.0) | dict.fromkeys(SPELLS, 0.0)
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, has_name, value = part.rpartition("=")
        number = _number(value)
        if not has_name:
            chosen.update(dict.fromkeys(SHARES, number))
            chosen.update(DEFAULT_SPELLS if number else {})
        elif name in chosen:
            chosen[name] = number
        else:
            raise BadPlan(f"there is no fault {name!r}; known: {', '.join(chosen)}")
    return chosen


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise BadPlan(f"{text!r} is not a percentage") from error
    if not 0 <= number <= PERCENT:
        raise BadPlan(f"{text} is not a percentage")
    return number


@dataclass(frozen=True)
class Number:
    """One WhatsApp number of the company: a channel of the program."""

    slug: str
    phone_number_id: str
    share: float  # of the conversations


NUMBERS = (
    Number("soak-principal", "900000000000001", 0.8),
    Number("soak-segundo", "900000000000002", 0.2),
)


@dataclass
class Waits:
    """Waits of the worker in seconds; 0 leaves the product's own."""

    lease: float = 0.0
    unconfirmed: float = 0.0
    pause: float = 0.0
    periodic: float = 0.0
    call: float = 0.0

    @property
    def changed(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass
class Plan:
    """Times in seconds, shares in percent."""

    seed: int = 1
    conversations: int = 1000
    turns: float = 2.5
    at_once: int = 120
    minutes: float = 0.0  # no cap
    settle_minutes: float = 20.0
    web: int = 2
    workers: int = 2
    threads: int = 8
    rate: int = 80
    faults: dict[str, float] = field(default_factory=lambda: faults_from("2"))
    kill_every: float = 5.0
    database_restarts: int = 2
    chatterers: int = 0
    patience: float = 20.0
    files: float = 6.0  # of the messages: voice notes and images
    url_lives: float = 20.0
    database_url: str = ""
    restart_command: str = ""
    report: str = ""
    keep: bool = False
    waits: Waits = field(default_factory=Waits)
    web_port: int = 0
    graph_port: int = 0

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def graph_url(self) -> str:
        return f"http://127.0.0.1:{self.graph_port}"

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Plan:
        values = json.loads((folder / FILE).read_text())
        return cls(**{**values, "waits": Waits(**values["waits"])})

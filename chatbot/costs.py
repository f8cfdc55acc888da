"""What messages cost in a month. Estimates: what counts is the provider's bill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Min, QuerySet
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.models import MessageCount, Price
from sessions_app.models import ChannelKind

FREE = "free_"  # how the provider's words for what it does not charge begin
SYMBOLS = {"USD": "US$", "BRL": "R$", "EUR": "€"}
CENT = Decimal("0.01")
CATEGORY_LABELS: dict[str, str | Promise] = {
    "service": gettext_lazy("service"),
    "utility": gettext_lazy("utility"),
    "marketing": gettext_lazy("marketing"),
    "marketing_lite": gettext_lazy("marketing (marketing API)"),
    "authentication": gettext_lazy("authentication"),
    "authentication-international": gettext_lazy("authentication (international)"),
    "referral_conversion": gettext_lazy("free entry point"),
    "general_purpose_ai": gettext_lazy("general-purpose assistant"),
    "group_service": gettext_lazy("service (group)"),
    "group_utility": gettext_lazy("utility (group)"),
    "group_marketing": gettext_lazy("marketing (group)"),
    "": gettext_lazy("without a category"),
}


def category_label(code: str) -> str:
    """The provider's category of price, in words."""
    return str(CATEGORY_LABELS.get(code, code))


@dataclass
class Line:
    """One category: how many, how many of them free or charged, and what those cost.

    `free` are those that the provider does not charge, `allowed` those that its monthly allowance
    covers. `unpriced` are charged, but no price is known for their day.
    """

    category: str
    total: int = 0
    free: int = 0
    allowed: int = 0
    charged: int = 0
    unpriced: int = 0
    costs: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    @property
    def label(self) -> str:
        return category_label(self.category)

    @property
    def money(self) -> str:
        """What is known of the cost."""
        return in_money(self.costs)

    @property
    def cost(self) -> str:
        """The same; says where a price is missing."""
        if not self.unpriced:
            return self.money
        if not any(self.costs.values()):
            return _("no price")
        return _("%(cost)s (%(count)d without a price)") % {
            "cost": self.money,
            "count": self.unpriced,
        }

    def add(self, other: Line) -> None:
        self.total += other.total
        self.free += other.free
        self.allowed += other.allowed
        self.charged += other.charged
        self.unpriced += other.unpriced
        for currency, amount in other.costs.items():
            self.costs[currency] += amount


@dataclass
class Bill:
    """A channel's month, or that of all of them: its categories, and their sum."""

    name: str
    lines: list[Line]
    sum: Line


@dataclass(frozen=True)
class Report:
    month: date
    total: Bill
    channels: list[Bill]
    before: Bill


def report_of(month: date) -> Report:
    """The month that begins on this day, and the one before it to compare with. Channels of the
    simulator are left out. Two statements."""
    previous = month_before(month)
    counts = list(
        _real().filter(day__gte=previous, day__lt=month_after(month)).select_related("channel")
    )
    prices = _Prices(Price.objects.order_by("valid_from"))
    now = [one for one in counts if one.day >= month]
    channels = [_bill(name, _lines(rows, prices)) for name, rows in _by_channel(now)]
    before = [
        line
        for _name, rows in _by_channel(one for one in counts if one.day < month)
        for line in _lines(rows, prices)
    ]
    return Report(
        month=month,
        total=_bill(_("All channels"), [line for one in channels for line in one.lines]),
        channels=channels,
        before=_bill("", before),
    )


def months_with_counts(today: date) -> list[date]:
    """The months that can be asked for, newest first; at least the present one."""
    first = _real().aggregate(first=Min("day"))["first"] or today
    month, months = today.replace(day=1), []
    while month >= first.replace(day=1):
        months.append(month)
        month = month_before(month)
    return months or [today.replace(day=1)]


def month_before(month: date) -> date:
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def month_after(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def in_money(costs: dict[str, Decimal]) -> str:
    """Amounts of each currency, as people write them."""
    found = [money(amount, currency) for currency, amount in sorted(costs.items())]
    return " + ".join(found) or "–"


def money(amount: Decimal, currency: str) -> str:
    symbol = SYMBOLS.get(currency, currency)
    rounded = amount.quantize(CENT)
    return f"{symbol} {number_format(rounded, 2, use_l10n=True, force_grouping=True)}"


def _real() -> QuerySet[MessageCount]:
    return MessageCount.objects.exclude(channel__kind=ChannelKind.SIMULATOR)


def _by_channel(counts: Iterable[MessageCount]) -> Iterator[tuple[str, list[MessageCount]]]:
    found: dict[int, list[MessageCount]] = defaultdict(list)
    for one in counts:
        found[one.channel_id].append(one)
    named = [(rows[0].channel.name, rows) for rows in found.values()]
    yield from sorted(named, key=lambda pair: pair[0])


def _lines(counts: list[MessageCount], prices: _Prices) -> list[Line]:
    """The categories of one channel. The monthly allowance is used up in the order of days."""
    lines: dict[str, Line] = {}
    for one in sorted(counts, key=lambda count: count.day):
        line = lines.setdefault(one.category, Line(one.category))
        line.total += one.count
        if one.kind.startswith(FREE):
            line.free += one.count
            continue
        price = prices.of(one.category, one.day)
        if price is None:
            line.charged += one.count
            line.unpriced += one.count
            continue
        allowed = min(one.count, max(0, price.free_per_month - line.allowed))
        line.allowed += allowed
        line.charged += one.count - allowed
        line.costs[price.currency] += price.amount * (one.count - allowed)
    return list(lines.values())


def _bill(name: str, lines: Iterable[Line]) -> Bill:
    merged: dict[str, Line] = {}
    whole = Line("")
    for line in lines:
        merged.setdefault(line.category, Line(line.category)).add(line)
        whole.add(line)
    return Bill(name, sorted(merged.values(), key=lambda line: -line.total), whole)


class _Prices:
    """Which price holds for a category on a day: the newest that is valid by then."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._of: dict[str, list[Price]] = defaultdict(list)
        for price in prices:
            self._of[price.category].append(price)

    def of(self, category: str, day: date) -> Price | None:
        valid = [one for one in self._of.get(category, ()) if one.valid_from <= day]
        return valid[-1] if valid else None

"""People at work: who is logged in, in which browser, and what must never happen on a page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, Page, Response

from chatbot.models import MessageLog
from chatbot.tests import webhook
from config.tests.browser.site import Site, wait_for
from leads.models import Lead
from tickets import services as tickets
from tickets.models import Ticket
from users.confirming import CONFIRMED_AT
from users.models import Availability, Department, Role, User

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SERIOUS = {"serious", "critical"}
# Said by the browser itself when somebody goes on before a request is answered.
ABORTED = "net::ERR_ABORTED"
OFFLINE = "net::ERR_INTERNET_DISCONNECTED"
HTTP_ERROR = re.compile(r"the server responded with a status of (\d+)")
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOLLOWED = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP ${event.violatedDirective}: ${event.blockedURI}`);
});"""

AXE = Axe()

_numbers = itertools.count(1)


@dataclass
class Desk:
    """Opens pages; whatever the browser complains about is kept."""

    site: Site
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def expect(self, *statuses: int) -> None:
        """Answers that this test asks for (409: somebody was faster)."""
        self.expected.update(statuses)

    def open(self, user: User, path: str, *, theme: str = "light", **options: Any) -> Page:
        """The page of somebody who is logged in, in a browser of their own."""
        page = self.new_page(theme=theme, **options)
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": _session(user), "url": self.site.url}]
        )
        page.goto(f"{self.site.url}{path}")
        return page

    def new_page(self, *, theme: str = "light", **options: Any) -> Page:
        options = {"viewport": WIDE, "locale": "pt-BR", "color_scheme": theme, **options}
        options.setdefault(
            "reduced_motion", "reduce"
        )  # a look during a change of colours sees neither
        context = self.browser.new_context(**options)
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("requestfailed", lambda asked: self._failed(asked.url, asked.failure or ""))
        page.on("response", self._answered)
        return page

    @contextmanager
    def without_network(self, page: Page) -> Iterator[None]:
        """The browser has no network for a while, and says so; that is no complaint."""
        before = len(self.complaints)
        page.context.set_offline(True)
        yield
        page.context.set_offline(False)
        later = self.complaints[before:]
        self.complaints[before:] = [one for one in later if OFFLINE not in one]

    def _heard(self, kind: str, text: str) -> None:
        if status := HTTP_ERROR.search(text):
            return self._judge(int(status[1]), text)
        if kind in {"error", "warning"}:
            self.complaints.append(f"console: {text}")
        return None

    def _failed(self, url: str, why: str) -> None:
        if why != ABORTED:
            self.complaints.append(f"{url} failed: {why}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._judge(response.status, f"{response.status} {response.url}")

    def _judge(self, status: int, text: str) -> None:
        if status not in self.expected:
            self.complaints.append(text)


def barriers(page: Page, *rules: str) -> list[str]:
    """What axe finds serious or critical on a page, one line each; by these rules alone, or all."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = AXE.run(page, options=options).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {', '.join(_targets(one['nodes']))}"
        for one in found
        if one["impact"] in SERIOUS
    ]


def dress(page: Page, theme: str) -> None:
    """Change the theme in place, and wait until every colour has followed."""
    page.emulate_media(color_scheme=theme)
    page.evaluate(FOLLOWED)


def sideways(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate(SIDEWAYS))


def _targets(nodes: list[dict[str, Any]]) -> Iterable[str]:
    return (" ".join(map(str, node["target"])) for node in nodes[:3])


def _session(user: User) -> str:
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "users.backends.RolePermissionBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store[CONFIRMED_AT] = int(time())  # as a login leaves it
    store.create()
    assert store.session_key is not None
    return store.session_key


# --- People ------------------------------------------------------------------------------------


def department() -> Department:
    """A new one, so that its queue holds what this test put into it."""
    number = next(_numbers)
    return Department.objects.create(name=f"Setor {number}", slug=f"setor-{number}")


def attendant(first_name: str, *departments: Department, **fields: Any) -> User:
    username = f"{first_name.lower()}.{next(_numbers)}"
    values = {"availability": Availability.AVAILABLE, "capacity": 20, **fields}
    user = User.objects.create_user(username, first_name=first_name, **values)
    user.departments.set(departments)
    return user


def admin(first_name: str = "Ana") -> User:
    return attendant(first_name, role=Role.ADMIN)


@dataclass
class Customer:
    """Somebody on WhatsApp: what they write is posted as Meta posts it, what they get is what the
    stand-in accepted for them."""

    site: Site
    name: str
    phone: str

    def say(self, text: str) -> None:
        said = webhook.text(text, phone=self.phone, name=self.name)
        assert webhook.say(self.site, said).status_code == 200

    def receives(self, text: str) -> None:
        """Wait until a message with these words has come."""
        wait_for(lambda: any(text in one for one in self.received), f"“{text}” at the provider")

    @property
    def received(self) -> list[str]:
        mine = {self.phone, f"+{self.phone}"}
        return [one.text for one in self.site.graph.messages if one.to in mine]

    def confirm(self, text: str, *statuses: str) -> None:
        """Their telephone says how far a message has come."""
        row = MessageLog.objects.outbound().filter(text=text, session__lead=self.lead)
        provider_id = wait_for(lambda: row.exclude(provider_id="").first(), text).provider_id
        for status in statuses:
            said = webhook.status(provider_id, status, recipient_id=self.phone)
            assert webhook.say(self.site, said).status_code == 200

    @property
    def lead(self) -> Lead:
        return Lead.objects.get(identities__address=self.phone)

    @property
    def ticket(self) -> Ticket:
        return Ticket.objects.filter(lead=self.lead).latest("pk")


def customer(site: Site, name: str = "Davi Rocha") -> Customer:
    return Customer(site, name, f"55819{70000000 + next(_numbers):08d}")


def ticket_of(
    one: Customer,
    in_department: Department,
    *,
    holder: User | None = None,
    says: str = "Preciso de ajuda",
) -> Ticket:
    """The customer asks for a person and says why; the ticket waits in this department, or is in
    somebody's hands."""
    one.say("Oi")
    one.say("atendente")
    ticket = one.ticket
    tickets.transfer(ticket, department=in_department, actor=None)
    if holder is not None:
        tickets.claim(ticket, user=holder)
    one.say(says)
    one.receives(ticket.protocol)
    return ticket

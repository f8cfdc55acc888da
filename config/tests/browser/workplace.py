"""The page of a ticket, by what people see on it: roles and labels, in the language of the site."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _
from playwright.sync_api import Locator, Page, expect

from config.tests.browser.desk import NARROW, Desk
from tickets.models import Ticket
from users.models import User


def workplace(desk: Desk, user: User, ticket: Ticket, **options) -> Workplace:
    """The ticket, open in a browser of this person's own."""
    path = reverse("admin:tickets_ticket_change", args=[ticket.pk])
    return Workplace(desk.open(user, path, **options))


class Workplace:
    def __init__(self, page: Page) -> None:
        self.page = page

    # -- what is there

    @property
    def thread(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def head(self) -> Locator:
        return self.page.locator("#ticket-head")

    @property
    def box(self) -> Locator:
        return self.page.get_by_label(_("Message to the customer"))

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=_(name), exact=True)

    def message(self, text: str) -> Locator:
        return self.thread.get_by_role("listitem").filter(has_text=text).last

    def shows(self, text: str) -> None:
        expect(self.message(text)).to_be_visible()

    def says(self, msgid: str) -> None:
        """Somewhere, in a toast or a notice."""
        expect(self.page.get_by_text(_(msgid)).first).to_be_visible()

    def status_is(self, label: str) -> None:
        expect(self.head.locator(".conv-s")).to_contain_text(str(label), ignore_case=True)

    # -- what people do

    def claim(self) -> None:
        self.button("Claim", self.head).click()

    def reply(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Control+Enter")

    def note(self, text: str) -> None:
        self.page.get_by_role("tab", name=_("Internal note")).click()
        box = self.page.get_by_role("textbox", name=_("Internal note"))
        box.fill(text)
        box.press("Control+Enter")

    def open_sheet(self, name: str) -> Locator:
        self.button(name, self.head).first.click()
        sheet = self.page.locator(".sheet:popover-open")
        sheet.wait_for()
        return sheet

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


PHONE = {"viewport": NARROW, "has_touch": True, "is_mobile": True}

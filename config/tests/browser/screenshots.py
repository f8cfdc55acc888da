"""Pictures of every page, of a company that does not exist: `make screenshots`.

    python -m config.tests.browser.screenshots docs/screenshots

Starts the program on a fresh database with `seed_demo`, and takes each page at 1440 and 390 pixels
in both themes. Pictures of the design's pages have the design's names.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

COLOURS = 256  # of a palette: a third of the size, and nobody sees it
WITH_TALK = {"06-fluxo", "30-simulator"}  # in the simulator that they hold
WHOLE_AT = {"06-fluxo"}  # the design shows them down to their end
SETTLED = 700  # milliseconds for what a page asks for after it is there


class Shot(NamedTuple):
    """`of`: whose screen it is."""

    name: str
    path: str
    of: str


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(DJANGO_SETTINGS_MODULE="config.settings_test", TEST_DB="pg")
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    import django  # noqa: PLC0415  # the settings bring a PostgreSQL

    django.setup()
    from config.tests.browser import site as sites  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as place,
        sites.running(Path(place), days=30) as site,
        sites.database_of(site),
    ):
        _take_all(site, folder)
    return 0


def _take_all(site, folder: Path) -> None:
    from users.models import User  # noqa: PLC0415

    people = {user.first_name: user for user in User.objects.all()}
    with _browser() as browser:
        taken = 0
        for theme in ("light", "dark"):
            taken += _take_login(site, browser, folder, theme)
            for shot in _shots():
                taken += _take(site, browser, folder, theme, shot, people)
    _say(f"{taken} pictures in {folder}")


def _shots() -> Iterator[Shot]:
    """The design's pages under their names, then whatever else the sidebar has."""
    from django.contrib import admin  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    from chatbot.models import Flow  # noqa: PLC0415
    from leads.models import Lead  # noqa: PLC0415
    from sessions_app.models import Session  # noqa: PLC0415
    from tickets.models import CannedResponse, Ticket  # noqa: PLC0415

    def change(row) -> str:
        meta = row._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])

    open_tickets = Ticket.objects.open()
    mariana = Lead.objects.get(name="Mariana Azevedo")
    gilvan = Session.objects.live().get(lead__name="Gilvan Trajano")
    boss = "Nádia"
    yield Shot("02-inicio", reverse("admin:index"), boss)
    yield Shot("03-tickets", reverse("admin:tickets_ticket_changelist"), "Rafael")
    yield Shot("04-ticket", change(open_tickets.get(lead=mariana)), "Rafael")
    closed = open_tickets.get(lead__name="Joaquim Bezerra")
    yield Shot("04-ticket-janela-fechada", change(closed), "Rafael")
    yield Shot("05-lead", change(mariana), boss)
    yield Shot("06-fluxo", change(Flow.objects.get(slug="atendimento-geral")), boss)
    yield Shot("07-sessao", change(gilvan), boss)
    yield Shot("08-usuarios", reverse("admin:users_user_changelist"), boss)
    yield Shot("10-formulario-padrao", change(CannedResponse.objects.first()), boss)
    models = sorted(admin.site._registry, key=lambda one: one._meta.label)
    for model in models:
        meta = model._meta
        name = f"{meta.app_label}_{meta.model_name}"
        yield Shot(f"20-{meta.model_name}", reverse(f"admin:{name}_changelist"), boss)
    for name, path in _more():
        yield Shot(name, path, boss)


def _more() -> Iterator[tuple[str, str]]:
    """(name, path) of pages that are no list of the sidebar's."""
    from django.urls import reverse  # noqa: PLC0415

    from chatbot.models import Flow  # noqa: PLC0415
    from tickets.models import Ticket  # noqa: PLC0415
    from users.models import Department, User  # noqa: PLC0415

    flow = Flow.objects.get(slug="atendimento-geral")
    for name in ("statistics", "triggers", "simulator", "replays", "goldens"):
        yield f"30-{name}", reverse(f"flow_{name}", args=[flow.pk])
    for name in ("roles", "profile", "own_logins", "two_factor", "own_tokens", "audit", "search"):
        yield f"31-{name}", reverse(name)
    person = User.objects.get(first_name="Rafael")
    ticket = Ticket.objects.open().filter(assignee=None).latest("pk")
    asked = f"?person={person.pk}&kind=ticket&number={ticket.protocol}"
    yield "32-who-sees", reverse("who_sees") + asked
    yield "32-what-if", reverse("admin:tickets_assignmentdecision_whatif")
    yield "32-person", reverse("admin:users_user_change", args=[person.pk])
    department = Department.objects.order_by("pk").first()
    yield "32-department", reverse("admin:users_department_change", args=[department.pk])


def _take(site, browser, folder: Path, theme: str, shot: Shot, people) -> int:
    from config.tests.browser.desk import Desk  # noqa: PLC0415

    desk = Desk(site, browser)
    page = desk.open(people[shot.of], shot.path, theme=theme)
    colleague = desk.open(people["Camila"], shot.path) if shot.name == "04-ticket" else None
    if colleague is not None:
        page.wait_for_timeout(2000)  # she is seen at the next heartbeat
        page.reload()
    if shot.name in WITH_TALK:
        _talk(page)
    taken = _both_sizes(page, folder, shot.name, theme, is_whole=shot.name in WHOLE_AT)
    for one in desk.complaints:
        _say(f"{shot.name}, {theme}: {one}")
    for context in browser.contexts:
        context.close()
    return taken


def _talk(page) -> None:
    """Until the bot asks what the charge is about."""
    phone = page.locator(".phone")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name="Recomeçar").click()  # whatever stands there from before
    page.locator("#simulated-text").fill("Oi")
    page.locator("#simulated-text").press("Enter")
    phone.get_by_role("button", name="Cobrança").click()
    phone.get_by_role("button", name="Valor diferente").wait_for()
    page.evaluate("scrollTo(0, 0)")


def _take_login(site, browser, folder: Path, theme: str) -> int:
    from config.tests.browser.desk import Desk  # noqa: PLC0415

    page = Desk(site, browser).new_page(theme=theme)
    page.goto(f"{site.url}/admin/")
    taken = _both_sizes(page, folder, "01-login", theme, is_whole=False)
    page.context.close()
    return taken


def _both_sizes(page, folder: Path, name: str, theme: str, *, is_whole: bool) -> int:
    from config.tests.browser.desk import NARROW, WIDE  # noqa: PLC0415

    for viewport, suffix in ((WIDE, ""), (NARROW, "-390")):
        page.set_viewport_size(viewport)
        page.wait_for_timeout(SETTLED)
        dark = "-escuro" if theme == "dark" else ""
        content = page.screenshot(full_page=is_whole)
        _write(folder / f"{name}{suffix}{dark}.png", content)
    return 2


def _write(path: Path, content: bytes) -> None:
    from PIL import Image  # noqa: PLC0415

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def _browser() -> Iterator:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    from config.tests.browser.conftest import ARGUMENTS  # noqa: PLC0415
    from conftest import chromium  # noqa: PLC0415

    path = chromium()
    if path is None:
        raise SystemExit("There is no Chromium on this machine (apt-get install chromium).")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

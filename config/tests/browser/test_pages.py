"""Every page of the sidebar, for who may see it: no complaint of the browser, nothing that axe
finds serious, nothing wider than the window, in both themes, on a desk and on a phone."""

import re

import pytest
from django.urls import reverse

from config.tests.browser import desk as people
from config.tests.browser.desk import NARROW, WIDE, barriers, dress, sideways
from config.tests.browser.site import PASSWORD
from users.models import User

ADMIN, ATTENDANT = "nadia.albuquerque", "rafael.nogueira"
COLOURS = "color-contrast"
# One row of each of these lists, opened.
OPENED = (
    "tickets_ticket",
    "leads_lead",
    "sessions_app_session",
    "chatbot_flow",
    "sessions_app_channel",
    "users_user",
    "users_department",
    "chatbot_messagetemplate",
    "tickets_cannedresponse",
)
OWN = ("profile", "own_logins", "two_factor", "two_factor_setup", "own_tokens", "own_token_new")
FLOW_PAGES = (
    "flow_variables",
    "flow_words",
    "flow_settings",
    "flow_triggers",
    "flow_trigger_add",
    "flow_import",
    "flow_export",
    "flow_statistics",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_somebody_logs_in_and_out(desk, theme):
    page = desk.new_page(theme=theme)
    page.goto(f"{desk.site.url}/")
    assert barriers(page) == []
    page.get_by_label("Usuário").fill(ATTENDANT)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1).get_by_text("Rafael").wait_for()
    with page.expect_navigation(url="**/logout/"):
        page.locator("#logout-form").evaluate("one => one.requestSubmit()")
    page.goto(f"{desk.site.url}{reverse('admin:index')}")
    page.get_by_label("Senha", exact=True).wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_somebody_comes_in_by_an_invitation(desk, theme):
    boss = desk.open(User.objects.get(username=ADMIN), reverse("admin:users_user_add"))
    boss.locator("#id_first_name").fill("Duda")
    boss.locator("#id_email").fill(f"duda.{theme}@ventura.example")
    with boss.expect_navigation(url="**/change/"):
        boss.locator(".submit-row button").click()
    assert barriers(boss) == []
    link = boss.locator("#invitation-link").inner_text()
    path = link[link.index("/convite/") :]

    page = desk.new_page(theme=theme)
    page.goto(f"{desk.site.url}{path}")
    assert barriers(page) == []
    page.locator("#id_new_password1").fill("uma-senha-longa-77")
    page.locator("#id_new_password2").fill("uma-senha-longa-77")
    with page.expect_navigation(url="**/login/"):
        page.locator("#login-form button[type=submit].primary").click()
    page.get_by_text(f"duda.{theme}@ventura.example").wait_for()
    page.goto(f"{desk.site.url}{path}")
    page.locator(".lg-in a").wait_for()
    assert page.locator("#id_new_password1").count() == 0
    assert barriers(page) == []


def test_a_wrong_password_is_told_in_words(desk):
    page = desk.new_page()
    page.goto(f"{desk.site.url}{reverse('admin:login')}")
    page.get_by_label("Usuário").fill(ATTENDANT)
    page.get_by_label("Senha", exact=True).fill("outra coisa")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert barriers(page) == []


@pytest.mark.parametrize("username", [ADMIN, ATTENDANT])
def test_every_page_is_sound_in_both_themes_and_on_a_phone(desk, username):
    page = desk.open(User.objects.get(username=username), reverse("admin:index"))
    paths = _pages(page, is_admin=username == ADMIN)
    wrong = [one for path in paths for one in _look_at(desk, page, path)]
    assert not wrong, "\n".join(wrong)


def test_pages_of_errors_are_sound(desk):
    desk.expect(404, 403)
    page = desk.open(people.attendant("Bia"), "/admin/nada/")
    assert barriers(page) == []
    page.goto(f"{desk.site.url}{reverse('admin:users_user_changelist')}")
    assert barriers(page) == []


def _look_at(desk, page, path: str) -> list[str]:
    """Themes and sizes change in place: a page is loaded once. What is not about colours or sizes
    is the same in all of them."""
    page.set_viewport_size(WIDE)
    dress(page, "light")
    page.goto(f"{desk.site.url}{path}")
    wrong = [f"light: {one}" for one in barriers(page)]
    dress(page, "dark")
    wrong += [f"dark: {one}" for one in barriers(page, COLOURS)]
    wrong += [f"{pixels} px too wide" for pixels in [sideways(page)] if pixels]
    page.set_viewport_size(NARROW)
    wrong += [f"phone, dark: {one}" for one in barriers(page)]
    dress(page, "light")
    wrong += [f"phone, light: {one}" for one in barriers(page, COLOURS)]
    wrong += [f"phone: {pixels} px too wide" for pixels in [sideways(page)] if pixels]
    wrong += desk.complaints
    desk.complaints.clear()
    return [f"{path} {one}" for one in wrong]


def _pages(page, *, is_admin: bool) -> list[str]:
    """The links of the sidebar, one's own pages, and the first row of the lists behind them."""
    links = page.locator("#nav-sidebar a[href]").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    paths = list(dict.fromkeys(one for one in links if one.startswith("/admin/")))
    paths += map(reverse, OWN)
    assert len(paths) > 3
    origin = page.url.partition("/admin/")[0]
    for name in OPENED:
        path = reverse(f"admin:{name}_changelist")
        if path in paths:
            page.goto(f"{origin}{path}")
            row = page.locator(f"main a[href*='{path}'][href*='/change/']").first
            if row.count():
                opened = row.get_attribute("href").partition("?")[0]
                paths += [opened, *(_around(opened) if is_admin else [])]
    return paths


def _around(opened: str) -> list[str]:
    """The other pages of a flow, or of a person: the work of admins."""
    if person := re.fullmatch(r"/admin/users/user/(\d+)/change/", opened):
        leaving = reverse("admin:users_user_deactivate", args=[person[1]])
        return [reverse("admin:users_user_add"), leaving]
    found = re.fullmatch(r"/admin/chatbot/flow/(\d+)/change/", opened)
    if found is None:
        return []
    own = [reverse(name, args=[found[1]]) for name in FLOW_PAGES]
    return [f"{opened}?view=table", *own, reverse("admin:chatbot_flow_add")]

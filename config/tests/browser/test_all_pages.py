"""Every page that the site has, read from its addresses: nothing that axe finds serious in either
theme, nothing wider than a telephone, no complaint of the browser. What Swagger UI draws is its
makers' own."""

from django.db import transaction
from django.urls import reverse

from chatbot.models import Task, TaskStatus
from config.tests.browser.desk import NARROW, barriers, dress, sideways
from config.tests.walk.pages import pages
from config.tests.walk.world import EVENING, World

COLOURS = "color-contrast"
LEAST = 120  # pages; fewer, and somebody has lost the list of them


def test_every_page_that_there_is_is_sound(desk):
    with transaction.atomic():  # no worker comes to its tasks, which could not be done
        world = World()
        Task.objects.filter(run_at=EVENING).update(status=TaskStatus.DONE)
    page = desk.open(world.root, "/admin/", viewport=NARROW)
    desk.expect(400, 403, 404, 405, 409, 503)
    seen, wrong = 0, []
    for path in dict.fromkeys(pages(world)):
        if path.startswith(reverse("docs").rstrip("/")) or not _is_page(page, desk.site.url + path):
            continue
        dress(page, "light")
        page.goto(desk.site.url + path)
        seen += 1
        found = [f"light: {one}" for one in barriers(page)]
        dress(page, "dark")
        found += [f"dark: {one}" for one in barriers(page, COLOURS)]
        found += [f"{pixels} px too wide" for pixels in [sideways(page)] if pixels]
        found += desk.complaints
        desk.complaints.clear()
        wrong += [f"{path} {one}" for one in found]
    assert not wrong, "\n".join(wrong)
    assert seen > LEAST


def _is_page(page, url: str) -> bool:
    """Not a file, a part of a page, or a way to one."""
    answer = page.request.get(url, max_redirects=0)
    kind = answer.headers.get("content-type", "")
    return answer.ok and kind.startswith("text/html") and "<html" in answer.text()

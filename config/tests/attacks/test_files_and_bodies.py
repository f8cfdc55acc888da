"""Files that want to run, names that want to be paths, cells that want to be formulas, and bodies
that are too much."""

import csv
import io
import json
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from model_bakery import baker

from chatbot.cleaning import clean_text
from chatbot.file_types import SHOWN_TYPES, type_of
from chatbot.models import Media, MediaStatus
from config.tests.walk import values
from config.tests.walk.routes import routes
from leads.models import Lead
from tickets.models import Ticket
from users.spreadsheets import as_csv
from users.tests.recipes import api

pytestmark = pytest.mark.django_db
SCRIPT = b"<script>alert(1)</script>"
HOSTILE = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' + SCRIPT + b"</svg>",
    "svg after a comment": b"<!-- a --><svg onload='alert(1)'></svg>",
    "svg with an xml head": b'<?xml version="1.0"?><svg onload="alert(1)"/>',
    "html": b"<!doctype html><html><body>" + SCRIPT + b"</body></html>",
    "bare script": SCRIPT,
    "html in capitals": b"<HTML><BODY ONLOAD=alert(1)>",
    "html as utf-16": "<html><script>alert(1)</script></html>".encode("utf-16"),
    "xhtml": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">' + SCRIPT,
    "pdf": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>",
    "program": b"MZ\x90\x00" + b"\x00" * 64,
    "picture that goes on as a page": b"GIF89a" + b"\x01\x00\x01\x00" + SCRIPT,
    "sound that goes on as a page": b"ID3\x03\x00" + SCRIPT,
    "script": b"alert(document.cookie)",
    "empty": b"",
}
NAMES = [
    "../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "a/../../b.png",
    "....//....//a.png",
    "%2e%2e%2fa.png",
    "nota\r\nSet-Cookie: tomado=1.png",
    'nota"; filename="outra.exe',
    "nota\x00.png",
    "cod\u202egnp.exe",
    "a" * 400 + ".png",
    ".htaccess",
    "<img src=x onerror=alert(1)>.png",
]


def stored(world, content, name="foto.png", mime_type=None):
    """A file of Ana's customer, as if it had been fetched."""
    media = baker.make(
        Media,
        message=world.case("own")["inbound"],
        filename=clean_text(name)[:300],
        mime_type=mime_type if mime_type is not None else type_of(io.BytesIO(content)),
        status=MediaStatus.STORED,
        size=len(content),
    )
    media.file.save("x.bin", ContentFile(content))
    return media


# --- What a browser does with a file --------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_could_run_is_a_download_without_any_right(world, enter, kind):
    media = stored(world, HOSTILE[kind])
    response = enter(world.ana).get(reverse("conversation_media", args=[media.pk]))
    assert response.status_code == 200
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    told = response["Content-Type"]
    if told not in SHOWN_TYPES:
        assert told == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")
    assert "html" not in told
    assert "svg" not in told
    assert "xml" not in told


@pytest.mark.parametrize("claimed", ["text/html", "image/svg+xml", "text/xml", "a\r\nb: c"])
def test_a_type_that_was_merely_claimed_is_not_passed_on(world, enter, claimed):
    media = stored(world, SCRIPT, mime_type=claimed)
    response = enter(world.ana).get(reverse("conversation_media", args=[media.pk]))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_nothing_but_a_name(world, enter, name):
    client = enter(world.ana)
    media = stored(world, b"texto", name)
    response = client.get(reverse("conversation_media", args=[media.pk]))
    header = response["Content-Disposition"]
    assert response.status_code == 200
    assert not set(header) & set("\r\n\x00/\\") - ({"\\"} if '\\"' in header else set())
    assert "Set-Cookie" not in response.headers
    assert "tomado" not in response.cookies
    assert "outra.exe" not in header.split("filename*")[0].split('";')[0].split("filename=")[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_upload_is_kept_under_a_name_of_ours(world, enter, name):
    session = world.case("own").session
    body = {
        "text": "",
        "client_id": str(uuid4()),
        "file": SimpleUploadedFile(name.replace("\x00", "") or "x", b"texto", "image/png"),
    }
    url = reverse("conversation_reply", args=[session.pk])
    assert enter(world.ana).post(url, body).status_code in {200, 302}
    for media in Media.objects.exclude(file=""):
        parts = media.file.name.split("/")
        assert parts[0] == "media"
        assert ".." not in parts
        assert "passwd" not in media.file.name
        assert "\\" not in media.file.name


def test_a_path_in_the_database_does_not_lead_out_of_the_folder(world, enter, tmp_path, settings):
    backend = "django.core.files.storage.FileSystemStorage"
    (tmp_path / "media").mkdir()
    (tmp_path / "segredo.txt").write_text("SEGREDO")
    options = {"location": tmp_path / "media"}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    media = stored(world, b"texto")
    for name in ("../segredo.txt", "media/../../segredo.txt", str(tmp_path / "segredo.txt")):
        Media.objects.filter(pk=media.pk).update(file=name)
        response = enter(world.ana).get(reverse("conversation_media", args=[media.pk]))
        assert response.status_code in {400, 404}
        assert "SEGREDO" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/media/2026/03/own.png",
        "/media/",
        "/var/db.sqlite3",
        "/.env",
        "/.git/config",
        "/static/../config/settings.py",
        "/static/..%2f..%2fconfig/settings.py",
        "/static/%2e%2e/%2e%2e/.env",
        "/admin/chatbot/media-file/../../../../etc/passwd",
        "/admin/chatbot/media-file/1/../../../../etc/passwd",
        "/admin/..;/metrics",
    ],
)
def test_no_address_reads_a_file_of_the_machine(world, enter, path):
    response = enter(world.root).get(path)
    assert response.status_code in {302, 400, 404}


# --- What a spreadsheet does with a cell ----------------------------------------------------------

FORMULAS = [
    '=HYPERLINK("https://mal.example";"x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",  # noqa: RUF001  # the wide form
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_file_is_a_formula(world, enter, text):
    case = world.case("own")
    Lead.objects.filter(pk=case.lead.pk).update(name=text)
    Ticket.objects.filter(pk=case.ticket.pk).update(subject=text)
    url = reverse("admin:tickets_ticket_export")
    response = enter(world.ana).get(url, {"grupo": "todos"})
    body = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=";")
    cells = [cell for row in rows for cell in row]
    assert sum(cell == f"'{text}" for cell in cells) == 2
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r\n＝" and cell]  # noqa: RUF001


def test_a_cell_does_not_end_its_row():
    (_mark, line) = as_csv([['a";"b', "c\r\nd", "e;f"]])
    (row,) = csv.reader(io.StringIO(line, newline=""), delimiter=";")
    assert row == ['a";"b', "c\r\nd", "e;f"]


# --- Bodies ---------------------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_refused_before_it_is_read(world):
    url = f"/api/v1/leads/{world.case('own').lead.pk}/"
    long = json.dumps({"need": "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)})
    response = api(world.ana).patch(url, long, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    message = api(world.ana).post("/api/v1/messages/", long, content_type="application/json")
    assert message.status_code == 413


@pytest.mark.parametrize("depth", [900, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_a_body_that_is_nested_without_end_is_an_error_of_the_caller(world, depth, pair):
    opening = '{"a":' if pair == "{}" else "["
    deep = opening * depth + "1" + pair[1] * depth
    url = f"/api/v1/leads/{world.case('own').lead.pk}/"
    for body in (deep, f'{{"attributes": {deep}}}', f'{{"name": {deep}}}'):
        response = api(world.ana).patch(url, body, content_type="application/json")
        assert response.status_code == 400, response.content[:200]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{", b'"text"', b"[1]", b"null", b"1e999", b"NaN"])
def test_a_body_that_is_no_object_is_an_error_of_the_caller(world, body):
    url = f"/api/v1/leads/{world.case('own').lead.pk}/"
    response = api(world.ana).patch(url, body, content_type="application/json")
    assert response.status_code == 400


def test_a_packed_body_is_not_unpacked(world):
    import gzip  # noqa: PLC0415  # for this body alone

    packed = gzip.compress(b'{"name": "' + b"x" * 1_000_000 + b'"}')
    url = f"/api/v1/leads/{world.case('own').lead.pk}/"
    response = api(world.ana).patch(
        url, packed, content_type="application/json", headers={"content-encoding": "gzip"}
    )
    assert response.status_code == 400


def test_a_form_of_too_many_fields_is_refused(world, enter):
    many = {f"campo{number}": "1" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}
    assert enter(world.ana).post(reverse("profile"), many).status_code == 400


def test_a_file_of_aliases_does_not_grow_in_memory(world, enter):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for number in range(1, 12):
        shared = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} [{shared}]")
    response = enter(world.admin).post(reverse("flow_import_new"), {"text": "\n".join(lines)})
    assert response.status_code == 200
    assert len(response.content) < 200_000


KEYS = {"pk", "id", "number"}

# --- Ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2**63, 10**30])
def test_an_id_that_cannot_be_is_not_there(world, enter, number):
    """Neither an error of ours nor somebody else's row, whichever address it stands in."""
    client, asked = enter(world.admin), 0
    for route in routes():
        numbers = {name for name in route.takes if name in KEYS or name.endswith("_id")}
        if not numbers or route.stock == "redirect":
            continue
        given = {
            name: number if name in numbers else values.value(world, route, name, "own")
            for name in route.takes
        }
        for method in ("get", "post"):
            body = {"content_type": "application/json"} if route.is_api else {}
            response = getattr(client, method)(route.path(**given), {}, **body)
            asked += 1
            assert response.status_code in {302, 400, 403, 404, 405, 415}, (route.name, method)
    assert asked > 200


ANY = ["99999999999999999999999", "-1", "1e3", "x", "1;2", "\x00", "' OR 1=1 --"]
FILTERS = ("lead", "session", "search", "assignee", "attendant", "cursor", "tag", "phone", "run")


@pytest.mark.parametrize("text", ANY)
def test_a_filter_takes_any_text(world, text):
    program = api(world.ana)
    for prefix in ("leads", "sessions", "tickets", "messages", "flow-logs", "users"):
        for name in FILTERS:
            response = program.get(f"/api/v1/{prefix}/", {name: text})
            assert response.status_code in {200, 400, 404}, (prefix, name)

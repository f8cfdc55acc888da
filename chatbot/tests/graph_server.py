"""A stand-in for the Graph API: a real HTTP server on this machine that remembers what it was sent.

By itself, for a running program (`GRAPH_API_URL=http://127.0.0.1:9400`):

    python -m chatbot.tests.graph_server --port 9400

In tests, the fixture `graph_api` of chatbot/conftest.py, which also points the settings at it:

    graph_api.fail("error_130429.json", times=2)   # the next two answers; then all is well again
    graph_api.fail("error_131056.json", to="+5511990000001", times=None)   # always, for one only
    graph_api.delay(0.5); graph_api.cut(); graph_api.hang(); graph_api.answer(502, "<html>")
    assert [sent.text for sent in graph_api.messages] == ["Olá!"]

Files: `graph_api.keep(content, "image/jpeg")` is what a webhook says of a received one; its address
dies with `graph_api.expire_addresses()`, and what was uploaded is in `graph_api.uploads`.

What is still to be played is taken in order; a plan for one receiver leaves the others alone. The
same over HTTP: `POST /__plan {"play": "fail", "file": "error_190.json", "times": 3}`,
`POST /__reset`, `GET /__stats`, `GET /__requests?after=0`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RESPONSES = Path(__file__).parent / "payloads" / "whatsapp_cloud_api_responses"
# The HTTP status that comes with each error file; throttling is a 400.
STATUS = {"error_131057.json": 500, "error_190.json": 401, "error_132001.json": 404}
HANG_SECONDS = 60.0
FILE_PIECE = 16 * 1024
PLAYS = ("fail", "answer", "delay", "cut", "hang")


@dataclass(frozen=True)
class Request:
    """One request as it came. `was_accepted`: the customer would have got the message."""

    number: int
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    was_accepted: bool

    @property
    def to(self) -> str:
        body = self.body if isinstance(self.body, dict) else {}
        return str(body.get("to") or body.get("recipient") or "")

    @property
    def callback_data(self) -> str:
        return str(self.body.get("biz_opaque_callback_data", ""))

    @property
    def message(self) -> str:
        """Our id without the number of the try."""
        return self.callback_data.partition(".")[0]

    @property
    def text(self) -> str:
        """The words a customer would read: body, caption, or text above the options."""
        content = self.body.get(self.body["type"], {})
        shown = content.get("body", content.get("caption", ""))
        return str(shown.get("text", "") if isinstance(shown, dict) else shown)


@dataclass(frozen=True)
class Upload:
    id: str
    mime_type: str
    content: bytes


@dataclass
class KeptFile:
    """A file that a customer sent. `serial` is part of its address: an older one is dead. `pause`:
    seconds between its pieces; `is_cut`: only the first one comes."""

    content: bytes
    mime_type: str
    sha256: str
    serial: int = 1
    pause: float = 0.0
    is_cut: bool = False


@dataclass
class Plan:
    """How the next answers differ. times None: always. to "": every receiver; path: what the
    address must end with, "" for every POST."""

    play: str
    status: int = 400
    body: bytes = b""
    seconds: float = 0.0
    accepted: bool = False
    to: str = ""
    times: int | None = 1
    path: str = ""


@dataclass
class Book:
    """Everything remembered, behind one lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: list[Request] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    wamids: int = 0
    templates: list[dict[str, Any]] = field(default_factory=list)  # of every account
    files: dict[str, KeptFile] = field(default_factory=dict)
    kept: int = 0
    uploads: list[Upload] = field(default_factory=list)

    def take(self, to: str, path: str, *, is_get: bool = False) -> Plan | None:
        for plan in self.plans:
            if is_get and not plan.path:
                continue
            if plan.to in ("", to) and path.endswith(plan.path):
                if plan.times is not None:
                    plan.times -= 1
                    if plan.times <= 0:
                        self.plans.remove(plan)
                return plan
        return None


class GraphServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int = 0, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.book = Book()
        self.base_delay = delay
        self.is_closing = threading.Event()
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    # What was seen

    @property
    def requests(self) -> list[Request]:
        with self.book.lock:
            return list(self.book.requests)

    @property
    def messages(self) -> list[Request]:
        """Messages that were accepted, in order; no receipts, no refusals."""
        return [one for one in self.requests if _is_message(one) and one.was_accepted]

    @property
    def receipts(self) -> list[str]:
        """Ids of the messages marked as read."""
        bodies = (one.body for one in self.requests if isinstance(one.body, dict))
        return [body["message_id"] for body in bodies if body.get("status") == "read"]

    def stats(self) -> dict[str, Any]:
        seen = self.requests
        messages = [one for one in seen if _is_message(one)]
        accepted = [one for one in messages if one.was_accepted]
        ours = Counter(one.message for one in accepted if one.message)
        pairs = Counter((one.to, one.text) for one in accepted if one.text)
        return {
            "posts": sum(one.method == "POST" for one in seen),
            "messages": len(messages),
            "accepted": len(accepted),
            "receivers": len({one.to for one in accepted}),
            "kinds": dict(Counter(one.body["type"] for one in accepted)),
            "callback_data_accepted_more_than_once": sum(n > 1 for n in ours.values()),
            "pairs": len(pairs),
            "pairs_seen_more_than_once": sum(n > 1 for n in pairs.values()),
            "uploads": len(self.uploads),
            "plans_left": len(self.book.plans),
        }

    # Files

    def keep(self, content: bytes, mime_type: str, *, sha256: str = "", pause: float = 0.0) -> Any:
        """A customer sent this file: the object that the webhook has for it."""
        claim = sha256 or base64.b64encode(hashlib.sha256(content).digest()).decode()
        with self.book.lock:
            self.book.kept += 1
            media_id = f"{400000000000000 + self.book.kept}"
            self.book.files[media_id] = KeptFile(content, mime_type, claim, pause=pause)
        return {
            "id": media_id,
            "mime_type": mime_type,
            "sha256": claim,
            "url": self.address_of(media_id),
        }

    def address_of(self, media_id: str) -> str:
        return f"{self.url}/__file/{media_id}?serial={self.book.files[media_id].serial}"

    def expire_addresses(self) -> None:
        """As after five minutes."""
        with self.book.lock:
            for file in self.book.files.values():
                file.serial += 1

    def forget_files(self) -> None:
        """As after seven days."""
        with self.book.lock:
            self.book.files.clear()

    @property
    def uploads(self) -> list[Upload]:
        with self.book.lock:
            return list(self.book.uploads)

    @property
    def downloads(self) -> list[Request]:
        """Every request for the content of a file."""
        return [one for one in self.requests if one.path.startswith("/__file/")]

    # What is to happen

    def fail(self, file: str, *, to: str = "", times: int | None = 1, path: str = "") -> None:
        """Answer with one of the error files."""
        body = (RESPONSES / file).read_bytes()
        self.plan(Plan("fail", STATUS.get(file, 400), body, to=to, times=times, path=path))

    def answer(
        self,
        status: int,
        body: str | dict[str, Any] = "",
        *,
        to: str = "",
        times: int | None = 1,
        path: str = "",
    ) -> None:
        """Answer with anything: an error page, an empty body."""
        content = body if isinstance(body, str) else json.dumps(body)
        self.plan(Plan("answer", status, content.encode(), to=to, times=times, path=path))

    def delay(self, seconds: float, *, to: str = "", times: int | None = 1) -> None:
        """Accept, but answer later."""
        self.plan(Plan("delay", seconds=seconds, to=to, times=times))

    def cut(self, *, accepted: bool = True, to: str = "", times: int | None = 1) -> None:
        """Read the request and close the connection without an answer."""
        self.plan(Plan("cut", accepted=accepted, to=to, times=times))

    def hang(
        self, seconds: float = HANG_SECONDS, *, accepted: bool = True, to: str = "", times: int = 1
    ) -> None:
        """Read the request and say nothing for so long, then close."""
        self.plan(Plan("hang", seconds=seconds, accepted=accepted, to=to, times=times))

    def plan(self, plan: Plan) -> None:
        with self.book.lock:
            self.book.plans.append(plan)

    def plan_from(self, wish: dict[str, Any]) -> None:
        """A plan as JSON, for programs in other processes."""
        play = wish.pop("play", "")
        if play not in PLAYS:
            raise ValueError(f"play is one of {', '.join(PLAYS)}")
        getattr(self, play)(**wish)

    def reset(self) -> None:
        with self.book.lock:
            self.book.requests.clear()
            self.book.plans.clear()
            self.book.templates.clear()
            self.book.uploads.clear()

    # Life

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop, and close what clients keep open."""
        self.is_closing.set()
        self.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    server: GraphServer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/__stats":
            return self._answer(200, self.server.stats())
        if address.path == "/__requests":
            after = int(parse_qs(address.query).get("after", ["0"])[0])
            return self._answer(200, [asdict(one) for one in self.server.requests[after:]])
        if address.path.endswith("/message_templates"):
            return self._played({}, lambda: self._listed(parse_qs(address.query)))
        plan = self._remember(None)[0]
        if plan and plan.play in {"fail", "answer"}:
            return self._write(plan.status, plan.body)
        if address.path.startswith("/__file/"):
            return self._file(address.path.rpartition("/")[2], parse_qs(address.query))
        return self._described(address.path.rpartition("/")[2])

    def _described(self, media_id: str) -> None:
        """A file's fresh address; an empty list for any other object."""
        file = self.server.book.files.get(media_id)
        if file is None and not re.fullmatch(r"4\d{14}", media_id):
            return self._answer(200, {"id": media_id, "data": []})
        if file is None:
            missing = {"message": "Unsupported get request.", "code": 100, "error_subcode": 33}
            return self._answer(400, {"error": missing})
        return self._answer(
            200,
            {
                "messaging_product": "whatsapp",
                "url": self.server.address_of(media_id),
                "mime_type": file.mime_type,
                "sha256": file.sha256,
                "file_size": str(len(file.content)),
                "id": media_id,
            },
        )

    def _file(self, media_id: str, query: dict[str, list[str]]) -> None:
        """Wants the token and a user agent, and knows only the newest address."""
        file = self.server.book.files.get(media_id)
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            return self._write(401, b"")
        if not self.headers.get("User-Agent"):
            return self._write(400, b"")
        if file is None or query.get("serial") != [str(file.serial)]:
            return self._write(404, b"")
        self.send_response(200)
        self.send_header("Content-Type", file.mime_type)
        self.send_header("Content-Length", str(len(file.content)))
        self.end_headers()
        with suppress(OSError):
            for at in range(0, len(file.content), FILE_PIECE):
                self.wfile.write(file.content[at : at + FILE_PIECE])
                self.wfile.flush()
                if file.is_cut:
                    self.close_connection = True
                    return None
                self.server.is_closing.wait(file.pause)
        return None

    def do_POST(self) -> None:
        read = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        is_form = self.headers.get("Content-Type", "").startswith("multipart/form-data")
        body = _form(read, self.headers["Content-Type"]) if is_form else _parsed(read)
        if self.path == "/__reset":
            self.server.reset()
            return self._answer(200, {})
        if self.path == "/__plan":
            return self._planned(body)
        return self._played(body, lambda: self._changed_template(body))

    def do_DELETE(self) -> None:
        return self._played({}, self._deleted_template)

    def _listed(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """A page of the templates, in the order of their making."""
        start, size = int(query.get("after", ["0"])[0]), int(query.get("limit", ["25"])[0])
        known = self.server.book.templates
        cursors = {"before": str(start), "after": str(start + size)}
        paging: dict[str, Any] = {"cursors": cursors}
        if start + size < len(known):
            paging["next"] = f"{self.server.url}{urlsplit(self.path).path}?after={start + size}"
        return {"data": known[start : start + size], "paging": paging}

    def _changed_template(self, body: Any) -> dict[str, Any] | None:
        """A new template of an account, or an edit of one of its ids; None for anything else."""
        known = self.server.book.templates
        path = urlsplit(self.path).path
        if path.endswith("/message_templates"):
            made = {**body, "id": f"{700000000000000 + len(known) + 1}", "status": "PENDING"}
            known.append(made)
            return {"id": made["id"], "status": "PENDING", "category": made["category"]}
        for one in known:
            if path.endswith(f"/{one['id']}"):
                one.update({**body, "status": "PENDING"})
                return {"success": True}
        return None

    def _deleted_template(self) -> dict[str, Any]:
        query = parse_qs(urlsplit(self.path).query)
        ids, names = query.get("hsm_id", []), query.get("name", [])
        self.server.book.templates[:] = [
            one
            for one in self.server.book.templates
            if one["name"] not in names or (ids and one["id"] not in ids)
        ]
        return {"success": True}

    def _planned(self, wish: Any) -> None:
        try:
            self.server.plan_from(dict(wish))
        except (TypeError, ValueError, OSError) as error:
            return self._answer(400, {"error": str(error)})
        return self._answer(200, {})

    def _played(self, body: Any, manage: Callable[[], dict[str, Any] | None]) -> None:
        plan, number = self._remember(body)
        self.server.is_closing.wait(self.server.base_delay + (plan.seconds if plan else 0.0))
        if plan and plan.play in {"cut", "hang"}:
            self.close_connection = True
            return None
        if plan and plan.play in {"fail", "answer"}:
            return self._write(plan.status, plan.body)
        return self._answer(200, manage() or _success(self.path, body, number))

    def _remember(self, body: Any) -> tuple[Plan | None, int]:
        book = self.server.book
        with book.lock:
            probe = self._request(body, was_accepted=False)
            path = urlsplit(self.path).path
            is_get = self.command == "GET" and not path.endswith("/message_templates")
            plan = book.take(probe.to, path, is_get=is_get)
            accepted = plan is None or plan.accepted or plan.play == "delay"
            if plan and plan.play == "answer":
                accepted = 200 <= plan.status < 300
            content = body.pop("file", None) if isinstance(body, dict) else None
            book.requests.append(self._request(body, was_accepted=accepted))
            book.wamids += 0 if is_get else 1
            if isinstance(content, bytes) and accepted:
                book.uploads.append(Upload(f"{book.wamids:015d}", body["type"], content))
            return plan, book.wamids

    def _request(self, body: Any, *, was_accepted: bool) -> Request:
        number = len(self.server.book.requests)
        headers = dict(self.headers)
        return Request(number, time.time(), self.command, self.path, headers, body, was_accepted)

    def _answer(self, status: int, body: Any) -> None:
        self._write(status, json.dumps(body).encode())

    def _write(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: what was asked is in /__requests."""


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _form(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a multipart form; the file's content under "file"."""
    boundary = content_type.partition("boundary=")[2].encode()
    fields: dict[str, Any] = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        match = re.search(rb'name="([^"]*)"', head)
        if match:
            name = match[1].decode()
            fields[name] = content if name == "file" else content.decode()
    return fields


def _is_message(request: Request) -> bool:
    return isinstance(request.body, dict) and bool(request.to) and "type" in request.body


def _success(path: str, body: Any, number: int) -> dict[str, Any]:
    if path.endswith("/media"):
        return {"id": f"{number:015d}"}
    if not isinstance(body, dict) or body.get("status") == "read":
        return {"success": True}
    return {
        "messaging_product": "whatsapp",
        "contacts": [_contact(body)],
        "messages": [{"id": f"wamid.graph{number:012d}"}],
    }


def _contact(body: dict[str, Any]) -> dict[str, str]:
    """A phone answers with its wa_id, a user id with itself."""
    if body.get("to"):
        return {"input": body["to"], "wa_id": str(body["to"]).removeprefix("+")}
    return {"input": body.get("recipient", ""), "user_id": body.get("recipient", "")}


@contextmanager
def running(port: int = 0, delay: float = 0.0) -> Iterator[GraphServer]:
    """A server in a thread, stopped at the end with all its connections."""
    server = GraphServer(port, delay)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Stand-in for the Graph API.")
    parser.add_argument("--port", type=int, default=9400)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    server = GraphServer(options.port, options.delay)
    sys.stdout.write(f"Graph API stand-in at {server.url}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()

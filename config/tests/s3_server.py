"""A stand-in for S3 on this machine, for what we use of it: objects by path, in one or in parts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class S3:
    """Objects by "/bucket/key". `seen`: verb and path of each request; `acls` as asked for."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    acls: set[str] = field(default_factory=set)
    unsigned: int = 0
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: S3

    def do_PUT(self) -> None:
        path, query = self._address()
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "uploadId" in query:
            self.s3.parts[query["uploadId"][0]][int(query["partNumber"][0])] = content
        else:
            self._note_acl()
            self.s3.objects[path] = content
        self._answer(200, etag=content)

    def do_POST(self) -> None:
        path, query = self._address()
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "uploads" in query:
            self._note_acl()
            upload = f"u{len(self.s3.parts)}"
            self.s3.parts[upload] = {}
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        parts = self.s3.parts[query["uploadId"][0]]
        self.s3.objects[path] = b"".join(parts[number] for number in sorted(parts))
        return self._xml("CompleteMultipartUploadResult", "<ETag>x</ETag>")

    def do_GET(self) -> None:
        path, _query = self._address()
        content = self.s3.objects.get(path)
        if content is None:
            return self._answer(404)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            return self._answer(200, content, etag=content)
        first, last = int(part[1]), int(part[2] or len(content) - 1)
        place = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
        return self._answer(206, content[first : last + 1], etag=content, place=place)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        path, _query = self._address()
        self.s3.objects.pop(path, None)
        self._answer(204)

    def _address(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        self.s3.seen.append((self.command, unquote(parts.path)))
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            self.s3.unsigned += 1
        return unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)

    def _note_acl(self) -> None:
        self.s3.acls.add(self.headers.get("x-amz-acl", ""))

    def _xml(self, name: str, inner: str) -> None:
        self._answer(200, f'<?xml version="1.0"?><{name}>{inner}</{name}>'.encode())

    def _answer(
        self, status: int, content: bytes = b"", *, etag: bytes = b"", place: str = ""
    ) -> None:
        self.send_response(status)
        if place:
            self.send_header("Content-Range", place)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
        self.send_header("ETag", f'"{md5(etag, usedforsecurity=False).hexdigest()}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def running() -> Iterator[S3]:
    s3 = S3()
    handler = type("Bound", (Handler,), {"s3": s3})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    s3.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Just enough HTTP/1.1 for a stand-in that must not be the slowest part: keep-alive, both ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

LARGEST_HEAD = 64 * 1024
NO_CONTENT = 204
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


class Cut(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, name: str) -> str:
        return parse_qs(urlsplit(self.target).query).get(name, [""])[0]

    def json(self) -> Any:
        """The parsed body, None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        head = (
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def answer(value: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(value).encode())


Handler = Callable[[Request], Awaitable[Response]]


async def serve(port: int, handle: Handler) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled: the server is going, and asyncio would complain of each open connection.
        over = (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError, Cut)
        with suppress(*over):
            while (request := await _read_request(reader)) is not None:
                response = await handle(request)
                writer.write(response.encoded())
                await writer.drain()
        await _close(writer)

    return await asyncio.start_server(
        connected, "127.0.0.1", port, limit=LARGEST_HEAD, backlog=1024
    )


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    first, headers = await _read_head(reader)
    parts = first.split(" ")
    if len(parts) != 3:  # noqa: PLR2004  # method, target, version
        return None
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(parts[0], parts[1], headers, body)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return lines[0], {name.lower(): value.strip() for name, _colon, value in pairs}


class Link:
    """One keep-alive connection to the program, one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: dict[str, str], timeout: float) -> int:
        """The status of the answer. Raises OSError, EOFError, ValueError or TimeoutError when
        there is none; the connection is then closed."""
        status, _body = await self.ask("POST", path, headers, body, timeout=timeout)
        return status

    async def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b"", *, timeout: float
    ) -> tuple[int, bytes]:
        """Status and body of the answer; raises as `post` does."""
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(method, path, headers, body)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            await _close(writer)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if self._streams is None or self._streams[0].at_eof():
            await self.close()
            self._streams = await asyncio.open_connection(*self._address, limit=LARGEST_HEAD)
        reader, writer = self._streams
        host = f"{self._address[0]}:{self._address[1]}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        first, answered = await _read_head(reader)
        status = int(first.split(" ")[1])
        return status, await self._read_body(reader, answered, status)

    async def _read_body(
        self, reader: asyncio.StreamReader, headers: dict[str, str], status: int
    ) -> bytes:
        body = b""
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif status != NO_CONTENT:
            await self.close()  # its end is the end of the connection
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return body


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

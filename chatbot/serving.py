"""Files that strangers sent, handed to browsers so that they can do no harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.files.base import File
from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date

from chatbot.file_types import SHOWN_TYPES, UNKNOWN

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CHUNK = 64 * 1024


def file_response(  # noqa: PLR0913  # keyword-only
    request: HttpRequest,
    file: FieldFile,
    *,
    mime_type: str,
    filename: str,
    etag: str,
    changed_at: datetime | None,
) -> HttpResponseBase:
    """The file, or the part of it that was asked for (players seek by it).

    Only types that cannot run are shown by the browser itself; everything is in a sandbox without
    any right, and is asked about anew each time, so that who may not see it any more does not.
    """
    headers = _headers(mime_type, filename, etag, changed_at)
    response: HttpResponseBase | None = get_conditional_response(
        request,
        etag=headers["ETag"],
        last_modified=int(changed_at.timestamp()) if changed_at else None,
    )
    if response is None:
        response = _body(request, _opened(file), headers["ETag"])
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _headers(
    mime_type: str, filename: str, etag: str, changed_at: datetime | None
) -> dict[str, str]:
    is_shown = mime_type in SHOWN_TYPES
    headers = {
        "Content-Type": mime_type if is_shown else UNKNOWN,
        "Content-Disposition": content_disposition_header(not is_shown, filename) or "attachment",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
    }
    if changed_at:
        headers["Last-Modified"] = http_date(changed_at.timestamp())
    return headers


def _opened(file: FieldFile) -> File[Any]:
    try:
        return file.open("rb")
    except FileNotFoundError:
        raise Http404 from None


def _body(request: HttpRequest, file: File[Any], etag: str) -> HttpResponseBase:
    size = file.size
    asked = _asked(request, size, etag)
    if asked is None:
        response = _streamed(file, 0, size)
    elif not asked:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        response = _streamed(file, asked.start, len(asked), status=206)
        response.headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    return response


def _asked(request: HttpRequest, size: int, etag: str) -> range | None:
    """The bytes of a Range header; empty when there are none such; None for the whole file, which
    also answers what is malformed, has several parts, or is about another version."""
    match = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if match is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        return range(max(0, size - int(last)), size)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < int(first):
        return None
    return range(int(first), max(int(first), end)) if int(first) < size else range(0)


def _streamed(file: File[Any], start: int, length: int, *, status: int = 200) -> HttpResponseBase:
    response = StreamingHttpResponse(_read(file, start, length), status=status)
    response.headers["Content-Length"] = str(length)
    response._resource_closers.append(file.close)  # type: ignore[attr-defined]  # as FileResponse does
    return response


def _read(file: File[Any], start: int, length: int) -> Iterator[bytes]:
    file.seek(start)
    while length > 0 and (chunk := file.read(min(_CHUNK, length))):
        length -= len(chunk)
        yield chunk

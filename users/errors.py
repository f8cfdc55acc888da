"""The one error type that a person or an API client is told about."""

from __future__ import annotations


class DomainError(Exception):
    """A rule of the product refused the operation.

    `code` is stable and meant for programs, `message` is a translated sentence that says what
    happened and what to do, `status` the HTTP status that the API answers with.
    """

    code = "refused"
    status = 409

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

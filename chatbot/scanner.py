"""The virus scanner of the house: any command that takes a file's path and tells by its exit code.

0: clean; 1: infected; anything else: it could not look.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from django.conf import settings

logger = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds
_CLEAN, _INFECTED = 0, 1
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")  # our secrets stand in the environment too


class Infected(Exception):
    """The scanner refuses the file."""


class NotScanned(Exception):
    """Nobody knows: the scanner is missing, failed or took too long."""


def scan(file: BinaryIO) -> None:
    """Have the file looked at, if MEDIA_SCANNER is set. Raises Infected or NotScanned.

    The scanner gets a copy under a name of ours. Its words are thrown away: some print the path,
    some the content.
    """
    command: list[str] = settings.MEDIA_SCANNER
    if not command:
        return
    file.seek(0)
    with NamedTemporaryFile(prefix="atende-scan-") as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        code = _run([*command, copy.name])
    file.seek(0)
    if code == _INFECTED:
        raise Infected
    if code != _CLEAN:
        raise NotScanned(f"exit code {code}")


def _run(command: list[str]) -> int:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        ended = subprocess.run(  # noqa: S603  # a list from the settings, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.error("the virus scanner cannot be used: %s", type(error).__name__)
        raise NotScanned(type(error).__name__) from None
    return ended.returncode

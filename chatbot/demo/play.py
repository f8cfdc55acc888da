"""A moved clock, and people who do one thing after the other under it.

A story is a generator: it does something, then yields how long until it goes on. The play runs all
stories in the order of time, so rows are written in the order in which it all would have happened;
what a story would do after now does not happen, and leaves it in the middle of things.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

from django.utils import timezone

Story = Generator[timedelta, None, None]


class Clock:
    """What `timezone.now` says while the play runs."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


class Play:
    """All stories of one run. The same seed and the same `now` give the same rows."""

    def __init__(self, *, now: datetime, seed: int) -> None:
        self.now = now
        self.rng = random.Random(seed)
        self.clock = Clock(now)
        self.files: list[str] = []  # in the storage, which no transaction takes back
        self._waiting: list[tuple[datetime, int, Story]] = []
        self._order = itertools.count()

    @property
    def at(self) -> datetime:
        return self.clock.at

    def begin(self, story: Story, at: datetime) -> None:
        heapq.heappush(self._waiting, (at, next(self._order), story))

    def ago(self, **parts: float) -> datetime:
        return self.now - timedelta(**parts)

    def until(self, **ago: float) -> timedelta:
        """How long until so much before now; a second when that is over."""
        return max(self.ago(**ago) - self.at, timedelta(seconds=1))

    def after(self, low: float, high: float) -> timedelta:
        """Between so many seconds, rather sooner than later."""
        return timedelta(seconds=low + (high - low) * self.rng.random() ** 2)

    def run(self) -> Iterator[datetime]:
        """Everything up to now; yields the time of each scene."""
        with self._moved_clock():
            while self._waiting:
                at, _order, story = heapq.heappop(self._waiting)
                if at > self.now:
                    story.close()
                    continue
                self.clock.at = at
                wait = next(story, None)
                if wait is not None:
                    self.begin(story, at + wait)
                yield at

    @contextmanager
    def _moved_clock(self) -> Iterator[None]:
        """Services stamp their rows with the play's time, also where they take none."""
        with mock.patch.object(timezone, "now", self.clock):
            yield

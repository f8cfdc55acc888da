"""How many calls came in any second, and the limits of Meta: per number, and per pair."""

from __future__ import annotations

from collections import deque

PAIR_SECONDS = 6.0  # one message to the same person
PAIR_BURST = 45  # so many may be borrowed in advance


class Window:
    """Events within the last `seconds`, and the most that any such stretch has held."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque()
        self.most = 0

    def count(self, now: float) -> int:
        """How many are within the stretch that ends now."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> None:
        self._times.append(now)
        self.most = max(self.most, self.count(now))


class PairLimit:
    """One a 6 s and person; up to 45 may be borrowed, and are paid back at the same pace."""

    def __init__(self) -> None:
        self._paid_at: dict[str, float] = {}

    def takes(self, pair: str, now: float) -> bool:
        """Is one more message allowed? If so it is counted."""
        paid_at = max(self._paid_at.get(pair, now), now) + PAIR_SECONDS
        if paid_at - now > PAIR_SECONDS * PAIR_BURST:
            return False
        self._paid_at[pair] = paid_at
        return True

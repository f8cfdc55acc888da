"""Giving out a department's tickets by themselves, and why each went to whom.

`deciding` is the rule, a pure function; `people` reads what it must know; `giving` does what it
says, under locks; `records` keeps each decision with all that it was made of; `words` tells it.
Nothing needs to be announced: `tick` looks at what is there, so no event can be lost.
"""

from tickets.distribution.giving import Given, tick

__all__ = ["Given", "tick"]

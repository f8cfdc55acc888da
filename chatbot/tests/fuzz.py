"""Very many broken bodies, by hand: the suite runs some of each.

    python -m chatbot.tests.fuzz parse --count 1000000 --seed 1 --jobs 2
    python -m chatbot.tests.fuzz webhook --count 50000 --seed 1     # brings its own PostgreSQL
    python -m chatbot.tests.fuzz answers --count 100000             # what the Graph API may answer
    python -m chatbot.tests.fuzz parse --seed 1 --replay 4711       # one body again, and printed

A failing body is saved under --save (var/fuzz) as `<what>-<seed>-<index>.body`. Exits 1 if any.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

CHUNK = {"parse": 5000, "answers": 5000, "webhook": 250}
LARGEST = 1024  # megabytes: no body may make a process need more


def main() -> int:
    options = _options()
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_test"
    os.environ["TEST_DB"] = "pg" if options.what == "webhook" else "sqlite"
    django.setup()
    logging.disable(logging.CRITICAL)
    if options.replay is not None:
        options.first, options.count = options.replay, 1
        _show(options)
    return _webhook(options) if options.what == "webhook" else _report(options, _done(options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chatbot.tests.fuzz")
    parser.add_argument("what", choices=sorted(CHUNK))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first index")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the work")
    parser.add_argument("--replay", type=int, help="only this index, and print its body")
    parser.add_argument("--save", type=Path, default=Path("var/fuzz"))
    return parser.parse_args()


def _webhook(options: argparse.Namespace) -> int:
    from django.db import connection  # noqa: PLC0415  # after the settings are chosen
    from django.test.utils import setup_test_environment  # noqa: PLC0415

    from chatbot.tests import fuzzing  # noqa: PLC0415

    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)
    fuzzing.Shop.open()
    connection.close()
    tally = _done(options)
    wrong = fuzzing.findings_in_database()
    _tell(f"rows: {fuzzing.size_of_database()}")
    _tell(f"tried again: {dict(fuzzing.try_again_all())}")
    wrong += [f"after another try: {one}" for one in fuzzing.findings_in_database()]
    connection.close()
    return _report(options, tally, wrong)


def _done(options: argparse.Namespace) -> Any:
    """The tally of all of it, with a line of progress."""
    from chatbot.tests import fuzzing  # noqa: PLC0415

    whole, began = fuzzing.Tally(), time.monotonic()
    last, step = options.first + options.count, CHUNK[options.what]
    work = [
        fuzzing.Work(options.what, options.seed, range(at, min(at + step, last)))
        for at in range(options.first, last, step)
    ]
    with multiprocessing.get_context("fork").Pool(options.jobs, _limit_memory) as pool:
        for tally in pool.imap_unordered(fuzzing.Work.do, work):
            whole.add(tally)
            for failure in tally.failures:
                _tell(f"FAILED {failure.index}: {failure.why}")
            seconds = time.monotonic() - began
            _tell(
                f"{whole.bodies:>9,} of {options.count:,}  {whole.bodies / seconds:,.0f} a second  "
                f"{len(whole.failures)} failures"
            )
    return whole


def _limit_memory() -> None:
    """Whoever needs more gets a MemoryError, and the run names its body."""
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST * 1024 * 1024,) * 2)


def _show(options: argparse.Namespace) -> None:
    from chatbot.tests import fuzzing  # noqa: PLC0415

    work = fuzzing.Work(options.what, options.seed, range(options.replay, options.replay + 1))
    _tell(work.mutator.body(options.replay).decode("utf-8", "backslashreplace"))


def _report(options: argparse.Namespace, tally: Any, wrong: Sequence[str] = ()) -> int:
    from chatbot.tests import fuzzing  # noqa: PLC0415

    fuzzing.save(tally, options.save, f"{options.what}-{options.seed}")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    _tell(f"{tally.bodies:,} bodies, {tally.octets / 1e6:,.0f} MB, seed {options.seed}")
    _tell(
        f"slowest {tally.slowest:.2f} s (index {tally.slowest_index}), memory at most {memory} MB"
    )
    for outcome, number in sorted(tally.outcomes.items()):
        _tell(f"  {number:>9,}  {outcome}")
    for finding in wrong:
        _tell(f"WRONG {finding}")
    if memory > LARGEST:
        _tell(f"WRONG more than {LARGEST} MB of memory")
    is_well = not tally.failures and not wrong and memory <= LARGEST
    _tell("nothing found" if is_well else f"{len(tally.failures)} failures, {len(wrong)} findings")
    return 0 if is_well else 1


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

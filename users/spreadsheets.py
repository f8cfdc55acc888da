"""Files for a spreadsheet: UTF-8 with a mark, semicolons, and no cell that is a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import BytesIO

from xlsxwriter import Workbook

# What a spreadsheet takes for a formula, also in the wide forms that some turn into these.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line


def as_csv(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Line by line, as the rows come."""
    writer = csv.writer(_Echo(), delimiter=";")
    yield "\ufeff"
    for row in rows:
        yield writer.writerow([_cell(one) for one in row])


def as_xlsx(rows: Iterable[Iterable[object]]) -> bytes:
    """A workbook of one sheet whose first row stays in sight. Texts are texts, never formulas or
    links."""
    file = BytesIO()
    options = {
        **{"constant_memory": True, "in_memory": True},
        **{"strings_to_formulas": False, "strings_to_urls": False},
    }
    with Workbook(file, options) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                shown = value if isinstance(value, int | float) else str(value)
                sheet.write(number, column, shown)
    return file.getvalue()


def _cell(value: object) -> object:
    """A name that somebody chose must not become a formula."""
    shown = value if isinstance(value, int) else str(value)
    return f"'{shown}" if isinstance(shown, str) and shown.startswith(FORMULA) else shown

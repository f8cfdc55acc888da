"""Run one rule over the files given, print `file:line: what`, end with 1 if anything was found."""

import sys
from pathlib import Path

from config.lint.rules import RULES


def main(name: str, files: list[str]) -> int:
    rule = RULES[name]
    found = [
        f"{file}:{line}: {what}"
        for file in files
        for line, what in rule(Path(file), Path(file).read_text(encoding="utf-8"))
    ]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

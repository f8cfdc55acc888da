"""Is the pt-BR catalogue complete and up to date? `--update` brings it up to date instead.

Checked in a copy of the project, so that nothing changes under an editor's hands.
"""

import gettext
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = Path("config/locale/pt_BR/LC_MESSAGES/django.po")
LEFT_OUT = (".venv", ".git", "var", "node_modules", "__pycache__", ".*_cache", ".hypothesis")
DATE = re.compile(r'^"POT-Creation-Date:.*\n', re.MULTILINE)


def main(arguments: list[str]) -> int:
    if arguments == ["--update"]:
        extract(ROOT)
        compile_to(ROOT / CATALOGUE.with_suffix(".mo"), ROOT)
        return 0
    try:
        problems = check()
    except subprocess.CalledProcessError as error:
        problems = [error.stderr or "gettext cannot read it (its words are above)"]
    sys.stdout.writelines(f"{CATALOGUE}: {problem}\n" for problem in problems)
    return 1 if problems else 0


def check() -> list[str]:
    if not (ROOT / CATALOGUE).exists():
        return ["does not exist: make messages, then translate"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        extract(copy)
        compiled = Path(folder) / "django.mo"
        statistics = compile_to(compiled, copy)
        return [
            *_outdated(copy),
            *_incomplete(statistics),
            *_not_compiled(compiled),
        ]


def extract(project: Path) -> None:
    """Run makemessages of the project in that folder; it writes that folder's catalogue."""
    options = ["--locale=pt_BR", "--no-location", "--no-obsolete", "--verbosity=0"]
    ignored = [f"--ignore={pattern}" for pattern in LEFT_OUT]
    command = [sys.executable, "manage.py", "makemessages", *options, *ignored]
    subprocess.run(command, check=True, cwd=project)


def compile_to(target: Path, project: Path) -> str:
    """Compile the catalogue; return msgfmt's count of what is translated and what is not."""
    options = ["--check-format", "--statistics", f"--output-file={target}"]
    english = {**os.environ, "LC_ALL": "C"}
    result = subprocess.run(
        ["msgfmt", *options, str(project / CATALOGUE)],
        check=True,
        capture_output=True,
        text=True,
        env=english,
    )
    return result.stderr.strip()


def _outdated(copy: Path) -> list[str]:
    ours, fresh = (DATE.sub("", (root / CATALOGUE).read_text()) for root in (ROOT, copy))
    return [] if ours == fresh else ["does not match the code: make messages, then translate"]


def _incomplete(statistics: str) -> list[str]:
    return [statistics] if re.search("fuzzy|untranslated", statistics) else []


def _not_compiled(compiled: Path) -> list[str]:
    """Compared by content: the bytes differ between versions of gettext."""
    committed = ROOT / CATALOGUE.with_suffix(".mo")
    if committed.exists() and _texts(committed) == _texts(compiled):
        return []
    return ["django.mo is not what it compiles to: make messages"]


def _texts(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        texts = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]  # not public
    texts.pop("", None)
    return texts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

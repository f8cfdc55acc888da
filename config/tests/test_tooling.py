"""What a newcomer copies from must name what the program reads."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""env\.\w+\(\s*["']([A-Z_0-9]+)["']""")


def test_every_setting_is_explained_in_the_example():
    read = set(READ.findall((ROOT / "config" / "settings.py").read_text()))
    explained = set(re.findall(r"^([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert explained == read


def test_the_procfile_has_the_three_processes():
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert {line.split(":")[0] for line in lines} == {"release", "web", "worker"}


def test_lock_files_name_no_registry():
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert "://" not in (ROOT / name).read_text()

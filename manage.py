#!/usr/bin/env python
"""Django's command line for Atende."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415  # said in words
    except ImportError as error:
        raise SystemExit(
            "Django is not installed for this Python. Run `make run` once, "
            "or use .venv/bin/python manage.py."
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

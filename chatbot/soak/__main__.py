"""`python -m chatbot.soak FOLDER`: the run itself, in an environment that `manage.py soak` made."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import django


def main() -> int:
    django.setup()
    from chatbot.soak.main import soak  # noqa: PLC0415  # needs the settings

    folder = Path(sys.argv[1])
    try:
        return soak(folder)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing was compared.\n")
    except Exception:
        traceback.print_exc()
    return 2


if __name__ == "__main__":
    sys.exit(main())

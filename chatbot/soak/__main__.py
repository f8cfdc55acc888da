"""`python -m chatbot.soak FOLDER`: the run itself, in an environment that `manage.py soak` made."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import django


def main() -> int:
    django.setup()
    from chatbot.soak.database import NoDatabase  # noqa: PLC0415  # these need the settings
    from chatbot.soak.main import soak  # noqa: PLC0415
    from chatbot.soak.run import SoakFailed  # noqa: PLC0415

    folder = Path(sys.argv[1])
    try:
        return soak(folder)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing was compared.\n")
    except (NoDatabase, SoakFailed) as error:
        sys.stderr.write(f"\n{error}\n")
    except Exception:
        traceback.print_exc()
    return 2


if __name__ == "__main__":
    sys.exit(main())

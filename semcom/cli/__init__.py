"""The command line: one file for each group of commands, without logic, and without torch at import."""

import sys
from importlib.util import find_spec
from pathlib import Path

_found, _own = find_spec("channels"), Path(__file__).resolve().parents[2] / "channels"
_origin = Path(_found.origin or "") if _found else None
if _origin is None or not (_origin.parent / "certificate").is_dir():
    sys.stderr.write(
        f"semcom: `import channels` finds {_origin or 'nothing'} and not the package of semcom, {_own}; rename that "
        "file, start in another folder, or use an environment without Django Channels\n"
    )
    sys.exit(2)

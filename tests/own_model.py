"""The blocks of docs/bring_your_own_model.md, run in a folder of their own as a reader would."""

import contextlib
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "bring_your_own_model.md"
PYTHON = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SYSTEM, TRAINING, ONNX, KERAS = PYTHON


def run(code, folder):
    """Run a block in a folder that holds mine.py."""
    (folder / "mine.py").write_text(SYSTEM, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):
            exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("mine", None)


def trained(folder):
    """The page's PyTorch system, trained as the page trains it; its weights are in the folder."""
    run(TRAINING, folder)
    from semcom.discover import find

    return find("system", str(folder / "mine.py")).load()(cbr=1 / 24, weights=str(folder / "mine.safetensors"))

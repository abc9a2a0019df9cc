"""The code blocks of docs/bring_your_own_model.md, executed in a separate folder."""

import contextlib
import re
import sys
from pathlib import Path

import yaml

PAGE = Path(__file__).parent.parent / "docs" / "bring_your_own_model.md"
PYTHON = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SYSTEM, TRAINING, ONNX, KERAS = PYTHON


def run(code, folder):
    """Run a code block in a folder with the file mine.py."""
    (folder / "mine.py").write_text(SYSTEM, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):
            exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("mine", None)


def trained(folder):
    """The PyTorch system of the page, trained with the code of the page; its weights are in the folder."""
    run(TRAINING, folder)
    from semcom.discover import find

    return find("system", str(folder / "mine.py")).load()(cbr=1 / 24, weights=str(folder / "mine.safetensors"))


def names_of_files(systems, out):
    """Run a scenario with the `systems` of the page; the names and hashes of the model files in its rows."""
    from semcom import sweep
    from semcom.results import table
    from semcom.scenario.load import scenario_from

    data = {
        **yaml.safe_load(systems),
        "channel": "awgn",
        "medium_cbr": 1 / 24,
        "sweep": {"snr_db": [10]},
        "images": {"source": "photos", "count": 2, "size": 32},
        "metrics": ["psnr"],
    }
    [weights] = table.read(sweep.run(scenario_from(data), out))["weights"].unique().to_pylist()
    return [tuple(part.split("@")) for part in weights.split()]

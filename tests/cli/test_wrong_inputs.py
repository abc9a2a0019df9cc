"""Wrong inputs of every command: one line on stderr, exit status 2, and no file is written or changed."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from semcom.cli.main import main

COMMANDS = Path(__file__).with_name("wrong_inputs.txt").read_text().splitlines()

SCENARIO = {
    "systems": ["analog", {"name": "digital", "codec": "jpeg"}],
    "channel": "awgn",
    "medium_cbr": 0.125,
    "sweep": {"snr_db": [0, 10]},
    "images": {"source": "folder:images"},
    "metrics": ["psnr"],
}
FILES = {
    "s.yaml": yaml.safe_dump(SCENARIO),
    "recognition.yaml": "task: recognition\nmodulations: [bpsk, qpsk]\nsweep: {snr_db: 0, uses: 32}\nframes: 2\n",
    "empty.yaml": "",
    "list.yaml": "- analog\n- digital\n",
    "bytes.yaml": b"\xff\xfe\0\1",
    "tabs.yaml": "systems:\n\t- analog\n",
    "twice.yaml": yaml.safe_dump(SCENARIO) + "seed: 1\nseed: 2\n",
    "two.yaml": "--- {}\n--- {}\n",
    "text.txt": "no image",
    "empty.txt": "",
    "empty.py": "",
    "broken.py": "def build(:\n",
    "raises.py": "1 / 0\n\ndef build(cbr: float):\n    return None\n",
    "number.py": "def build(cbr: float):\n    return 3\n",
    "damaged/checkpoint.pt": "no checkpoint",
    "list.sigmf-meta": "[1]",
    "list.sigmf-data": "12345678",
    "metric.py": "LEVEL = 3\n\ndef no_arguments():\n    return 1.0\n",
    "table.csv": "a,b\n1,2\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of the user, and a finished run."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "images").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "s.yaml", "--out", "results", "--quiet"]) == 0
    return folder


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_and_nothing_written(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = contents(folder)
    status = main(shlex.split(command))
    printed, complaint = capsys.readouterr()
    assert status == 2
    assert complaint.startswith("semcom: ")
    assert complaint.endswith("\n")
    assert complaint.count("\n") == 1
    assert not printed
    assert len(complaint) < 500
    assert contents(folder) == before

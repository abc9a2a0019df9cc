"""The command line starts fast: large packages are imported only when they are needed."""

import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "sionna",
    "matplotlib",
    "pyarrow",
    "scipy",
    "skimage",
    "sklearn",
    "pandas",
    "timm",
    "diffusers",
    "PIL",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import semcom, channels",
        "import semcom.discover, semcom.scenario, semcom.results.table, semcom.results.plot, semcom.cli.main",
        "from semcom.__main__ import main; main(['list'])",
        "from semcom.__main__ import main; main(['show', 'rayleigh'])",
        "from semcom.__main__ import main; main(['show', 'scenarios/quickstart.yaml'])",
        "from semcom.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from semcom.__main__ import main; assert main(['run', 'nowhere.yaml']) == 2",
    ],
)
def test_no_large_package_is_imported(statement):
    code = f"{statement}\nimport sys\nprint('HEAVY', *sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"

import sys

import pytest
import type_checks
import yaml
from toy import TOY

type_checks.install()

from semcom import allocator, threads  # noqa: E402

threads.limit(1)  # before torch is imported; pytest-xdist runs several processes
allocator.keep_freed_memory()

_CONFTESTS = [f"{folder}conftest.py" for folder in ("", "apps/", "systems/", "systems/multimodal_generation/")]
collect_ignore = [
    "recognition/gnuradio_modulators.py",  # a script for the Python of the system, which has GNU Radio
    *_CONFTESTS,  # of one name, and without examples to run
]


@pytest.fixture(autouse=True)
def _separate_cache(tmp_path_factory, monkeypatch):
    """Tests do not use the cache of the user."""
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _main_module(monkeypatch):
    """Streamlit's AppTest leaves the demo as `__main__`, which the workers of a later test would run at their start."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def scenario_data():
    """A scenario that takes a second."""
    return {
        "title": "toy",
        "systems": [{"name": TOY, "label": "toy"}],
        "channel": {"name": "rayleigh"},
        "medium_cbr": 0.125,
        "sweep": {"snr_db": [0, 10], "users": [1, 2]},
        "images": {"source": "photos", "count": 3, "size": 32},
        "metrics": ["psnr", "outage"],
        "repetitions": 2,
    }


@pytest.fixture
def write_scenario(tmp_path):
    """Function that writes a dictionary (as YAML) or a text to a scenario file."""

    def write(content, name="scenario.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture
def two_images(tmp_path):
    """A folder of two small images of noise, as an image source."""
    import numpy as np
    from PIL import Image

    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return f"folder:{tmp_path}"

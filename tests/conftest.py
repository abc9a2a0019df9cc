from pathlib import Path

import pytest
import yaml

TOY = str(Path(__file__).parent / "toy_system.py")


@pytest.fixture(autouse=True)
def _no_cache_outside(tmp_path_factory, monkeypatch):
    """Tests neither read nor fill the user's cache."""
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def scenario_data():
    """A scenario that runs in a second."""
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
    """Write a dictionary, or text as it is, to a scenario file."""

    def write(content, name="scenario.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    return write

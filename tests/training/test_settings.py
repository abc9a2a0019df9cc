"""Settings of a training run and their command line."""

import argparse
from dataclasses import replace

import pytest

from semcom import UsageError
from semcom.training.settings import Settings, add_arguments, command_line, from_arguments


@pytest.mark.parametrize(
    "settings",
    [
        Settings("deepjscc"),
        Settings("deepjscc", steps=6, rows=4, crop=16, precision="float32", validation_count=1),
        Settings(
            "deepjscc",
            build={"cbr": 0.05, "share_at_cbr": 1.0},
            channels=(
                {"name": "awgn"},
                {"name": "rayleigh", "coherence_uses": 64},
                {"name": "rician", "k_factor_db": -3.0},
            ),
            snr_db=(-2.0, 20.0),
            data=("natural:train", "folder:my images"),
            learning_rate=3e-4,
            seed=5,
        ),
    ],
)
def test_command_line_contains_all_settings(settings):
    import shlex

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = shlex.split(command_line(settings))
    assert words[:2] == ["semcom", "train"]
    assert from_arguments(parser.parse_args(words[2:])) == settings


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"snr_db": (10.0, 0.0)}, "from low to high"),
        ({"channels": ()}, "at least one channel"),
        ({"data": ("kodak",)}, "for evaluation only"),
        ({"precision": "half"}, "bfloat16"),
        ({"rows": 0}, "rows must be 1 to 4096, not 0"),
        ({"steps": -5}, "steps must be 1 or more, not -5"),
        ({"zoom": float("nan")}, "zoom must be 1 to 64, not nan"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and below 1"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, match):
    with pytest.raises(UsageError, match=match):
        replace(Settings("deepjscc"), **wrong)

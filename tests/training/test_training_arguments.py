"""Options of `semcom train` that are refused before the training."""

import argparse
from dataclasses import replace

import pytest

from semcom import UsageError
from semcom.cli.common import add_device_option
from semcom.training import loop
from semcom.training.settings import Settings, add_arguments
from semcom.training.trainer import Trainer

DEEPJSCC = Settings("deepjscc", steps=6, rows=4, crop=16, precision="float32", validation_count=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--minutes", "-1"], "--minutes must be above 0 and up to 525600, not -1"),
        (["--minutes", "nan"], "minutes must be above 0"),
        (["--minutes", "inf"], "minutes must be above 0"),
        (["--minutes", "1", "--steps", "9"], "not both"),
        ([], "--steps or --minutes"),
        (["--steps", "0"], "--steps must be 1 or more, not 0"),
        (["--steps", "1", "--learning-rate", "1"], "--learning-rate must be above 0 and below 1, not 1"),
        (["--steps", "1", "--folder", f"{__file__}/run"], "cannot create the folder"),
    ],
)
def test_invalid_lengths_and_folders_are_refused(options, match):
    with pytest.raises(UsageError, match=match):
        command("deepjscc", *options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--data", "no/such/folder"], "there is no folder or image file no/such/folder; check the path"),
        (["--data", "folder:nosuch"], "there is no folder or image file nosuch; check the path"),
        (["--data", "fotos"], "no image source or folder 'fotos'; did you mean 'photos'?"),
        (["--validation", "nosuch"], "no image source or folder 'nosuch'"),
        (["--validation-count", "99"], "fewer than count: 99"),
        (["--set", "cbr=2"], "cbr"),
        (["--set", "cbr=abc"], "requires cbr: float, not 'abc'"),
        (["--crop", "30"], "multiples of 8 pixels, not 30 and 30"),
        (["--width", "20"], "multiples of 8 pixels, not 32 and 20"),
        (["--data", "kodak:"], "for evaluation only"),
        (["--crop", "100000"], "crop must be 1 to 8192"),
        (["--rows", "4000", "--crop", "512"], "lower rows or crop"),
        (["--zoom", "inf"], "zoom must be 1 to 64"),
        (["--set", "share_at_cbr=7"], "share_at_cbr"),
    ],
)
def test_invalid_options_are_refused_before_training(tmp_path, options, match):
    with pytest.raises(UsageError, match=match):
        command("deepjscc", "--steps", "1", "--rows", "1", "--crop", "32", "--folder", f"{tmp_path}/run", *options)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_resumed_run_keeps_its_settings(tmp_path, two_images):
    trainer = Trainer(replace(DEEPJSCC, data=(two_images,), validation=two_images), tmp_path)
    trainer.save()
    for more, match in (
        (["--snr", "5..6"], "leave out --snr"),
        (["--data", "photos", "--rows", "9"], "leave out --data"),
        (["--seed", "0"], "leave out --seed"),
        (["--set", "cbr=0.1"], "leave out --set"),
    ):
        with pytest.raises(UsageError, match=match):
            command("deepjscc", "--resume", "--folder", str(tmp_path), *more)
    with pytest.raises(UsageError, match="a run of deepjscc, not of carrier_image"):
        command("carrier_image", "--resume", "--folder", str(tmp_path))
    with pytest.raises(UsageError, match="cannot create the folder"):
        command("deepjscc", "--export", str(tmp_path / "checkpoint.pt" / "a.safetensors"), "--folder", str(tmp_path))
    trainer.step = 3
    trainer.save()
    with pytest.raises(UsageError, match="already has 3 steps"):
        command("deepjscc", "--resume", "--steps", "2", "--folder", str(tmp_path))
    for name in ("card.md", "weights"):
        with pytest.raises(UsageError, match=r"must be a file name\.safetensors"):
            command("deepjscc", "--export", str(tmp_path / name), "--folder", str(tmp_path))


def command(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    add_device_option(parser)
    return loop.command(parser.parse_args(words))

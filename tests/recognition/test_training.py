"""`semcom train recognition`: reproducible, resumed without a difference, and invalid options refused in one line."""

import json
from dataclasses import replace

import pytest
import torch

from semcom.cli.main import main
from semcom.recognition import networks, training
from semcom.training.settings import Settings
from semcom.training.trainer import Trainer

SETTINGS = Settings(
    "recognition",
    {"uses": 64, "modulations": "bpsk,qpsk"},
    steps=6,
    rows=8,
    snr_db=(0.0, 10.0),
    precision="float32",
)


@pytest.fixture(autouse=True)
def few_frames(monkeypatch):
    monkeypatch.setattr(training, "_VALIDATION_FRAMES", 128)


def trained(folder, settings=SETTINGS, stop=None):
    trainer = Trainer(settings, folder)
    folder.mkdir(exist_ok=True)
    while trainer.step < (stop or settings.steps):
        trainer.advance(trainer.task.generated.batch(settings, trainer.step))
    return trainer


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = trained(tmp_path / "whole")
    half = trained(tmp_path / "half", stop=3)
    half.save()
    folder, exported = ["--folder", str(tmp_path / "half")], tmp_path / "other.safetensors"
    assert main(["train", "recognition", "--resume", *folder]) == 0
    assert main(["train", "recognition", "--export", str(exported), *folder]) == 0
    network, names, identifier = networks.load(str(tmp_path / "half" / "recognition.safetensors"))
    assert names == ("bpsk", "qpsk")
    assert identifier.startswith("recognition@")
    assert networks.load(str(exported))[2] == identifier.replace("recognition", "other")
    with whole.averaged() as averaged:
        expected = averaged.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())
    line = json.loads((tmp_path / "half" / "log.jsonl").read_text().splitlines()[-1])
    assert line["step"] == 6
    assert line.keys() == {"step", "log_loss", "accuracy"}
    card = (tmp_path / "half" / "recognition.md").read_text()
    assert "data: random frames of modulated symbols" in card
    assert "terms: random frames of modulated symbols: synthetic data of this project" in card


@pytest.mark.parametrize("network", ["set", "sequence"])
def test_training_lowers_the_loss(tmp_path, network):
    settings = replace(
        SETTINGS,
        build={**SETTINGS.build, "network": network},
        steps=40,
        rows=32,
        snr_db=(10.0, 20.0),
        learning_rate=0.02,
    )
    trainer = Trainer(settings, tmp_path)
    batches = (trainer.task.generated.batch(settings, step) for step in range(40))
    losses = [trainer.advance(batch)["cross_entropy"] for batch in batches]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


@pytest.mark.parametrize("network", ["set", "sequence"])
def test_a_step_in_bfloat16_has_nearly_the_loss_of_float32(tmp_path, network):
    settings = replace(SETTINGS, build={**SETTINGS.build, "network": network})
    losses = {}
    for precision in ("float32", "bfloat16"):
        trainer = Trainer(replace(settings, precision=precision), tmp_path)
        losses[precision] = trainer.advance(trainer.task.generated.batch(settings, 0))["cross_entropy"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "2", "--data", "photos:val"], "leave out --data"),
        (["--steps", "2", "--channel", "rayleigh"], "leave out --channel"),
        (["--steps", "2", "--set=modulations=qpsk"], "two or more"),
        (["--steps", "2", "--set=modulations=qpsk,fm"], "modulations"),
        (["--steps", "2", "--set=network=resnet"], "network"),
        (["--steps", "2", "--set=layers=3"], "layers"),
        (["--steps", "2", "--set=uses=one"], "uses"),
        ([], "--steps or --minutes"),
        (["--resume"], "no checkpoint"),
    ],
)
def test_wrong_options_are_refused(tmp_path, capsys, options, words):
    assert main(["train", "recognition", "--folder", str(tmp_path), *options]) == 2
    text = capsys.readouterr().err
    assert words in text
    assert len(text.strip().splitlines()) == 1

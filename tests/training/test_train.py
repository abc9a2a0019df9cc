"""The training loop: seeds, interruptions, phases, schedules and settings."""

import itertools
import math
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semcom import UsageError, weights
from semcom.training import loop
from semcom.training import trainer as trainer_module
from semcom.training.crops import Crops
from semcom.training.settings import Settings
from semcom.training.task import Phase, Task
from semcom.training.trainer import Trainer, build_channel, learning_rate

DEEPJSCC = Settings("deepjscc", steps=6, rows=4, crop=16, precision="float32", validation_count=1)


class Scale(nn.Module):
    def __init__(self, value: float = 0.5):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


def toy(monkeypatch, training):
    """Define a system "toy" with the function `training`."""
    module = types.ModuleType("semcom.systems.toy.training")
    module.training = training
    monkeypatch.setitem(sys.modules, "semcom.systems.toy", types.ModuleType("semcom.systems.toy"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Settings("toy", steps=4, rows=2, crop=8, precision="float32", validation_count=1)


def one_phase(losses):
    network = Scale()
    return Task(network, (Phase("only", network, losses),), None, {})


def test_a_few_steps_lower_the_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "_WARM_UP", 5)
    fixed = {"build": {"share_at_cbr": 1.0}, "snr_db": (10.0, 10.0)}  # otherwise the loss changes from step to step
    trainer = Trainer(replace(DEEPJSCC, steps=1000, rows=3, crop=32, **fixed), tmp_path)
    sample = Crops(("photos",), 3, 32, 1.0, seed=0).sample(0)
    losses = [trainer.advance(sample)["log_mse"] for _ in range(20)]
    assert losses[-1] < losses[0] - 0.7  # 3 dB


def test_each_validation_is_announced_before_it_is_computed(tmp_path, monkeypatch, caplog):
    announced = []

    def measure(photos):
        announced.append(caplog.messages[-1])
        return {}

    training = toy(monkeypatch, lambda: replace(one_phase(lambda *_: {}), measure=measure))
    trainer = Trainer(training, tmp_path)
    with caplog.at_level("INFO"):
        trainer.validate()
    assert announced[-1] == "step 0: validation on 1 images of photos ..."


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, two_images):
    settings = replace(
        DEEPJSCC, data=(two_images,), validation=two_images, channels=({"name": "awgn"}, {"name": "rayleigh"})
    )
    whole = loop.run(settings, tmp_path / "whole")

    interrupted = Trainer(settings, tmp_path)
    crops = Crops(settings.data, settings.rows, settings.crop, settings.zoom, settings.seed)
    for step in range(3):
        interrupted.advance(crops.sample(step))
    interrupted.save()
    interrupted.advance(crops.sample(3))  # not in the checkpoint
    torch.rand(5)
    resumed = loop.resume(tmp_path)

    assert whole.tensors.keys() == resumed.tensors.keys()
    for name, value in whole.tensors.items():
        assert torch.equal(value, resumed.tensors[name]), name
    assert whole.provenance == resumed.provenance


def test_initial_weights_are_used_and_must_fit_the_network(tmp_path, monkeypatch):
    settings = toy(monkeypatch, lambda: Task(Scale(), (), None, {}))
    given, other = tmp_path / "given.safetensors", tmp_path / "other.safetensors"
    weights.save(given, Scale(0.25), "toy", {}, {})
    weights.save(other, nn.Linear(1, 1), "toy", {}, {})
    assert Trainer(replace(settings, start=str(given)), tmp_path).task.network.value.item() == 0.25
    with pytest.raises(UsageError, match="'other' of toy belong to another network"):
        Trainer(replace(settings, start=str(other)), tmp_path)


def test_a_run_is_neither_overwritten_nor_resumed_without_a_checkpoint(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        loop.resume(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(UsageError, match="contains a run"):
        loop.run(DEEPJSCC, tmp_path)
    with pytest.raises(UsageError, match="not a complete checkpoint"):
        loop.resume(tmp_path)


def test_a_loss_that_is_not_finite_is_an_error_with_step_and_terms(tmp_path, monkeypatch, two_images):
    def losses(sample, snr_db, send, rng):
        return {"good": scale.value.sum(), "bad": (scale.value - 0.4).log().sum()}

    scale = Scale()
    settings = toy(monkeypatch, lambda: Task(scale, (Phase("only", scale, losses),), None, {}))
    settings = replace(settings, steps=10_000, learning_rate=0.5, data=(two_images,))
    with pytest.raises(UsageError, match=r"step \d+ \(only\): good = .*bad = .*lower learning rate"):
        loop.run(settings, tmp_path / "run")
    assert scale.value.isfinite()


def test_a_gradient_that_is_not_finite_stops_before_the_step(tmp_path, monkeypatch, two_images):
    def losses(sample, snr_db, send, rng):
        steps.append(scale.value.item())
        root = (scale.value - scale.value.detach()).abs().sqrt().sum()  # 0 with the gradient nan
        return {"root": root if len(steps) > 3 else scale.value.square().sum()}

    steps, scale = [], Scale()
    settings = toy(monkeypatch, lambda: Task(scale, (Phase("only", scale, losses),), None, {}))
    settings = replace(settings, data=(two_images,), validation=two_images)
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0)
    for start in (lambda: loop.run(settings, tmp_path / "run"), lambda: loop.resume(tmp_path / "run")):
        with pytest.raises(UsageError, match=r"^step 3 \(only\): the gradient is not finite .* lower learning rate$"):
            start()
        state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
        assert state["step"] == 3
        assert state["network"]["value"].item() == steps[3] == scale.value.item()


def test_weights_that_are_not_finite_are_not_written(tmp_path, monkeypatch, two_images):
    scale = Scale()
    settings = toy(monkeypatch, lambda: Task(scale, (), None, {}))
    trainer = Trainer(replace(settings, data=(two_images,), validation=two_images), tmp_path)
    trainer.save()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    scale.value.data.fill_(torch.inf)
    with pytest.raises(UsageError, match=r"^step 0: value is not finite; the former checkpoint is unchanged"):
        trainer.save()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["network"]["value"].fill_(torch.nan)
    with pytest.raises(UsageError, match="has value that is not finite: start a new run"):
        trainer.restore(state)
    trainer.average["value"].fill_(1e5)  # above the largest float16
    with pytest.raises(UsageError, match=r"^value is NaN or exceeds the range of float16"):
        trainer.export(tmp_path / "toy.safetensors")
    assert not (tmp_path / "toy.safetensors").exists()


def test_validation_measures_the_weights_that_are_written(tmp_path, monkeypatch, two_images):
    scale = Scale()
    settings = toy(monkeypatch, lambda: Task(scale, (), None, {}, measure=lambda _: {"value": scale.value.item()}))
    trainer = Trainer(replace(settings, data=(two_images,), validation=two_images), tmp_path)
    trainer.average["value"].fill_(0.1)
    written = trainer.export(tmp_path / "toy.safetensors")
    assert f'"value": {float(np.float16(0.1))}' in written.provenance["measured"]


def test_phases_alternate_and_helpers_are_checkpointed_but_not_exported(tmp_path, monkeypatch, two_images):
    order = []

    def training():
        generator, discriminator = Scale(0.0), Scale(1.0)

        def adversarial(sample, snr_db, send, rng):
            order.append("generate")
            return {"adversarial": (generator.value * discriminator.value).sum()}

        def discriminate(sample, snr_db, send, rng):
            order.append("discriminate")
            return {"discriminate": (discriminator.value - 3).square().sum()}

        phases = (Phase("generate", generator, adversarial), Phase("discriminate", discriminator, discriminate))
        return Task(
            generator, phases, None, {}, helpers=discriminator, measure=lambda two_images: {"count": len(two_images)}
        )

    settings = replace(toy(monkeypatch, training), data=(two_images,), validation=two_images)
    written = loop.run(settings, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert order == ["generate", "discriminate"] * 4
    assert list(written.tensors) == ["value"]
    assert '"count": 1.0' in written.provenance["measured"]
    assert state["network"]["value"] < 0  # the discriminator is positive, and only the generator's loss changes this
    assert state["helpers"]["value"] > 1


def test_the_channel_is_differentiable_the_same_within_a_step_and_new_in_the_next(tmp_path, monkeypatch):
    noises = []

    def losses(sample, snr_db, send, rng):
        symbols = torch.ones(2, 500, dtype=torch.complex64) * network.value
        first, second = send(symbols, snr_db), send(symbols, snr_db)
        assert torch.equal(first.symbols, second.symbols)
        noise = first.symbols - symbols
        noises.append(noise.detach())
        # |noise|^2 of 500 uses over its variance: mean 1, deviation 500^-1/2
        ratio = noise.abs().square().mean(1) * 10 ** (snr_db / 10)
        assert ((ratio - 1).abs() < 5 * 500**-0.5).all()
        assert ((snr_db >= 3) & (snr_db <= 6)).all()
        return {"energy": first.symbols.abs().square().mean()}

    network = Scale()
    settings = replace(
        toy(monkeypatch, lambda: Task(network, (Phase("only", network, losses),), None, {})),
        snr_db=(3.0, 6.0),
    )
    trainer = Trainer(settings, tmp_path)
    sample = Crops(("photos",), 2, 8, 1.0, seed=0).sample(0)
    trainer.advance(sample)
    assert network.value.grad is not None
    assert network.value.grad.abs() > 0.1
    trainer.advance(sample)
    assert not torch.equal(noises[0], noises[1])


def test_dropout_depends_on_the_step_and_the_global_random_state_is_unchanged(tmp_path, monkeypatch):
    values = []

    def losses(sample, snr_db, send, rng):
        values.append(torch.rand(4))
        return {"value": network.value.sum()}

    network = Scale()
    settings = toy(monkeypatch, lambda: Task(network, (Phase("only", network, losses),), None, {}))
    sample = Crops(("photos",), 2, 8, 1.0, seed=0).sample(0)
    state = torch.get_rng_state()
    for _ in range(2):
        torch.set_rng_state(state)
        Trainer(settings, tmp_path).advance(sample)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(9)
    assert torch.equal(values[0], values[1])
    torch.set_rng_state(state)


def test_averaged_weights_are_exported(tmp_path, monkeypatch, two_images):
    settings = toy(monkeypatch, lambda: one_phase(lambda *_: {"zero": torch.zeros((), requires_grad=True)}))
    trainer = Trainer(replace(settings, data=(two_images,), validation=two_images), tmp_path)
    trainer.average["value"].fill_(0.25)
    with trainer.averaged() as network:
        assert network.value.item() == 0.25
    assert trainer.task.network.value.item() == 0.5
    written = trainer.export(tmp_path / "toy.safetensors")
    assert written.tensors["value"].item() == 0.25
    assert weights.load(str(tmp_path / "toy.safetensors")).digest == written.digest


_TRAINS = """
import sys, types
from pathlib import Path
import torch
from semcom.training import loop
from semcom.training.settings import Settings
from semcom.training.task import Phase, Task

def training():
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    losses = lambda sample, snr_db, send, rng: {"mse": (network(sample.images) - sample.images).square().mean()}
    return Task(network, (Phase("only", network, losses),), None, {})

module = types.ModuleType("semcom.systems.toy.training")
module.training = training
sys.modules["semcom.systems.toy"] = types.ModuleType("semcom.systems.toy")
sys.modules[module.__name__] = module
loop._CHECKPOINT_S = 0
folder, source = Path(sys.argv[1]), sys.argv[2]
settings = Settings(
    "toy", steps=150, rows=2, crop=8, precision="float32", data=(source,), validation=source, validation_count=1
)
loop.resume(folder) if (folder / "checkpoint.pt").exists() else loop.run(settings, folder)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, two_images, sent):
    def start(folder):
        return subprocess.Popen([sys.executable, "-c", _TRAINS, str(folder), two_images], stderr=subprocess.DEVNULL)

    whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
    running = [start(whole), start(disturbed)]
    while not (disturbed / "checkpoint.pt").exists():
        assert running[1].poll() is None
        time.sleep(0.005)  # leaves the core to the runs; 150 steps with as many checkpoints take longer
    running[1].send_signal(sent)
    assert running[1].wait() != 0
    step = torch.load(disturbed / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < 150
    assert start(disturbed).wait() == running[0].wait() == 0
    files = [weights.load(str(folder / "toy.safetensors")) for folder in (whole, disturbed)]
    assert files[0].digest == files[1].digest


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, two_images):
    trainer = Trainer(replace(DEEPJSCC, data=(two_images,), validation=two_images), tmp_path)
    trainer.save()
    whole = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for changed, match in (
        ({"a": 1}, "is not a complete checkpoint"),
        (torch.zeros(2), "is not a complete checkpoint"),
        (whole | {"settings": '{"system": "deepjscc", "new": 1}'}, "is not a complete checkpoint"),
        (whole | {"network": {}}, "belongs to another version of deepjscc"),
    ):
        torch.save(changed, tmp_path / "checkpoint.pt")
        with pytest.raises(UsageError, match=match):
            loop.resume(tmp_path)


def test_invalid_validation_images_are_refused_before_training(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "small.png")
    source = f"folder:{tmp_path}"
    with pytest.raises(UsageError, match="1 x 1"):
        loop.run(replace(DEEPJSCC, validation=source), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_minutes_become_a_number_of_steps(tmp_path, monkeypatch, two_images):
    settings = toy(monkeypatch, lambda: one_phase(lambda *_: {"zero": torch.zeros((), requires_grad=True)}))
    settings = replace(settings, steps=None, data=(two_images,), validation=two_images)
    with pytest.raises(UsageError, match="--steps or --minutes"):
        loop.run(settings, tmp_path / "endless")
    loop.run(settings, tmp_path / "run", minutes=1e-4)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] >= 1
    assert f'"steps": {state["step"]},' in state["settings"]


@pytest.mark.parametrize(("seconds", "steps"), [(50, 2), (20, 6), (500, 1), (1, 120)])
def test_minutes_are_kept_by_slow_and_fast_machines(tmp_path, monkeypatch, two_images, seconds, steps):
    settings = toy(monkeypatch, lambda: one_phase(lambda *_: {"zero": torch.zeros((), requires_grad=True)}))
    settings = replace(settings, steps=None, data=(two_images,), validation=two_images)
    clock = itertools.count(0, seconds)  # read once after each step
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(loop, "_VALIDATION_S", math.inf)
    loop.run(settings, tmp_path / "run", minutes=2.0)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == steps


def test_length_changes_the_learning_rate_only_in_the_decay():
    short, long = replace(DEEPJSCC, steps=1000), replace(DEEPJSCC, steps=2000)
    assert [learning_rate(step, short) for step in range(600)] == [learning_rate(step, long) for step in range(600)]
    rates = [learning_rate(step, long) for step in range(2001)]
    assert max(rates) == DEEPJSCC.learning_rate
    assert rates[-1] == 0
    assert np.all(np.diff(rates[1200:]) < 0)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match="awgn cannot be trained"):
        Trainer(replace(DEEPJSCC, system="awgn"), tmp_path)
    with pytest.raises(UsageError, match="did you mean 'cbr'"):
        Trainer(replace(DEEPJSCC, build={"cbrr": 0.1}), tmp_path)
    with pytest.raises(UsageError, match="rayleigh"):
        build_channel({"name": "raleigh"})
    with pytest.raises(UsageError, match=r"awgn has no argument 'gain'"):
        build_channel({"name": "awgn", "gain": 1})
    with pytest.raises(UsageError, match=r"coherence_uses must be .*, not 'abc'"):
        build_channel({"name": "rayleigh", "coherence_uses": "abc"})

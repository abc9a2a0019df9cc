"""The training loop: what it promises of seeds, kills, phases, schedules and settings."""

import argparse
import signal
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semcom import UsageError, images, train, weights
from semcom.crops import Crops
from semcom.muon import Muon, orthogonal
from semcom.train_settings import Settings, add_arguments, command_line, from_arguments
from semcom.training_task import Phase, Task

DEEPJSCC = Settings("deepjscc", steps=6, rows=4, crop=16, precision="float32", validation_count=1)


@pytest.fixture
def pictures(tmp_path):
    """A folder of two small pictures, to validate on."""
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return f"folder:{tmp_path}"


class Scale(nn.Module):
    def __init__(self, value: float = 0.5):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


def toy(monkeypatch, training):
    """Let `training` be that of a system called toy."""
    module = types.ModuleType("semcom.systems.toy.training")
    module.training = training
    monkeypatch.setitem(sys.modules, "semcom.systems.toy", types.ModuleType("semcom.systems.toy"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Settings("toy", steps=4, rows=2, crop=8, precision="float32", validation_count=1)


def one_phase(losses):
    network = Scale()
    return Task(network, (Phase("only", network, losses),), None, {})


def test_a_few_steps_lower_the_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_WARM_UP", 5)
    fixed = {"build": {"share_at_cbr": 1.0}, "snr_db": (10.0, 10.0)}  # else the loss is that of another task every step
    trained = train.Run(replace(DEEPJSCC, steps=1000, rows=3, crop=32, **fixed), tmp_path)
    sample = Crops(("photos",), 3, 32, 1.0, seed=0).sample(0)
    losses = [trained.advance(sample)["log_mse"] for _ in range(20)]
    assert losses[-1] < losses[0] - 0.7  # 3 dB


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, pictures):
    settings = replace(
        DEEPJSCC, data=(pictures,), validation=pictures, channels=({"name": "awgn"}, {"name": "rayleigh"})
    )
    whole = train.run(settings, tmp_path / "whole")

    killed = train.Run(settings, tmp_path)
    crops = Crops(settings.data, settings.rows, settings.crop, settings.zoom, settings.seed)
    for step in range(3):
        killed.advance(crops.sample(step))
    killed.save()
    killed.advance(crops.sample(3))  # lost by the kill
    (tmp_path / "checkpoint.tmp").write_bytes(b"half a checkp")
    torch.rand(5)
    resumed = train.resume(tmp_path)

    assert whole.tensors.keys() == resumed.tensors.keys()
    for name, value in whole.tensors.items():
        assert torch.equal(value, resumed.tensors[name]), name
    assert whole.provenance == resumed.provenance


def test_a_run_starts_from_the_weights_it_is_given_and_refuses_those_of_another_network(tmp_path, monkeypatch):
    settings = toy(monkeypatch, lambda: Task(Scale(), (), None, {}))
    given, other = tmp_path / "given.safetensors", tmp_path / "other.safetensors"
    weights.save(given, Scale(0.25), "toy", {}, {})
    weights.save(other, nn.Linear(1, 1), "toy", {}, {})
    assert train.Run(replace(settings, start=str(given)), tmp_path).task.network.value.item() == 0.25
    with pytest.raises(UsageError, match="'other', of toy, are of another network"):
        train.Run(replace(settings, start=str(other)), tmp_path)


def test_a_folder_with_a_run_is_not_overwritten_and_one_without_not_resumed(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        train.resume(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"half a checkp")
    with pytest.raises(UsageError, match="holds a run"):
        train.run(DEEPJSCC, tmp_path)
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        train.resume(tmp_path)


def test_a_loss_that_is_not_finite_stops_and_names_step_and_term(tmp_path, monkeypatch, pictures):
    def losses(sample, snr_db, send, rng):
        return {"good": scale.value.sum(), "bad": (scale.value - 0.4).log().sum()}

    scale = Scale()
    settings = toy(monkeypatch, lambda: Task(scale, (Phase("only", scale, losses),), None, {}))
    settings = replace(settings, steps=10_000, learning_rate=0.5, data=(pictures,))
    with pytest.raises(UsageError, match=r"step \d+ \(only\): good = .*bad = .*lower learning rate"):
        train.run(settings, tmp_path / "run")
    assert scale.value.isfinite()


def test_phases_take_turns_and_helpers_are_checkpointed_but_not_exported(tmp_path, monkeypatch, pictures):
    turns = []

    def training():
        generator, judge = Scale(0.0), Scale(1.0)

        def adversarial(sample, snr_db, send, rng):
            turns.append("generate")
            return {"adversarial": (generator.value * judge.value).sum()}

        def discriminate(sample, snr_db, send, rng):
            turns.append("judge")
            return {"judge": (judge.value - 3).square().sum()}

        phases = (Phase("generate", generator, adversarial), Phase("judge", judge, discriminate))
        return Task(generator, phases, None, {}, helpers=judge, measure=lambda pictures: {"count": len(pictures)})

    settings = replace(toy(monkeypatch, training), data=(pictures,), validation=pictures)
    written = train.run(settings, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert turns == ["generate", "judge"] * 4
    assert list(written.tensors) == ["value"]
    assert '"count": 1.0' in written.provenance["measured"]
    assert state["network"]["value"] < 0  # the judge is above 0, and it was the generator's loss that moved this
    assert state["helpers"]["value"] > 1


def test_the_air_is_differentiable_the_same_within_a_step_and_new_in_the_next(tmp_path, monkeypatch):
    heard = []

    def losses(sample, snr_db, send, rng):
        symbols = torch.ones(2, 500, dtype=torch.complex64) * network.value
        first, second = send(symbols, snr_db), send(symbols, snr_db)
        assert torch.equal(first.symbols, second.symbols)
        noise = first.symbols - symbols
        heard.append(noise.detach())
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
    trained = train.Run(settings, tmp_path)
    sample = Crops(("photos",), 2, 8, 1.0, seed=0).sample(0)
    trained.advance(sample)
    assert network.value.grad is not None
    assert network.value.grad.abs() > 0.1
    trained.advance(sample)
    assert not torch.equal(heard[0], heard[1])


def test_dropout_is_drawn_from_the_step_and_the_global_generator_is_left_alone(tmp_path, monkeypatch):
    drawn = []

    def losses(sample, snr_db, send, rng):
        drawn.append(torch.rand(4))
        return {"value": network.value.sum()}

    network = Scale()
    settings = toy(monkeypatch, lambda: Task(network, (Phase("only", network, losses),), None, {}))
    sample = Crops(("photos",), 2, 8, 1.0, seed=0).sample(0)
    state = torch.get_rng_state()
    for _ in range(2):
        torch.set_rng_state(state)
        train.Run(settings, tmp_path).advance(sample)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(9)
    assert torch.equal(drawn[0], drawn[1])
    torch.set_rng_state(state)


def test_the_average_follows_the_network_and_export_writes_it(tmp_path, monkeypatch, pictures):
    settings = toy(monkeypatch, lambda: one_phase(lambda *_: {"zero": torch.zeros((), requires_grad=True)}))
    trained = train.Run(replace(settings, data=(pictures,), validation=pictures), tmp_path)
    trained.average["value"].fill_(0.25)
    with trained.averaged() as network:
        assert network.value.item() == 0.25
    assert trained.task.network.value.item() == 0.5
    written = trained.export(tmp_path / "toy.safetensors")
    assert written.tensors["value"].item() == 0.25
    assert weights.load(str(tmp_path / "toy.safetensors")).digest == written.digest


_TRAINS = """
import sys, types
from pathlib import Path
import torch
from semcom import train
from semcom.train_settings import Settings
from semcom.training_task import Phase, Task

def training():
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    losses = lambda sample, snr_db, send, rng: {"mse": (network(sample.images) - sample.images).square().mean()}
    return Task(network, (Phase("only", network, losses),), None, {})

module = types.ModuleType("semcom.systems.toy.training")
module.training = training
sys.modules["semcom.systems.toy"] = types.ModuleType("semcom.systems.toy")
sys.modules[module.__name__] = module
train._CHECKPOINT_S = 0
folder, source = Path(sys.argv[1]), sys.argv[2]
settings = Settings(
    "toy", steps=150, rows=2, crop=8, precision="float32", data=(source,), validation=source, validation_count=1
)
train.resume(folder) if (folder / "checkpoint.pt").exists() else train.run(settings, folder)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, pictures, sent):
    def start(folder):
        return subprocess.Popen([sys.executable, "-c", _TRAINS, str(folder), pictures], stderr=subprocess.DEVNULL)

    whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
    running = [start(whole), start(disturbed)]
    while not (disturbed / "checkpoint.pt").exists():
        assert running[1].poll() is None
    running[1].send_signal(sent)
    assert running[1].wait() != 0
    step = torch.load(disturbed / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < 150
    assert start(disturbed).wait() == running[0].wait() == 0
    files = [weights.load(str(folder / "toy.safetensors")) for folder in (whole, disturbed)]
    assert files[0].digest == files[1].digest


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, pictures):
    trained = train.Run(replace(DEEPJSCC, data=(pictures,), validation=pictures), tmp_path)
    trained.save()
    whole = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for changed, match in (
        ({"a": 1}, "is not a whole checkpoint"),
        (torch.zeros(2), "is not a whole checkpoint"),
        (whole | {"settings": '{"system": "deepjscc", "new": 1}'}, "is not a whole checkpoint"),
        (whole | {"network": {}}, "is of another version of deepjscc"),
    ):
        torch.save(changed, tmp_path / "checkpoint.pt")
        with pytest.raises(UsageError, match=match):
            train.resume(tmp_path)


def test_pictures_that_cannot_be_sent_are_refused_before_training(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "small.png")
    source = f"folder:{tmp_path}"
    with pytest.raises(UsageError, match="1 x 1"):
        train.run(replace(DEEPJSCC, validation=source), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_minutes_become_a_number_of_steps(tmp_path, monkeypatch, pictures):
    settings = toy(monkeypatch, lambda: one_phase(lambda *_: {"zero": torch.zeros((), requires_grad=True)}))
    settings = replace(settings, steps=None, data=(pictures,), validation=pictures)
    with pytest.raises(UsageError, match="--steps or --minutes"):
        train.run(settings, tmp_path / "endless")
    train.run(settings, tmp_path / "run", minutes=1e-4)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] >= 12
    assert f'"steps": {state["step"]},' in state["settings"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--minutes", "-1"], "minutes must be above 0"),
        (["--minutes", "nan"], "minutes must be above 0"),
        (["--minutes", "inf"], "at most"),
        (["--minutes", "1", "--steps", "9"], "not both"),
        ([], "--steps or --minutes"),
        (["--steps", "1", "--folder", f"{__file__}/run"], "cannot make the folder"),
    ],
)
def test_lengths_and_folders_that_cannot_be_are_refused(options, match):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(UsageError, match=match):
        train.command(parser.parse_args(["deepjscc", *options]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--validation", "nosuch"], "no image source 'nosuch'"),
        (["--validation-count", "99"], "fewer than the 99 asked for"),
        (["--set", "cbr=2"], "cbr"),
        (["--set", "cbr=abc"], "wants cbr: float, not 'abc'"),
        (["--crop", "30"], "multiples of 8 pixels, not 30 and 30"),
        (["--width", "20"], "multiples of 8 pixels, not 32 and 20"),
        (["--data", "kodak:"], "train on something else"),
        (["--crop", "100000"], "crop must be 8192 or less"),
        (["--rows", "4000", "--crop", "512"], "take fewer rows"),
        (["--zoom", "inf"], "zoom must be 64 or less"),
        (["--set", "share_at_cbr=7"], "share_at_cbr within"),
    ],
)
def test_what_would_fail_at_the_end_is_refused_before_anything_is_trained(tmp_path, options, match):
    with pytest.raises(UsageError, match=match):
        command("deepjscc", "--steps", "1", "--rows", "1", "--crop", "32", "--folder", f"{tmp_path}/run", *options)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_run_goes_on_as_what_it_is(tmp_path, pictures):
    trained = train.Run(replace(DEEPJSCC, data=(pictures,), validation=pictures), tmp_path)
    trained.save()
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
    with pytest.raises(UsageError, match="cannot make the folder"):
        command("deepjscc", "--export", str(tmp_path / "checkpoint.pt" / "a.safetensors"), "--folder", str(tmp_path))
    trained.step = 3
    trained.save()
    with pytest.raises(UsageError, match="has done 3 steps already"):
        command("deepjscc", "--resume", "--steps", "2", "--folder", str(tmp_path))
    for name in ("card.md", "weights"):
        with pytest.raises(UsageError, match=r"written as name\.safetensors"):
            command("deepjscc", "--export", str(tmp_path / name), "--folder", str(tmp_path))


def command(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return train.command(parser.parse_args(words))


def test_a_run_made_longer_before_its_decay_is_the_longer_run():
    short, long = replace(DEEPJSCC, steps=1000), replace(DEEPJSCC, steps=2000)
    assert [train.learning_rate(step, short) for step in range(600)] == [
        train.learning_rate(step, long) for step in range(600)
    ]
    rates = [train.learning_rate(step, long) for step in range(2001)]
    assert max(rates) == DEEPJSCC.learning_rate
    assert rates[-1] == 0
    assert np.all(np.diff(rates[1200:]) < 0)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match="awgn is no system"):
        train.Run(replace(DEEPJSCC, system="awgn"), tmp_path)
    with pytest.raises(UsageError, match="did you mean 'cbr'"):
        train.Run(replace(DEEPJSCC, build={"cbrr": 0.1}), tmp_path)
    with pytest.raises(UsageError, match="rayleigh"):
        train.build_channel({"name": "raleigh"})
    with pytest.raises(UsageError, match=r"awgn\.build has no argument 'gain'"):
        train.build_channel({"name": "awgn", "gain": 1})
    with pytest.raises(UsageError, match=r"wants coherence_uses: .*, not 'abc'"):
        train.build_channel({"name": "rayleigh", "coherence_uses": "abc"})


# --- settings and the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Settings("deepjscc"),
        DEEPJSCC,
        Settings(
            "deepjscc",
            build={"cbr": 0.05, "share_at_cbr": 1.0},
            channels=(
                {"name": "awgn"},
                {"name": "rayleigh", "coherence_uses": 64},
                {"name": "rician", "k_factor_db": -3.0},
            ),
            snr_db=(-2.0, 20.0),
            data=("natural:train", "folder:my pictures"),
            learning_rate=3e-4,
            seed=5,
        ),
    ],
)
def test_the_command_line_says_all_settings(settings):
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
        ({"data": ("kodak",)}, "train on something else"),
        ({"precision": "half"}, "bfloat16"),
        ({"rows": 0}, "rows must be 1 or more, not 0"),
        ({"steps": -5}, "steps must be 1 or more, not -5"),
        ({"zoom": float("nan")}, "zoom must be 1 or more, not nan"),
        ({"learning_rate": 0.0}, "learning rate"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, match):
    with pytest.raises(UsageError, match=match):
        replace(DEEPJSCC, **wrong)


# --- crops ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled(monkeypatch):
    """A source of one picture whose red channel is its label map."""
    classes = np.arange(40 * 50, dtype=np.uint8).reshape(40, 50) // 8
    picture = Image.fromarray(np.stack([classes] * 3, -1))
    entry = images.Entry("one", lambda: picture, "a caption", lambda: Image.fromarray(classes))
    monkeypatch.setitem(images.SOURCES, "labelled", lambda argument: [entry])


def test_labels_and_captions_go_through_the_same_cut(labelled):
    sample = Crops(["labelled"], rows=16, side=32, zoom=1.0, seed=3).sample(0)
    assert torch.equal((sample.images[:, 0] * 255).round().long(), sample.labels)
    assert sample.captions == ("a caption",) * 16
    assert len({bytes(labels.numpy().tobytes()) for labels in sample.labels}) > 12  # places and mirrors differ


def test_one_of_several_captions_is_drawn_and_the_crops_stay(labelled, monkeypatch):
    before = Crops(["labelled"], rows=400, side=8, zoom=1.0, seed=5).sample(0)
    entry = replace(images.SOURCES["labelled"]("")[0], captions=tuple("abcde"), category=3)
    monkeypatch.setitem(images.SOURCES, "labelled", lambda argument: [entry])
    sample = Crops(["labelled"], rows=400, side=8, zoom=1.0, seed=5).sample(0)
    assert torch.equal(sample.images, before.images)
    counts = np.array([sample.captions.count(caption) for caption in "abcde"])
    assert counts.sum() == 400
    assert (abs(counts - 80) < 5 * (400 * 0.2 * 0.8) ** 0.5).all()
    assert sample.categories.tolist() == [3] * 400
    assert before.categories is None


def test_a_step_has_its_crops_whatever_came_before_and_half_are_magnified(labelled):
    crops = Crops(["labelled"], rows=64, side=16, zoom=2.0, seed=3)
    late = crops.sample(9).images
    crops.sample(2)
    assert torch.equal(crops.sample(9).images, late)
    assert not torch.equal(crops.sample(10).images, late)
    exact = sum(bool(((row * 255) % 1 < 1e-3).all()) and len(row.unique()) > 30 for row in late)
    assert exact > 0


def test_a_picture_smaller_than_the_crop_is_enlarged(labelled):
    assert Crops(["labelled"], rows=1, side=64, zoom=1.0, seed=0).sample(0).images.shape == (1, 3, 64, 64)


# --- Muon ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(48, 200), (200, 48), (64, 64)])
def test_newton_schulz_comes_near_the_orthogonal_factor(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    near = orthogonal(matrix)
    assert torch.nn.functional.cosine_similarity(near.flatten(), (left @ right).flatten(), 0) > 0.95
    assert ((torch.linalg.svdvals(near) > 0.5) & (torch.linalg.svdvals(near) < 1.4)).all()


def test_muon_solves_least_squares_and_skips_what_has_no_gradient():
    generator = torch.Generator().manual_seed(2)
    wanted, points = torch.randn(48, 48, generator=generator), torch.randn(200, 48, generator=generator)
    weight, idle = nn.Parameter(torch.zeros(48, 48)), nn.Parameter(torch.ones(48, 48))
    optimiser = Muon([weight, idle], lr=0.1, weight_decay=0.0)
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
        loss = (points @ (weight - wanted)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05 * 48  # where it began
    assert (idle == 1).all()

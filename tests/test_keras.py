"""Keras models over the link: the same pictures as PyTorch with the same weights, and no code of anyone's own."""

import json
import random
import sys
import zipfile
from functools import partial

import own_model
import pytest
import torch
import yaml

from channels import awgn, rayleigh, seed_for
from semcom import Link, Sample, UsageError, check
from semcom.images import load
from semcom.scenario import scenario_from
from semcom.systems import keras as system


@pytest.fixture(scope="session")
def keras():
    pytest.importorskip("tensorflow")
    return system._keras()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("keras")


@pytest.fixture(scope="session")
def mine(folder):
    """The PyTorch system of the page, trained."""
    return own_model.trained(folder)


@pytest.fixture(scope="session")
def files(keras, mine, folder):
    """The page's Keras models with the PyTorch system's weights, as arguments of `build`."""
    own_model.run(own_model.KERAS, folder)
    layers = {"encoder": mine.transmitter.encoder.layers, "decoder": mine.receiver.decoder.layers}
    for name, (first, _, second, *_) in layers.items():
        model = keras.saving.load_model(folder / f"{name}.keras")
        kernels = [layer for layer in model.layers if "conv2d" in layer.name]
        for theirs, ours in zip(kernels, (first, second), strict=True):
            theirs.set_weights([ours.weight.detach().permute(2, 3, 1, 0).numpy(), ours.bias.detach().numpy()])
        model.save(folder / f"{name}.keras")
    return {name: str(folder / f"{name}.keras") for name in layers}


def send(built, size=32, snr_db=10.0, channel=None):
    images = torch.stack([picture.pixels for picture in load("photos", 3, size)])
    seeds = [seed_for("foreign", row) for row in range(len(images))]
    with torch.no_grad():
        return Link(built, channel or rayleigh.build()).deliver(Sample(images), snr_db, seeds)


def refused(path, other, match):
    with pytest.raises(UsageError, match=match) as refusal:
        system.build(1 / 24, str(path), str(other))
    assert "\n" not in str(refusal.value)


def test_agrees_with_pytorch_over_rayleigh(mine, files):
    ours, theirs = send(mine), send(system.build(1 / 24, **files))
    assert torch.equal(ours.uses, theirs.uses)
    torch.testing.assert_close(theirs.reception.images, ours.reception.images, atol=1e-4, rtol=0)
    assert (ours.reception.images[0] - ours.reception.images[1]).abs().max() > 0.1  # pictures, not a constant


def test_laws_that_concern_one_size(files, monkeypatch):
    """The files are for 32 x 32 pixels, so the law of odd sizes cannot hold; every other does."""
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    monkeypatch.setattr(random, "setstate", lambda state: None)
    trial = check.Trial(partial(system.build, **files), size=32, cbr=1 / 8)
    laws = [law for law in check.SYSTEM_LAWS if law is not check.any_shape_comes_back]
    assert {law.__name__: law(trial) for law in laws if law(trial)} == {}


def test_loading_leaves_python_s_draws_alone(keras, tmp_path, files):
    """Keras seeds layers like dropout from Python's generator."""
    model = keras.Sequential([keras.Input((256,)), keras.layers.Dropout(0.5), keras.layers.Reshape((8, 8, 4))])
    model.save(tmp_path / "model.keras")
    random.seed(1)
    before = random.getstate()
    with system._python_draws_kept():
        keras.saving.load_model(tmp_path / "model.keras")
    assert random.getstate() == before
    keras.saving.load_model(tmp_path / "model.keras")
    assert random.getstate() != before  # so there was something to keep


def test_a_scenario_runs_and_names_the_files(files, tmp_path):
    from semcom import sweep, table

    text = own_model.YAML[1]
    for name, path in files.items():
        text = text.replace(f"{name}.keras", path)
    data = {
        **yaml.safe_load(text),
        "channel": "awgn",
        "medium_cbr": 1 / 24,
        "sweep": {"snr_db": [10]},
        "images": {"source": "photos", "count": 2, "size": 32},
        "metrics": ["psnr"],
    }
    rows = table.read(sweep.run(scenario_from(data), tmp_path / "run"))
    [weights] = rows["weights"].unique().to_pylist()
    assert [part.partition("@")[0] for part in weights.split()] == ["encoder", "decoder"]


def test_inputs_beside_go_by_their_names(keras, tmp_path):
    """The SNR in dB as a level of grey, through an encoder and a decoder that ask for it."""
    layers = keras.layers
    pictures, snr_db = keras.Input((32, 32, 3), name="pictures"), keras.Input((1,), name="snr_db")
    told = layers.Concatenate()([layers.Flatten()(pictures), layers.Rescaling(1 / 40)(snr_db)])
    reals = layers.Rescaling(0.5**0.5)(layers.RMSNormalization()(layers.Dense(128)(told)))
    keras.Model([snr_db, pictures], reals).save(tmp_path / "e.keras")
    received, noise = keras.Input((64, 2), name="received"), keras.Input((64,), name="noise_var")
    level = layers.Rescaling(1 / 40)(snr_db)
    silent = layers.Rescaling(0.0)(layers.Add()([layers.GlobalAveragePooling1D()(received), layers.Dense(2)(noise)]))
    grey = layers.Concatenate()([level, level, layers.Add()([level, layers.Dense(1)(silent)])])
    images = layers.UpSampling2D(32)(layers.Reshape((1, 1, 3))(grey))
    keras.Model({"received": received, "noise_var": noise, "snr_db": snr_db}, images).save(tmp_path / "d.keras")
    built = system.build(1 / 16, str(tmp_path / "e.keras"), str(tmp_path / "d.keras"))
    for level_db in (5.0, 30.0):
        images = send(built, snr_db=level_db, channel=awgn.build()).reception.images
        assert torch.allclose(images, torch.tensor(level_db / 40), atol=1e-5)


def test_power_and_grant(keras, files, folder, tmp_path):
    loud = keras.Sequential([keras.saving.load_model(files["encoder"]), keras.layers.Rescaling(2.0)])
    loud.save(tmp_path / "loud.keras")
    path = str(tmp_path / "loud.keras")
    with pytest.raises(UsageError, match=r"loud.keras sends 4 of energy per use in row 0; .* or set normalise: true$"):
        send(system.build(1 / 24, path, files["decoder"]))
    chosen, expected = (
        send(built).reception.images
        for built in (system.build(1 / 24, path, files["decoder"], normalise=True), system.build(1 / 24, **files))
    )
    torch.testing.assert_close(chosen, expected, atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="sends 128 uses for a picture of 32x32 pixels, granted are 96"):
        send(system.build(1 / 32, **files))
    with pytest.raises(UsageError, match=r"of shape \[any, 32, 32, 3\], here it is \[3, 48, 48, 3\]"):
        send(system.build(1 / 24, **files), size=48)


def test_lambda_layers_are_not_run(keras, files, tmp_path):
    trap = tmp_path / "trap"
    layer = keras.layers.Lambda(lambda images: open(images, "w"), output_shape=(256,))  # noqa: SIM115
    inputs = keras.Input((32, 32, 3))
    keras.Model(inputs, keras.layers.Flatten()(inputs)).save(tmp_path / "plain.keras")
    edited(tmp_path / "plain.keras", tmp_path / "lambda.keras", "Flatten", keras.saving.serialize_keras_object(layer))
    refused(tmp_path / "lambda.keras", files["decoder"], "has a Lambda layer, which is code and is not run")
    assert not trap.exists()


def edited(source, target, kind, layer):
    """A `.keras` file with another layer in place of the one of that kind."""
    with zipfile.ZipFile(source) as file, zipfile.ZipFile(target, "w") as out:
        for name in file.namelist():
            content = file.read(name)
            if name == "config.json":
                config = json.loads(content)
                for item in config["config"]["layers"]:
                    if item["class_name"] == kind:
                        item.update({key: layer[key] for key in ("module", "class_name", "registered_name", "config")})
                content = json.dumps(config).encode()
            out.writestr(name, content)


@pytest.mark.parametrize("registered", [None, "Mine>Trap"])
def test_classes_of_one_s_own_are_not_imported(registered, keras, files, tmp_path, monkeypatch):
    """A file may name any module; importing it is running it."""
    trap = tmp_path / "trapped"
    (tmp_path / "trapping.py").write_text(f"open({str(trap)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    layer = {"module": "trapping", "class_name": "Trap", "registered_name": registered, "config": {"name": "trap"}}
    edited(files["encoder"], tmp_path / "own.keras", "Flatten", layer)
    refused(
        tmp_path / "own.keras", files["decoder"], r"own.keras has (Mine>)?Trap of trapping, which is code of its own"
    )
    assert not trap.exists()
    assert "trapping" not in sys.modules


def test_classes_without_a_module_are_refused(keras, files, tmp_path):
    """So Keras writes those that a script defines and does not register."""
    layer = {"module": None, "class_name": "Mine", "registered_name": "Mine", "config": {"name": "mine"}}
    edited(files["encoder"], tmp_path / "own.keras", "Flatten", layer)
    refused(tmp_path / "own.keras", files["decoder"], "has Mine of its author, which is code of its own")


def test_functions_of_one_s_own_are_refused(keras, files, tmp_path):
    def swish(values):
        return values

    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Flatten()(keras.layers.Conv2D(4, 4, strides=4, activation=swish)(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "own.keras")
    refused(tmp_path / "own.keras", files["decoder"], "has swish of builtins, which is code of its own")


def test_a_loss_of_one_s_own_does_not_matter(keras, files, tmp_path):
    """It is not needed to infer, and is not loaded."""

    def difference(sent, found):
        return sent - found

    model = keras.saving.load_model(files["encoder"])
    model.compile(loss=difference, optimizer="adam")
    model.save(tmp_path / "compiled.keras")
    assert send(system.build(1 / 24, str(tmp_path / "compiled.keras"), files["decoder"])).uses[0] == 128


def test_files_that_are_no_models(files, tmp_path):
    refused(tmp_path / "nowhere.keras", files["decoder"], r"^no model file .*nowhere.keras")
    refused(tmp_path / "model.h5", files["decoder"], r"does not end in \.keras")
    (tmp_path / "text.keras").write_text("no model")
    refused(tmp_path / "text.keras", files["decoder"], r"is not a whole \.keras file")
    with zipfile.ZipFile(tmp_path / "list.keras", "w") as file:
        file.writestr("config.json", "[1, 2]")
    refused(tmp_path / "list.keras", files["decoder"], r"is not a whole \.keras file")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as file:
        file.writestr("config.json", "{}")
    refused(tmp_path / "empty.keras", files["decoder"], "cannot be loaded as a Keras model")


def test_without_the_extra(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "any.keras", "w") as file:
        file.writestr("config.json", "{}")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(UsageError, match=r"pip install 'semcom\[tensorflow\]'"):
        system.build(1 / 16, str(tmp_path / "any.keras"), str(tmp_path / "any.keras"))

"""Keras models over the link: agreement with PyTorch for the same weights; custom code is an error."""

import json
import random
import sys
import zipfile
from functools import partial

import own_model
import pytest
import torch

from channels import awgn, rayleigh, seed_for
from semcom import Link, Sample, UsageError, contract
from semcom.images.sources import load
from semcom.systems import keras as system


@pytest.fixture(scope="session")
def keras():
    pytest.importorskip("tensorflow")
    return system._keras()


@pytest.fixture(scope="session")
def files(keras, mine, folder):
    """Keras models of the page with the weights of the PyTorch system, as arguments of `build`."""
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
    images = torch.stack([image.pixels for image in load("photos", 3, size)])
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
    assert (ours.reception.images[0] - ours.reception.images[1]).abs().max() > 0.1  # images, not a constant


def test_properties_for_one_image_size(files, monkeypatch):
    """The files are for 32 x 32 pixels, so all properties but that of image shapes hold."""
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    monkeypatch.setattr(random, "setstate", lambda state: None)
    trial = contract.Trial(partial(system.build, **files), size=32, cbr=1 / 8)
    properties = [check for check in contract.SYSTEM_PROPERTIES if check is not contract.every_image_shape_is_supported]
    assert {check.__name__: check(trial) for check in properties if check(trial)} == {}


def test_loading_restores_the_python_random_state(keras, tmp_path, files):
    """Keras seeds layers such as dropout from Python's random generator."""
    model = keras.Sequential([keras.Input((256,)), keras.layers.Dropout(0.5), keras.layers.Reshape((8, 8, 4))])
    model.save(tmp_path / "model.keras")
    random.seed(1)
    before = random.getstate()
    with system._python_random_state_restored():
        keras.saving.load_model(tmp_path / "model.keras")
    assert random.getstate() == before
    keras.saving.load_model(tmp_path / "model.keras")
    assert random.getstate() != before  # loading without the context manager changes the state


def test_a_scenario_runs_and_names_the_files(files, tmp_path):
    text = own_model.YAML[1]
    for name, path in files.items():
        text = text.replace(f"{name}.keras", path)
    named = own_model.names_of_files(text, tmp_path / "run")
    assert [(name, len(digest)) for name, digest in named] == [("encoder", 8), ("decoder", 8)]


def test_optional_inputs_are_matched_by_name(keras, tmp_path):
    """Encoder and decoder with the input `snr_db`; the decoder returns it as a gray level."""
    layers = keras.layers
    image, snr_db = keras.Input((32, 32, 3), name="images"), keras.Input((1,), name="snr_db")
    inputs = layers.Concatenate()([layers.Flatten()(image), layers.Rescaling(1 / 40)(snr_db)])
    reals = layers.Rescaling(0.5**0.5)(layers.RMSNormalization()(layers.Dense(128)(inputs)))
    keras.Model([snr_db, image], reals).save(tmp_path / "e.keras")
    received, noise = keras.Input((64, 2), name="received"), keras.Input((64,), name="noise_var")
    level = layers.Rescaling(1 / 40)(snr_db)
    silent = layers.Rescaling(0.0)(layers.Add()([layers.GlobalAveragePooling1D()(received), layers.Dense(2)(noise)]))
    gray = layers.Concatenate()([level, level, layers.Add()([level, layers.Dense(1)(silent)])])
    images = layers.UpSampling2D(32)(layers.Reshape((1, 1, 3))(gray))
    keras.Model({"received": received, "noise_var": noise, "snr_db": snr_db}, images).save(tmp_path / "d.keras")
    built = system.build(1 / 16, str(tmp_path / "e.keras"), str(tmp_path / "d.keras"))
    for level_db in (5.0, 30.0):
        images = send(built, snr_db=level_db, channel=awgn.build()).reception.images
        assert torch.allclose(images, torch.tensor(level_db / 40), atol=1e-5)


def test_wrong_energy_budget_and_size_are_errors(keras, files, folder, tmp_path):
    loud = keras.Sequential([keras.saving.load_model(files["encoder"]), keras.layers.Rescaling(2.0)])
    loud.save(tmp_path / "loud.keras")
    path = str(tmp_path / "loud.keras")
    with pytest.raises(UsageError, match=r"loud.keras returns symbols of mean energy 4 .* or write normalize: true$"):
        send(system.build(1 / 24, path, files["decoder"]))
    chosen, expected = (
        send(built).reception.images
        for built in (system.build(1 / 24, path, files["decoder"], normalize=True), system.build(1 / 24, **files))
    )
    torch.testing.assert_close(chosen, expected, atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="sends 128 channel uses for an image of 32 x 32, the budget is 96"):
        send(system.build(1 / 32, **files))
    with pytest.raises(UsageError, match=r"of shape \[any, 32, 32, 3\], not \[3, 48, 48, 3\]"):
        send(system.build(1 / 24, **files), size=48)


def test_lambda_layers_are_not_run(keras, files, tmp_path):
    trap = tmp_path / "trap"
    layer = keras.layers.Lambda(lambda images: open(images, "w"), output_shape=(256,))  # noqa: SIM115
    inputs = keras.Input((32, 32, 3))
    keras.Model(inputs, keras.layers.Flatten()(inputs)).save(tmp_path / "plain.keras")
    edited(tmp_path / "plain.keras", tmp_path / "lambda.keras", "Flatten", keras.saving.serialize_keras_object(layer))
    refused(tmp_path / "lambda.keras", files["decoder"], "has a Lambda layer, whose code is not run")
    assert not trap.exists()


def edited(source, target, kind, layer):
    """Write a `.keras` file in which the layer of a kind is replaced."""
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
def test_custom_classes_are_not_imported(registered, keras, files, tmp_path, monkeypatch):
    """A file may name any module; importing it would run its code."""
    trap = tmp_path / "trapped"
    (tmp_path / "trapping.py").write_text(f"open({str(trap)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    layer = {"module": "trapping", "class_name": "Trap", "registered_name": registered, "config": {"name": "trap"}}
    edited(files["encoder"], tmp_path / "own.keras", "Flatten", layer)
    refused(
        tmp_path / "own.keras",
        files["decoder"],
        r"has the custom class or function (Mine>)?Trap \(trapping\)",
    )
    assert not trap.exists()
    assert "trapping" not in sys.modules


def test_classes_without_a_module_are_errors(keras, files, tmp_path):
    """Keras writes unregistered classes of a script without module."""
    layer = {"module": None, "class_name": "Mine", "registered_name": "Mine", "config": {"name": "mine"}}
    edited(files["encoder"], tmp_path / "own.keras", "Flatten", layer)
    refused(tmp_path / "own.keras", files["decoder"], r"has the custom class or function Mine \(no module\)")


def test_custom_functions_are_errors(keras, files, tmp_path):
    def swish(values):
        return values

    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Flatten()(keras.layers.Conv2D(4, 4, strides=4, activation=swish)(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "own.keras")
    refused(tmp_path / "own.keras", files["decoder"], r"has the custom class or function swish \(builtins\)")


@pytest.mark.parametrize(
    ("module", "kind", "config", "name"),
    [
        ("keras.layers", "TorchModuleWrapper", {"module": "pickle"}, "TorchModuleWrapper"),
        ("keras.layers", "TFSMLayer", {"filepath": "/etc"}, "TFSMLayer"),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}, "StringLookup"),
        ("keras.src.layers.core.lambda_layer", "Lambda", {}, "Lambda"),
        ("keras.utils", "function", "get_file", "get_file"),
        ("keras.saving", "function", "load_model", "load_model"),
        ("keras.activations", "function", "deserialize", "deserialize"),
        ("keras.src.ops.core", "Map", {}, "Map"),
        ("keras.src.saving.saving_lib", "DiskIOStore", {}, "DiskIOStore"),
        (None, "__typespec__", {}, "__typespec__"),
    ],
)
def test_only_layers_that_compute_with_weights_are_loaded(module, kind, config, name, tmp_path):
    layer = {"module": module, "class_name": kind, "config": config, "registered_name": None}
    with zipfile.ZipFile(tmp_path / "trap.keras", "w") as file:
        file.writestr("config.json", json.dumps({"module": "keras", "class_name": "Sequential", "config": [layer]}))
    with pytest.raises(UsageError, match=f"trap.keras has .*{name}.*use .*layer"):
        system._refuse_code(tmp_path / "trap.keras")


def test_common_layers_are_permitted(keras, tmp_path):
    layers, image = keras.layers, keras.Input((8, 8, 3), name="images")
    values = layers.Conv2D(4, 3, activation=keras.activations.swish, kernel_regularizer="l2")(image)
    values = keras.ops.mean(values, axis=(1, 2)) * 2 + keras.ops.square(values[:, 0, 0])
    values = layers.Dense(4, activation="gelu", kernel_constraint="non_neg", dtype="mixed_float16")(values)
    inner = keras.Sequential([layers.Reshape((1, 4)), layers.LSTM(3), layers.Activation("relu"), layers.PReLU()])
    keras.Model(image, inner(values)).save(tmp_path / "common.keras")
    system._refuse_code(tmp_path / "common.keras")


def test_custom_losses_are_ignored(keras, files, tmp_path):
    """Losses are not loaded for inference."""

    def difference(target, output):
        return target - output

    model = keras.saving.load_model(files["encoder"])
    model.compile(loss=difference, optimizer="adam")
    model.save(tmp_path / "compiled.keras")
    assert send(system.build(1 / 24, str(tmp_path / "compiled.keras"), files["decoder"])).uses[0] == 128


def test_invalid_files_are_errors(files, tmp_path):
    refused(tmp_path / "nowhere.keras", files["decoder"], r"^no model file .*nowhere.keras")
    refused(tmp_path / "model.h5", files["decoder"], r"does not end in \.keras")
    (tmp_path / "text.keras").write_text("no model")
    refused(tmp_path / "text.keras", files["decoder"], r"is not a valid \.keras file")
    with zipfile.ZipFile(tmp_path / "list.keras", "w") as file:
        file.writestr("config.json", "[1, 2]")
    refused(tmp_path / "list.keras", files["decoder"], r"is not a valid \.keras file")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as file:
        file.writestr("config.json", "{}")
    refused(tmp_path / "empty.keras", files["decoder"], "cannot be loaded as a Keras model")


def test_missing_tensorflow_is_an_error(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "any.keras", "w") as file:
        file.writestr("config.json", "{}")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(UsageError, match=r"pip install 'semcom\[tensorflow\]'"):
        system.build(1 / 16, str(tmp_path / "any.keras"), str(tmp_path / "any.keras"))

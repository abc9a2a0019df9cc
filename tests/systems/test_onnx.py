"""ONNX models over the link: the same images as the PyTorch models they were exported from, and clear refusals."""

import random
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import own_model
import pytest
import torch

from channels import awgn, rayleigh, seed_for
from semcom import Link, Sample, UsageError, contract
from semcom.discover import find
from semcom.images.sources import load
from semcom.link import Delivery
from semcom.scenario.load import variant
from semcom.systems import onnx as system


@pytest.fixture(scope="session")
def exported(mine, folder):
    """Its networks, exported with the code of the page."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the exporter
        own_model.run(own_model.ONNX, folder)
    return folder


@pytest.fixture
def written(tmp_path):
    """Function that writes a model given in ONNX text format and returns its path."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")

    def write(text, file="model.onnx"):
        header = '<ir_version: 9, opset_import: ["" : 18]> model '
        model = onnx.parser.parse_model(header + text)
        onnx.checker.check_model(model)
        onnx.save(model, tmp_path / file)
        return str(tmp_path / file)

    return write


def photos(count=3, size=32):
    return torch.stack([image.pixels for image in load("photos", count, size)])


def send(built, channel=None, images=None, snr_db=10.0) -> Delivery:
    images = photos() if images is None else images
    seeds = [seed_for("foreign", row) for row in range(len(images))]
    with torch.no_grad():
        return Link(built, channel or rayleigh.build()).deliver(Sample(images), snr_db, seeds)


def encoder(count=256, finish="reals = Identity (unit)", shape="N,3,32,32", reals="float[N,M]", beside=""):
    """Encoder that sends the first values of an image at unit mean energy, followed by `finish`."""
    return f"""(float[{shape}] images{beside}) => ({reals} reals) <int64[1] zero = {{0}}, int64[1] one = {{1}},
        int64[1] count = {{{count}}}, float two = {{2.0}}, float three = {{3.0}}, float nothing = {{0.0}}> {{
        flat = Flatten <axis = 1> (images)
        cut = Slice (flat, zero, count, one)
        squares = Mul (cut, cut)
        mean = ReduceMean (squares, one)
        energy = Mul (mean, two)
        root = Sqrt (energy)
        unit = Div (cut, root)
        {finish} }}"""


def gray(shape="N,256", images="1,3,32,32"):
    """Decoder that returns a constant image per row: the sigmoid of its mean."""
    return f"""(float[{shape}] received) => (float[N,A,B,C] images) <int64[1] one = {{1}}, int64[2] axes = {{2, 3}},
        int64[4] shape = {{{images}}}> {{
        mean = ReduceMean (received, one)
        level = Sigmoid (mean)
        pixel = Unsqueeze (level, axes)
        images = Expand (pixel, shape) }}"""


# --- agreement with PyTorch ------------------------------------------------------------------------------------------


def test_training_of_the_page_reduces_the_error(mine, folder):
    untrained = find("system", str(folder / "mine.py")).load()(cbr=1 / 24)
    before, after = (send(built).reception.images - photos() for built in (untrained, mine))
    assert after.square().mean() < 0.5 * before.square().mean()


def test_the_system_of_the_page_has_all_properties(mine, folder, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    subject = variant("system", str(folder / "mine.py"))
    assert not [result for result in contract.check(subject) if result.problem]


def test_agrees_with_pytorch_over_rayleigh(mine, exported):
    built = system.build(1 / 24, str(exported / "encoder.onnx"), str(exported / "decoder.onnx"))
    ours, theirs = send(mine), send(built)
    assert torch.equal(ours.uses, theirs.uses)
    assert ours.uses.tolist() == [128, 128, 128]
    torch.testing.assert_close(theirs.reception.images, ours.reception.images, atol=1e-4, rtol=0)
    assert (ours.reception.images[0] - ours.reception.images[1]).abs().max() > 0.1  # images, not a constant


def test_properties_for_one_image_size(exported, monkeypatch):
    """The files are for 32 x 32 pixels, so all properties but that of image shapes hold."""
    monkeypatch.setattr(random, "getstate", lambda: None)
    files = {"encoder": str(exported / "encoder.onnx"), "decoder": str(exported / "decoder.onnx")}
    trial = contract.Trial(partial(system.build, **files), size=32, cbr=1 / 8)
    properties = [check for check in contract.SYSTEM_PROPERTIES if check is not contract.every_image_shape_is_supported]
    assert {check.__name__: check(trial) for check in properties if check(trial)} == {}


def test_a_scenario_runs_and_names_the_files(exported, tmp_path):
    text = own_model.YAML[0].replace("encoder.onnx", f"{exported}/encoder.onnx")
    files = own_model.names_of_files(text.replace("decoder.onnx", f"{exported}/decoder.onnx"), tmp_path / "run")
    assert [(name, len(digest)) for name, digest in files] == [("encoder", 8), ("decoder", 8)]


def test_color_order_pairs_and_optional_inputs(written):
    """Colors last, real and imaginary parts as pairs, all optional inputs; the images show the values of the inputs."""
    sender = written(
        """(float[N,1] snr_db, float[N,32,32,3] images) => (float[N,512,2] reals)
        <int64[3] shape = {0, 512, 2}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] count = {1024},
        int64[1] pair = {2}, float half = {0.5}, float five = {5.0}, float up = {1.0}, float down = {-1.0}> {
        flat = Flatten <axis = 1> (images)
        cut = Slice (flat, zero, count, one)
        bright = Greater (cut, half)
        points = Where (bright, up, down)
        root = Sqrt (half)
        scaled = Mul (points, root)
        strong = Greater (snr_db, five)
        sign = Where (strong, up, down)
        signed = Mul (scaled, sign)
        reals = Reshape (signed, shape) }""",
        "sender.onnx",
    )
    receiver = written(
        """(float[N,U,2] symbols, float[N,U] noise_var, float[N] snr_db) => (float[N,32,32,3] images)
        <int64[1] one = {1}, int64[2] axes = {1, 2}, int64[1] color = {1}, float hundred = {100.0},
        int64[4] shape = {1, 32, 32, 1}, int64[3] pixel = {-1, 1, 1}, int64[2] last = {1, 2}> {
        noise = ReduceMean <keepdims = 0> (noise_var, one)
        snr = Div (snr_db, hundred)
        mean = ReduceMean <keepdims = 0> (symbols, axes)
        level = Sigmoid (mean)
        a = Unsqueeze (noise, one)
        b = Unsqueeze (snr, one)
        c = Unsqueeze (level, one)
        levels = Concat <axis = 1> (a, b, c)
        wide = Unsqueeze (levels, last)
        images = Expand (wide, shape) }""",
        "receiver.onnx",
    )
    images = photos(2)
    built = system.build(1 / 6, sender, receiver)
    points = (images.permute(0, 2, 3, 1).flatten(1)[:, :1024] > 0.5) * 2.0 - 1
    mean = points.mean(1) * 0.5**0.5
    for snr_db, sign in ((12.0, 1), (0.0, -1)):
        found = send(built, awgn.build(), images, snr_db).reception.images[:, :, 5, 7]
        noise = 10 ** (-snr_db / 10)
        np.testing.assert_allclose(found[:, 0], noise, rtol=1e-5)
        np.testing.assert_allclose(found[:, 1], snr_db / 100, atol=1e-6)
        assert (torch.logit(found[:, 2]) - sign * mean).abs().max() < 4 * (noise / 2 / 1024) ** 0.5
    assert mean.abs().min() > 4 * (0.5 / 1024) ** 0.5  # the sign is distinguishable from noise


def test_models_for_one_row_process_rows_one_by_one(written):
    alone = written(encoder(shape="1,3,32,32"), "e1.onnx"), written(gray("1,256"), "d1.onnx")
    together = written(encoder(), "e.onnx"), written(gray(), "d.onnx")
    first, second = (send(system.build(1 / 16, *files)).reception.images for files in (alone, together))
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_normalization_is_optional(written):
    loud, plain = written(encoder(finish="reals = Mul (unit, three)"), "loud.onnx"), written(encoder())
    decoder = written(gray(), "d.onnx")
    with pytest.raises(UsageError, match=r"loud.onnx returns symbols of mean energy 9 .* or write normalize: true$"):
        send(system.build(1 / 16, loud, decoder))
    chosen, expected = (
        send(built).reception.images
        for built in (system.build(1 / 16, loud, decoder, normalize=True), system.build(1 / 16, plain, decoder))
    )
    torch.testing.assert_close(chosen, expected, atol=1e-5, rtol=0)


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (encoder(finish="reals = Mul (unit, nothing)"), "symbols of mean energy 0 in row 0"),
        (encoder(count=255), r"returns \[3, 255\] for 3 images"),
        (encoder(count=2 * 193), "sends 193 channel uses for an image of 32 x 32, the budget is 192"),
        (encoder(finish="reals = Div (unit, nothing)"), "must return finite float32 numbers"),
        (encoder(finish="reals = Cast <to = 11> (unit)", reals="double[N,M]"), "some of its float64 are not"),
        (encoder(finish="reals = Identity (images)", reals="float[N,3,32,32]"), r"returns \[3, 3, 32, 32\] for 3"),
    ],
)
def test_wrong_encoder_outputs_are_errors(text, message, written):
    built = system.build(1 / 16, written(text), written(gray(), "d.onnx"))
    with pytest.raises(UsageError, match=message) as refusal:
        send(built)
    assert "\n" not in str(refusal.value)


def test_zero_symbols_cannot_be_normalized(written):
    files = written(encoder(finish="reals = Mul (unit, nothing)")), written(gray(), "d.onnx")
    with pytest.raises(UsageError, match="a row of zeros cannot be normalized"):
        send(system.build(1 / 16, *files, normalize=True))


def test_wrong_shapes_are_errors(written):
    sender, decoder = written(encoder()), written(gray(), "d.onnx")
    with pytest.raises(UsageError, match=r"of shape \[any, 3, 32, 32\], not \[1, 3, 48, 48\]: change the image size"):
        send(system.build(1 / 8, sender, decoder), images=photos(1, 48))
    with pytest.raises(UsageError, match=r"short.onnx requires received of shape \[any, 128\], not \[3, 256\]"):
        send(system.build(1 / 16, sender, written(gray("N,128"), "short.onnx")))
    small = written(gray(images="1,3,32,16"), "small.onnx")
    with pytest.raises(UsageError, match=r"small.onnx returns images of shape \[3, 3, 32, 16\], not \[3, 3, 32, 32"):
        send(system.build(1 / 16, sender, small))
    with pytest.raises(UsageError, match=r"of shape \[any, 1, 28, 28\]: export it for images, \[rows, 3, h, w\] or"):
        system.build(1 / 16, written(encoder(shape="N,1,28,28"), "single.onnx"), decoder)
    with pytest.raises(UsageError, match=r"requires 4 rows of images: export it for any number, or for 1"):
        system.build(1 / 16, written(encoder(shape="4,3,32,32"), "four.onnx"), decoder)


def test_a_failure_of_the_model_is_one_line(written):
    """Model of variable image size that fails for this size."""
    broken = written(
        encoder(finish="wrong = Concat <axis = 1> (images, unit)\nreals = Flatten (wrong)", shape="N,3,H,W")
    )
    with pytest.raises(UsageError, match=r"(?s)cannot be loaded|fails on images \[3, 3, 32, 32\]") as refusal:
        send(system.build(1 / 16, broken, written(gray(), "d.onnx")))
    assert "\n" not in str(refusal.value)


def test_unknown_inputs_are_errors(written):
    decoder = written(gray(), "d.onnx")
    strange = written(encoder(beside=", float[N,1] key", finish="reals = Mul (unit, key)"))
    with pytest.raises(UsageError, match="has inputs images, key: export it with one main input and optionally snr_db"):
        system.build(1 / 16, strange, decoder)
    half = written("(float16[N,3,32,32] images) => (float16[N,3072] reals) { reals = Flatten <axis = 1> (images) }")
    with pytest.raises(UsageError, match=r"as tensor\(float16\): export it with float32 inputs"):
        system.build(1 / 16, half, decoder)


def test_invalid_files_are_errors(written, tmp_path):
    decoder = written(gray(), "d.onnx")
    with pytest.raises(UsageError, match=r"^no model file .*nowhere.onnx"):
        system.build(1 / 16, str(tmp_path / "nowhere.onnx"), decoder)
    with pytest.raises(UsageError, match=r"does not end in \.onnx"):
        system.build(1 / 16, "model.pt", decoder)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UsageError, match="cannot be loaded as an ONNX model") as refusal:
        system.build(1 / 16, str(tmp_path / "text.onnx"), decoder)
    assert "\n" not in str(refusal.value)


DROPOUT = "<float half = {0.5}, bool training = {%d}> { flat = Flatten <axis = 1> (images)\nreals = %s }"
HEAD = "(float[N,3,8,8] images) => (float[N,M] reals) "
NORMALIZED = """(float[N,3,8,8] images) => (float[N,M] reals)
    <float[3] scale = {1.0, 1.0, 1.0}, float[3] bias = {0.0, 0.0, 0.0}> {
    %s = BatchNormalization <training_mode = %d> (images, scale, bias, bias, scale)
    reals = Flatten <axis = 1> (normal) }"""


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        (HEAD + DROPOUT % (1, "Dropout <seed = 1> (flat, half, training)"), "Dropout"),
        (NORMALIZED % ("normal, mean, var", 1), "BatchNormalization"),
        (HEAD + DROPOUT % (0, "Dropout (flat, half, training)"), ""),
        (HEAD + DROPOUT % (1, "Dropout (flat, half)"), ""),
        (NORMALIZED % ("normal", 0), ""),
    ],
)
def test_models_in_training_mode_are_errors(text, operation, written, tmp_path):
    from semcom.systems import _onnx_file

    path = tmp_path / "e.onnx"
    written(text, path.name)
    if not operation:
        assert _onnx_file.check(path) == []
        return
    with pytest.raises(UsageError, match=f"e.onnx contains {operation} in training mode, .*export it for inference"):
        system.build(1 / 6, str(path), written(gray(), "d.onnx"))


@pytest.mark.parametrize("place", ["../heavy.data", "/heavy.data", "folder/link.data", "./../heavy.data"])
def test_external_weights_outside_the_folder_are_errors(place, written, tmp_path):
    onnx = pytest.importorskip("onnx")
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    model = onnx.load(written("(float[N,2] a) => (float[N,2] b) <float[2] w = {1.0, 2.0}> { b = Mul (a, w) }"))
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones(2, np.float32), "w"))
    onnx.save(model, tmp_path / "heavy.onnx", save_as_external_data=True, location="heavy.data", size_threshold=0)
    (home / "folder" / "link.data").symlink_to(tmp_path / "heavy.data")
    model = onnx.load(tmp_path / "heavy.onnx", load_external_data=False)
    name = str(tmp_path / "heavy.data") if place.startswith("/") else place
    model.graph.initializer[0].external_data[0].value = name
    (home / "heavy.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match=r"refers to the weight file .*\.data outside its folder: copy it"):
        system.build(1 / 6, str(home / "heavy.onnx"), str(home / "heavy.onnx"))


def test_the_end_of_a_long_error_is_shown():
    from semcom.systems._foreign import one_line

    text = one_line(RuntimeError("[ONNXRuntimeError] " + "path/" * 300 + " the\nreason"))
    assert text.startswith("[ONNXRuntimeError]")
    assert text.endswith("the reason")
    assert len(text) < 610


def test_a_model_of_one_image_size_is_checked_at_that_size(written, capsys):
    from semcom.cli.main import main

    files = written(encoder(), "e.onnx"), written(gray(), "d.onnx")
    main(["check", f"onnx:encoder={files[0]},decoder={files[1]}", "--size", "32"])
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if "every_image_shape" in line).startswith("does not apply")
    assert not [line for line in lines if "change the image size" in line]


def test_external_weight_files(exported):
    """Large models are exported to two files; the hash covers both, and both are required."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported / "encoder.onnx")
    onnx.save(model, exported / "heavy.onnx", save_as_external_data=True, location="heavy.data", size_threshold=256)
    files = str(exported / "heavy.onnx"), str(exported / "decoder.onnx")
    before = system.build(1 / 16, *files)
    send(before)
    weights = bytearray((exported / "heavy.data").read_bytes())
    weights[2] ^= 1
    (exported / "heavy.data").write_bytes(weights)
    assert system.build(1 / 16, *files).weights != before.weights
    (exported / "heavy.data").unlink()
    with pytest.raises(UsageError, match=r"refers to the weight file heavy.data, which is missing"):
        system.build(1 / 16, *files)


def test_random_operations_are_errors(written):
    noisy = written(encoder(finish="noise = RandomNormalLike (unit)\nreals = Add (unit, noise)"))
    with pytest.raises(UsageError, match=r"contains a random operation \(RandomNormalLike\)"):
        system.build(1 / 16, noisy, noisy)


def test_missing_onnxruntime_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "any.onnx").touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'semcom\[onnx\]'"):
        system.build(1 / 16, str(tmp_path / "any.onnx"), str(tmp_path / "any.onnx"))


def test_importing_the_systems_imports_no_framework():
    code = (
        "import semcom.systems.onnx, semcom.systems.keras as k, sys; print({'onnxruntime', 'keras'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

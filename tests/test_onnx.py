"""ONNX models over the link: the same pictures as the PyTorch models they were exported from, and clear refusals."""

import random
import shutil
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import own_model
import pytest
import torch
import yaml

from channels import awgn, rayleigh, seed_for
from semcom import Link, Sample, UsageError, check
from semcom.discover import find
from semcom.images import load
from semcom.link import Delivery
from semcom.scenario import scenario_from, variant
from semcom.systems import onnx as system


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="session")
def mine(folder):
    """The PyTorch system of the page, trained."""
    return own_model.trained(folder)


@pytest.fixture(scope="session")
def exported(mine, folder):
    """Its networks, exported as the page says."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        own_model.run(own_model.ONNX, folder)
    return folder


@pytest.fixture
def written(tmp_path):
    """Write a model from ONNX's text form; its path."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")

    def write(text, file="model.onnx"):
        header = '<ir_version: 9, opset_import: ["" : 18]> model '
        model = onnx.parser.parse_model(header + text)
        onnx.checker.check_model(model)
        onnx.save(model, tmp_path / file)
        return str(tmp_path / file)

    return write


def pictures(count=3, size=32):
    return torch.stack([picture.pixels for picture in load("photos", count, size)])


def send(built, channel=None, images=None, snr_db=10.0) -> Delivery:
    images = pictures() if images is None else images
    seeds = [seed_for("foreign", row) for row in range(len(images))]
    with torch.no_grad():
        return Link(built, channel or rayleigh.build()).deliver(Sample(images), snr_db, seeds)


def encoder(count=256, finish="reals = Identity (unit)", shape="N,3,32,32", reals="float[N,M]", beside=""):
    """The first values of a picture, at unit mean energy, and then whatever else."""
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


def grey(shape="N,256", pictures="1,3,32,32"):
    """A picture of one level for each row: the sigmoid of its mean."""
    return f"""(float[{shape}] received) => (float[N,A,B,C] images) <int64[1] one = {{1}}, int64[2] axes = {{2, 3}},
        int64[4] shape = {{{pictures}}}> {{
        mean = ReduceMean (received, one)
        level = Sigmoid (mean)
        pixel = Unsqueeze (level, axes)
        images = Expand (pixel, shape) }}"""


# --- the same as PyTorch ---------------------------------------------------------------------------------------------


def test_training_on_the_page_helps(mine, folder):
    untrained = find("system", str(folder / "mine.py")).load()(cbr=1 / 24)
    before, after = (send(built).reception.images - pictures() for built in (untrained, mine))
    assert after.square().mean() < 0.5 * before.square().mean()


def test_the_page_s_system_keeps_the_laws(mine, folder, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    subject = variant("system", str(folder / "mine.py"))
    assert not [law for law in check.check(subject) if law.problem]


def test_agrees_with_pytorch_over_rayleigh(mine, exported):
    built = system.build(1 / 24, str(exported / "encoder.onnx"), str(exported / "decoder.onnx"))
    ours, theirs = send(mine), send(built)
    assert torch.equal(ours.uses, theirs.uses)
    assert ours.uses.tolist() == [128, 128, 128]
    torch.testing.assert_close(theirs.reception.images, ours.reception.images, atol=1e-4, rtol=0)
    assert (ours.reception.images[0] - ours.reception.images[1]).abs().max() > 0.1  # pictures, not a constant


def test_laws_that_concern_one_size(exported, monkeypatch):
    """The files are for 32 x 32 pixels, so the law of odd sizes cannot hold; every other does."""
    monkeypatch.setattr(random, "getstate", lambda: None)
    files = {"encoder": str(exported / "encoder.onnx"), "decoder": str(exported / "decoder.onnx")}
    trial = check.Trial(partial(system.build, **files), size=32, cbr=1 / 8)
    laws = [law for law in check.SYSTEM_LAWS if law is not check.any_shape_comes_back]
    assert {law.__name__: law(trial) for law in laws if law(trial)} == {}


def test_a_scenario_runs_and_names_the_files(exported, tmp_path):
    from semcom import sweep, table

    text = own_model.YAML[0].replace("encoder.onnx", f"{exported}/encoder.onnx")
    data = {
        **yaml.safe_load(text.replace("decoder.onnx", f"{exported}/decoder.onnx")),
        "channel": "awgn",
        "medium_cbr": 1 / 24,
        "sweep": {"snr_db": [10]},
        "images": {"source": "photos", "count": 2, "size": 32},
        "metrics": ["psnr"],
    }
    rows = table.read(sweep.run(scenario_from(data), tmp_path / "run"))
    [weights] = rows["weights"].unique().to_pylist()
    assert [part.partition("@")[0] for part in weights.split()] == ["encoder", "decoder"]
    assert all(len(part.partition("@")[2]) == 8 for part in weights.split())


def test_colours_last_pairs_and_what_travels_beside(written):
    """Another layout, another form of reals, and all inputs that may be there; each says what it was given."""
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
        <int64[1] one = {1}, int64[2] axes = {1, 2}, int64[1] colour = {1}, float hundred = {100.0},
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
    images = pictures(2)
    built = system.build(1 / 6, sender, receiver)
    points = (images.permute(0, 2, 3, 1).flatten(1)[:, :1024] > 0.5) * 2.0 - 1
    mean = points.mean(1) * 0.5**0.5
    for snr_db, sign in ((12.0, 1), (0.0, -1)):
        found = send(built, awgn.build(), images, snr_db).reception.images[:, :, 5, 7]
        noise = 10 ** (-snr_db / 10)
        np.testing.assert_allclose(found[:, 0], noise, rtol=1e-5)
        np.testing.assert_allclose(found[:, 1], snr_db / 100, atol=1e-6)
        assert (torch.logit(found[:, 2]) - sign * mean).abs().max() < 4 * (noise / 2 / 1024) ** 0.5
    assert mean.abs().min() > 4 * (0.5 / 1024) ** 0.5  # the sign that the SNR gave could be told


def test_rows_fixed_at_one_run_one_by_one(written):
    alone = written(encoder(shape="1,3,32,32"), "e1.onnx"), written(grey("1,256"), "d1.onnx")
    together = written(encoder(), "e.onnx"), written(grey(), "d.onnx")
    first, second = (send(system.build(1 / 16, *files)).reception.images for files in (alone, together))
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_normalising_is_a_choice(written):
    loud, plain = written(encoder(finish="reals = Mul (unit, three)"), "loud.onnx"), written(encoder())
    decoder = written(grey(), "d.onnx")
    with pytest.raises(UsageError, match=r"loud.onnx sends 9 of energy per use in row 0; .* or set normalise: true$"):
        send(system.build(1 / 16, loud, decoder))
    chosen, expected = (
        send(built).reception.images
        for built in (system.build(1 / 16, loud, decoder, normalise=True), system.build(1 / 16, plain, decoder))
    )
    torch.testing.assert_close(chosen, expected, atol=1e-5, rtol=0)


# --- refusals, one line each -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (encoder(finish="reals = Mul (unit, nothing)"), "sends 0 of energy per use in row 0"),
        (encoder(count=255), r"returns \[3, 255\] for 3 pictures"),
        (encoder(count=2 * 193), "sends 193 uses for a picture of 32x32 pixels, granted are 192"),
        (encoder(finish="reals = Div (unit, nothing)"), "must return finite float32 numbers"),
        (encoder(finish="reals = Cast <to = 11> (unit)", reals="double[N,M]"), "some of its float64 are not"),
        (encoder(finish="reals = Identity (images)", reals="float[N,3,32,32]"), r"returns \[3, 3, 32, 32\] for 3"),
    ],
)
def test_encoders_that_break_the_contract(text, says, written):
    built = system.build(1 / 16, written(text), written(grey(), "d.onnx"))
    with pytest.raises(UsageError, match=says) as refusal:
        send(built)
    assert "\n" not in str(refusal.value)


def test_silence_is_not_normalised(written):
    files = written(encoder(finish="reals = Mul (unit, nothing)")), written(grey(), "d.onnx")
    with pytest.raises(UsageError, match="there is nothing to normalise"):
        send(system.build(1 / 16, *files, normalise=True))


def test_other_shapes(written):
    sender, decoder = written(encoder()), written(grey(), "d.onnx")
    with pytest.raises(UsageError, match=r"of shape \[any, 3, 32, 32\], here it is \[1, 3, 48, 48\]: change the size"):
        send(system.build(1 / 8, sender, decoder), images=pictures(1, 48))
    with pytest.raises(UsageError, match=r"short.onnx takes received of shape \[any, 128\], here it is \[3, 256\]"):
        send(system.build(1 / 16, sender, written(grey("N,128"), "short.onnx")))
    small = written(grey(pictures="1,3,32,16"), "small.onnx")
    with pytest.raises(UsageError, match=r"small.onnx returns \[3, 3, 32, 16\]; the pictures sent were \[3, 3, 32, 32"):
        send(system.build(1 / 16, sender, small))
    with pytest.raises(UsageError, match=r"takes \[any, 1, 28, 28\]; pictures are \[rows, 3, h, w\] or"):
        system.build(1 / 16, written(encoder(shape="N,1,28,28"), "single.onnx"), decoder)
    with pytest.raises(UsageError, match=r"takes images in 4 rows; export it for any number, or for 1"):
        system.build(1 / 16, written(encoder(shape="4,3,32,32"), "four.onnx"), decoder)


def test_a_failure_inside_is_one_line(written):
    """A model that leaves its size open, and turns out not to work for this one."""
    broken = written(
        encoder(finish="wrong = Concat <axis = 1> (images, unit)\nreals = Flatten (wrong)", shape="N,3,H,W")
    )
    with pytest.raises(UsageError, match=r"(?s)cannot be loaded|fails on images \[3, 3, 32, 32\]") as refusal:
        send(system.build(1 / 16, broken, written(grey(), "d.onnx")))
    assert "\n" not in str(refusal.value)


def test_inputs_that_nobody_can_feed(written):
    decoder = written(grey(), "d.onnx")
    strange = written(encoder(beside=", float[N,1] key", finish="reals = Mul (unit, key)"))
    with pytest.raises(UsageError, match="has inputs images, key; besides the first it may have snr_db, under just"):
        system.build(1 / 16, strange, decoder)
    half = written("(float16[N,3,32,32] images) => (float16[N,3072] reals) { reals = Flatten <axis = 1> (images) }")
    with pytest.raises(UsageError, match=r"as tensor\(float16\); inputs must be float32"):
        system.build(1 / 16, half, decoder)


def test_files_that_are_no_models(written, tmp_path):
    decoder = written(grey(), "d.onnx")
    with pytest.raises(UsageError, match=r"^no model file .*nowhere.onnx"):
        system.build(1 / 16, str(tmp_path / "nowhere.onnx"), decoder)
    with pytest.raises(UsageError, match=r"does not end in \.onnx"):
        system.build(1 / 16, "model.pt", decoder)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UsageError, match="cannot be loaded as an ONNX model") as refusal:
        system.build(1 / 16, str(tmp_path / "text.onnx"), decoder)
    assert "\n" not in str(refusal.value)


def test_weights_in_a_file_of_their_own(exported):
    """The exporter writes them so for large models; the hash covers both files, and both must be there."""
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
    with pytest.raises(UsageError, match=r"keeps its weights in heavy.data, which is missing"):
        system.build(1 / 16, *files)


def test_a_model_that_draws_for_itself(written):
    noisy = written(encoder(finish="noise = RandomNormalLike (unit)\nreals = Add (unit, noise)"))
    with pytest.raises(UsageError, match=r"draws random numbers of its own \(RandomNormalLike\)"):
        system.build(1 / 16, noisy, noisy)


def test_without_the_extra(tmp_path, monkeypatch):
    shutil.copy(__file__, tmp_path / "any.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'semcom\[onnx\]'"):
        system.build(1 / 16, str(tmp_path / "any.onnx"), str(tmp_path / "any.onnx"))


def test_importing_the_systems_imports_no_framework():
    code = (
        "import semcom.systems.onnx, semcom.systems.keras as k, sys; print({'onnxruntime', 'keras'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

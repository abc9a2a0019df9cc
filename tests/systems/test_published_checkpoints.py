"""Networks of other projects from their checkpoints: outputs, counted channel uses, and refused files."""

import random
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import their_checkpoints as theirs
import torch
from fake_device import NAME, fake_device
from torch import nn
from torch.nn import functional

from channels import Rng, awgn, rayleigh
from semcom import Link, Sample, UsageError, contract, devices, sweep
from semcom.images.padding import pad_to_multiple
from semcom.images.sources import load
from semcom.results import table
from semcom.scenario.load import scenario_from
from semcom.system import uses_for
from semcom.systems import deepjscc_pytorch, swinjscc
from semcom.systems.swinjscc import networks
from semcom.systems.swinjscc.configuration import Stage, inferred, published
from semcom.systems.swinjscc.header import Header
from semcom.systems.swinjscc.system import division
from semcom.weights import state_dict

NOISELESS_DB = 100.0
CONDITIONS = (("none", False, False), ("snr", True, False), ("rate", False, True), ("both", True, True))
SWIN = {  # arguments of the layout for each adaptation
    "none": {},
    "snr": {},
    "rate": {"channels": None},
    "both": {"channels": None, "two_modulations": True},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Checkpoints of all variants, by adaptation, and of the convolutional network."""
    folder = tmp_path_factory.mktemp("checkpoints")
    written = {
        name: theirs.save(theirs.random_state(theirs.swin_layout(**layout)), folder, f"{name}.model")
        for name, layout in SWIN.items()
    }
    return written | {"deepjscc": theirs.save(theirs.random_state(theirs.deepjscc_layout()), folder, "cnn.pkl")}


@pytest.fixture(scope="module")
def builds(files):
    """Functions from `cbr` to the system, by the keys of `files`."""
    found = {name: partial(swinjscc.build, weights=files[name], adaptation=name) for name in SWIN}
    return found | {"deepjscc": partial(deepjscc_pytorch.build, weights=files["deepjscc"])}


def photos(count=2, size=64):
    return torch.stack([image.pixels for image in load("photos", count, size)])


def send(system, images, snr_db=NOISELESS_DB, channel=None):
    with torch.no_grad():
        return Link(system, channel or awgn.build()).deliver(Sample(images), snr_db, list(range(len(images))))


# --- agreement with independent implementations ----------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 2])
def test_a_block_is_that_of_torchvision(shift):
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    their = swin.SwinTransformerBlock(12, 3, [4, 4], [shift, shift]).eval()
    ours = networks.Block(Stage(width=12, heads=3, window=4, hidden=48, shifts=(shift,)), shift)
    names = {"mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2"}
    state = {}
    for key, value in their.state_dict().items():
        name = next((key.replace(old, new) for old, new in names.items() if key.startswith(old)), key)
        if not key.endswith("relative_position_index"):
            state[name] = 0.3 * torch.randn_like(value)
            value.copy_(state[name])
    ours.load_state_dict(state)
    features = torch.randn(2, 8, 12, 12)
    torch.testing.assert_close(ours(features), their(features), rtol=1e-5, atol=1e-5)


def test_merging_is_that_of_torchvision_and_splitting_inverts_its_order():
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    their, ours = swin.PatchMerging(6), networks.Merging(6, 12)
    ours.load_state_dict(their.state_dict())
    features = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(ours(features), their(features), rtol=1e-5, atol=1e-5)
    splitting = networks.Splitting(6, 5)
    reference = functional.pixel_shuffle(splitting.increment(splitting.norm(features)).movedim(-1, 1), 2)
    torch.testing.assert_close(splitting(features), reference.movedim(1, -1))


@pytest.mark.parametrize("adaptation", list(SWIN))
def test_without_noise_the_image_is_that_of_the_networks(files, adaptation):
    """The header conveys the scale and the selected channels, so that only the quantized scale differs."""
    system, images = swinjscc.build(1 / 8, files[adaptation], adaptation), photos()
    delivery = send(system, images)
    encoder, decoder = system.transmitter.encoder, system.receiver.decoder
    channels = division(encoder.configuration, 1 / 8, (64, 64)).channels
    snr_db = torch.full((2,), NOISELESS_DB)
    features, importance = encoder(images, snr_db, channels)
    if adaptation in ("rate", "both"):
        lowest = importance.sort(1, descending=True).values[:, channels - 1 : channels]
        features = features * (importance >= lowest)[:, None, None]
        assert 0 < channels < 16
    expected = decoder(features, snr_db).clamp(0, 1)
    assert expected.std() > 0.1
    assert (delivery.reception.images - expected).abs().mean() < 0.01
    assert delivery.reception.outage is None or not delivery.reception.outage.any()


def test_all_channels_are_sent_where_they_fit(builds):
    system, images = builds["rate"](1 / 2), photos()
    features, _ = system.transmitter.encoder(images, torch.full((2,), NOISELESS_DB), 16)
    expected = system.receiver.decoder(features, torch.full((2,), NOISELESS_DB)).clamp(0, 1)
    assert (send(system, images).reception.images - expected).abs().mean() < 0.01


def test_the_convolutions_are_those_of_the_published_code(files):
    state, images = torch.load(files["deepjscc"], weights_only=True), photos()
    features = images
    for index in range(1, 6):
        name, stride = f"encoder.conv{index}", 2 if index < 3 else 1
        kernel, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        features = functional.prelu(functional.conv2d(features, kernel, bias, stride, 2), state[f"{name}.prelu.weight"])
    features = features / features.square().mean((1, 2, 3), keepdim=True).sqrt()  # real numbers of power 1
    for index in range(1, 6):
        name, stride = f"decoder.tconv{index}", 1 if index < 4 else 2
        kernel, bias = state[f"{name}.transconv.weight"], state[f"{name}.transconv.bias"]
        features = functional.conv_transpose2d(features, kernel, bias, stride, 2, output_padding=stride - 1)
        if index < 5:
            features = functional.prelu(features, state[f"{name}.activate.weight"])
    delivery = send(deepjscc_pytorch.build(1 / 12, files["deepjscc"]), images)
    torch.testing.assert_close(delivery.reception.images, features.sigmoid(), atol=1e-3, rtol=0)


def test_the_published_networks_have_their_known_shape():
    """Model size base for large images: windows of 8 at 1/16 of the resolution, CBR 1/16 with C = 96."""
    shape = published()
    assert (shape.stride, shape.multiple, shape.channels) == (16, 128, 96)
    with torch.device("meta"):
        keys = networks.Networks(shape).state_dict()
    assert keys["encoder.layers.2.blocks.5.attn.qkv.weight"].shape == (768, 256)
    assert keys["decoder.layers.1.upsample.increment.weight"].shape == (768, 256)
    assert keys["decoder.layers.3.upsample.increment.weight"].shape == (12, 128)
    assert keys["encoder.bm_list.6.fc.4.weight"].shape == (480, 480)
    assert keys["encoder.head_list.weight"].shape == (96, 320)


def test_conditions_change_what_they_are_for(files):
    images, two = photos(1), torch.tensor([3.0])
    for adaptation, of_snr, of_rate in CONDITIONS:
        encoder = swinjscc.build(1 / 8, files[adaptation], adaptation).transmitter.encoder
        features, _ = encoder(images, two, 4)
        assert torch.equal(encoder(images, two + 5, 4)[0], features) is not of_snr
        assert torch.equal(encoder(images, two, 9)[0], features) is not of_rate


def test_the_adaptation_is_inferred_from_the_modules(files):
    for name in SWIN:
        assert inferred(state_dict.read(files[name]), "auto").adaptation == {"none": "snr"}.get(name, name)


# --- the link --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["snr", "both", "deepjscc"])
def test_all_properties_of_a_system_hold(builds, name, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    trial = contract.Trial(builds[name], size=48, cbr=1 / 8)
    results = {check.__name__: check(trial) for check in contract.SYSTEM_PROPERTIES}
    assert {check: problem for check, problem in results.items() if problem} == {}


@pytest.mark.parametrize(
    ("name", "cbr", "uses", "header"),
    [
        ("snr", 1 / 8, 256 * 8 // 2 + 64, 64),  # below the budget of 1536
        ("snr", 1 / 12, 1024, 64),  # the budget is the rate of the network: the header replaces the last latents
        ("rate", 1 / 8, 11 * 256 // 2 + 112, 112),  # 13 bits for 11 of 16 channels and a CRC of 11 bits at 0.5 bits
        ("rate", 1 / 2, 16 * 256 // 2 + 64, 64),  # all channels: nothing to select
        ("deepjscc", 1 / 8, 4 * 256, 0),
    ],
)
def test_channel_uses_are_counted(builds, name, cbr, uses, header):
    payload = builds[name](cbr).transmitter.encode(Sample(photos()), torch.full((2,), 10.0), Rng([1, 2]))
    assert payload.uses.tolist() == [uses, uses]
    assert payload.digital_uses.tolist() == [header, header]
    assert uses <= uses_for(cbr, (64, 64))
    torch.testing.assert_close(payload.symbols.abs().square().mean(1), torch.ones(2), atol=1e-3, rtol=0)


def test_padding_is_not_transmitted(builds):
    images = photos(1)[:, :, :37, :50]
    delivery = send(builds["snr"](1 / 8), images)
    assert delivery.reception.images.shape == images.shape
    assert delivery.uses.tolist() == [10 * 13 * 8 // 2 + 64]  # 4 x 4 pixels for each position, padded sides 40 and 56
    whole = send(builds["snr"](1 / 8), pad_to_multiple(images, 8)[0])
    assert (delivery.reception.images - whole.reception.images[..., :37, :50]).abs().mean() < 0.05


@pytest.mark.parametrize("name", ["snr", "rate", "deepjscc"])
def test_a_budget_below_the_rate_of_the_network_is_refused(builds, name):
    with pytest.raises(UsageError, match=r"^the network sends .* raise cbr to 0\.\d+ per user$"):
        send(builds[name](1 / 500), photos())


def test_a_lost_selection_is_an_outage(builds):
    reception = send(builds["both"](1 / 8), photos(), snr_db=-15.0).reception
    assert reception.outage.all()
    assert (reception.images == 0.5).all()
    assert reception.block_errors.tolist() == [1, 1]


def test_the_header_conveys_scale_and_selection_with_noise():
    """The step of the scale is 1/10 of an octave; at 0 dB both parts are decoded."""
    header, rows = Header(latents=40, channels=13), 20
    scale = torch.logspace(-1.5, 1.5, rows)
    selected = torch.rand(rows, 40, generator=torch.Generator().manual_seed(0)).argsort(1) < 13
    sent = header.encode(scale, selected)
    assert sent.shape == (rows, header.uses)
    received = sent + Rng(range(rows)).complex_normal(header.uses)
    content = header.decode(received, torch.ones(received.shape))
    assert content.ok.all()
    assert torch.equal(content.selected, selected)
    assert (content.scale / scale).log2().abs().max() <= 0.0501


@pytest.mark.parametrize("name", ["both", "deepjscc"])
def test_both_ends_stay_on_the_device(builds, name):
    expected = send(builds[name](1 / 8), photos(1, 32), 20.0, rayleigh.build())
    with fake_device(), torch.no_grad():
        sample = devices.moved(Sample(photos(1, 32)), NAME)
        delivery = Link(builds[name](1 / 8), rayleigh.build()).deliver(sample, 20.0, [0])
        assert delivery.reception.images.device.type == NAME
        torch.testing.assert_close(delivery.reception.images.cpu(), expected.reception.images, rtol=0, atol=1e-4)


def test_rows_name_the_file_and_its_hash(files, tmp_path):
    data = {
        "systems": [
            {"name": "swinjscc", "weights": files["rate"]},
            {"name": "deepjscc_pytorch", "weights": files["deepjscc"]},
        ],
        "channel": "awgn",
        "medium_cbr": 1 / 8,
        "sweep": {"snr_db": [10]},
        "images": {"source": "photos", "count": 1, "size": 32},
        "metrics": ["psnr"],
    }
    found = table.read(sweep.run(scenario_from(data), tmp_path / "run"))["weights"].to_pylist()
    paths = [Path(files["rate"]), Path(files["deepjscc"])]
    assert sorted(found) == sorted(f"{path.stem}@{sha256(path.read_bytes()).hexdigest()[:8]}" for path in paths)


# --- files -----------------------------------------------------------------------------------------------------------


def test_common_forms_of_checkpoints_are_read(tmp_path):
    """Those of DataParallel, of a dictionary with further entries, in float16, and with the buffers of MS-SSIM."""
    state = theirs.random_state(theirs.swin_layout())
    wrapped = {f"module.{key}": value.half() for key, value in state.items()}
    wrapped["module.distortion_loss.dist.window"] = torch.ones(3, 1, 1, 11)
    file = theirs.save({"epoch": 3, "state_dict": wrapped}, tmp_path)
    used = swinjscc.build(1 / 8, file).transmitter.encoder.norm.weight
    torch.testing.assert_close(used, state["encoder.norm.weight"], atol=1e-3, rtol=1e-3)


def refusal(build, file, **arguments):
    """The message of a refused file, which has one line."""
    with pytest.raises(UsageError) as caught:
        build(1 / 8, file, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("build", [swinjscc.build, deepjscc_pytorch.build])
def test_files_without_a_state_dict_are_refused(build, tmp_path):
    (tmp_path / "text.pth").write_text("no checkpoint")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    torch.save({}, tmp_path / "empty.pth")
    for name in ("text", "whole", "list", "empty"):
        assert "is no PyTorch state dict: write it with torch.save(model.state_dict()" in refusal(
            build, str(tmp_path / f"{name}.pth")
        )
    assert refusal(build, "nowhere.pth").startswith("no checkpoint nowhere.pth")


class _Harmful:
    def __reduce__(self):
        return (sys.exit, ("the code of the file was run",))


def test_code_of_a_file_is_not_run(tmp_path):
    file = theirs.save({"weight": _Harmful()}, tmp_path)
    assert "whole models, whose code would be run, are not loaded" in refusal(swinjscc.build, file)


def test_other_layouts_are_refused_with_their_keys(files, tmp_path):
    text = refusal(swinjscc.build, files["deepjscc"])
    assert "has not the layout of SwinJSCC or WITT" in text
    assert "encoder.patch_embed.proj.weight, " in text
    assert "more missing; encoder.conv1.conv.weight, encoder.conv1.conv.bias, encoder.conv1.prelu.weight and" in text
    text = refusal(deepjscc_pytorch.build, files["snr"])
    assert "has not the layout of Deep-JSCC-PyTorch" in text
    assert "encoder.conv1.conv.weight" in text

    state = theirs.random_state(theirs.swin_layout())
    del state["encoder.norm.bias"]
    state["decoder.extra"] = torch.ones(1)
    state["decoder.head_list.bias"] = torch.ones(5)
    text = refusal(swinjscc.build, theirs.save(state, tmp_path))
    assert text.endswith(
        ": encoder.norm.bias missing; decoder.extra unexpected; decoder.head_list.bias [5], not [16] of other shapes"
    )


def test_an_earlier_layout_of_the_reproduction_is_refused(tmp_path):
    """With kernels of 6 x 6 in the decoder, its encoder has no padding."""
    state = theirs.random_state(theirs.deepjscc_layout())
    state["decoder.tconv5.transconv.weight"] = torch.ones(16, 3, 6, 6)
    text = refusal(deepjscc_pytorch.build, theirs.save(state, tmp_path))
    assert "decoder.tconv5.transconv.weight [16, 3, 6, 6], not [16, 3, 5, 5] of other shapes" in text


def test_adaptations_that_a_checkpoint_lacks_are_refused(files, tmp_path):
    for name, wrong, allowed in (
        ("snr", "rate", "none or snr"),
        ("rate", "both", "rate"),
        ("both", "snr", "rate or both"),
    ):
        assert f"so adaptation must be {allowed}, not {wrong}" in refusal(swinjscc.build, files[name], adaptation=wrong)
    state = theirs.random_state(theirs.swin_layout())
    stripped = theirs.save({key: value for key, value in state.items() if "attn_mask" not in key}, tmp_path)
    assert "theirs.model has no attn_mask" in refusal(swinjscc.build, stripped)

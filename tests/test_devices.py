"""Everything runs on the device of its inputs, and the rows are those of the CPU."""

import json
import random
from functools import lru_cache
from unittest import mock

import pytest
import torch
from fake_device import NAME, fake_device

from channels import precision
from channels.modem import ldpc
from channels.modem.ldpc_code import LdpcCode
from semcom import Link, Sample, UsageError, contract, devices, discover, images
from semcom.cli.main import main
from semcom.metrics.metric import measure
from semcom.scenario.load import variant
from semcom.system import System
from semcom.systems import capacity, harmonic_inpainting
from semcom.systems.digital import margin

CHEAP = {"multimodal_generation": {"candidates": 2, "steps": 1}}
REQUIRES_FILES = {"deepjscc_pytorch", "keras", "onnx", "swinjscc"}
NOT_SUPERPOSED = {"capacity"}
SNR_DB = 30.0  # the decoder stops early


@pytest.fixture
def fake():
    with fake_device() as device:
        yield device


@pytest.fixture(autouse=True)
def _short_simulations(monkeypatch):
    """Rates and margins from few transmissions: their simulation runs on the CPU, whatever the device."""
    monkeypatch.setattr(capacity, "_ERGODIC_USES", 1 << 11)
    monkeypatch.setattr(margin, "_SYMBOLS", 1)  # 128 transmissions, the fewest


@lru_cache(maxsize=1)
def sample():
    """An image with everything that a system may send or a metric may need."""
    street = images.load("streets:val", 1, 64)[0]
    return Sample(street.pixels[None], captions=("a street",), labels=street.labels[None], categories=torch.tensor([3]))


def build(name):
    return discover.find("system", name).load()(cbr=1 / 8, **CHEAP.get(name, {}))


@pytest.mark.parametrize("name", [name for name in discover.entries("system") if name not in REQUIRES_FILES])
def test_every_system_over_every_channel_stays_on_the_device(name, monkeypatch):
    """Mixing devices is an error of the pretended device; all results are there and equal those of the CPU."""
    monkeypatch.setattr(harmonic_inpainting, "_ITERATIONS", (2, 2, 2, 2))
    channels = {
        channel: entry.load()()
        for channel, entry in discover.entries("channel").items()
        if not (channel == "uplink" and name in NOT_SUPERPOSED)
    }
    expected, found = {}, {}
    with torch.no_grad():
        system = build(name)
        for channel, built in channels.items():
            delivery = Link(system, built).deliver(sample(), SNR_DB, [7])
            expected[channel] = delivery.reception.images, delivery.uses.tolist()
        with fake_device() as device:
            for channel, built in channels.items():
                delivery = Link(system, built).deliver(devices.moved(sample(), NAME), SNR_DB, [7])
                assert {value.device.type for value in tensors(delivery)} == {NAME}
                found[channel] = delivery.reception.images.cpu(), delivery.uses.tolist()
            assert device.operations > 20 * len(channels)
            if isinstance(system, System):
                assert {value.device.type for part in system.networks for value in part.parameters()} <= {NAME}
            for metric in set(discover.metrics()) - {"lpips"} if name == "scene" else ("psnr", "ber", "outage"):
                measure(metric, delivery)
    for channel, (pixels, uses) in expected.items():
        assert found[channel][1] == uses
        torch.testing.assert_close(found[channel][0], pixels, rtol=0, atol=1e-4)


def tensors(part):
    if isinstance(part, torch.Tensor):
        yield part
    elif isinstance(part, dict | list | tuple):
        for value in part.values() if isinstance(part, dict) else part:
            yield from tensors(value)
    elif hasattr(part, "__dataclass_fields__"):
        yield from tensors(vars(part))


@pytest.mark.parametrize(
    ("channel", "arguments"),
    [
        ("rayleigh", {"csit": "delayed", "coherence_uses": 16, "csi_error_variance": 0.1, "phase_error_deg": 2.0}),
        ("rician", {"clipping_db": 3.0, "adc_bits": 6}),
        ("tdl", {"csi": "ls", "csit": "perfect"}),
        ("cdl", {"csi": "lmmse"}),
        ("uplink", {"antennas": 3, "power_offsets_db": (0.0, 3.0)}),
    ],
)
@pytest.mark.parametrize("doubles", [True, False])
def test_options_of_channels_stay_on_the_device(channel, arguments, doubles, monkeypatch):
    monkeypatch.setattr(precision, "has_double", lambda device: doubles or device.type == "cpu")
    built = discover.find("channel", channel).load()(**arguments)
    link = Link(discover.find("system", "digital").load()(cbr=1 / 8, codec="webp"), built)
    both = devices.moved(sample(), "cpu")
    both = Sample(both.images.repeat(2, 1, 1, 1))
    expected = link.deliver(both, 15.0, [1, 2], users=2)
    with fake_device(doubles):
        delivery = link.deliver(devices.moved(both, NAME), 15.0, [1, 2], users=2)
        assert delivery.transmitter_snr_db.tolist() == pytest.approx(expected.transmitter_snr_db.tolist(), abs=1e-4)
        torch.testing.assert_close(delivery.reception.images.cpu(), expected.reception.images)


def test_harq_and_joint_decoding_stay_on_the_device(fake):
    digital = discover.find("system", "digital").load()
    fixed = {"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.3, "codec": "webp", "cbr": 1 / 8}
    uplink = discover.find("channel", "uplink").load()(antennas=2, receiver="joint")
    awgn = discover.find("channel", "awgn").load()()
    two = Sample(sample().images.repeat(2, 1, 1, 1))
    for link in (
        Link(digital(**fixed, harq="incremental", rounds=3), awgn),
        Link(digital(**fixed, joint_users=True), uplink),
    ):
        expected = link.deliver(two, 3.0, [1, 2], users=2)
        delivery = link.deliver(devices.moved(two, NAME), 3.0, [1, 2], users=2)
        assert delivery.uses.tolist() == expected.uses.tolist()
        torch.testing.assert_close(delivery.reception.images.cpu(), expected.reception.images)


def test_every_stream_of_multimodal_generation_stays_on_the_device(fake):
    module = discover.find("system", "multimodal_generation").load()
    awgn = discover.find("channel", "awgn").load()()
    for arguments in (
        {"image_stream": "digital", "text_stream": "caption"},
        {"image_stream": "none", "text_stream": "class", "selection": "random"},
        {"text_stream": "digital", "description": "words", "clip_guidance": 0.1, "steps": 2},
    ):
        link = Link(module(cbr=1 / 2, **(CHEAP["multimodal_generation"] | arguments)), awgn)
        delivery = link.deliver(devices.moved(sample(), NAME), 10.0, [1])
        assert {value.device.type for value in tensors(delivery)} == {NAME}


@pytest.mark.parametrize(
    ("arguments", "snr_db"),
    [({"mask": "best_of_64"}, 20.0), ({"sent_tokens": "all"}, 20.0), ({"mapping": "bit_per_patch"}, 20.0), ({}, -15.0)],
)
def test_every_mask_of_carrier_images_stays_on_the_device(arguments, snr_db, fake):
    awgn = discover.find("channel", "awgn").load()()
    link = Link(discover.find("system", "carrier_image").load()(cbr=1 / 2, weights="none", **arguments), awgn)
    delivery = link.deliver(devices.moved(sample(), NAME), snr_db, [1])
    assert bool(delivery.reception.outage[0]) == (snr_db < 0)
    assert {value.device.type for value in tensors(delivery)} == {NAME}


@pytest.mark.parametrize("restorer", ["cyclegan", "class_colors"])
def test_every_restorer_stays_on_the_device(restorer, fake):
    awgn = discover.find("channel", "awgn").load()()
    colors = restorer == "class_colors"
    link = Link(discover.find("system", "scene").load()(cbr=1 / 2, restorer=restorer, send_class_colors=colors), awgn)
    delivery = link.deliver(devices.moved(sample(), NAME), 15.0, [1])
    assert {value.device.type for value in tensors(delivery)} == {NAME}


def test_blocks_on_a_device_are_decoded_by_the_torch_decoder(fake):
    code = LdpcCode(2, 200)
    noise = torch.randn((5, code.buffer_bits), generator=torch.Generator().manual_seed(1))
    llr = 2.0 + 2.5 * noise
    here, there = ldpc.decode(llr, code, iterations=8), ldpc.decode(llr.to(NAME), code, iterations=8)
    assert there.bits.device.type == NAME
    for name in ("bits", "ok", "iterations"):
        assert torch.equal(getattr(here, name), getattr(there, name).cpu())
    assert 0 < here.ok.sum() < 5


@pytest.mark.parametrize(("kind", "name"), [("channel", "rayleigh"), ("channel", "tdl"), ("system", "deepjscc")])
def test_the_contract_holds_on_a_device(kind, name, fake, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests use `random`
    results = list(contract.check(variant(kind, name), size=32, device=NAME))
    assert [(result.name, result.problem) for result in results if result.problem] == []
    assert f"{kind}_agrees_with_the_cpu" in [result.name for result in results]


def test_the_contract_finds_a_channel_that_leaves_the_device(fake):
    class Lost(type(discover.find("channel", "awgn").load()())):
        def carry(self, symbols, uses, snr_db, rng):
            return devices.moved(super().carry(symbols, uses, snr_db, rng), "cpu")

    on_device = contract.OnDevice(Lost(), NAME)
    with pytest.raises(ValueError, match="symbols is on cpu, the symbols are on fake"):
        contract.channel_agrees_with_the_cpu(on_device)


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scenario(scenario_data, write_scenario):
    scenario_data["systems"] = ["analog", {"name": "deepjscc", "weights": "none"}]
    scenario_data["sweep"] = {"snr_db": [10]}
    return write_scenario(scenario_data)


def test_a_run_records_its_device_and_refuses_another(scenario, tmp_path, capsys, fake):
    out = str(tmp_path / "out")
    command = ["run", str(scenario), "--out", out, "--quiet", "--device"]
    assert main([*command, NAME]) == 0
    assert json.loads((tmp_path / "out" / "made.json").read_text())[-1]["device"] == NAME
    assert fake.operations > 100
    assert main([*command, NAME]) == 0
    capsys.readouterr()
    assert main([*command, "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("rounding differs between them; add --device fake, or choose another --out")


def test_rows_agree_with_those_of_the_cpu(scenario, tmp_path):
    from semcom import sweep
    from semcom.results import table
    from semcom.scenario.load import load_scenario

    here = table.read(sweep.run(load_scenario(scenario), tmp_path / "cpu", device="cpu"))
    with fake_device():
        there = table.read(sweep.run(load_scenario(scenario), tmp_path / NAME, device=NAME))
    assert there.column_names == here.column_names
    assert there["psnr"].to_pylist() == pytest.approx(here["psnr"].to_pylist(), abs=0.02)
    assert there["image"].to_pylist() == here["image"].to_pylist()


def test_a_batch_beyond_the_memory_of_the_device_is_halved(scenario_data, tmp_path, monkeypatch):
    from semcom.scenario.load import scenario_from
    from semcom.sweep import transmission

    sizes, deliver = [], transmission.deliver_batch

    def limited(link, point, batch, **arguments):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return deliver(link, point, batch, **arguments)

    (point, *_) = scenario_from(scenario_data, ["sweep.users=1", "images.count=5"]).points()
    expected = transmission.run_point(point).rows
    monkeypatch.setattr(transmission, "deliver_batch", limited)
    assert transmission.run_point(point, batch=5).rows.equals(expected)
    assert sizes == [5, 2, 3, 1, 2]
    (two, *_) = scenario_from(scenario_data, ["sweep.users=4", "images.count=5"]).points()
    with pytest.raises(UsageError, match=r"with 4 user\(s\) exceeds the memory of the device: reduce the size"):
        transmission.run_point(two)


def test_the_batch_of_a_gpu_follows_from_its_free_memory():
    from semcom.sweep import memory

    assert memory.batch_of("cpu", 256**2, 1) is None
    with mock.patch.object(torch.cuda, "mem_get_info", return_value=(16 * 10**9, 24 * 10**9)):
        assert memory.batch_of("cuda", 256**2, 1) == 30
        assert memory.batch_of("cuda", 256**2, 4) == 7
        assert memory.batch_of("cuda", 8192**2, 1) == 1


def test_batches_have_twice_the_memory_that_the_largest_network_allocates():
    from semcom.sweep import memory

    link = Link(build("scene"), discover.find("channel", "awgn").load()())
    with torch.no_grad(), fake_device() as device:
        link.system.to(torch.device(NAME, 0))
        there = devices.moved(sample(), NAME)
        before = device.bytes
        link.deliver(there, 18.0, [7])
        per_pixel = (device.peak_bytes - before) / sample().images[0, 0].numel()
    assert 500 < per_pixel < memory.BYTES_PER_PIXEL_OF_NETWORKS / 2


# --- command line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run x.yaml", "send x.png --system analog --snr 5", "check awgn", "app"])
def test_a_device_that_is_absent_is_one_line(command, capsys, monkeypatch, write_scenario, scenario_data):
    monkeypatch.setattr(devices, "is_available", lambda kind: kind == "cpu")
    words = [str(write_scenario(scenario_data)) if word == "x.yaml" else word for word in command.split()]
    assert main([*words, "--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "semcom: --device cuda: PyTorch finds no such device on this machine; use --device cpu\n"
    )


def test_an_unknown_device_is_one_line(capsys):
    assert main(["check", "awgn", "--device", "tpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'tpu' (choose from" in line
    with pytest.raises(UsageError, match="--device must be one of auto, cpu, cuda, mps, not 'tpu'"):
        devices.resolve("tpu")


def test_a_scenario_has_no_device(scenario_data, write_scenario, capsys):
    assert main(["show", str(write_scenario({**scenario_data, "device": "cuda"}))]) == 2
    assert "device belongs to the machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpus", "device", "kind"),
    [(0.0, "auto", "cpu"), (0.5, "auto", "cuda"), (1.0, "cuda", "cuda"), (0.0, "cpu", "cpu")],
)
def test_points_on_a_cluster_use_the_reserved_gpus(gpus, device, kind):
    from semcom.sweep import Ray

    assert Ray(gpus=gpus).device(device) == kind


@pytest.mark.parametrize(("gpus", "device"), [(1.0, "cpu"), (0.0, "cuda"), (0.0, "mps")])
def test_contradictions_on_a_cluster_are_refused(gpus, device):
    from semcom.sweep import Ray

    with pytest.raises(UsageError, match=f"--device {device}"):
        Ray(gpus=gpus).device(device)


# --- a real GPU ------------------------------------------------------------------------------------------------------

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU on this machine")


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", discover.entries("channel"))
def test_channels_keep_their_contract_on_a_gpu(name):
    assert [r.name for r in contract.check(variant("channel", name), device="cuda") if r.problem] == []


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", [name for name in discover.entries("system") if name not in REQUIRES_FILES])
def test_systems_keep_their_contract_on_a_gpu(name):
    assert [r.name for r in contract.check(variant("system", name), device="cuda") if r.problem] == []

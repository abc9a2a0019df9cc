"""Cost of both ends: closed forms, scaling, and constants of hardware files."""

import pytest
import torch
import yaml
from torch import nn

from channels import awgn
from semcom import Sample, UsageError, images
from semcom.budget.cost import EndCost, measure_cost
from semcom.budget.energy import FOLDER, hardware_names, load_hardware
from semcom.budget.meter import Meter
from semcom.cli.main import main
from semcom.systems import analog, capacity, deepjscc, digital


def metered(network, *inputs):
    with torch.no_grad(), Meter() as meter:
        network(*inputs)
    return meter


def test_operations_of_layers_equal_their_closed_forms():
    assert metered(nn.Linear(7, 11), torch.zeros(3, 7)).flops == 2 * 3 * 7 * 11
    convolution = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    assert metered(convolution, torch.zeros(2, 4, 16, 12)).flops == 2 * 2 * (8 * 6) * 6 * (4 // 2) * 9
    heads, tokens, width = 3, 10, 8
    query = torch.zeros(1, heads, tokens, width)
    attention = metered(lambda q: nn.functional.scaled_dot_product_attention(q, q, q), query)
    assert attention.flops == 2 * 2 * heads * tokens**2 * width


def test_operations_of_a_vision_transformer():
    """ViT-B/16 at 224 x 224: 35.13 GFLOP, from 12 blocks of 768 channels and 197 tokens."""
    timm = pytest.importorskip("timm")
    meter = metered(timm.create_model("vit_base_patch16_224"), torch.zeros(1, 3, 224, 224))
    tokens, width = 197, 768
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    assert meter.flops == 12 * block + 2 * 196 * width * 16 * 16 * 3 + 2 * width * 1000
    assert round(meter.flops / 1e9, 2) == 35.13


def test_parameters_count_once_and_only_if_used():
    shared, unused = nn.Linear(4, 4), nn.Linear(100, 100)
    network = nn.Sequential(shared, shared)
    network.unused = unused
    network.forward = lambda x: shared(shared(x))
    meter = metered(network, torch.zeros(1, 4))
    assert (meter.parameters, meter.parameter_bytes) == (20, 80)


def test_peak_memory_is_that_of_the_tensors_that_live_together():
    def chain(x):
        for _ in range(10):
            x = x + 1  # the tensor before is deleted
        return x

    size = 1000 * 4
    assert metered(chain, torch.zeros(1000)).peak_bytes == 2 * size


@pytest.fixture(scope="module")
def photos():
    return torch.stack([image.pixels for image in images.load("photos", count=2, size=128)])


def test_laws_of_the_cost(photos):
    """Two images cost twice one, four times the area at least four times; a second measurement costs the same."""
    system, channel = deepjscc.build(cbr=1 / 16), awgn.build()
    one, again, two, quarter = (
        measure_cost(system, channel, Sample(pixels), 10.0)
        for pixels in (photos[:1], photos[:1], photos, photos[:1, :, :64, :64])
    )
    for name, network in (("transmitter", "Encoder"), ("receiver", "Decoder")):
        ends = [getattr(cost, name) for cost in (one, again, two, quarter)]
        assert ends[0].is_counted
        assert ends[0].flops == ends[1].flops
        assert ends[2].flops == pytest.approx(2 * ends[0].flops, rel=1e-3)
        assert ends[0].flops >= 0.99 * 4 * ends[3].flops
        assert ends[0].parameters == ends[2].parameters
        assert ends[0].flops == ends[0].flops_by_module[network]
        assert ends[0].peak_bytes > photos[:1].numel() * 4
    assert one.channel_uses == 3072
    assert one.energy == pytest.approx(3072, rel=1e-3)


def test_files_are_not_free(photos):
    """Cached results do not hide the search for a file."""
    channel, sample = awgn.build(), Sample(photos[:1])
    file = measure_cost(digital.build(cbr=1 / 16), channel, sample, 10.0)
    again = measure_cost(digital.build(cbr=1 / 16), channel, sample, 10.0)
    assert file.transmitter.encodings == again.transmitter.encodings > 3
    assert not file.transmitter.is_counted
    assert file.transmitter.cpu_s > measure_cost(analog.build(cbr=1 / 16), channel, sample, 10.0).transmitter.cpu_s
    assert again.transmitter.cpu_s > 3 * again.receiver.cpu_s  # a search, which a cache would make as fast as a copy
    assert load_hardware("arithmetic_45nm").compute_j(file.transmitter) is None


def test_a_bound_has_no_cost(photos):
    with pytest.raises(UsageError, match="is a bound"):
        measure_cost(capacity.build(cbr=1 / 16), awgn.build(), Sample(photos[:1]), 10.0)


def test_energies_are_arithmetic_on_the_constants():
    hardware = load_hardware("arithmetic_45nm")
    end = EndCost(2_000_000, 10, 40, 0, 0.0, 0, {})
    assert hardware.compute_j(end) == pytest.approx(1e6 * 4.6e-12 + 40 * 1.625e-10)
    assert hardware.compute_s(end) is None


def written(tmp_path, **changes):
    content = yaml.safe_load((FOLDER / "arithmetic_45nm.yaml").read_text()) | changes
    path = tmp_path / "camera.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value != "missing"}))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joule_per_mac": "missing"}, "joule_per_mac is missing"),
        ({"joule_per_mac": {"value": -1.0, "source": "x"}}, "a number above 0, not -1.0"),
        ({"joule_per_mac": {"value": None, "source": "x"}}, "a number above 0, not None"),
        ({"radiated_w": {"value": True, "source": "x"}}, "a number above 0, not True"),
        ({"radiated_w": {"value": "much", "source": "x"}}, "a number above 0, not 'much'"),
        ({"amplifier_efficiency": {"value": 1.5, "source": "x"}}, "at most 1, not 1.5"),
        ({"symbol_rate_hz": 1e6}, "with the source of the value"),
        ({"symbol_rate_hz": {"value": 1e6, "source": ""}}, "with the source of the value"),
        ({"watts": {"value": 1.0, "source": "x"}}, "unknown key watts"),
    ],
)
def test_wrong_hardware_files_are_refused(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        load_hardware(written(tmp_path, **changes))


def test_every_hardware_file_of_the_package_is_valid_and_states_its_sources():
    for name in hardware_names():
        assert all(constant.source for constant in load_hardware(name).constants.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("deepjscc --hardware toaster", "no hardware 'toaster'"),
        ("nonesuch", "nonesuch"),
        ("scenarios/cliff.yaml deepjscc", "one scenario file, or one or more systems"),
        ("missing.yaml", "missing.yaml"),
        ("deepjscc --size 0", "0"),
        ("deepjscc --image missing.png", "missing.png"),
        ("deepjscc --cbr 0", "--cbr"),
        ("deepjscc --snr nan", "nan"),
    ],
)
def test_wrong_input_is_one_line(words, message, capsys):
    assert main(["budget", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_the_command_prints_both_ends_and_both_energies(capsys):
    assert main(["budget", "deepjscc", "digital:codec=webp", "--size", "64", "--hardware", "arithmetic_45nm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:6])) <= 100
    assert [line.split()[0] for line in lines[2:6]] == ["deepjscc", "768", "digital:codec=webp", "768"]
    assert int(lines[4].split()[-1]) > 3  # encoder calls
    assert any("not counted" in line for line in lines)
    assert any("Horowitz" in line for line in lines)

"""The key `edge` of a system: what is reduced, what stays, and wrong values."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from channels import awgn
from semcom import Link, Sample, UsageError, contract, images
from semcom.budget import measure_cost
from semcom.cli.main import main
from semcom.edge import build_variant, networks_of, reduced
from semcom.edge.low_rank import factorize
from semcom.metrics.fidelity import psnr
from semcom.scenario import scenario_from
from semcom.scenario.edge import Edge
from semcom.scenario.load import to_yaml, variant
from semcom.scenario.model import Scenario
from semcom.systems import analog, carrier_image, deepjscc
from semcom.weights import quantization


@pytest.fixture(scope="module")
def system():
    return deepjscc.build(cbr=1 / 16)


@pytest.fixture(scope="module")
def photo():
    return Sample(images.load("photos", 1, 64)[0].pixels[None])


def quality(system, photo):
    with torch.no_grad():
        return float(psnr(Link(system, awgn.build()).deliver(photo, 10.0, [1]).reception.images, photo.images))


def test_weights_are_rounded_at_one_end_of_a_copy(system, photo):
    few = reduced(system, Edge(weight_bits=6))
    before, after = (one.transmitter.encoder.enter.weight.detach() for one in (system, few))
    step = quantization.quantize(before, 6)[1].float()[:, 0]
    levels = after.flatten(1) / step[:, None]
    assert float((levels - levels.round()).abs().max()) < 1e-3
    assert float(levels.abs().max()) < 31.5
    assert len(levels.round().unique()) <= 63
    assert not torch.equal(after, before)
    assert few.receiver is system.receiver
    cost, full = (measure_cost(one, awgn.build(), photo, 10.0, repetitions=0) for one in (few, system))
    assert cost.transmitter.flops == full.transmitter.flops
    assert cost.transmitter.parameter_bytes == pytest.approx(full.transmitter.parameter_bytes * 6 / 32, rel=0.02)
    assert cost.receiver.parameter_bytes == full.receiver.parameter_bytes
    assert abs(quality(few, photo) - quality(system, photo)) < 0.05


def test_compensation_lowers_the_error_of_the_output(system, photo):
    """Four bits: rounding to the nearest level loses more than twice as much PSNR."""
    few = reduced(system, Edge(weight_bits=4))
    nearest = copy.deepcopy(system.transmitter)
    with torch.no_grad():
        for parameter in nearest.parameters():
            if quantization.is_quantized(parameter):
                parameter.copy_(quantization.rounded(parameter, 4))
    loss, other = (quality(system, photo) - quality(one, photo) for one in (few, replace(system, transmitter=nearest)))
    assert -0.05 < loss < other / 2


def test_both_ends_keep_what_they_share(photo):
    shared = carrier_image.build(cbr=1 / 8)
    both = reduced(shared, Edge(end="both", layers=0.5))
    assert both.transmitter.decoder is both.receiver.decoder
    assert both.receiver.decoder is not shared.receiver.decoder
    assert quality(shared, photo) > quality(both, photo) > 10  # fewer blocks cost quality without training


def test_fewer_blocks_cost_less(system, photo):
    half = reduced(system, Edge(layers=0.5))
    assert [len(half.transmitter.encoder.fine), len(half.transmitter.encoder.coarse)] == [1, 1]
    assert len(system.transmitter.encoder.coarse) == 2
    cost, full = (measure_cost(one, awgn.build(), photo, 10.0, repetitions=0).transmitter for one in (half, system))
    block = sum(parameter.numel() for parameter in system.transmitter.encoder.coarse[1].parameters())
    assert cost.parameters == full.parameters - block
    positions = (64 // 8) ** 2
    attention = 2 * (160 + 2) * 40 + 2 * 40 * 160
    assert full.flops - cost.flops == 2 * 2 * positions * 160 * 160 * 9 + attention


def test_factors_are_the_best_of_their_rank():
    """The squared error is the sum of the squared singular values that are left out (Eckart and Young)."""
    layer = nn.Conv2d(8, 16, 3, stride=2, padding=1)
    matrix = layer.weight.detach().flatten(1)
    values = torch.linalg.svdvals(matrix)
    network = nn.Sequential(layer)
    assert factorize(network, 0.25) == 1
    first, second = network[0]
    product = (second.weight.flatten(1) @ first.weight.flatten(1)).detach()
    assert float((product - matrix).square().sum()) == pytest.approx(float(values[4:].square().sum()), rel=1e-4)
    exact = nn.Sequential(nn.Linear(32, 32))
    with torch.no_grad():
        exact[0].weight.copy_(torch.outer(torch.arange(32.0), torch.ones(32)))
    before = exact(torch.eye(32))
    assert factorize(exact, 1 / 32) == 1
    assert torch.allclose(exact(torch.eye(32)), before, atol=1e-4)


def test_rank_reduces_operations(system, photo):
    cost, full = (
        measure_cost(one, awgn.build(), photo, 10.0, repetitions=0).transmitter
        for one in (reduced(system, Edge(rank=0.25)), system)
    )
    assert cost.flops < 0.5 * full.flops
    assert cost.parameters < 0.5 * full.parameters


def scenario(**edge) -> Scenario:
    return scenario_from(
        {
            "systems": ["deepjscc", {"name": "deepjscc", "label": "few", "edge": edge}],
            "channel": "awgn",
            "medium_cbr": 0.0625,
            "sweep": {"snr_db": [10], "few.edge.weight_bits": [4, 6]},
            "images": {"source": "photos", "count": 1, "size": 64},
            "metrics": ["psnr"],
        }
    )


def test_scenarios_name_and_sweep_it():
    points = scenario(end="both", layers=1).points()
    found = [dict(point.system.arguments) for point in points]
    assert [one.get("edge.weight_bits") for one in found] == [None, 4, 6]
    assert found[1]["edge.end"] == "both"
    text = to_yaml(scenario(end="both"))
    assert "edge.end: both" in text
    assert [name for name in found[0] if name.startswith("edge")] == []  # keys of other points are those of former runs


def test_options_name_it():
    few = variant("system", "deepjscc:edge={weight_bits: 4, end: both}")
    assert dict(few.arguments)["edge.weight_bits"] == 4
    same = variant("system", "deepjscc", ["deepjscc.edge.weight_bits=4", "deepjscc.edge.end=both"])
    assert dict(same.arguments) == dict(few.arguments)
    fewer = variant("system", "deepjscc:edge={layers: 0.5, end: receiver}")
    (network,) = networks_of(build_variant(fewer, cbr=1 / 16).receiver)
    assert len(network.decoder.coarse) == 2
    only = "equal_seeds_give_equal_images"
    assert not [one for one in contract.check(variant("system", "deepjscc:edge={layers: 0.5}"), only) if one.problem]


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ("weight_bits: 0", "edge.weight_bits must be a whole number from 2 to 8, not 0"),
        ("weight_bits: 33", "not 33"),
        ("weight_bits: 2.5", "not 2.5"),
        ("layers: 0", "edge.layers must be a number above 0 and up to 1, not 0"),
        ("rank: 2", "edge.rank must be a number above 0 and up to 1, not 2"),
        ("layers: .nan", "edge.layers"),
        ("end: middle", "one of transmitter, receiver, both"),
        ("bits: 4", "edge has no key 'bits'; there are end, weight_bits, layers, rank"),
    ],
)
def test_wrong_values_are_one_line(edge, message, capsys):
    assert main(["check", f"deepjscc:edge={{{edge}}}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("system", ["analog", "digital", "capacity"])
def test_a_system_without_networks_is_refused(system, capsys):
    assert main(["check", f"{system}:edge={{weight_bits: 6}}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "networks" in error


def test_what_cannot_be_reduced_is_refused(system):
    with pytest.raises(UsageError, match="has none"):
        reduced(analog.build(cbr=1 / 8), Edge(weight_bits=6))
    with pytest.raises(UsageError, match="no layer of deepjscc gets smaller"):
        reduced(system, Edge(rank=0.999))

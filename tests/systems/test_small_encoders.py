"""Small encoders (`preset: edge`): cost, quality, and the same receiver as that of the full encoders."""

import dataclasses

import pytest
import torch

from channels import awgn
from semcom import Link, Sample, UsageError, budget, images
from semcom.metrics.fidelity import psnr
from semcom.systems import carrier_image, deepjscc
from semcom.training import trainer
from semcom.training.settings import Settings

SYSTEMS = pytest.mark.parametrize(
    ("system", "full"), [(deepjscc, "full"), (carrier_image, "tiny")], ids=["deepjscc", "carrier_image"]
)


@pytest.fixture(scope="module")
def photos():
    return Sample(torch.stack([image.pixels for image in images.load("photos", count=4, size=128)]))


@SYSTEMS
def test_a_small_encoder_has_a_quarter_of_the_operations_and_at_most_an_eighth_of_the_bytes(photos, system, full):
    one = Sample(photos.images[:1])
    large, small = (
        budget.measure_cost(system.build(1 / 16, preset=preset), awgn.build(), one, 10.0) for preset in (full, "edge")
    )
    assert small.transmitter.flops <= large.transmitter.flops / 4
    assert small.transmitter.parameter_bytes <= large.transmitter.parameter_bytes / 8
    assert dataclasses.replace(small.receiver, cpu_s=0.0) == dataclasses.replace(large.receiver, cpu_s=0.0)


@SYSTEMS
@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_a_small_encoder_costs_less_than_half_a_decibel(photos, system, full, snr_db):
    received = [
        Link(system.build(1 / 16, preset=preset), awgn.build()).deliver(photos, snr_db, [1, 2, 3, 4]).reception.images
        for preset in (full, "edge")
    ]
    large, small = (psnr(image, photos.images).mean() for image in received)
    assert large - small < 0.5


@SYSTEMS
def test_wrong_arguments_are_refused(system, full):
    with pytest.raises(UsageError, match="encoder requires preset: edge"):
        system.build(1 / 16, encoder="mine")
    name = system.__name__.rpartition(".")[2]
    with pytest.raises(UsageError, match="belong to another network"):
        system.build(1 / 16, preset="edge", encoder=name)
    with pytest.raises(UsageError, match="belong to another network"):
        system.build(1 / 16, weights=f"{name}_edge")


@pytest.mark.parametrize(
    ("name", "build"),
    [("deepjscc", {"loss": "latents"}), ("deepjscc", {"loss": "image"}), ("carrier_image", {})],
)
def test_only_the_small_encoder_is_trained(tmp_path, name, build):
    """Its linear part starts as that of the teacher; the decoder of the validated system does not change."""
    settings = Settings(name, {"part": "edge_encoder", **build}, steps=2, rows=2, crop=128, precision="float32")
    training = trainer.Trainer(settings, tmp_path)
    decoder = next(part for key, part in training.task.system().receiver.named_children() if key == "decoder")
    before = {key: value.clone() for key, value in decoder.state_dict().items()}
    encoder = {key: value.clone() for key, value in training.task.network.state_dict().items()}
    large = (deepjscc if name == "deepjscc" else carrier_image).build(1 / 16).transmitter.encoder.state_dict()
    linear = "linear.weight" if name == "deepjscc" else "base.weight"
    assert torch.equal(encoder[linear], large[linear])
    sample = Sample(torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    training.advance(sample)
    training.advance(sample)
    assert all(torch.equal(value, before[key]) for key, value in decoder.state_dict().items())
    assert any(not torch.equal(value, encoder[key]) for key, value in training.task.network.state_dict().items())


@pytest.mark.parametrize("build", [{"part": "encoder"}, {"loss": "pixels"}])
def test_unknown_parts_and_losses_are_refused(tmp_path, build):
    with pytest.raises(UsageError, match="must be one of"):
        trainer.Trainer(Settings("deepjscc", build, steps=1), tmp_path)


@pytest.mark.parametrize(
    ("name", "build"),
    [("deepjscc", {"loss": "latents"}), ("deepjscc", {"teacher": "mine"}), ("carrier_image", {"teacher": "mine"})],
)
def test_arguments_of_the_small_encoder_are_not_ignored(tmp_path, name, build):
    with pytest.raises(UsageError, match=r"require.? part: edge_encoder"):
        trainer.Trainer(Settings(name, build, steps=1), tmp_path)

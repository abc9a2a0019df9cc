"""Channel uses by part, and recorded signals."""

import pytest
import torch

from channels import awgn, broadcast, rayleigh, seed_for, tdl
from semcom import Link, Sample
from semcom.images import load
from semcom.metrics import channel_uses_by_part
from semcom.systems import analog, carrier_image, deepjscc, digital, multiplexed_message, scene

SYSTEMS = {
    "analog": lambda: analog.build(cbr=1 / 8),
    "digital": lambda: digital.build(cbr=1 / 8),
    "harq": lambda: digital.build(cbr=1 / 8, harq="incremental", rounds=2),
    "deepjscc": lambda: deepjscc.build(cbr=1 / 12, weights="none"),
    "carrier_image": lambda: carrier_image.build(cbr=1 / 8, weights="none"),
    "multiplexed_message": lambda: multiplexed_message.build(cbr=1 / 4),
    "scene": lambda: scene.build(cbr=1 / 4, weights="none", restorer="class_colors"),
}
CHANNELS = {"awgn": awgn.build, "tdl": lambda: tdl.build(guard_subcarriers=4)}


def delivered(system, channel, users=1, rows=1, snr_db=20.0):
    images = torch.stack([image.pixels for image in load("photos", rows, 64)])
    seeds = [seed_for("budget", row) for row in range(rows)]
    return Link(system, channel).deliver(Sample(images), snr_db, seeds, users, record_signals=True)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_parts_add_up_to_the_uses_of_the_medium(name, channel):
    link = CHANNELS[channel]()
    delivery = delivered(SYSTEMS[name](), link)
    parts = channel_uses_by_part(delivery, link)
    if name != "harq":  # its parts are those of all rounds
        assert sum(parts.values()) == pytest.approx(int(delivery.medium_uses[0]), abs=1e-3)
        assert all(count > 0 for count in parts.values())
    if channel == "tdl":
        frames = -(-int(delivery.uses[0]) // link.medium.frame_data)
        assert parts["pilots"] == frames * len(link.grid.pilots)
        assert parts["guards"] == frames * 4 * 14


def test_data_and_parity_of_the_digital_system_follow_from_its_code_rate():
    delivery = delivered(digital.build(cbr=1 / 8, adaptation="fixed", modulation="16qam", code_rate=0.5), awgn.build())
    parts = channel_uses_by_part(delivery, awgn.build())
    assert delivery.truth["scheme"] == ["16QAM, code rate 0.50"]
    information = parts["data"] + parts.get("padding", 0)
    assert information / sum(parts.values()) == pytest.approx(0.5, abs=0.02)  # CRCs count as parity


def test_a_broadcast_has_the_parts_of_each_user():
    delivery = delivered(analog.build(cbr=1 / 8), broadcast.build(), users=2, rows=2)
    assert {name: len(counts) for name, counts in delivery.parts.items()} == {"header": 2, "data": 2}


def test_signals_are_what_crossed_the_channel():
    delivery = delivered(analog.build(cbr=1 / 8), awgn.build(), snr_db=30.0)
    error = (delivery.signals.received.symbols - delivery.signals.sent).abs().square().mean()
    assert error.item() == pytest.approx(1e-3, rel=0.1)
    assert Link(analog.build(cbr=1 / 8), awgn.build()).deliver(delivery.sample, 30.0, [1]).signals is None


@pytest.mark.parametrize("channel", [rayleigh.build(coherence_uses=100), tdl.build()], ids=["rayleigh", "tdl"])
def test_the_fading_of_a_transmission_can_be_drawn_again(channel):
    signals = delivered(analog.build(cbr=1 / 8), channel, rows=2).signals
    length = signals.sent.shape[1]
    if hasattr(channel, "responses"):
        response = channel.responses(-(-length // channel.medium.frame_data), signals.channel_rng)
        data = channel.grid.data
        gains = response[..., data[:, 0], data[:, 1]].flatten(2)[..., :length]
    else:
        gains = channel.draw_gains(length, signals.channel_rng).repeat_interleave(100, 1)[:, None, :length]
    assert torch.allclose(gains, signals.received.gains)

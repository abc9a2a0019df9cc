"""The lines of the waveform fail for planted faults of pulse, timing, frequency, detection and noise variance."""

from dataclasses import replace

import pytest
import torch

from channels import waveform
from channels.certificate.runner import certify
from channels.waveform import channel as channel_module
from channels.waveform import ofdm
from channels.waveform import receiver as receiver_module
from channels.waveform.detection import Detector
from channels.waveform.pulse import Pulse, Table

SMALL = 0.1


def failed(channel, scale=SMALL):
    return [
        line.name for line in certify(scale, only=["waveform"], channels={"waveform": channel}).lines if not line.passed
    ]


class Loud(Pulse):
    """A pulse of energy 1.2 in place of 1."""

    @property
    def table(self):
        right = super().table
        return Table(right.real * 1.2**0.5, right.imag, right.center)


class Short(Pulse):
    """A pulse of which only 3 symbols are left on each side."""

    @property
    def table(self):
        right = super().table
        near = abs(torch.arange(right.real.shape[1]) - right.center) <= 3 * self.samples_per_symbol
        return Table(right.real * near.numpy(), right.imag, right.center)


@pytest.mark.parametrize("pulse", [Loud, Short])
def test_a_wrong_pulse_fails(pulse):
    channel = waveform.build()
    channel.layout = replace(channel.layout, pulse=pulse(4, 0.25, 16))
    channel.receiver.layout = channel.layout
    names = failed(channel)
    expected = "energy of a symbol" if pulse is Loud else "intersymbol interference"
    assert any(expected in name for name in names)
    assert any("synchronized" in name or "adjacent" in name for name in names)


def test_timing_that_is_off_by_one_sample_fails(monkeypatch):
    channel, locate = waveform.build(), receiver_module.Receiver.locate

    def late(self, recording, candidate):
        timing = locate(self, recording, candidate)
        return replace(timing, start=timing.start + 1)

    monkeypatch.setattr(receiver_module.Receiver, "locate", late)
    assert any("time error" in name for name in failed(channel))


def test_a_conjugated_frequency_offset_fails(monkeypatch):
    locate = receiver_module.Receiver.locate

    def conjugated(self, recording, candidate):
        timing = locate(self, recording, candidate)
        return replace(timing, frequency=-timing.frequency)

    monkeypatch.setattr(receiver_module.Receiver, "locate", conjugated)
    names = failed(waveform.build(frequency_offset=1e-3))
    assert any("frequency error" in name for name in names)
    assert any("estimated" in name for name in names)


def test_a_wrong_threshold_fails(monkeypatch):
    monkeypatch.setattr(Detector, "threshold", property(lambda self: 0.6 * (1 - (self.false_alarms / 32) ** (1 / 255))))
    assert any("false alarms" in name for name in failed(waveform.build()))


def test_a_noise_variance_that_is_too_small_fails(monkeypatch):
    right = receiver_module._noise_variance
    monkeypatch.setattr(receiver_module, "_noise_variance", lambda *arguments: 0.9 * right(*arguments))
    assert any("noise variance" in name for name in failed(waveform.build()))


def test_missed_frames_fail(monkeypatch):
    monkeypatch.setattr(channel_module.Receiver, "receive", lambda self, recording: ([], []))
    assert any("estimated" in name for name in failed(waveform.build()))


def test_an_inverse_dft_that_is_not_unitary_fails(monkeypatch):
    right = ofdm.modulate
    monkeypatch.setattr(ofdm, "modulate", lambda *arguments: 0.8 * right(*arguments))
    assert any("synchronized" in name for name in failed(waveform.build(subcarriers=64)))


def test_a_dft_that_begins_too_late_fails(monkeypatch):
    right = ofdm.elements
    monkeypatch.setattr(ofdm, "elements", lambda values, layout: right(values.roll(-8), layout))
    assert any("estimated" in name for name in failed(waveform.build(subcarriers=64)))

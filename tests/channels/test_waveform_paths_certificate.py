"""Bounds of ideal receivers over several paths against closed forms, and planted faults that their lines show."""

import math
from dataclasses import replace

import numpy as np
import pytest

from channels import waveform
from channels.certificate import waveform_paths
from channels.waveform import ofdm
from channels.waveform import receiver as receiver_module
from channels.waveform.equalizer import ChannelEstimate
from channels.waveform.impairments import Impairments
from channels.waveform.pulse import Pulse, Table
from channels.waveform.tracking import Track

KINDS = {"single carrier": {}, "ofdm": {"subcarriers": 64}}


def failed(channel):
    return [line.name for line in waveform_paths.losses("waveform", channel, 0.1) if not line.passed]


@pytest.mark.parametrize("kind", KINDS)
def test_the_receiver_is_close_to_the_ideal_one(kind):
    lines = list(waveform_paths.losses("waveform", waveform.build(**KINDS[kind]), 0.1))
    assert len(lines) == 6
    assert all(line.passed for line in lines), lines


@pytest.mark.parametrize("n0", [0.01, 0.3])
def test_mmse_error_agrees_with_the_closed_form_of_two_taps(n0):
    gains = np.array([0.8, 0.6j])
    share = n0 / math.sqrt((1 + n0) ** 2 - (2 * 0.8 * 0.6) ** 2)  # mean of N0 / (1 + 2 a b cos + N0)
    error = waveform_paths.mmse_error(gains, Impairments(delays=(0.0, 3.0), powers_db=(0.0, 0.0)), 0.25, n0)
    assert error == pytest.approx(share / (1 - share), rel=1e-6)


def test_mmse_error_agrees_with_a_long_finite_equalizer():
    """Wiener solution of 161 taps at the symbol rate behind the matched filter of pulse and channel."""
    gains, delays, n0 = np.array([0.8, 0.5 - 0.33j]), np.array([0.0, 1.4]), 0.05
    lags = np.arange(-80, 81)
    values = sum(
        a.conjugate() * b * raised_cosine(lags + s - t)
        for a, s in zip(gains, delays, strict=True)
        for b, t in zip(gains, delays, strict=True)
    )
    index = np.arange(161)[:, None] - np.arange(161)
    response = np.where(abs(index) <= 80, values[np.clip(index + 80, 0, 160)], 0)
    covariance = response @ response.conj().T + n0 * response
    gain = float((response[:, 80].conj() @ np.linalg.solve(covariance, response[:, 80])).real)
    error = waveform_paths.mmse_error(gains, Impairments(delays=tuple(delays), powers_db=(0.0, 0.0)), 0.25, n0)
    assert error == pytest.approx((1 - gain) / gain, rel=0.01)


def raised_cosine(time, roll_off=0.25):
    near = np.abs(1 - (2 * roll_off * time) ** 2) < 1e-9
    shape = np.cos(np.pi * roll_off * time) / np.where(near, 1, 1 - (2 * roll_off * time) ** 2)
    return np.sinc(time) * np.where(near, np.pi / 4, shape)


def test_subcarrier_errors_are_those_of_the_taps_at_the_symbol_rate():
    gains, n0 = np.array([0.3 + 0.2j, 0.9]), 0.1
    paths = Impairments(delays=(0.0, 2.0), powers_db=(0.0, 0.0))
    response = np.fft.fft(np.r_[gains[0], 0, gains[1]], 32)
    errors = waveform_paths.subcarrier_errors(gains, paths, 0.25, n0, 32)
    assert errors == pytest.approx(n0 / np.abs(response) ** 2)
    fractional = replace(paths, delays=(0.0, 2.3))
    taps = sum(g * raised_cosine(np.arange(-400, 401) + 2.3 - d) for g, d in zip(gains, (0.0, 2.3), strict=True))
    response = np.exp(-2j * np.pi * np.arange(32)[:, None] * np.arange(-400, 401) / 32) @ taps
    errors = waveform_paths.subcarrier_errors(gains, fractional, 0.25, n0, 32)
    assert errors == pytest.approx(n0 / np.abs(response) ** 2, rel=1e-4)


class Loud(Pulse):
    """A pulse of energy 1.2 in place of 1."""

    @property
    def table(self):
        right = super().table
        return Table(right.real * 1.2**0.5, right.imag, right.center)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_pulse_normalization_fails(kind):
    channel = waveform.build(**KINDS[kind])
    channel.layout = replace(channel.layout, pulse=Loud(4, 0.25, 16))
    assert failed(channel)


@pytest.mark.parametrize("kind", KINDS)
def test_payload_times_that_are_off_by_one_sample_fail(kind, monkeypatch):
    right = Track.times
    monkeypatch.setattr(Track, "times", lambda self, positions: right(self, positions) + 1)
    assert len(failed(waveform.build(**KINDS[kind]))) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_conjugated_frequency_offset_fails(kind, monkeypatch):
    locate = receiver_module.Receiver.locate

    def conjugated(self, recording, candidate):
        timing = locate(self, recording, candidate)
        return replace(timing, frequency=-timing.frequency)

    monkeypatch.setattr(receiver_module.Receiver, "locate", conjugated)
    assert len(failed(waveform.build(frequency_offset=1e-3, **KINDS[kind]))) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_without_equalizer_fails(kind, monkeypatch):
    monkeypatch.setattr(ChannelEstimate, "equalizer", lambda self, pulse: scaled(pulse.table, self.energy))
    mean = ofdm.response
    monkeypatch.setattr(ofdm, "response", lambda *args: np.full_like(mean(*args), mean(*args).mean()))
    assert len(failed(waveform.build(**KINDS[kind]))) == 6


def scaled(table, energy):
    return Table(table.real / energy**0.5, table.imag, table.center)


def test_a_matched_filter_in_place_of_the_equalizer_fails(monkeypatch):
    """The filter of pulse and paths alone, without bias: interference between symbols is left."""
    right = ChannelEstimate.equalizer

    def matched(self, pulse):
        return right(replace(self, spectrum=np.full_like(self.spectrum, self.energy)), pulse)

    monkeypatch.setattr(ChannelEstimate, "equalizer", matched)
    assert sum("15 dB" in name for name in failed(waveform.build())) == 3


def test_errors_follow_the_bound_of_the_phases_of_each_transmission():
    """With three taps the bound depends on the phases of the paths."""
    channel = waveform.build(path_delays=(0.0, 1.0, 2.0), path_powers_db=(0.0, -3.0, -3.0))
    rng = waveform_paths.streams("phases", 6)
    bounds = np.array([float(waveform_paths.bound(channel, rng[row : row + 1], 15.0)[0]) for row in range(6)])
    sent = waveform_paths.qpsk_symbols(6, 6000, rng)
    received = waveform_paths.transmit(channel, sent, 15.0, rng)
    loss_db = 10 * np.log10((received.symbols - sent).abs().square().mean(1).numpy() / bounds)
    assert bounds.max() > 1.5 * bounds.min()
    assert (abs(loss_db) < 0.5).all()

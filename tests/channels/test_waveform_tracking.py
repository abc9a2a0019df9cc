"""Pilots after the preamble: errors with and without them against bounds, for phase noise, clock and moving paths."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from waveforms import carry, gaussian

from channels import waveform
from channels.certificate.waveform_paths import bound
from channels.rng import Rng, seed_for
from channels.waveform import ofdm
from channels.waveform import receiver as receiver_module
from channels.waveform.header import Header
from channels.waveform.modulator import modulate

SNR_DB, N0 = 20.0, 0.01


def error_of(channel, sent):
    return float((carry(channel, sent, SNR_DB).symbols - sent).abs().square().mean())


def phase_error(layout, count, walk):
    """Mean variance of the phase of payload symbols given all known symbols: Wiener filter of a Wiener process."""
    known = np.r_[np.arange(0, layout.start, 16), layout.known(count)[:: layout.pilots]]
    energy = np.r_[np.full(layout.start // 16, 16.0), np.full(len(known) - layout.start // 16, layout.pilots)]
    at = layout.data(count)[::7]
    covariance = walk * np.minimum(known[:, None], known) + 100.0  # any first phase
    across = walk * np.minimum(at[:, None], known) + 100.0
    weights = np.linalg.solve(covariance + np.diag(N0 / (2 * energy)), across.T).T
    return float((walk * at + 100.0 - (weights * across).sum(1)).mean())


@pytest.mark.parametrize("linewidth", [3e-7, 1e-6])
def test_pilots_track_phase_noise_as_well_as_the_wiener_filter(linewidth, monkeypatch):
    channel, sent = waveform.build(linewidth=linewidth), gaussian(6, 6000)
    bound = N0 + phase_error(channel.layout, 6000, 2 * np.pi * linewidth * 4)
    assert 0.95 * bound < error_of(channel, sent) < 1.1 * bound
    track = receiver_module.track

    def preamble_alone(*arguments):
        followed = track(*arguments)
        return replace(followed, phase=np.full_like(followed.phase, followed.phase[: channel.layout.start].mean()))

    monkeypatch.setattr(receiver_module, "track", preamble_alone)
    assert error_of(channel, sent) > 3 * bound


def test_pilots_track_the_clock_over_a_long_frame(monkeypatch):
    channel, sent = waveform.build(clock_offset_ppm=50.0), gaussian(2, 15360)
    assert error_of(channel, sent) < 1.05 * N0
    track = receiver_module.track

    def nominal(*arguments):
        return replace(track(*arguments), period=4.0)

    monkeypatch.setattr(receiver_module, "track", nominal)
    assert error_of(channel, sent) > 10 * N0


def without_scattered_pilots(monkeypatch):
    follow = receiver_module.follow

    def beginning(received, estimate, layout, noise_var):
        followed = follow(received, estimate, layout, noise_var)
        first = ofdm.response(estimate, layout.pulse, layout)
        return replace(followed, gains=np.broadcast_to(first, followed.gains.shape).copy())

    monkeypatch.setattr(receiver_module, "follow", beginning)


def moving(channel, cycles, seed):
    """Error times |H_k(t)|^2 / N0 for a second path of another Doppler shift, which turns `cycles` times in a frame."""
    layout = channel.layout
    count = 15 * layout.block_payload
    sent = gaussian(1, count)[0]
    samples = modulate(sent, layout, Header(channel.receiver.configuration, count))
    direct, echo, delay = 0.9, 0.436, 3
    turn = torch.exp(2j * np.pi * cycles / len(samples) * torch.arange(len(samples))).to(torch.complex64)
    later = torch.nn.functional.pad(samples, (4 * delay, 0))[: len(samples)]
    recording = torch.nn.functional.pad(direct * samples + echo * turn * later, (400, 400))
    recording = recording + Rng([seed]).complex_normal(len(recording), variance=torch.tensor([N0]))[0]
    (frame,), _ = channel.receiver.receive(recording)
    place = layout.grid.data.numpy()
    blocks = np.arange(count) // layout.block_payload
    symbol = blocks * 14 + np.tile(place[:, 0], count // layout.block_payload)
    time = layout.start + symbol * (layout.pilots + layout.section) + layout.section / 2
    phase = cycles * 4 * time / len(samples)
    frequency = ofdm.bins(layout)[np.tile(place[:, 1], count // layout.block_payload)] / layout.subcarriers
    power = np.abs(direct + echo * np.exp(2j * np.pi * (phase - frequency * delay))) ** 2
    error = (frame.symbols - sent).abs().square().numpy()
    return float((error * power).mean() / N0), float((error / frame.noise_var.numpy()).mean())


@pytest.mark.parametrize("cycles", [0.0, 0.1, 0.2])
def test_scattered_pilots_update_the_channel_of_ofdm(cycles, monkeypatch):
    channel = waveform.build(subcarriers=64)
    loss, ratio = moving(channel, cycles, 1)
    assert loss < 10 ** (0.05 if cycles else 0.015)  # 0.5 dB, and 0.15 dB without motion
    assert ratio == pytest.approx(1, abs=0.15)
    without_scattered_pilots(monkeypatch)
    without, _ = moving(channel, cycles, 1)
    assert without > (2 * loss if cycles else loss)


@pytest.mark.parametrize("snr_db", [5.0, 15.0])
def test_scattered_pilots_improve_the_estimate_of_a_constant_channel(snr_db, monkeypatch):
    channel = waveform.build(subcarriers=64, path_delays=(0.0, 3.25), path_powers_db=(0.0, -3.0))
    sent = gaussian(8, 8320)
    streams = [Rng([seed_for("waveform", row)]) for row in range(8)]
    bounds = torch.stack([torch.from_numpy(bound(channel, rng, snr_db)).repeat(10) for rng in streams])

    def excess():
        """Error over that of known gains, less 1."""
        received = carry(channel, sent, snr_db)
        return float(((received.symbols - sent).abs().square() / bounds).mean()) - 1

    with_pilots = excess()
    without_scattered_pilots(monkeypatch)
    assert 0 < with_pilots < 0.8 * excess()

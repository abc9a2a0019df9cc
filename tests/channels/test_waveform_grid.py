"""The resource grid of the waveform is that of the channel `tdl`: positions, overhead and noise variances."""

import numpy as np
import pytest
import torch
from waveforms import carry, gaussian

from channels import tdl, waveform
from channels.csit import Csit
from channels.errors import UsageError
from channels.propagation.ofdm import Ofdm
from channels.propagation.paths import Paths, Waves
from channels.rng import Rng, seed_for
from channels.waveform import ofdm
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from channels.waveform.pulse import rrc

SHAPES = {
    "default": {"subcarriers": 64},
    "guards": {"subcarriers": 52, "guard_subcarriers": 12},
    "pilots": {"subcarriers": 24, "grid_pilot_symbols": 4, "pilot_comb": 3, "cyclic_prefix": 8},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_data_pilots_and_overhead_are_those_of_tdl(shape):
    arguments = SHAPES[shape]
    channel = waveform.build(**arguments)
    size = arguments["subcarriers"] + arguments.get("guard_subcarriers", 0)
    reference = tdl.build(
        subcarriers=arguments["subcarriers"],
        guard_subcarriers=arguments.get("guard_subcarriers", 0),
        pilot_symbols=arguments.get("grid_pilot_symbols", 2),
        pilot_comb=arguments.get("pilot_comb", 2),
        cyclic_prefix=arguments.get("cyclic_prefix", 16) / size,
    )
    assert torch.equal(channel.layout.grid.data, reference.grid.data)
    assert torch.equal(channel.layout.grid.pilots, reference.grid.pilots)
    assert channel.medium.frame_data == reference.medium.frame_data
    ours, theirs = dict(channel.medium.overhead), dict(reference.medium.overhead)
    assert ours["pilots"] == theirs["pilots"] + 14 * channel.layout.pilots
    assert ours["cyclic prefix"] == theirs["cyclic prefix"]
    assert ours.get("guards") == theirs.get("guards")
    excess = ours["excess bandwidth"]
    assert channel.medium.frame_uses == reference.medium.frame_uses + 14 * channel.layout.pilots + excess


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_hold_the_grid(shape):
    """Matched filter and DFT written here find data, pilots and empty guards in the samples."""
    layout = waveform.build(**SHAPES[shape]).layout
    count, size = layout.block_payload, layout.subcarriers
    payload = gaussian(1, count)[0]
    samples = modulate(payload, layout, Header(0, count)).numpy()
    pulse = rrc(np.arange(-32, 33) / 4, 0.25)
    values = np.convolve(samples, pulse / np.sqrt((pulse**2).sum()))[64::4]  # one value per symbol, from symbol 0
    carriers = np.zeros((14, size), complex)
    for symbol in range(14):
        start = layout.start + layout.pilots + symbol * (layout.pilots + layout.prefix + size) + layout.prefix
        carriers[symbol] = np.fft.fftshift(np.fft.fft(values[start : start + size]) / np.sqrt(size))
    first = size // 2 - layout.grid.subcarriers // 2
    inside = carriers[:, first : first + layout.grid.subcarriers]
    place = layout.grid.data.numpy()
    assert np.abs(inside[place[:, 0], place[:, 1]] - payload.numpy()).max() < 0.03
    place = layout.grid.pilots.numpy()
    assert np.abs(inside[place[:, 0], place[:, 1]] - ofdm.pilots(layout).numpy()).max() < 0.03
    assert np.abs(ofdm.pilots(layout).numpy()) == pytest.approx(1)
    guards = np.delete(carriers, range(first, first + layout.grid.subcarriers), 1)
    assert guards.shape[1] == layout.grid.guard_subcarriers
    assert np.abs(guards).max(initial=0) < 0.03


class Fixed(Paths):
    """Paths of given gains; the gain of the subcarrier in the middle of the band is the sum of the gains."""

    def __init__(self, delays, gains, middle):
        self.delays_s, self.powers = torch.tensor(delays).double(), torch.tensor(np.abs(gains) ** 2)
        self.line_of_sight = self.doppler_hz = 0.0
        self.amplitude = torch.from_numpy(gains * np.exp(2j * np.pi * middle * np.array(delays))).to(torch.complex64)

    def draw(self, antennas, rng):
        amplitude = self.amplitude.expand(antennas, -1)[..., None]
        return [Waves(amplitude, torch.zeros_like(amplitude.real))] * len(rng)

    def autocorrelation(self, lag_s):
        return self.powers[:, None].expand(-1, len(lag_s)).to(torch.complex128)


def test_noise_variances_are_those_of_the_ofdm_channel_with_the_same_grid_and_paths():
    delays = (0.0, 2.0, 5.0)
    channel = waveform.build(subcarriers=52, guard_subcarriers=12, path_delays=delays, path_powers_db=(0.0, -3.0, -6.0))
    layout, rows, snr_db = channel.layout, 4, 20.0
    sent = gaussian(rows, 3 * layout.block_payload)
    received = carry(channel, sent, snr_db)
    losses = []
    for row in range(rows):
        gains = channel.impairments.gains(Rng([seed_for("waveform", row)]))
        paths = Fixed(delays, gains, (layout.grid.subcarriers // 2) / layout.subcarriers)
        reference = carry(Ofdm(layout.grid, paths, "perfect", 1, Csit("average", 0.9)), sent[row : row + 1], snr_db)
        decibel = 10 * torch.log10(received.noise_var[row] / reference.noise_var[0])
        assert -0.3 < float(decibel.mean()) < 1.0  # estimated from some 200 pilots
        assert float(decibel.std()) < 0.5
        assert float((10 * torch.log10(reference.noise_var[0])).std()) > 2
        losses.append(((received.symbols[row] - sent[row]).abs().square() / reference.noise_var[0]).mean())
    assert -0.1 < float(10 * torch.log10(torch.stack(losses).mean())) < 0.4  # estimated gains, phase and clock


def test_a_payload_fills_the_block_with_pilots():
    layout = waveform.build(subcarriers=64).layout
    values = ofdm.modulate(gaussian(1, 100)[0], layout)
    assert len(values) == 14 * (16 + 64)
    assert float(values.abs().square().mean()) == pytest.approx(1, abs=0.1)
    torch.testing.assert_close(ofdm.demodulate(values, layout)[:100], gaussian(1, 100)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"subcarriers": 3301}, "subcarriers"),
        ({"subcarriers": 64, "guard_subcarriers": -1}, "guard_subcarriers"),
        ({"subcarriers": 64, "grid_pilot_symbols": 15}, "pilot_symbols"),
        ({"subcarriers": 64, "pilot_comb": 0}, "pilot_comb"),
        ({"subcarriers": 64, "grid_pilot_symbols": 14, "pilot_comb": 1}, "leave no room for data"),
        ({"subcarriers": 1200}, "frame_payload"),
    ],
)
def test_wrong_grids(arguments, words):
    with pytest.raises(UsageError, match=words):
        waveform.build(**arguments)

"""Symbols over the channel `waveform`, and the impairments that its tests have in common."""

import torch

from channels.rng import Rng, seed_for

IMPAIRMENTS = {
    "none": {},
    "frequency": {"frequency_offset": 1e-3},
    "negative frequency": {"frequency_offset": -6e-3},
    "clock": {"clock_offset_ppm": 20.0},
    "slow clock": {"clock_offset_ppm": -100.0},
    "paths within a symbol": {"path_delays": (0.0, 0.25, 0.5), "path_powers_db": (0.0, -13.0, -20.0)},
    "paths over symbols": {"path_delays": (0.0, 1.5, 4.0), "path_powers_db": (0.0, -6.0, -10.0)},
    "constant offset": {"dc_offset": 0.1},
    "all": {
        "frequency_offset": 1e-3,
        "clock_offset_ppm": 20.0,
        "path_delays": (0.0, 0.25, 0.5),
        "path_powers_db": (0.0, -10.0, -16.0),
        "adc_bits": 8,
        "dac_bits": 8,
    },
}


def carry(channel, symbols, snr_db, label="waveform"):
    rows, length = symbols.shape
    rng = Rng([seed_for(label, row) for row in range(rows)])
    uses = torch.full((rows, 1), length)
    return channel.carry(symbols[:, None], uses, torch.full((rows, 1), snr_db), rng).fold()


def gaussian(rows, length):
    return Rng([seed_for("payload", row) for row in range(rows)]).complex_normal(length)

"""The receiver of the waveform over several paths against the bounds of ideal receivers that know all path gains.

With the raised cosine R(f) of the pulses and H(f) = sum_l a_l e^(-j 2 pi f tau_l), f in symbol rates,

    single carrier   X(f) = sum_m R(f + m) |H(f + m)|^2,   SINR = 1 / mean over f of N0 / (X(f) + N0) - 1
    OFDM             H_k = sum_m R(f + m) H(f + m) e^(j 2 pi (f + m) tau) at f = k / N,   SNR_k = |H_k|^2 / N0

are the SINR of the linear MMSE equalizer of infinite length, without bias, and the SNR of each of N subcarriers for a
DFT that begins at the delay tau of the strongest path.

Source: Proakis and Salehi, Digital Communications, 5th ed., sections 9.4-2 and 13.6.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from channels.certificate.lines import Line
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit
from channels.rng import Rng
from channels.waveform import ofdm
from channels.waveform.channel import WaveformChannel
from channels.waveform.impairments import Impairments

PATHS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "3 paths": ((0.0, 1.5, 4.0), (0.0, -6.0, -10.0)),
    "strong echo": ((0.0, 3.25), (0.0, -3.0)),
    "early path": ((0.0, 1.0, 6.5), (-8.0, 0.0, -12.0)),
}
"""Delays in symbol durations and powers in dB, by the name in the lines."""

LIMIT_DB = 0.3
"""Largest distance to an ideal receiver, of which estimated gains, phase and clock cost 0.1 to 0.2 dB."""
_SNRS_DB = (5.0, 15.0)
_USES = 6000
_BINS = 4096


def losses(name: str, channel: WaveformChannel, scale: float) -> Iterator[Line]:
    """Loss in dB: mean |error|^2 over its smallest value for an ideal receiver, for each set of paths."""
    for title, (delays, powers_db) in PATHS.items():
        multipath = copy.copy(channel)
        multipath.impairments = replace(channel.impairments, delays=delays, powers_db=powers_db)
        for snr_db in _SNRS_DB:
            rows = sample_count(8, scale, 4)
            rng = streams(f"{name} {title} {snr_db:g}", rows)
            sent = qpsk_symbols(rows, _USES, rng)
            error = (transmit(multipath, sent, snr_db, rng).symbols - sent).abs().double().square()
            bounds = [torch.from_numpy(bound(multipath, rng[row : row + 1], snr_db)) for row in range(rows)]
            ratio = float((error / torch.stack([b.repeat(-(-_USES // len(b)))[:_USES] for b in bounds])).mean())
            loss = 10 * math.log10(max(ratio, 1e-9))
            yield Line(f"{name}: loss to ideal, {title} {snr_db:g} dB, dB", loss, 0.0, loss, "tolerance", LIMIT_DB)


def bound(channel: WaveformChannel, rng: Rng, snr_db: float) -> NDArray[np.float64]:
    """Error variance of an ideal receiver, float64 [1] of a single carrier or [data symbols of the grid]."""
    paths, roll_off, n0 = channel.impairments, channel.layout.pulse.roll_off, 10 ** (-snr_db / 10)
    gains = paths.gains(rng)
    layout = channel.layout
    if layout.grid is None:
        return np.array([mmse_error(gains, paths, roll_off, n0)])
    of_data = ofdm.bins(layout)[layout.grid.data[:, 1]]
    return subcarrier_errors(gains, paths, roll_off, n0, layout.subcarriers)[of_data]


def mmse_error(gains: NDArray[np.complex128], paths: Impairments, roll_off: float, n0: float) -> float:
    """Error variance 1 / SINR behind the infinite linear MMSE equalizer, without bias."""
    spectrum = sum(_raised_cosine(f, roll_off) * np.abs(_response(f, gains, paths)) ** 2 for f in _aliases(_BINS))
    share = float(np.mean(n0 / (spectrum + n0)))
    return share / (1 - share)


def subcarrier_errors(
    gains: NDArray[np.complex128], paths: Impairments, roll_off: float, n0: float, subcarriers: int
) -> NDArray[np.float64]:
    """Error variance N0 / |H_k|^2 of each subcarrier."""
    start = paths.delays[int(np.abs(gains).argmax())]
    response = sum(
        _raised_cosine(f, roll_off) * _response(f, gains, paths) * np.exp(2j * np.pi * f * start)
        for f in _aliases(subcarriers)
    )
    return n0 / np.abs(response) ** 2


def _aliases(count: int) -> list[NDArray[np.float64]]:
    """Frequencies in symbol rates that are one frequency after sampling at the symbol rate."""
    return [np.arange(count) / count - shift for shift in (0, 1)]


def _response(
    frequency: NDArray[np.float64], gains: NDArray[np.complex128], paths: Impairments
) -> NDArray[np.complex128]:
    return np.exp(-2j * np.pi * frequency[:, None] * np.array(paths.delays)) @ gains


def _raised_cosine(frequency: NDArray[np.float64], roll_off: float) -> NDArray[np.float64]:
    beyond = np.clip((np.abs(frequency) - (1 - roll_off) / 2) / roll_off, 0, 1)
    return 0.5 * (1 + np.cos(np.pi * beyond))

"""Channel knowledge: the certificate's measurements of what receivers make of pilots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from channels import _theory
from channels._base import Channel
from channels._certify_air import carried, count, deviation, quaternary, streams
from channels._ofdm import SYMBOLS
from channels._paths import doppler
from channels._sionna import table
from channels.certificate import SPEED_M_S, Line, Modem

# Comb of the pilots, speed in m/s and delay spread in s of the certificate's channels with pilots.
_ESTIMATED = {
    "tdl ls": (2, SPEED_M_S, 100e-9),
    "tdl lmmse": (2, SPEED_M_S, 100e-9),
    "tdl flat ls": (1, 0.0, 1e-12),
}
_PILOT_SYMBOLS = (2, 11)
_SUBCARRIERS, _SPACING_HZ, _SYMBOL_S, _CARRIER_HZ = 24, 30e3, (1 + 9 / 128) / 30e3, 3.5e9


def estimated_gains(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """The error behind estimated gains is told and has the variance that N0 and the profile leave; see `missed`."""
    for name in [name for name in _ESTIMATED if name in channels]:
        rows, length = count(2000, scale, 200), 312
        for snr_db in (0.0, 10.0, 20.0):
            rng = streams(f"{name} {snr_db}", rows)
            sent = quaternary(rows, length, rng)
            heard = carried(channels[name], sent, snr_db, rng)
            ratio = ((heard.symbols - sent).abs().square() / heard.noise_var).mean(1)
            z = deviation(ratio, 1.0)
            yield Line(f"{name}: E|error|^2 / noise variance {snr_db:g} dB", float(ratio.mean()), 1.0, z)
            left, n0 = missed(name, snr_db), 10 ** (-snr_db / 10)
            left = left[torch.arange(length) % len(left)]
            power = heard.gains[:, 0].abs().double().square()
            # G and H - G are uncorrelated
            known = (power / (1 - left)).mean(1)
            yield Line(f"{name}: E|G|^2 / (1 - v) {snr_db:g} dB", float(known.mean()), 1.0, deviation(known, 1.0))
            told = heard.noise_var * power / (n0 + left)
            worst = float((told - 1).abs().max())
            title = f"{name}: told noise x |G|^2 / (N0 + v) {snr_db:g} dB, worst"
            yield Line(title, 1 + worst, 1.0, worst, "tolerance", 2e-3)
        yield from _mixed_rows(name, channels[name], scale)
    if "tdl flat ls" in channels:
        yield from _least_squares_loss(channels["tdl flat ls"], modem, scale)


def _mixed_rows(name: str, channel: Channel, scale: float) -> Iterator[Line]:
    """Of a row with amplitude a, E|G error|^2 = N0 + a^2 v in each dimension, whatever the rows around it."""
    rows, length = count(2000, scale, 200), 312
    snr_db, amplitude = torch.tensor([0.0, 10.0, 20.0]).repeat(rows)[:rows], torch.tensor([0.1, 1.0, 10.0])
    amplitude = amplitude.repeat_interleave(3).repeat(rows)[:rows, None]
    rng = streams(f"mixed {name}", rows)
    sent = quaternary(rows, length, rng) * amplitude
    heard = carried(channel, sent, snr_db, rng)
    variance = torch.empty(rows, length, dtype=torch.float64)
    for value in snr_db.unique().tolist():
        left = missed(name, value)
        left = left[torch.arange(length) % len(left)]
        own = snr_db == value
        variance[own] = 10 ** (-value / 10) + amplitude[own].double().square() * left
    error = torch.view_as_real((heard.symbols - sent) * heard.gains[:, 0].abs()).double().square()
    for part, dimension in enumerate(("in phase", "quadrature")):
        for least in (0.1, 1.0, 10.0):
            chosen = torch.isclose(amplitude[:, 0], torch.tensor(least))
            ratio = (2 * error[chosen][..., part] / variance[chosen]).mean(1)
            title = f"{name}: |G error|^2 / (N0 + a^2 v) {dimension}, a = {least:g}"
            yield Line(title, float(ratio.mean()), 1.0, deviation(ratio, 1.0))


def missed(name: str, snr_db: float) -> torch.Tensor:
    """Variance v = E|H - G|^2 of each data symbol of a frame, float64 [data], from the profile and Clarke's spectrum.

    With C the covariance of H, p pilots and d data: lmmse leaves 1 - C_dp (C_pp + N0)^-1 C_pd. ls interpolates with
    weights w and scales to least error: 1 - |w C_pd|^2 / (w (C_pp + N0) w^T).

    Source: Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, section 12.3.
    """
    comb, speed_m_s, spread_s = _ESTIMATED[name]
    parameters = table("TDL-A")
    powers = 10 ** (np.array(parameters["powers"]) / 10)
    delays = np.array(parameters["delays"]) * spread_s
    symbol, subcarrier = (axis.ravel() for axis in np.indices((SYMBOLS, _SUBCARRIERS)))
    lags = np.subtract.outer(symbol, symbol) * _SYMBOL_S
    turns = np.exp(-2j * np.pi * _SPACING_HZ * np.outer(subcarrier, delays))
    covariance = _theory.jakes(lags, doppler(speed_m_s, _CARRIER_HZ)) * (
        (turns * powers / powers.sum()) @ turns.conj().T
    )
    pilot = np.isin(symbol, _PILOT_SYMBOLS) & (subcarrier % comb == 0)
    n0 = 10 ** (-snr_db / 10)
    among = covariance[np.ix_(pilot, pilot)] + n0 * np.eye(int(pilot.sum()))
    across = covariance[np.ix_(~pilot, pilot)]
    if name.endswith("lmmse"):
        return torch.from_numpy(1 - (across * np.linalg.solve(among, across.conj().T).T).sum(1).real)
    weights = np.stack(
        [
            np.interp(symbol[~pilot], _PILOT_SYMBOLS, (symbol[at] == np.array(_PILOT_SYMBOLS)).astype(float))
            * np.interp(subcarrier[~pilot], np.arange(0, _SUBCARRIERS, comb), _unit(int(subcarrier[at]), comb))
            for at in np.flatnonzero(pilot)
        ],
        1,
    )
    spent = ((weights @ among) * weights).sum(1).real
    return torch.from_numpy(1 - np.abs((across * weights).sum(1)) ** 2 / spent)


def _unit(subcarrier: int, comb: int) -> np.ndarray:
    """1 at a pilot's subcarrier, 0 at the other pilots."""
    return (np.arange(0, _SUBCARRIERS, comb) == subcarrier).astype(float)


def _least_squares_loss(channel: Channel, modem: Modem, scale: float) -> Iterator[Line]:
    """QPSK errors behind least squares are those of Rayleigh fading at the SNR of Hassibi and Hochwald."""
    frame, rows = channel.medium.frame_data, count(6000, scale, 400)
    for snr_db in (0.0, 10.0, 20.0):
        rng = streams(f"LS loss {snr_db}", rows)
        bits = (rng.derive("bits").uniform(2 * frame) < 0.5).to(torch.uint8)
        heard = carried(channel, modem.map_bits(bits, 2), snr_db, rng)
        wrong = ((modem.demap(heard.symbols, heard.noise_var, 2) < 0) != bits.bool()).double().mean(1)
        snr = 10 ** (snr_db / 10)
        # pilots stand in symbols 2 and 11 and are held beyond them
        between = [min(max((symbol - 2) / 9, 0.0), 1.0) for symbol in range(SYMBOLS) if symbol not in (2, 11)]
        effective = [_theory.estimated_snr(snr, ((1 - part) ** 2 + part**2) / snr) for part in between]
        expected = float(np.mean([_theory.ber_fading(2, value) for value in effective]))
        z = deviation(wrong, expected)
        yield Line(f"tdl flat ls: BER QPSK {snr_db:g} dB, SNR of estimates", float(wrong.mean()), expected, z)
        loss = snr_db - 10 * math.log10(float(np.mean(effective)))
        told = 1 / (heard.gains[:, 0].abs().square() * heard.noise_var).double()
        known = float((heard.gains[:, 0].abs().square().double().mean(0) * told[0]).mean())
        measured = snr_db - 10 * math.log10(known)
        # the mean power of `rows` independent estimates
        limit = 4 * 10 / math.log(10) / math.sqrt(rows)
        name = f"tdl flat ls: loss to perfect knowledge {snr_db:g} dB, dB"
        yield Line(name, measured, loss, measured - loss, "tolerance", limit)

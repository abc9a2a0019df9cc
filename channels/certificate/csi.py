"""Channel estimation from pilots against theory: error variance, gains and bit error rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from channels.base import Channel
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit, z_score
from channels.certificate.subjects import SPEED_M_S
from channels.propagation.ofdm import SYMBOLS
from channels.propagation.paths import doppler
from channels.propagation.profiles import table

# Pilot comb, speed in m/s and delay spread in s of the measured channels with pilots.
_ESTIMATED = {
    "tdl ls": (2, SPEED_M_S, 100e-9),
    "tdl lmmse": (2, SPEED_M_S, 100e-9),
    "tdl flat ls": (1, 0.0, 1e-12),
}
_PILOT_SYMBOLS = (2, 11)
_SUBCARRIERS, _SPACING_HZ, _SYMBOL_S, _CARRIER_HZ = 24, 30e3, (1 + 9 / 128) / 30e3, 3.5e9


def estimated_gains(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Noise variance with estimated gains: as reported, and as theory says from N0 and the delay profile."""
    for name in [name for name in _ESTIMATED if name in channels]:
        rows, length = sample_count(2000, scale, 200), 312
        for snr_db in (0.0, 10.0, 20.0):
            rng = streams(f"{name} {snr_db}", rows)
            sent = qpsk_symbols(rows, length, rng)
            received = transmit(channels[name], sent, snr_db, rng)
            ratio = ((received.symbols - sent).abs().square() / received.noise_var).mean(1)
            z = z_score(ratio, 1.0)
            yield Line(f"{name}: E|error|^2 / noise variance {snr_db:g} dB", float(ratio.mean()), 1.0, z)
            variance, n0 = error_variance(name, snr_db), 10 ** (-snr_db / 10)
            variance = variance[torch.arange(length) % len(variance)]
            power = received.gains[:, 0].abs().double().square()
            # G and H - G are uncorrelated
            known = (power / (1 - variance)).mean(1)
            yield Line(f"{name}: E|G|^2 / (1 - v) {snr_db:g} dB", float(known.mean()), 1.0, z_score(known, 1.0))
            reported = received.noise_var * power / (n0 + variance)
            worst = float((reported - 1).abs().max())
            title = f"{name}: noise variance x |G|^2 / (N0 + v) {snr_db:g} dB, worst"
            yield Line(title, 1 + worst, 1.0, worst, "tolerance", 2e-3)
        yield from _mixed_rows(name, channels[name], scale)
    if "tdl flat ls" in channels:
        yield from _least_squares_loss(channels["tdl flat ls"], modem, scale)


def _mixed_rows(name: str, channel: Channel, scale: float) -> Iterator[Line]:
    """E|G error|^2 = N0 + a^2 v in each dimension for a row of amplitude a, independent of the other rows."""
    rows, length = sample_count(2000, scale, 200), 312
    snr_db, amplitude = torch.tensor([0.0, 10.0, 20.0]).repeat(rows)[:rows], torch.tensor([0.1, 1.0, 10.0])
    amplitude = amplitude.repeat_interleave(3).repeat(rows)[:rows, None]
    rng = streams(f"mixed {name}", rows)
    sent = qpsk_symbols(rows, length, rng) * amplitude
    received = transmit(channel, sent, snr_db, rng)
    variance = torch.empty(rows, length, dtype=torch.float64)
    for value in snr_db.unique().tolist():
        estimation = error_variance(name, value)
        estimation = estimation[torch.arange(length) % len(estimation)]
        same = snr_db == value
        variance[same] = 10 ** (-value / 10) + amplitude[same].double().square() * estimation
    error = torch.view_as_real((received.symbols - sent) * received.gains[:, 0].abs()).double().square()
    for part, dimension in enumerate(("in phase", "quadrature")):
        for least in (0.1, 1.0, 10.0):
            chosen = torch.isclose(amplitude[:, 0], torch.tensor(least))
            ratio = (2 * error[chosen][..., part] / variance[chosen]).mean(1)
            title = f"{name}: |G error|^2 / (N0 + a^2 v) {dimension}, a = {least:g}"
            yield Line(title, float(ratio.mean()), 1.0, z_score(ratio, 1.0))


def error_variance(name: str, snr_db: float) -> torch.Tensor:
    """Variance v = E|H - G|^2 of each data symbol of a frame, float64 [data], from the profile and Clarke's spectrum.

    C is the covariance of H, p are the pilots, d the data. lmmse: v = 1 - C_dp (C_pp + N0)^-1 C_pd. ls with
    interpolation weights w, scaled to the least error: v = 1 - |w C_pd|^2 / (w (C_pp + N0) w^T).

    Source: Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, section 12.3.
    """
    comb, speed_m_s, spread_s = _ESTIMATED[name]
    parameters = table("TDL-A")
    powers = 10 ** (np.array(parameters["powers"]) / 10)
    delays = np.array(parameters["delays"]) * spread_s
    symbol, subcarrier = (axis.ravel() for axis in np.indices((SYMBOLS, _SUBCARRIERS)))
    lags = np.subtract.outer(symbol, symbol) * _SYMBOL_S
    phasors = np.exp(-2j * np.pi * _SPACING_HZ * np.outer(subcarrier, delays))
    covariance = theory.jakes(lags, doppler(speed_m_s, _CARRIER_HZ)) * (
        (phasors * powers / powers.sum()) @ phasors.conj().T
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
    power = ((weights @ among) * weights).sum(1).real
    return torch.from_numpy(1 - np.abs((across * weights).sum(1)) ** 2 / power)


def _unit(subcarrier: int, comb: int) -> np.ndarray:
    """1 at the subcarrier of one pilot, 0 at the other pilots."""
    return (np.arange(0, _SUBCARRIERS, comb) == subcarrier).astype(float)


def _least_squares_loss(channel: Channel, modem: Modem, scale: float) -> Iterator[Line]:
    """QPSK bit error rate with least-squares estimates: that of Rayleigh fading at the SNR of Hassibi and Hochwald."""
    frame, rows = channel.medium.frame_data, sample_count(6000, scale, 400)
    for snr_db in (0.0, 10.0, 20.0):
        rng = streams(f"LS loss {snr_db}", rows)
        bits = (rng.derive("bits").uniform(2 * frame) < 0.5).to(torch.uint8)
        received = transmit(channel, modem.map_bits(bits, 2), snr_db, rng)
        wrong = ((modem.demap(received.symbols, received.noise_var, 2) < 0) != bits.bool()).double().mean(1)
        snr = 10 ** (snr_db / 10)
        # pilots in symbols 2 and 11; the estimates are constant before and after them
        between = [min(max((symbol - 2) / 9, 0.0), 1.0) for symbol in range(SYMBOLS) if symbol not in (2, 11)]
        effective = [theory.estimated_snr(snr, ((1 - part) ** 2 + part**2) / snr) for part in between]
        expected = float(np.mean([theory.ber_fading(2, value) for value in effective]))
        z = z_score(wrong, expected)
        yield Line(f"tdl flat ls: BER QPSK {snr_db:g} dB, SNR of estimates", float(wrong.mean()), expected, z)
        loss = snr_db - 10 * math.log10(float(np.mean(effective)))
        snr_by_use = 1 / (received.gains[:, 0].abs().square() * received.noise_var).double()
        known = float((received.gains[:, 0].abs().square().double().mean(0) * snr_by_use[0]).mean())
        measured = snr_db - 10 * math.log10(known)
        # standard error of the mean power of `rows` independent estimates
        limit = 4 * 10 / math.log(10) / math.sqrt(rows)
        name = f"tdl flat ls: loss to perfect knowledge {snr_db:g} dB, dB"
        yield Line(name, measured, loss, measured - loss, "tolerance", limit)

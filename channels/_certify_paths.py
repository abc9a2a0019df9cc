"""Multipath and channel knowledge: the certificate's measurements of delay profiles, Doppler and estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from channels import _theory
from channels._base import Channel
from channels._certify_air import carried, count, deviation, quaternary, streams
from channels._ofdm import SYMBOLS, Ofdm
from channels._sionna import table
from channels.certificate import Line, Modem

# Doppler shift times lag: to the first zero of J0 (0.383), past its minimum and its second zero.
_LAGS = (0.1, 0.2, 0.383, 0.6, 0.879)
_TRAVELS = 720


def tapped_delays(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Profiles of TR 38.901 and Jakes' autocorrelation; D and E with their line of sight."""
    del modem
    for model, channel in _grids(channels, "tdl"):
        parameters = table(f"TDL-{model}")
        powers, seen = _powers(parameters)

        def expected(path: int, cycles: float, powers: np.ndarray = powers, seen: float = seen) -> float:
            line_of_sight = seen * math.cos(2 * math.pi * 0.7 * cycles) if path == 0 else 0.0
            scattered = powers[path] - (seen if path == 0 else 0.0)
            return float(scattered * _theory.jakes(cycles, 1.0)) + line_of_sight

        yield from _profile(f"tdl {model}", channel, parameters, powers, scale)
        yield from _doppler(f"tdl {model}", channel, powers, expected, scale)


def clustered_delays(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Profiles of TR 38.901, and the autocorrelation of the sum over the tables' rays and all directions of travel."""
    del modem
    for model, channel in _grids(channels, "cdl"):
        parameters = table(f"CDL-{model}")
        powers, seen = _powers(parameters)

        def expected(
            path: int,
            cycles: float,
            parameters: dict[str, Any] = parameters,
            powers: np.ndarray = powers,
            seen: float = seen,
        ) -> float:
            first = int(parameters["los"])
            rays = _sum_of_rays(parameters["zoa"][path + first], parameters["cZSA"], cycles)
            if path or not first:
                return powers[path] * rays
            return (powers[0] - seen) * rays + seen * _sum_of_rays(parameters["zoa"][0], 0.0, cycles)

        yield from _profile(f"cdl {model}", channel, parameters, powers, scale)
        yield from _doppler(f"cdl {model}", channel, powers, expected, scale)


def estimated_gains(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """The error behind estimated gains has the noise variance that comes with it; least squares cost what they must."""
    for name in [name for name in channels if name.startswith("tdl ") and name.endswith(("ls", "lmmse"))]:
        rows, length = count(2000, scale, 200), 312
        for snr_db in (0.0, 10.0, 20.0):
            rng = streams(f"{name} {snr_db}", rows)
            sent = quaternary(rows, length, rng)
            heard = carried(channels[name], sent, snr_db, rng)
            ratio = ((heard.symbols - sent).abs().square() / heard.noise_var).mean(1)
            z = deviation(ratio, 1.0)
            yield Line(f"{name}: E|error|^2 / noise variance {snr_db:g} dB", float(ratio.mean()), 1.0, z)
    if "tdl flat ls" in channels:
        yield from _least_squares_loss(channels["tdl flat ls"], modem, scale)


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


def _grids(channels: Mapping[str, Channel], kind: str) -> Iterator[tuple[str, Ofdm]]:
    for model in "ABCDE":
        channel = channels.get(f"{kind} {model}")
        if isinstance(channel, Ofdm):
            yield model, channel


def _powers(parameters: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Power of each path, the line of sight in the first, and the line of sight alone."""
    powers = 10 ** (np.array(parameters["powers"]) / 10)
    powers = powers / powers.sum()
    if not parameters["los"]:
        return powers, 0.0
    return np.concatenate([[powers[0] + powers[1]], powers[2:]]), float(powers[0])


def _sum_of_rays(zenith_deg: float, spread_deg: float, cycles: float) -> float:
    """Mean over the 20 rays of a cluster and all directions of travel of cos(2 pi cycles direction . travel)."""
    offsets = np.array([0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551])
    zenith = np.radians(zenith_deg + spread_deg * np.concatenate([offsets, -offsets]))
    travel = 2 * np.pi * np.arange(_TRAVELS) / _TRAVELS
    return float(np.cos(2 * np.pi * cycles * np.sin(zenith)[:, None] * np.cos(travel)).mean())


def _profile(name: str, channel: Ofdm, parameters: dict[str, Any], powers: np.ndarray, scale: float) -> Iterator[Line]:
    rows = count(4000, scale, 300)
    start = torch.zeros(1, dtype=torch.float64)
    waves = channel.paths.draw(1, streams(f"profile {name}", rows))
    if len(channel.paths.delays_s) != len(powers):
        found = float(len(channel.paths.delays_s))
        yield Line(f"{name}: paths", found, float(len(powers)), math.inf, "tolerance", 0.0)
        return
    measured = torch.stack([wave.taps(start, start)[0, :, 0, 0] for wave in waves]).abs().double().square()
    scores = [deviation(measured[:, path], float(power)) for path, power in enumerate(powers)]
    worst = int(np.abs(scores).argmax())
    found = float(measured[:, worst].mean())
    yield Line(f"{name}: power of path {worst}, worst of {len(scores)}", found, float(powers[worst]), scores[worst])
    total = measured.sum(1)
    yield Line(f"{name}: power of all paths", float(total.mean()), 1.0, deviation(total, 1.0))

    delays = channel.paths.delays_s.numpy()
    share = measured.mean(0).numpy() / float(total.mean())
    spread = math.sqrt(float((share * delays**2).sum() - (share * delays).sum() ** 2))
    unit = np.array(parameters["delays"])[int(parameters["los"]) :]
    nominal = spread_of(powers, unit) * delays.max() / unit.max()
    ratio = spread / nominal
    yield Line(f"{name}: delay spread / that of the table", ratio, 1.0, ratio - 1, "tolerance", 4 / math.sqrt(rows))

    # what a receiver sees: the correlation over frequency is the Fourier transform of the profile
    sent = torch.ones(rows, channel.grid.subcarriers, dtype=torch.complex64)
    seen = carried(channel, sent, 20.0, streams(f"profile {name}", rows)).gains[:, 0]
    apart = channel.grid.subcarriers - 1
    product = (seen[:, apart] * seen[:, 0].conj()).to(torch.complex128)
    expected = complex((powers * np.exp(-2j * np.pi * channel.grid.spacing_hz * apart * delays)).sum())
    for part, value, theory in (("Re", product.real, expected.real), ("Im", product.imag, expected.imag)):
        title = f"{name}: {part} E H(f + {apart} spacings) H*(f)"
        yield Line(title, float(value.mean()), theory, deviation(value, theory))


def spread_of(powers: np.ndarray, delays: np.ndarray) -> float:
    """Root-mean-square spread of delays weighted by powers that add up to 1."""
    return math.sqrt(float((powers * delays**2).sum() - (powers * delays).sum() ** 2))


def _doppler(
    name: str, channel: Ofdm, powers: np.ndarray, expected: Callable[[int, float], float], scale: float
) -> Iterator[Line]:
    rows = count(4000, scale, 300)
    lags = torch.tensor((0.0, *_LAGS), dtype=torch.float64) / channel.paths.doppler_hz
    waves = channel.paths.draw(1, streams(f"Doppler {name}", rows))
    taps = torch.stack([wave.taps(torch.zeros(1, dtype=torch.float64), lags)[0, :, 0] for wave in waves])
    product = (taps[..., 1:] * taps[..., :1].conj()).real.double()
    for index, cycles in enumerate(_LAGS):
        first = expected(0, cycles)
        nearest = product[:, 0, index]
        title = f"{name}: autocorrelation of path 0, lag {cycles} / f_D"
        yield Line(title, float(nearest.mean()), first, deviation(nearest, first))
        rest = sum(expected(path, cycles) for path in range(1, len(powers)))
        others = product[:, 1:, index].sum(1)
        title = f"{name}: of the other paths, lag {cycles} / f_D"
        yield Line(title, float(others.mean()), rest, deviation(others, rest))

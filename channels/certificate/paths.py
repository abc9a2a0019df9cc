"""Delay profiles and Doppler of the multipath channels against 3GPP TR 38.901."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from channels.base import Channel
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import sample_count, streams, transmit, z_score
from channels.certificate.subjects import standard_channels
from channels.propagation.ofdm import SYMBOLS, Ofdm
from channels.propagation.profiles import table

# Doppler shift times lag: up to the first zero of J0 (0.383), beyond its minimum and at its second zero.
_LAGS = (0.1, 0.2, 0.383, 0.6, 0.879)
_DIRECTIONS = 720


def tapped_delays(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Delay profiles of TR 38.901 and autocorrelation of the Jakes spectrum; D and E with line of sight."""
    del modem
    for model, channel in _grids(channels, "tdl"):
        parameters = table(f"TDL-{model}")
        powers, direct = _powers(parameters)

        def expected(path: int, cycles: float, powers: np.ndarray = powers, direct: float = direct) -> float:
            line_of_sight = direct * math.cos(2 * math.pi * 0.7 * cycles) if path == 0 else 0.0
            scattered = powers[path] - (direct if path == 0 else 0.0)
            return float(scattered * theory.jakes(cycles, 1.0)) + line_of_sight

        yield from _measured(f"tdl {model}", channel, parameters, expected, scale)


def clustered_delays(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Delay profiles of TR 38.901 and autocorrelation summed over the rays of the tables and all directions."""
    del modem
    for model, channel in _grids(channels, "cdl"):
        parameters = table(f"CDL-{model}")
        powers, direct = _powers(parameters)

        def expected(
            path: int,
            cycles: float,
            parameters: dict[str, Any] = parameters,
            powers: np.ndarray = powers,
            direct: float = direct,
        ) -> float:
            first = int(parameters["los"])
            rays = _sum_of_rays(parameters["zoa"][path + first], parameters["cZSA"], cycles)
            if path or not first:
                return powers[path] * rays
            return (powers[0] - direct) * rays + direct * _sum_of_rays(parameters["zoa"][0], 0.0, cycles)

        yield from _measured(f"cdl {model}", channel, parameters, expected, scale)


def _grids(channels: Mapping[str, Channel], kind: str) -> list[tuple[str, Channel]]:
    return [(model, channels[f"{kind} {model}"]) for model in "ABCDE" if f"{kind} {model}" in channels]


def _powers(parameters: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Power of each path with the line of sight in the first path, and power of the line of sight."""
    powers = 10 ** (np.array(parameters["powers"]) / 10)
    powers = powers / powers.sum()
    if not parameters["los"]:
        return powers, 0.0
    return np.concatenate([[powers[0] + powers[1]], powers[2:]]), float(powers[0])


def _sum_of_rays(zenith_deg: float, spread_deg: float, cycles: float) -> float:
    """Mean of cos(2 pi cycles direction . travel) over the 20 rays of a cluster and all directions of travel."""
    offsets = np.array([0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551])
    zenith = np.radians(zenith_deg + spread_deg * np.concatenate([offsets, -offsets]))
    travel = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    return float(np.cos(2 * np.pi * cycles * np.sin(zenith)[:, None] * np.cos(travel)).mean())


def _measured(
    name: str,
    channel: Channel,
    parameters: dict[str, Any],
    expected: Callable[[int, float], float],
    scale: float,
) -> Iterator[Line]:
    """Lines of one channel; a channel without readable paths is measured by its gains alone, and one line fails."""
    powers, _ = _powers(parameters)
    if isinstance(channel, Ofdm) and len(channel.paths.delays_s) != len(powers):
        paths = float(len(channel.paths.delays_s))
        yield Line(f"{name}: number of paths", paths, float(len(powers)), math.inf, "tolerance", 0.0)
        return
    yield from _received(name, channel, parameters, expected, scale)
    if not isinstance(channel, Ofdm):
        yield Line(f"{name}: paths can be read", 0.0, 1.0, math.inf, "tolerance", 0.0)
        return
    yield from _profile(name, channel, parameters, powers, scale)
    yield from _doppler(name, channel, powers, expected, scale)


def _profile(name: str, channel: Ofdm, parameters: dict[str, Any], powers: np.ndarray, scale: float) -> Iterator[Line]:
    rows = sample_count(4000, scale, 300)
    start = torch.zeros(1, dtype=torch.float64)
    waves = channel.paths.draw(1, streams(f"profile {name}", rows))
    measured = torch.stack([wave.taps(start, start)[0, :, 0, 0] for wave in waves]).abs().double().square()
    scores = [z_score(measured[:, path], float(power)) for path, power in enumerate(powers)]
    worst = int(np.abs(scores).argmax())
    power = float(measured[:, worst].mean())
    yield Line(f"{name}: power of path {worst}, worst of {len(scores)}", power, float(powers[worst]), scores[worst])
    total = measured.sum(1)
    yield Line(f"{name}: power of all paths", float(total.mean()), 1.0, z_score(total, 1.0))

    delays = channel.paths.delays_s.numpy()
    share = measured.mean(0).numpy() / float(total.mean())
    spread = math.sqrt(float((share * delays**2).sum() - (share * delays).sum() ** 2))
    unit = np.array(parameters["delays"])[int(parameters["los"]) :]
    nominal = spread_of(powers, unit) * delays.max() / unit.max()
    ratio = spread / nominal
    yield Line(f"{name}: delay spread / that of the table", ratio, 1.0, ratio - 1, "tolerance", 4 / math.sqrt(rows))


def _received(
    name: str,
    channel: Channel,
    parameters: dict[str, Any],
    expected: Callable[[int, float], float],
    scale: float,
) -> Iterator[Line]:
    """Correlation of the gains over frequency and from frame to frame, as a receiver measures it.

    Theory: the Fourier transform of the delay profile over frequency, the sum of the autocorrelations of all paths over
    time. A channel that is no `Ofdm` is compared with the standard grid, speed and delay spread.
    """
    rows, frames = sample_count(1000, scale, 300), 4
    model = channel if isinstance(channel, Ofdm) else standard(name)
    powers, _ = _powers(parameters)
    frame = model.medium.frame_data
    sent = torch.ones(rows, (frames - 1) * frame + model.grid.subcarriers, dtype=torch.complex64)
    gains = transmit(channel, sent, 20.0, streams(f"received {name}", rows)).gains[:, 0].to(torch.complex128)
    apart = model.grid.subcarriers - 1
    product = gains[:, apart] * gains[:, 0].conj()
    delays = model.paths.delays_s.numpy()
    in_theory = complex((powers * np.exp(-2j * np.pi * model.grid.spacing_hz * apart * delays)).sum())
    for part, values, value in (("Re", product.real, in_theory.real), ("Im", product.imag, in_theory.imag)):
        title = f"{name}: {part} E H(f + {apart} spacings) H*(f)"
        yield Line(title, float(values.mean()), value, z_score(values, value))
    for later in range(1, frames):
        cycles = later * SYMBOLS * model.grid.symbol_s * model.paths.doppler_hz
        value = sum(expected(path, cycles) for path in range(len(powers)))
        values = (gains[:, later * frame] * gains[:, 0].conj()).real
        title = f"{name}: Re E H(t + {later} frames) H*(t)"
        yield Line(title, float(values.mean()), value, z_score(values, value))


def standard(name: str) -> Ofdm:
    """Channel of `standard_channels()` with this name, for its grid and paths."""
    channel = standard_channels()[name]
    assert isinstance(channel, Ofdm)
    return channel


def spread_of(powers: np.ndarray, delays: np.ndarray) -> float:
    """Root-mean-square delay spread for powers that sum to 1."""
    return math.sqrt(float((powers * delays**2).sum() - (powers * delays).sum() ** 2))


def _doppler(
    name: str, channel: Ofdm, powers: np.ndarray, expected: Callable[[int, float], float], scale: float
) -> Iterator[Line]:
    rows = sample_count(4000, scale, 300)
    lags = torch.tensor((0.0, *_LAGS), dtype=torch.float64) / channel.paths.doppler_hz
    waves = channel.paths.draw(1, streams(f"Doppler {name}", rows))
    taps = torch.stack([wave.taps(torch.zeros(1, dtype=torch.float64), lags)[0, :, 0] for wave in waves])
    product = (taps[..., 1:] * taps[..., :1].conj()).real.double()
    for index, cycles in enumerate(_LAGS):
        first = expected(0, cycles)
        nearest = product[:, 0, index]
        title = f"{name}: autocorrelation of path 0, lag {cycles} / f_D"
        yield Line(title, float(nearest.mean()), first, z_score(nearest, first))
        rest = sum(expected(path, cycles) for path in range(1, len(powers)))
        others = product[:, 1:, index].sum(1)
        title = f"{name}: autocorrelation of the other paths, lag {cycles} / f_D"
        yield Line(title, float(others.mean()), rest, z_score(others, rest))

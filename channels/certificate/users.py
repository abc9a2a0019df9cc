"""Superposed users (uplink) and common transmission (broadcast) against theory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from channels.base import Channel
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit, z_score


def superposed(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Receiver noise is added once, the error has the reported variance, and the MMSE of 2 users at 2 antennas."""
    del modem
    if "uplink" not in channels:
        return
    channel, users, length, snr_db = channels["uplink"], 2, 64, 10.0
    rows = sample_count(8000, scale, 400)
    rng = streams("uplink", rows)
    sent = qpsk_symbols(rows, length, rng).unflatten(0, (-1, users))
    uses = torch.full((rows // users, users), length)
    received = channel.carry(sent, uses, torch.full((rows // users, users), snr_db), rng)
    n0 = 10 ** (-snr_db / 10)
    if received.mixture is None:
        yield Line("uplink: returns the mixture for joint receivers", 0.0, 1.0, math.inf, "tolerance", 0.0)
        return
    noise = (received.mixture - (received.gains * sent[:, :, None]).sum(1)).abs().double().square() / n0
    for antenna in range(noise.shape[1]):
        power = noise[:, antenna].mean(1)
        z = z_score(power, 1.0)
        yield Line(f"uplink: noise / N0 at antenna {antenna}, 2 users", float(power.mean()), 1.0, z)
    ratio = ((received.symbols - sent).abs().double().square() / received.noise_var).mean((1, 2))
    yield Line("uplink: E|error|^2 / noise variance", float(ratio.mean()), 1.0, z_score(ratio, 1.0))
    # E tr(I + H^H H / N0)^-1 / 2 over the eigenvalues of a 2 x 2 Wishart matrix, density (1 + (1 - x)^2) e^-x / 2
    eigenvalue = np.linspace(0, 60, 600_001)
    density = (1 + (1 - eigenvalue) ** 2) * np.exp(-eigenvalue) / 2
    expected = float(np.trapezoid(n0 / (n0 + eigenvalue) * density, eigenvalue))
    least = (received.noise_var / (1 + received.noise_var)).double().mean((1, 2))
    title = "uplink: least mean-squared error, 2 users 2 antennas 10 dB"
    yield Line(title, float(least.mean()), expected, z_score(least, expected))


def common(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Noise of each user of a broadcast: its variance, and independence of the other users."""
    del modem
    if "broadcast" not in channels:
        return
    users, length = 3, sample_count(20_000, scale, 500)
    rng = streams("broadcast", 4 * users)
    sent = qpsk_symbols(4, length, rng[:4]).repeat_interleave(users, 0)
    snr_db = torch.tensor([0.0, 10.0, 20.0] * 4)
    received = transmit(channels["broadcast"], sent, snr_db, rng, users)
    n0 = 10 ** (-snr_db.double() / 10)
    power = received.gains[:, 0].abs().double().square()
    error = (received.symbols - sent).to(torch.complex128) * power.sqrt() / n0[:, None].sqrt()
    for user in range(users):
        own = error[user::users].abs().square().flatten()
        yield Line(f"broadcast: noise / N0 of user {user}", float(own.mean()), 1.0, z_score(own, 1.0))
    shared = (error[0::users] * error[1::users].conj()).real.flatten()
    yield Line("broadcast: correlation of two users' noise", float(shared.mean()), 0.0, z_score(shared, 0.0))

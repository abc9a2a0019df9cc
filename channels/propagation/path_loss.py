"""SNR of a radio link over a distance."""

from __future__ import annotations

import math

from channels.errors import UsageError

NOISE_DBM_PER_HZ = -174.0
"""Thermal noise power density at 290 K."""


def snr_db(
    radiated_w: float,
    distance_m: float,
    bandwidth_hz: float,
    *,
    loss_at_1_m_db: float = 40.0,
    exponent: float = 3.0,
    noise_figure_db: float = 6.0,
) -> float:
    """Mean Es/N0 in dB after the log-distance path loss, with antennas of gain 1 at both ends.

    SNR = P - (L_1 + 10 n log10(d / 1 m)) - (-174 dBm/Hz + 10 log10(B) + F). The default L_1 is that of free space at
    2.4 GHz, n = 3 lies between free space (2) and an obstructed urban path (4).

    Args:
        radiated_w: radiated power P in W.
        distance_m: distance d in m, at least 1.
        bandwidth_hz: bandwidth B in Hz, equal to the symbol rate.
        loss_at_1_m_db: path loss L_1 in dB at a distance of 1 m.
        exponent: path-loss exponent n.
        noise_figure_db: noise figure F of the receiver in dB.

    Raises:
        UsageError: the power or the bandwidth is not above 0, or the distance is below 1 m.

    Source: T. S. Rappaport, Wireless Communications: Principles and Practice, 2nd edition, section 4.9.

    >>> round(snr_db(0.1, 100.0, 1e6), 1)
    28.0
    """
    if not (radiated_w > 0 and bandwidth_hz > 0 and distance_m >= 1):
        raise UsageError("give a power and a bandwidth above 0, and a distance of at least 1 m")
    received_dbm = 10 * math.log10(1e3 * radiated_w) - loss_at_1_m_db - 10 * exponent * math.log10(distance_m)
    return received_dbm - (NOISE_DBM_PER_HZ + 10 * math.log10(bandwidth_hz) + noise_figure_db)

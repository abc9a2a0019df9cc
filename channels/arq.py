"""Exact expected delay of selective-repeat ARQ (automatic repeat request) with bursts of packets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from channels.arguments import positive, within


@dataclass(frozen=True)
class SelectiveRepeat:
    """Selective-repeat ARQ: bursts of up to `window` packets, each followed by one acknowledgement of the burst.

    A burst contains the packets that are still missing, oldest first. Packets are lost independently with the same
    probability; acknowledgements always arrive. With n missing packets, of which w = min(n, window) are sent,

        T(n) = w packet_s + acknowledgement_s + sum_k C(w, k) (1 - p)^k p^(w - k) T(n - k),    T(0) = 0.

    Args:
        packet_s: duration of a packet in seconds, pauses included.
        acknowledgement_s: time from the end of a burst to the end of its acknowledgement in seconds (default 0.02).
        window: largest number of packets in a burst (default 20).

    Source: Lin and Costello, Error Control Coding, 2nd ed., section 22.1; the defaults are those of the demonstration
    of arXiv:2311.02926.

    >>> SelectiveRepeat(packet_s=0.01, acknowledgement_s=0.02, window=20).expected_delay_s(100, 0.0)
    1.1
    """

    packet_s: float
    acknowledgement_s: float = 0.02
    window: int = 20

    def __post_init__(self) -> None:
        positive("packet_s", self.packet_s)
        within("acknowledgement_s", self.acknowledgement_s, 0)
        within("window", self.window, 1)

    def expected_delay_s(self, packets: int, packet_error: float) -> float:
        """Return the expected time in seconds until all packets have arrived; infinite if every packet is lost.

        Args:
            packets: number of packets, 0 or more.
            packet_error: probability that a packet is lost, 0 to 1.
        """
        within("packets", packets, 0)
        within("packet_error", packet_error, 0, 1)
        if packet_error == 1:
            return math.inf if packets else 0.0
        delay = [0.0]
        for missing in range(1, packets + 1):
            sent = min(missing, self.window)
            arrivals = _binomial(sent, 1 - packet_error)
            burst_s = sent * self.packet_s + self.acknowledgement_s
            later_s = sum(arrivals[k] * delay[missing - k] for k in range(1, sent + 1))
            delay.append((burst_s + later_s) / (1 - arrivals[0]))
        return delay[-1]


def _binomial(trials: int, probability: float) -> list[float]:
    """P(k successes), k = 0 .. trials."""
    return [math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(trials + 1)]

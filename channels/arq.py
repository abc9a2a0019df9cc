"""How long automatic repeat request takes: selective repeat in bursts, in expectation and exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

from channels._errors import UsageError


@dataclass(frozen=True)
class SelectiveRepeat:
    """Bursts of up to `window` packets, each followed by one acknowledgement that names what got through.

    A burst takes what is still missing, oldest first; a packet is lost with a probability of its own, independently;
    acknowledgements always arrive. With n packets missing and w = min(n, window) sent,

        T(n) = w packet_s + acknowledgement_s + sum_k C(w, k) (1 - p)^k p^(w - k) T(n - k),    T(0) = 0.

    Args:
        packet_s: time on air of a packet, pauses included, in seconds.
        acknowledgement_s: time from the end of a burst to the end of its acknowledgement, in seconds.
        window: packets in a burst at most.

    Source: Lin and Costello, Error Control Coding, 2nd ed., section 22.1; the defaults are those of the demonstration
    of arXiv:2311.02926.

    >>> SelectiveRepeat(packet_s=0.01, acknowledgement_s=0.02, window=20).expected_delay_s(100, 0.0)
    1.1
    """

    packet_s: float
    acknowledgement_s: float = 0.02
    window: int = 20

    def __post_init__(self) -> None:
        if not (0 < self.packet_s < math.inf and 0 <= self.acknowledgement_s < math.inf and self.window >= 1):
            raise UsageError(
                "selective repeat needs packet_s above 0, acknowledgement_s of 0 or more and a window of 1 or more, "
                f"not {self.packet_s}, {self.acknowledgement_s} and {self.window}"
            )

    def expected_delay_s(self, packets: int, packet_error: float) -> float:
        """Return the expected seconds until all packets are through; infinite when every packet is lost.

        Args:
            packets: how many there are, 0 or more.
            packet_error: probability that one is lost, 0 to 1.
        """
        if packets < 0 or not 0 <= packet_error <= 1:
            raise UsageError(
                f"packets must be 0 or more and packet_error within 0 and 1, not {packets} and {packet_error}"
            )
        if packet_error == 1:
            return math.inf if packets else 0.0
        delay = [0.0]
        for missing in range(1, packets + 1):
            sent = min(missing, self.window)
            through = _binomial(sent, 1 - packet_error)
            burst_s = sent * self.packet_s + self.acknowledgement_s
            ahead = sum(through[k] * delay[missing - k] for k in range(1, sent + 1))
            delay.append((burst_s + ahead) / (1 - through[0]))
        return delay[-1]


def _binomial(trials: int, chance: float) -> list[float]:
    """P(k successes), k = 0 .. trials."""
    return [math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(trials + 1)]

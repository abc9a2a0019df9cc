"""Channel state information at the transmitter (CSIT): the SNR that it knows before it transmits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels.arguments import one_of, within

Knowledge = Literal["average", "perfect", "delayed"]


@dataclass(frozen=True)
class Csit:
    """Channel knowledge of the transmitter.

    With knowledge "perfect" or "delayed" the transmitter knows one SNR of each coming transmission, computed from
    gains as in `equal_capacity_snr_db`: from the gains g of the transmission itself ("perfect"), or from outdated
    gains ("delayed"), in which the scattered part h of each gain is replaced by

        h' = rho h + sqrt(1 - rho^2) w,

    where w is an independent realization of h and rho is the correlation. The line of sight does not change. Under
    the Jakes spectrum, knowledge that is tau seconds old has rho = J0(2 pi f_D tau).

    Args:
        knowledge: "average": average SNR; "perfect": SNR of the coming fading realization; "delayed": SNR of outdated
            gains.
        correlation: correlation rho of known and actual gain, 0 to 1; ignored unless knowledge is "delayed".

    Source: Goldsmith and Chua, Variable-rate variable-power MQAM for fading channels, 1997 (adaptation, and the effect
    of delay); Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.

    >>> str(Csit()), str(Csit("delayed", 0.8))
    ('average', 'delayed, correlation 0.8')
    """

    knowledge: Knowledge = "average"
    correlation: float = 0.9

    def __post_init__(self) -> None:
        one_of("csit", self.knowledge, ("average", "perfect", "delayed"))
        within("csit_correlation", self.correlation, 0, 1)

    def __str__(self) -> str:
        return f"delayed, correlation {self.correlation:g}" if self.knowledge == "delayed" else self.knowledge

    @property
    def is_average(self) -> bool:
        """Whether the transmitter knows the average SNR only."""
        return self.knowledge == "average"

    @property
    def rho(self) -> float:
        """Correlation of the known with the actual gain: 1 for perfect knowledge."""
        return self.correlation if self.knowledge == "delayed" else 1.0


def outdated(scattered: Tensor, independent: Tensor, rho: float) -> Tensor:
    """Outdated gains rho h + sqrt(1 - rho^2) w of scattered gains h and an independent realization w."""
    return rho * scattered + math.sqrt(1 - rho**2) * independent


def equal_capacity_snr_db(
    power: Float[Tensor, "*rows length"], uses: Int[Tensor, "*rows"], snr_db: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """SNR in dB of the AWGN channel with the capacity of the first `uses` channel uses of each row.

    snr_eff = 2^C - 1 with C = mean over the uses of log2(1 + |g|^2 snr).

    Args:
        power: power gain |g|^2 of each channel use, summed over the receive antennas, linear, float32 [..., length].
        uses: number of channel uses of each row, int64 [...]; a row without uses has its average SNR.
        snr_db: average Es/N0 in dB, float32 [...].

    Returns:
        SNR in dB, float32 [...], on the device of `snr_db`; it is computed on the CPU, like the gains.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.5.

    >>> gains = torch.tensor([[0.0, 3.0]])
    >>> equal_capacity_snr_db(gains, torch.tensor([2]), torch.tensor([0.0])).tolist()  # 2^((0 + 2) / 2) - 1 = 1
    [0.0]
    """
    uses, average_db = uses.cpu(), snr_db.cpu().double()
    sent = torch.arange(power.shape[-1]) < uses[..., None]
    capacity = torch.log1p(power.cpu().double() * 10 ** (average_db / 10)[..., None])
    mean = torch.where(sent, capacity, 0).sum(-1) / uses.clamp(min=1)
    return torch.where(uses > 0, 10 * torch.log10(torch.expm1(mean)), average_db).float().to(snr_db.device)

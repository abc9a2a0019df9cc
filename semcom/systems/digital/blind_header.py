"""Schemes of transmissions without a header: the likelihood orders the candidates, the CRC decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from channels.modem import link_adaptation, scheme_header
from channels.modem.link_adaptation import Frame
from channels.recognition import log_likelihoods, posterior

_MODULATIONS = {1: "bpsk", 2: "qpsk", 4: "16qam", 6: "64qam", 8: "256qam"}
_LEAST = 1e-6  # posterior of a modulation whose schemes are tried


def find(
    symbols: Complex[Tensor, "rows uses"],
    noise_var: Float[Tensor, "rows uses"],
    frame: Frame,
    passes: Callable[[Int[Tensor, " tried"], int], Bool[Tensor, " tried"]],
) -> Int[Tensor, " rows"]:
    """Index of the scheme of each row whose CRC passes; the most likely one if none does.

    Args:
        symbols: received symbols, equalized without bias.
        noise_var: noise variance of each symbol.
        frame: schemes.
        passes: function from rows and a scheme index to whether the CRC of each row passes.
    """
    candidates = orders(symbols, noise_var, frame)
    found = torch.tensor([order[0] for order in candidates], dtype=torch.int64)
    missing = list(range(len(candidates)))
    for trial in range(max(map(len, candidates), default=0)):
        missing = [row for row in missing if trial < len(candidates[row])]
        tried = [candidates[row][trial] for row in missing]
        right: set[int] = set()
        for index in set(tried):
            rows = [row for row, other in zip(missing, tried, strict=True) if other == index]
            passed = passes(torch.tensor(rows), index).tolist()
            right |= {row for row, ok in zip(rows, passed, strict=True) if ok}
            found[[row for row in rows if row in right]] = index
        missing = [row for row in missing if row not in right]
    return found


def orders(
    symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], frame: Frame
) -> Sequence[Sequence[int]]:
    """Schemes of each row in the order of their trial.

    First the most likely modulation; among its code rates first the one whose threshold on AWGN is nearest to the SNR
    of the same capacity.
    """
    bits = sorted({scheme.bits_per_symbol for scheme in frame.schemes})
    names = [_MODULATIONS[number] for number in bits]
    found = posterior(log_likelihoods(symbols, names, noise_variance=noise_var, gain=1.0)).tolist()
    capacity = torch.log2(1 + 1 / noise_var.double()).mean(1)
    snr_db = (10 * torch.log10((2**capacity - 1).clamp(min=1e-9))).tolist()
    uses = symbols.shape[1]
    thresholds = link_adaptation.thresholds_db(uses + scheme_header.USES)
    usable = [index for index in range(len(frame.schemes)) if frame.payload_bytes(uses, index)] or [0]

    def order(row: int) -> list[int]:
        likely = dict(zip(bits, found[row], strict=True))
        chosen = [index for index in usable if likely[frame.schemes[index].bits_per_symbol] >= _LEAST] or usable[:1]
        return sorted(
            chosen,
            key=lambda index: (-likely[frame.schemes[index].bits_per_symbol], abs(thresholds[index] - snr_db[row])),
        )

    return [order(row) for row in range(len(symbols))]

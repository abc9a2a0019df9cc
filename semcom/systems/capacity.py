"""Capacity bound of separate source and channel coding: the image file of `digital` with an ideal channel code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels.arguments import one_of, positive, within
from channels.awgn import Awgn
from channels.base import Channel
from channels.errors import UsageError
from channels.propagation.flat import FlatFading
from channels.rng import Rng, seed_for
from semcom.codecs import image_file
from semcom.images.files import to_bytes
from semcom.system import Bound, Reception, Sample, uses_for

TITLE = "Capacity bound"
CITATION_KEYS = "shannon1948mathematical tse2005fundamentals"

Form = Literal["ergodic", "outage"]

_ERGODIC_USES = 2**18  # channel uses of the Monte Carlo mean
_OUTAGE_ROWS = 1000, 40_000  # least and most transmissions of the Monte Carlo quantile
_OUTAGE_ERROR = 0.05  # standard error of the outage probability over the probability
_BATCH_USES = 2**20  # channel uses simulated at once


@dataclass(frozen=True)
class Capacity(Bound):
    """Capacity bound; the arguments are those of `build`."""

    cbr: float
    codec: str
    form: Form
    outage_probability: float
    speed: int

    def best_reception(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        """Encode each image at the ergodic or outage rate; a common transmission at the rate of its worst user."""
        snr_db = snr_db.cpu()
        budget = uses_for(self.cbr, sample.size)
        rows = len(sample.images)
        uses = torch.full((rows,), budget)
        if channel.medium.access == "superposed":
            raise UsageError("capacity supports orthogonal access only, not superposed users")
        known = torch.full((rows // snr_db.shape[1], snr_db.shape[1], budget), 2)
        if channel.with_constellation(known) is not channel:
            raise UsageError("capacity has no symbols on which a receiver decides: set detector: mmse of the channel")
        if self.form == "outage" and not channel.csit.is_average:
            raise UsageError("capacity with form: outage requires a channel with csit: average, or set form: ergodic")
        if channel.medium.access == "common":
            snr_db = snr_db.amin(1, keepdim=True).expand_as(snr_db)
        rates = [self._rate(channel, snr, budget) for snr in snr_db.flatten().tolist()]
        outage = torch.zeros(rows, dtype=torch.bool)
        if self.form == "outage" and budget:
            realized = row_capacity(channel, budget, snr_db, rng.derive("carry")).flatten()
            outage = realized < torch.tensor(rates, dtype=torch.float64) - 1e-9
        images = torch.full(sample.images.shape, 0.5)
        for row, (image, rate) in enumerate(zip(sample.images, rates, strict=True)):
            pixels = to_bytes(image)
            file = None if outage[row] else image_file.fit(pixels, self.codec, int(rate * budget / 8), self.speed)
            if file is None:
                outage[row] = True
            else:
                decoded = image_file.decode(file, self.codec, sample.size)
                images[row] = torch.from_numpy(decoded).permute(2, 0, 1).float() / 255
        return uses, Reception(images, uses, outage)

    def _rate(self, channel: Channel, snr_db: float, budget: int) -> float:
        if budget == 0:
            return 0.0
        if self.form == "ergodic":
            return ergodic_capacity(channel, snr_db)
        return outage_rate(channel, snr_db, budget, self.outage_probability)


def row_capacity(
    channel: Channel, uses: int, snr_db: Float[Tensor, "batch users"], rng: Rng
) -> Float[Tensor, "batch users"]:
    """Mutual information of each transmission with Gaussian symbols, given its fading realization, bit per use.

    C = mean_k log2(1 + 1 / noise_var_k), where noise_var is the noise variance after equalization.

    Args:
        channel: channel.
        uses: channel uses of a transmission.
        snr_db: average SNR (Es/N0), dB.
        rng: one random stream per row; the streams of a system's transmission give its fading realizations.

    >>> from channels import awgn
    >>> row_capacity(awgn.build(), 4, torch.tensor([[0.0]]), Rng([1]))
    tensor([[1.]], dtype=torch.float64)
    """
    ones = torch.ones(*snr_db.shape, uses, dtype=torch.complex64)
    received = channel.carry(ones, torch.full(snr_db.shape, uses), snr_db, rng)
    return torch.log2(1 + 1 / received.noise_var.double()).mean(-1)


@lru_cache(maxsize=1024)
def ergodic_capacity(channel: Channel, snr_db: float) -> float:
    """Ergodic capacity E log2(1 + 1 / noise_var), bit per use: the rate of a code that spans all fading states.

    Over block fading, a single image does not span all fading states and the ergodic capacity is only an average. The
    mean is taken over seeded transmissions: exact over AWGN, within 1 % over Rayleigh block fading.

    Args:
        channel: channel; results are cached per channel object.
        snr_db: average SNR (Es/N0), dB.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.5.
    """
    length = max(16, channel.medium.frame_data)
    return _capacities(channel, snr_db, length, max(1, _ERGODIC_USES // length)).mean().item()


@lru_cache(maxsize=1024)
def outage_rate(channel: Channel, snr_db: float, uses: int, probability: float) -> float:
    """Rate R with outage probability P(C < R) = probability, bit per use, where C is `row_capacity`.

    Over AWGN and over Rayleigh or Rician block fading with one gain per transmission and no impairments, R is exact:
    log2(1 + SNR q), where q is the quantile of the power gain |h|^2; for Rayleigh fading q = -ln(1 - probability).
    Otherwise R is a quantile of C over seeded transmissions, 1000 or more: its outage probability has a standard error
    of 5 % for probabilities of 0.01 to 0.28, sqrt((1 - p) / (40,000 p)) below and sqrt((1 - p) / (1000 p)) above.

    Args:
        channel: channel; results are cached per channel object.
        snr_db: average SNR (Es/N0), dB.
        uses: channel uses of a transmission.
        probability: outage probability, 0 to 1.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.1.
    """
    power = _power_quantile(channel, uses, probability)
    if power is not None:
        return math.log2(1 + 10 ** (snr_db / 10) * power)
    least, most = _OUTAGE_ROWS
    rows = min(max(least, math.ceil((1 - probability) / (probability * _OUTAGE_ERROR**2))), most)
    return _capacities(channel, snr_db, uses, rows).quantile(probability).item()


def _power_quantile(channel: Channel, uses: int, probability: float) -> float | None:
    """Quantile of the power gain |h|^2 of a transmission; None if it has several gains or other impairments."""
    if not isinstance(channel, Awgn | FlatFading) or channel.impairments.active:
        return None
    if isinstance(channel, Awgn):
        return 1.0
    if channel.coherence_uses is not None and channel.coherence_uses < uses:
        return None
    if channel.k_factor == 0:
        return -math.log1p(-probability)
    from scipy.stats import ncx2

    k = channel.k_factor  # 2 (K + 1) |h|^2 has a noncentral chi-squared distribution
    return float(ncx2.ppf(probability, 2, 2 * k)) / (2 * (k + 1))


def _capacities(channel: Channel, snr_db: float, uses: int, rows: int) -> Float[Tensor, " rows"]:
    batch = max(1, _BATCH_USES // uses)
    parts = []
    for first in range(0, rows, batch):
        rng = Rng([seed_for("capacity", row) for row in range(first, min(first + batch, rows))])
        parts.append(row_capacity(channel, uses, torch.full((len(rng), 1), snr_db), rng).flatten())
    return torch.cat(parts)


def build(
    cbr: float,
    codec: Literal["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"] = "avif",
    form: Literal["ergodic", "outage"] = "ergodic",
    outage_probability: float = 0.1,
    speed: int = 6,
) -> Bound:
    """Capacity bound of separate source and channel coding: an image file of as many bits as the channel capacity.

    A bound, not a system: an ideal code without header and without gap to capacity. Over AWGN the file has
    uses * log2(1 + SNR) bits. Superposed users are not supported.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0.
        codec: image file format: jpeg, webp, avif, jpeg2000, hevc or jxl, as in `digital`.
        form: capacity over fading channels. ergodic: mean over all fading states, no outages; outage: rate with outage
            probability `outage_probability`; an image is in outage if the capacity of its fading realization, which
            is that of the other systems, is lower.
        outage_probability: outage probability of `form: outage`, above 0 and below 1.
        speed: speed of the AVIF encoder, 0 (slowest, best compression) to 10; ignored by other codecs.

    Source: Shannon, 1948; Tse and Viswanath, Fundamentals of Wireless Communication, 2005, section 5.4.

    >>> build(cbr=1 / 16).name
    'capacity'
    """
    positive("cbr", cbr)
    one_of("form", form, ("ergodic", "outage"))
    within("outage_probability", outage_probability, 0, 1, excluded="both")
    within("speed", speed, 0, 10)
    image_file.codec_named(codec)
    return Capacity(
        name="capacity",
        paper="Shannon, A Mathematical Theory of Communication, 1948; fading: Tse and Viswanath, 2005, section 5.4",
        cbr=cbr,
        codec=codec,
        form=form,
        outage_probability=outage_probability,
        speed=speed,
    )

"""The limit of separate source and channel coding: the image file of `digital` behind an ideal code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels._base import Channel, positive
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.codecs import image_file
from semcom.images import to_bytes
from semcom.system import Bound, Reception, Sample, uses_for

BIBTEX = """
@article{shannon1948mathematical,
  author = {Shannon, Claude E.},
  title = {A Mathematical Theory of Communication},
  journal = {Bell System Technical Journal},
  volume = {27}, pages = {379--423, 623--656}, year = {1948}
}
"""

Form = Literal["ergodic", "outage"]

_ERGODIC_USES = 2**18  # uses over which the mean is taken
_OUTAGE_ROWS = 1000  # transmissions whose quantile is taken
_BATCH_USES = 2**20  # uses on the air at once


@dataclass(frozen=True)
class Capacity(Bound):
    """An image file of as many bits as an ideal code carries.

    Args:
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        form: "ergodic" or "outage".
        outage_probability: with which a rate of the outage form fails.
        speed: of the AVIF encoder.
    """

    cbr: float
    codec: str
    form: Form
    outage_probability: float
    speed: int

    def reach(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        """Deliver the picture at the rate that the form allows; a common transmission at that of its worst user."""
        granted = uses_for(self.cbr, sample.size)
        rows = len(sample.images)
        uses = torch.full((rows,), granted)
        if channel.medium.access == "superposed":
            raise UsageError("capacity is that of a share of one's own, not of superposed users")
        if channel.medium.access == "common":
            snr_db = snr_db.amin(1, keepdim=True).expand_as(snr_db)
        rates = [self._rate(channel, snr, granted) for snr in snr_db.flatten().tolist()]
        outage = torch.zeros(rows, dtype=torch.bool)
        if self.form == "outage" and granted:
            realised = row_capacity(channel, granted, snr_db, rng.derive("carry")).flatten()
            outage = realised < torch.tensor(rates, dtype=torch.float64) - 1e-9
        images = torch.full_like(sample.images, 0.5)
        for row, (picture, rate) in enumerate(zip(sample.images, rates, strict=True)):
            pixels = to_bytes(picture)
            file = None if outage[row] else image_file.fit(pixels, self.codec, int(rate * granted / 8), self.speed)
            if file is None:
                outage[row] = True
            else:
                shown = image_file.decode(file, self.codec, sample.size)
                images[row] = torch.from_numpy(shown).permute(2, 0, 1).float() / 255
        return uses, Reception(images, uses, outage)

    def _rate(self, channel: Channel, snr_db: float, granted: int) -> float:
        if granted == 0:
            return 0.0
        if self.form == "ergodic":
            return ergodic_capacity(channel, snr_db)
        return outage_rate(channel, snr_db, granted, self.outage_probability)


def row_capacity(
    channel: Channel, uses: int, snr_db: Float[Tensor, "batch users"], rng: Rng
) -> Float[Tensor, "batch users"]:
    """The mutual information per use of each transmission, given its fades, with Gaussian symbols.

    C = mean_k log2(1 + 1 / noise_var_k), bit/use, where noise_var is what the channel's receiver is left with.

    Args:
        channel: that carries them.
        uses: length of a transmission.
        snr_db: Es/N0 in dB.
        rng: one stream a row; the streams that a system's symbols get give the fades that they meet.

    >>> from channels import awgn
    >>> row_capacity(awgn.build(), 4, torch.tensor([[0.0]]), Rng([1]))
    tensor([[1.]], dtype=torch.float64)
    """
    ones = torch.ones(*snr_db.shape, uses, dtype=torch.complex64)
    received = channel.carry(ones, torch.full(snr_db.shape, uses), snr_db, rng)
    return torch.log2(1 + 1 / received.noise_var.double()).mean(-1)


@lru_cache(maxsize=1024)
def ergodic_capacity(channel: Channel, snr_db: float) -> float:
    """E log2(1 + 1 / noise_var), bit/use: what a code reaches that is long enough to see every fade.

    Over a slow channel a picture does not see every fade, and this is only the average of what its fades would carry.
    The mean is over transmissions with named draws: exact over AWGN, within 1 % over one Rayleigh fade each.

    Args:
        channel: its object; results are remembered for it.
        snr_db: Es/N0 in dB.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.5.
    """
    length = max(16, channel.medium.frame_data)
    return _capacities(channel, snr_db, length, max(1, _ERGODIC_USES // length)).mean().item()


@lru_cache(maxsize=1024)
def outage_rate(channel: Channel, snr_db: float, uses: int, probability: float) -> float:
    """The rate R, bit/use, with P(C < R) = probability, C being the `row_capacity` of a transmission.

    It is the quantile of 1000 transmissions with named draws. An ideal code of rate R loses a picture when C < R.

    Args:
        channel: its object; results are remembered for it.
        snr_db: Es/N0 in dB.
        uses: length of a transmission.
        probability: of an outage.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 5.4.1.
    """
    capacities = _capacities(channel, snr_db, uses, _OUTAGE_ROWS)
    return capacities.quantile(probability).item()


def _capacities(channel: Channel, snr_db: float, uses: int, rows: int) -> Float[Tensor, " rows"]:
    batch = max(1, _BATCH_USES // uses)
    parts = []
    for first in range(0, rows, batch):
        rng = Rng([seed_for("capacity", row) for row in range(first, min(first + batch, rows))])
        parts.append(row_capacity(channel, uses, torch.full((len(rng), 1), snr_db), rng).flatten())
    return torch.cat(parts)


def build(
    cbr: float,
    codec: Literal["jpeg", "webp", "avif", "jpeg2000"] = "avif",
    form: Literal["ergodic", "outage"] = "ergodic",
    outage_probability: float = 0.1,
    speed: int = 6,
) -> Bound:
    """The image file of `digital` behind an ideal code: no header, no gap to capacity. A bound, not a system.

    Over AWGN the picture gets uses log2(1 + SNR) bits. Over fading there are two forms. "ergodic": the rate is the mean
    over all fades, as if a code saw them all, and nothing is ever lost. "outage": the transmitter knows the statistics
    of the fading but not the fade, so it takes the rate that fails with a given probability, and the picture is lost
    when the fade, the one that the systems meet too, does not carry it.

    Args:
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        form: "ergodic" or "outage".
        outage_probability: of the outage form, above 0 and below 1.
        speed: of the AVIF encoder, 0 (slowest, best) to 10.

    >>> build(cbr=1 / 16).name
    'capacity'
    """
    positive("cbr", cbr)
    if form not in ("ergodic", "outage"):
        raise UsageError(f"form must be ergodic or outage, not {form!r}")
    if not 0 < outage_probability < 1:
        raise UsageError(f"outage_probability must be above 0 and below 1, not {outage_probability}")
    if not 0 <= speed <= 10:
        raise UsageError(f"speed must be from 0 to 10, not {speed}")
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

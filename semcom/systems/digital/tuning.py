"""What a transmitter that does not know the fade should be set to: the best fixed scheme, the best margin.

Both are found on validation pictures over the channel in question, and written into a scenario as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from channels._base import Channel
from channels._rng import seed_for
from channels.modem import NR_TABLE_2
from semcom.link import Link
from semcom.metrics import psnr
from semcom.system import Sample
from semcom.systems import digital

Codec = Literal["jpeg", "webp", "avif", "jpeg2000"]
MARGINS_DB = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)


@dataclass(frozen=True)
class Trial:
    """How a setting did.

    Args:
        arguments: of `build`, besides cbr and codec.
        psnr_db: mean over pictures, SNRs and fades; a lost picture counts as the grey one that is shown.
        outage: share of lost pictures.
    """

    arguments: Mapping[str, Any]
    psnr_db: float
    outage: float


def fixed_schemes() -> list[dict[str, Any]]:
    """All schemes of 38.214 Table 5.1.3.1-2 as arguments of a fixed `build`."""
    names = {bits: name for name, bits in digital.MODULATIONS.items()}
    return [
        {
            "adaptation": "fixed",
            "modulation": names[scheme.bits_per_symbol],
            "code_rate": round(scheme.code_rate, 4),
        }
        for scheme in NR_TABLE_2
    ]


def margins() -> list[dict[str, Any]]:
    """Margins from 0 to 15 dB as arguments of an adaptive `build`."""
    return [{"margin_db": margin} for margin in MARGINS_DB]


def compare(
    settings: Sequence[Mapping[str, Any]],
    cbr: float,
    codec: Codec,
    channel: Channel,
    snr_db: Sequence[float],
    pictures: Sequence[Float[Tensor, "3 h w"]],
    repetitions: int = 20,
) -> list[Trial]:
    """Try arguments of `build` under the same fades and noise; the highest mean PSNR first.

    Args:
        settings: arguments of `build`, besides cbr and codec.
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        channel: to be tuned for.
        snr_db: average SNRs that the mean is over.
        pictures: validation pictures, float32 [3, h, w], never those of the test.
        repetitions: independent fades of each picture at each SNR.
    """
    trials = []
    for arguments in settings:
        link = Link(digital.build(cbr=cbr, codec=codec, **arguments), channel)
        qualities, outages = [], []
        for number, picture in enumerate(pictures):
            sample = Sample(picture.expand(repetitions, -1, -1, -1))
            seeds = [seed_for("tuning", number, repetition) for repetition in range(repetitions)]
            for snr in snr_db:
                reception = link.deliver(sample, snr, seeds).reception
                qualities.append(psnr(reception.images, sample.images))
                assert reception.outage is not None
                outages.append(reception.outage)
        trials.append(Trial(arguments, torch.cat(qualities).mean().item(), torch.cat(outages).float().mean().item()))
    return sorted(trials, key=lambda trial: -trial.psnr_db)

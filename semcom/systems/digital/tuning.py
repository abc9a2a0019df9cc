"""Validation images: best fixed scheme or SNR margin of `digital` for a fading channel, and PSNR by rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from channels.base import Channel
from channels.modem.transport_block import NR_TABLE_2
from channels.rng import seed_for
from semcom.codecs import image_file
from semcom.images.files import to_bytes
from semcom.link import Link
from semcom.metrics.fidelity import psnr
from semcom.system import Sample
from semcom.systems import digital
from semcom.systems.digital.agreement import END

Codec = Literal["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"]
RATES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.6, 2.5, 4.0, 6.0, 9.0)  # bits per pixel
MARGINS_DB = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)


@dataclass(frozen=True)
class Trial:
    """Result of one setting.

    Args:
        arguments: arguments of `build` without cbr and codec.
        psnr_db: mean PSNR over images, SNRs and fading realizations, dB; outages count with the mid-gray image.
        outage: outage rate, 0 to 1.
    """

    arguments: Mapping[str, Any]
    psnr_db: float
    outage: float


def fixed_schemes() -> list[dict[str, Any]]:
    """All schemes of 3GPP TS 38.214, Table 5.1.3.1-2, as arguments of `build`."""
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
    """SNR margins from 0 to 15 dB as arguments of `build`."""
    return [{"margin_db": margin} for margin in MARGINS_DB]


def psnr_by_rate(images: Sequence[Float[Tensor, "3 h w"]]) -> dict[str, Any]:
    """Mean PSNR of images in dB by codec and rate, and that of mid-gray images: `validation_psnr.json`.

    Args:
        images: validation images, float32 [3, h, w]; do not use test images.
    """
    table: dict[str, Any] = {"bits_per_pixel": RATES}
    table["outage"] = round(
        torch.cat([psnr(torch.full_like(image, 0.5)[None], image[None]) for image in images]).mean().item(), 2
    )
    for codec in get_args(Codec):
        table[codec] = [round(sum(_psnr_at(image, codec, rate) for image in images) / len(images), 2) for rate in RATES]
    return table


def _psnr_at(image: Float[Tensor, "3 h w"], codec: str, bits_per_pixel: float) -> float:
    size = image.shape[-2], image.shape[-1]
    file = image_file.fit(to_bytes(image), codec, int(bits_per_pixel * math.prod(size) / 8) - len(END))
    decoded = image_file.decode(file, codec, size) if file else torch.full((*size, 3), 127.5).numpy()
    return psnr(torch.from_numpy(decoded).permute(2, 0, 1)[None] / 255, image[None]).item()


def compare(
    settings: Sequence[Mapping[str, Any]],
    cbr: float,
    codec: Codec,
    channel: Channel,
    snr_db: Sequence[float],
    images: Sequence[Float[Tensor, "3 h w"]],
    repetitions: int = 20,
) -> list[Trial]:
    """Compare settings under the same fading and noise realizations; highest mean PSNR first.

    Args:
        settings: arguments of `build` without cbr and codec.
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        codec: image file format.
        channel: channel to tune for.
        snr_db: average SNRs (Es/N0), dB.
        images: validation images, float32 [3, h, w]; do not use test images.
        repetitions: number of fading realizations of each image at each SNR.
    """
    trials = []
    for arguments in settings:
        link = Link(digital.build(cbr=cbr, codec=codec, **arguments), channel)
        qualities, outages = [], []
        for number, image in enumerate(images):
            sample = Sample(image.expand(repetitions, -1, -1, -1))
            seeds = [seed_for("tuning", number, repetition) for repetition in range(repetitions)]
            for snr in snr_db:
                reception = link.deliver(sample, snr, seeds).reception
                qualities.append(psnr(reception.images, sample.images))
                assert reception.outage is not None
                outages.append(reception.outage)
        trials.append(Trial(arguments, torch.cat(qualities).mean().item(), torch.cat(outages).float().mean().item()))
    return sorted(trials, key=lambda trial: -trial.psnr_db)

"""Metrics of every transmission: image fidelity, message and bit errors, outage, and cost in channel uses."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from semcom.link import Delivery
from semcom.metrics.fidelity import ms_ssim, psnr, ssim
from semcom.metrics.metric import Metric, Rows, not_applicable


def _psnr(delivery: Delivery) -> Rows:
    """Peak signal-to-noise ratio of the received image."""
    return psnr(delivery.reception.images, delivery.sample.images)


def _ssim(delivery: Delivery) -> Rows:
    """Structural similarity of the received image."""
    return ssim(delivery.reception.images, delivery.sample.images)


def _ms_ssim(delivery: Delivery) -> Rows:
    """Multi-scale structural similarity of the received image."""
    return ms_ssim(delivery.reception.images, delivery.sample.images)


def _ms_ssim_db(delivery: Delivery) -> Rows:
    """MS-SSIM in dB, -10 log10(1 - MS-SSIM), at most 60 dB (the precision of float32)."""
    return -10 * torch.log10((1 - _ms_ssim(delivery)).clamp(min=1e-6))


def _lpips(delivery: Delivery) -> Rows:
    """Learned perceptual image patch similarity (LPIPS 0.1, AlexNet); requires the package lpips and its weights."""
    from semcom.metrics.perceptual import lpips

    return lpips(delivery.reception.images, delivery.sample.images)


def _message_ber(delivery: Delivery) -> tuple[Rows, Rows]:
    """Bit error rate of the recovered message; not defined for a system without a message."""
    wrong = _wrong_bits(delivery)
    if wrong is None:
        return not_applicable(delivery)
    return wrong.sum(1), torch.full_like(delivery.uses, wrong.shape[1])


def _message_success_rate(delivery: Delivery) -> tuple[Rows, Rows]:
    """Share of messages received without a bit error; not defined for a system without a message."""
    wrong = _wrong_bits(delivery)
    if wrong is None:
        return not_applicable(delivery)
    return (~wrong.any(1)).long(), torch.ones_like(delivery.uses)


def _message_bits(delivery: Delivery) -> Rows:
    """Number of transmitted message bits per image, received correctly or not."""
    wrong = _wrong_bits(delivery)
    return torch.full_like(delivery.uses, 0 if wrong is None else wrong.shape[1]).cpu().double()


def _wrong_bits(delivery: Delivery) -> Bool[Tensor, "rows bits"] | None:
    """Positions at which the recovered message differs from the transmitter's own message, else from the sample's."""
    sent, recovered = delivery.truth.get("message", delivery.sample.message), delivery.reception.message
    return None if sent is None or recovered is None else sent != recovered


def _ber(delivery: Delivery) -> tuple[Rows, Rows]:
    """Bit error rate after channel decoding, over header and payload bits; not defined for systems that send no bits.

    The bits before channel coding, without CRCs, are compared with the last hard decisions of the decoder, whether the
    CRC holds or not. A bit without a decision, for example after a header error, counts as wrong. Transmitted bits and
    decisions are 0 or 1, and 2 past a row's own bits. A row in which every CRC holds has BER 0.
    """
    sent, decided = delivery.truth.get("bits"), delivery.reception.bits
    if sent is None or decided is None:
        return not_applicable(delivery)
    width = sent.shape[1]
    decisions = functional.pad(decided[:, :width], (0, max(0, width - decided.shape[1])), value=2)
    counted = sent <= 1
    return ((decisions != sent) & counted).sum(1), counted.sum(1)


def _bler(delivery: Delivery) -> tuple[Rows, Rows]:
    """Block error rate: share of code blocks whose CRC failed; not defined for a system without code blocks."""
    blocks, errors = delivery.reception.blocks, delivery.reception.block_errors
    if blocks is None or errors is None:
        return not_applicable(delivery)
    return errors, blocks


def _outage(delivery: Delivery) -> tuple[Rows, Rows]:
    """Outage rate: share of images whose decoding failed; not defined for receivers that cannot detect a failure."""
    outage = delivery.reception.outage
    if outage is None:
        return not_applicable(delivery)
    return outage.long(), torch.ones_like(delivery.uses)


def _cbr(delivery: Delivery) -> Rows:
    """Channel bandwidth ratio: counted channel uses per real number of the image."""
    return delivery.uses.cpu().double() / delivery.sample.images[0].numel()


def _medium_cbr(delivery: Delivery) -> Rows:
    """Channel uses of the medium (all users, with overhead) per real number of one image."""
    return delivery.medium_uses.cpu().double() / delivery.sample.images[0].numel()


def _energy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Energy of the counted channel uses with pilots, in units of one symbol's mean energy; not defined for a bound."""
    if delivery.energy is None:
        return not_applicable(delivery)
    return delivery.energy, torch.ones_like(delivery.uses)


def _snr_realized_db(delivery: Delivery) -> tuple[Rows, Rows]:
    """SNR of the realized fading and noise of one image; not defined for a row without transmission and for a bound."""
    if delivery.snr_realized_db is None:
        return not_applicable(delivery)
    sent = delivery.uses > 0
    return torch.where(sent, delivery.snr_realized_db, 0), sent.long()


def _papr_db(delivery: Delivery) -> tuple[Rows, Rows]:
    """Peak-to-average power ratio before the amplifier, averaged in dB; not defined for channels without clipping.

    The waveform is the band-limited interpolation of the row's symbols with 4 samples per channel use. A row without
    transmission has 0 of 0.
    """
    if delivery.papr_db is None:
        return not_applicable(delivery)
    sent = delivery.uses > 0
    return torch.where(sent, delivery.papr_db, 0), sent.long()


METRICS: dict[str, Metric] = {
    "psnr": Metric(_psnr, "dB", True),
    "ssim": Metric(_ssim, "", True, bounds=(-1.0, 1.0)),
    "ms_ssim": Metric(_ms_ssim, "", True, bounds=(0.0, 1.0)),
    "ms_ssim_db": Metric(_ms_ssim_db, "dB", True, bounds=(0.0, None)),
    "lpips": Metric(_lpips, "", False, "lpips", bounds=(0.0, None)),
    "ber": Metric(_ber, "", False),
    "message_ber": Metric(_message_ber, "", False),
    "message_success_rate": Metric(_message_success_rate, "", True),
    "message_bits": Metric(_message_bits, "bits", True, bounds=(0.0, None)),
    "bler": Metric(_bler, "", False),
    "outage": Metric(_outage, "", False),
    "cbr": Metric(_cbr, "uses per real number", False, bounds=(0.0, None)),
    "medium_cbr": Metric(_medium_cbr, "uses per real number", False, bounds=(0.0, None)),
    "energy": Metric(_energy, "symbol energies", False, bounds=(0.0, None)),
    "snr_realized_db": Metric(_snr_realized_db, "dB", None),
    "papr_db": Metric(_papr_db, "dB", False, bounds=(0.0, None)),
}

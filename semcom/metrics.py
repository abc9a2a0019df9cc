"""What is measured of a delivery: one number a row, or a pair of counts whose ratio the table takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from semcom.link import Delivery

Rows = Shaped[Tensor, " rows"]
Counts = tuple[Shaped[Tensor, "rows classes"], Shaped[Tensor, "rows classes"]]


@dataclass(frozen=True)
class Metric:
    """A function from a delivery to its rows, never to an average.

    Args:
        function: returns float [rows], or for a ratio of sums the counts (numerator [rows], denominator [rows]), or for
            a mean of such ratios a column of each [rows, classes]; where there is nothing to count stands 0 of 0. Never
            NaN.
        unit: as axes write it, or "" for a pure number.
        higher_is_better: which way is up; None where neither is.
    """

    function: Callable[[Delivery], Rows | tuple[Rows, Rows] | Counts]
    unit: str
    higher_is_better: bool | None


def measure(name: str, delivery: Delivery) -> Rows | tuple[Rows, Rows] | Counts:
    """The metric of that name.

    Raises:
        UsageError: no such metric.
        ValueError: a metric that gives NaN.
    """
    if name not in METRICS:
        raise UsageError(f"no metric {name!r}; there are {', '.join(METRICS)}")
    values = METRICS[name].function(delivery)
    if any(part.isnan().any() for part in (values if isinstance(values, tuple) else (values,))):
        raise ValueError(f"{name} is not a number in some row")
    return values


# --- fidelity ------------------------------------------------------------------------------------------------------

EIGHT_BIT_ERROR = 1 / (12 * 255**2)  # mean squared error of rounding to 8 bits


def psnr(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Peak signal-to-noise ratio, -10 log10(max(MSE, 1 / (12 255^2))) dB, over all samples of the three colours.

    The floor is the error of rounding to 8 bits: pictures that differ by less count as 58.92 dB, identical ones too, so
    that averages over a lossless row stay finite.

    >>> psnr(torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.5)).round(decimals=3).tolist()
    [20.0]
    """
    error = (images.clamp(0, 1) - reference.clamp(0, 1)).square().mean((1, 2, 3))
    return -10 * torch.log10(error.clamp(min=EIGHT_BIT_ERROR))


def ssim(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Structural similarity, the mean over windows and colours of (2 mu mu' + C1)(2 cov + C2) / (...)(...).

    Gaussian windows of 11 x 11 taps, deviation 1.5 pixels, wholly inside the picture; C1 = 0.01^2, C2 = 0.03^2. On a
    picture with a side below 11 pixels the window is cut to the largest odd number of taps that fits.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13(4), 2004.

    >>> ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)).tolist()
    [1.0]
    """
    luminance, contrast = _similarity(images.clamp(0, 1), reference.clamp(0, 1))
    return (luminance * contrast).mean((1, 2, 3))


# The exponents of the five scales, finest first: table II of the source of ms_ssim.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Multi-scale structural similarity, luminance_5^w5 prod_j contrast_j^wj over five halvings, averaged over colours.

    This is the source's measure where both sides have 161 pixels or more (11 taps fit the coarsest of five scales). On
    smaller pictures all five scales and their weights stay, and on each scale that 11 taps do not fit the window is
    cut to the largest odd number that does (128 x 128: 7 taps on the coarsest scale, 11 on the others). Such values
    are close to, but not the same as, the source's and should be compared with each other only. Odd sides are extended
    by repeating the last sample before they are halved; a mean contrast below zero counts as zero.

    Source: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", Asilomar 2003.
    """
    images, reference = images.clamp(0, 1), reference.clamp(0, 1)
    product = torch.ones((), device=images.device)
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            images, reference = _halved(images), _halved(reference)
        luminance, contrast = _similarity(images, reference)
        last = scale == len(_SCALE_WEIGHTS) - 1
        factor = (luminance * contrast if last else contrast).mean((2, 3))
        product = product * factor.clamp(min=0) ** weight
    return product.mean(1)


def _similarity(images: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """The luminance and contrast-structure maps of SSIM, each [rows, colours, h', w']."""
    mean_x, mean_y, square_x, square_y, product = _smooth(
        torch.cat([images, reference, images.square(), reference.square(), images * reference])
    ).chunk(5)
    covariance = product - mean_x * mean_y
    variances = square_x - mean_x.square() + square_y - mean_y.square()
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
    contrast = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return luminance, contrast


def _smooth(images: Tensor) -> Tensor:
    """Weighted means under a separable Gaussian window of at most 11 taps, valid positions only."""
    colours = images.shape[1]
    for axis in (2, 3):
        taps = min(11, (images.shape[axis] - 1) // 2 * 2 + 1)
        offsets = torch.arange(taps, device=images.device, dtype=images.dtype) - taps // 2
        window = torch.exp(-offsets.square() / (2 * 1.5**2))
        shape = [colours, 1, 1, 1]
        shape[axis] = taps
        kernel = (window / window.sum()).view(1, *shape[1:]).expand(shape)
        images = functional.conv2d(images, kernel, groups=colours)
    return images


def _halved(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    even = functional.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
    return functional.avg_pool2d(even, 2)


# --- the metrics that scenarios name -------------------------------------------------------------------------------


def _psnr(delivery: Delivery) -> Rows:
    return psnr(delivery.reception.images, delivery.sample.images)


def _ssim(delivery: Delivery) -> Rows:
    return ssim(delivery.reception.images, delivery.sample.images)


def _ms_ssim(delivery: Delivery) -> Rows:
    return ms_ssim(delivery.reception.images, delivery.sample.images)


def _ms_ssim_db(delivery: Delivery) -> Rows:
    """-10 log10(1 - MS-SSIM), at most 60 dB, where float32 ends."""
    return -10 * torch.log10((1 - _ms_ssim(delivery)).clamp(min=1e-6))


def _lpips(delivery: Delivery) -> Rows:
    """LPIPS 0.1 where AlexNet's weights are installed: distance of its features, as people see."""
    from semcom.perceptual import lpips

    return lpips(delivery.reception.images, delivery.sample.images)


def _payload_ber(delivery: Delivery) -> tuple[Rows, Rows]:
    """Wrong bits of the recovered message, of the bits sent; 0 of 0 for a system that carries no message."""
    wrong = _wrong_bits(delivery)
    if wrong is None:
        return _nothing(delivery)
    return wrong.sum(1), torch.full_like(delivery.uses, wrong.shape[1])


def _payload_ok(delivery: Delivery) -> tuple[Rows, Rows]:
    """Messages that arrived without a wrong bit, of the messages sent; 0 of 0 for a system that carries none."""
    wrong = _wrong_bits(delivery)
    if wrong is None:
        return _nothing(delivery)
    return (~wrong.any(1)).long(), torch.ones_like(delivery.uses)


def _payload_bits(delivery: Delivery) -> Rows:
    """Bits of the message that a row carried, right or wrong."""
    wrong = _wrong_bits(delivery)
    return torch.full_like(delivery.uses, 0 if wrong is None else wrong.shape[1]).double()


def _wrong_bits(delivery: Delivery) -> Bool[Tensor, "rows bits"] | None:
    """Where the recovered message differs from the one sent: the sample's, or else the transmitter's own."""
    sent, recovered = delivery.truth.get("message", delivery.sample.message), delivery.reception.message
    return None if sent is None or recovered is None else sent != recovered


def _ber(delivery: Delivery) -> tuple[Rows, Rows]:
    """Wrong bits after channel decoding, of the header and payload bits sent; 0 of 0 for systems that send no bits.

    Bits are compared place by place as they were before channel coding, CRCs left out, with the decoder's last hard
    decisions: a met CRC is not asked for. A bit on which the receiver has no decision, because it misread the header,
    is wrong. A row's truth and decisions are 0 or 1, and 2 past its own bits. Rows in which every CRC is met have 0.
    """
    sent, decided = delivery.truth.get("bits"), delivery.reception.bits
    if sent is None or decided is None:
        return _nothing(delivery)
    width = sent.shape[1]
    found = functional.pad(decided[:, :width], (0, max(0, width - decided.shape[1])), value=2)
    counted = sent <= 1
    return ((found != sent) & counted).sum(1), counted.sum(1)


def _bler(delivery: Delivery) -> tuple[Rows, Rows]:
    """Code blocks that failed their CRC, of the blocks sent; 0 of 0 for a system without code blocks."""
    blocks, errors = delivery.reception.blocks, delivery.reception.block_errors
    if blocks is None or errors is None:
        return _nothing(delivery)
    return errors, blocks


def _outage(delivery: Delivery) -> tuple[Rows, Rows]:
    """1 of 1 where the receiver knows that it could not decode; 0 of 0 for receivers that cannot know."""
    outage = delivery.reception.outage
    if outage is None:
        return _nothing(delivery)
    return outage.long(), torch.ones_like(delivery.uses)


def _nothing(delivery: Delivery) -> tuple[Rows, Rows]:
    return torch.zeros_like(delivery.uses), torch.zeros_like(delivery.uses)


def _cbr(delivery: Delivery) -> Rows:
    """Channel uses of the row per real number of its picture."""
    return delivery.uses.double() / delivery.sample.images[0].numel()


def _medium_cbr(delivery: Delivery) -> Rows:
    """Uses of the medium, pilots and all users included, per real number of one picture."""
    return delivery.medium_uses.double() / delivery.sample.images[0].numel()


def _energy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Energy of the charged uses, pilots included, in energies of one symbol; 0 of 0 for a bound, which has none."""
    if delivery.energy is None:
        return _nothing(delivery)
    return delivery.energy, torch.ones_like(delivery.uses)


def _snr_realised_db(delivery: Delivery) -> tuple[Rows, Rows]:
    """The SNR that this row's draws came to; 0 of 0 for a row that sent nothing, and for a bound."""
    if delivery.snr_realised_db is None:
        return _nothing(delivery)
    sent = delivery.uses > 0
    return torch.where(sent, delivery.snr_realised_db, 0), sent.long()


def _papr_db(delivery: Delivery) -> tuple[Rows, Rows]:
    """Peak over mean power of the waveform before the amplifier, averaged in dB; 0 of 0 where no amplifier clips.

    The waveform is the band-limited one of the row's symbols, 4 samples a use. Rows that sent nothing have 0 of 0 too.
    """
    if delivery.papr_db is None:
        return _nothing(delivery)
    sent = delivery.uses > 0
    return torch.where(sent, delivery.papr_db, 0), sent.long()


# --- scenes: what a judge reads in restored pictures, and bytes ------------------------------------------------------


def _miou(delivery: Delivery) -> Counts:
    """Mean over classes of intersection over union, as a judge reads the restored picture, against the true map."""
    return _scenes().miou(delivery)


def _miou_of_photo(delivery: Delivery) -> Counts:
    """What the judge's mIoU is on the photographs themselves: the ceiling of `miou`."""
    return _scenes().miou_of_photo(delivery)


def _map_miou(delivery: Delivery) -> Counts:
    """Mean over classes of intersection over union of the label map that arrived, before it is restored."""
    return _scenes().map_miou(delivery)


def _pixel_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Pixels that a judge reads as their true class in the restored picture, of the labelled ones."""
    return _scenes().pixel_accuracy(delivery)


def _pixel_accuracy_of_photo(delivery: Delivery) -> tuple[Rows, Rows]:
    """The judge's pixel accuracy on the photographs themselves: the ceiling of `pixel_accuracy`."""
    return _scenes().pixel_accuracy_of_photo(delivery)


def _road_iou(delivery: Delivery) -> tuple[Rows, Rows]:
    """Where is the road: intersection over union, as a judge reads the restored picture."""
    return _scenes().road_iou(delivery)


def _person_told(delivery: Delivery) -> tuple[Rows, Rows]:
    """Is there a pedestrian: 1 of 1 where a judge answers right from the restored picture."""
    return _scenes().person_told(delivery)


def _car_told(delivery: Delivery) -> tuple[Rows, Rows]:
    """Is there a car: 1 of 1 where a judge answers right from the restored picture."""
    return _scenes().car_told(delivery)


def _compression_ratio(delivery: Delivery) -> tuple[Rows, Rows]:
    """Bytes of the picture's samples over the bytes sent, before channel coding."""
    return _scenes().compression_ratio(delivery)


def _compression_ratio_to_png(delivery: Delivery) -> tuple[Rows, Rows]:
    """Bytes of the picture as PNG over the bytes sent, before channel coding."""
    return _scenes().compression_ratio_to_png(delivery)


def _delay_s(delivery: Delivery) -> tuple[Rows, Rows]:
    """Seconds of the bytes sent on the packet link of arXiv:2311.02926; computing is not in it."""
    return _scenes().demonstration_air_s(delivery)


def _scenes() -> ModuleType:
    from semcom.systems.scene import measures  # which imports this module

    return measures


# --- generated pictures: what CLIP and a classifier that stands in no loss tell of them -------------------------------


def _clip_image_similarity(delivery: Delivery) -> Rows:
    """Cosine between picture and reception of CLIP `multimodal_clip`, with which `multimodal_generation` selects."""
    return _generated().clip_image_similarity(delivery)


def _clip_text_similarity(delivery: Delivery) -> tuple[Rows, Rows]:
    """Cosine between caption and reception of CLIP `multimodal_clip`; 0 of 0 for pictures without captions."""
    return _generated().clip_text_similarity(delivery)


def _class_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Classes of Imagenette that `multimodal_classifier` reads rightly in receptions."""
    return _generated().class_accuracy(delivery)


def _class_accuracy_of_photo(delivery: Delivery) -> tuple[Rows, Rows]:
    """What `class_accuracy` is on the photographs themselves: its ceiling."""
    return _generated().class_accuracy_of_photo(delivery)


def _mobilenet_similarity(delivery: Delivery) -> Rows:
    """Cosine between picture and reception of the pooled features of `multimodal_classifier`, a MobileNetV2."""
    return _generated().mobilenet_similarity(delivery)


def _candidate_diversity(delivery: Delivery) -> tuple[Rows, Rows]:
    """1 - cosine of features of `multimodal_classifier` between two candidates of a reception, over all pairs."""
    return _generated().candidate_diversity(delivery)


def _generated() -> ModuleType:
    from semcom.systems.multimodal_generation import measures

    return measures


METRICS: dict[str, Metric] = {
    "psnr": Metric(_psnr, "dB", True),
    "ssim": Metric(_ssim, "", True),
    "ms_ssim": Metric(_ms_ssim, "", True),
    "ms_ssim_db": Metric(_ms_ssim_db, "dB", True),
    "lpips": Metric(_lpips, "", False),
    "ber": Metric(_ber, "", False),
    "payload_ber": Metric(_payload_ber, "", False),
    "payload_ok": Metric(_payload_ok, "", True),
    "payload_bits": Metric(_payload_bits, "bits", True),
    "bler": Metric(_bler, "", False),
    "outage": Metric(_outage, "", False),
    "cbr": Metric(_cbr, "uses per real number", False),
    "medium_cbr": Metric(_medium_cbr, "uses per real number", False),
    "energy": Metric(_energy, "symbol energies", False),
    "snr_realised_db": Metric(_snr_realised_db, "dB", None),
    "papr_db": Metric(_papr_db, "dB", False),
    "miou": Metric(_miou, "", True),
    "miou_of_photo": Metric(_miou_of_photo, "", True),
    "map_miou": Metric(_map_miou, "", True),
    "pixel_accuracy": Metric(_pixel_accuracy, "", True),
    "pixel_accuracy_of_photo": Metric(_pixel_accuracy_of_photo, "", True),
    "road_iou": Metric(_road_iou, "", True),
    "person_told": Metric(_person_told, "", True),
    "car_told": Metric(_car_told, "", True),
    "compression_ratio": Metric(_compression_ratio, "", True),
    "compression_ratio_to_png": Metric(_compression_ratio_to_png, "", True),
    "delay_s": Metric(_delay_s, "s", False),
    "clip_image_similarity": Metric(_clip_image_similarity, "", True),
    "clip_text_similarity": Metric(_clip_text_similarity, "", True),
    "class_accuracy": Metric(_class_accuracy, "", True),
    "class_accuracy_of_photo": Metric(_class_accuracy_of_photo, "", True),
    "mobilenet_similarity": Metric(_mobilenet_similarity, "", True),
    "candidate_diversity": Metric(_candidate_diversity, "", True),
}

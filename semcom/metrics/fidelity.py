"""Fidelity of an image to its reference: PSNR, SSIM and MS-SSIM, one value per row."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

EIGHT_BIT_ERROR = 1 / (12 * 255**2)  # mean squared error of rounding to 8 bits
_STRIP = 1 << 21  # pixels of each image whose similarity is computed at once
_NEARLY_CONSTANT = 1 / 16  # range of a color's samples


def psnr(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Peak signal-to-noise ratio, -10 log10(max(MSE, 1 / (12 255^2))) dB, over all pixels and colors.

    The smallest MSE is the error of rounding to 8 bits. The largest PSNR is therefore 58.92 dB, for identical images
    too, so that averages over lossless images are finite.

    >>> psnr(torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.5)).round(decimals=3).tolist()
    [20.0]
    """
    error = (images.clamp(0, 1) - reference.clamp(0, 1)).square().mean((1, 2, 3))
    return -10 * torch.log10(error.clamp(min=EIGHT_BIT_ERROR))


def ssim(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Structural similarity index, the mean over windows and colors of luminance times contrast-structure.

    luminance = (2 m m' + C1) / (m^2 + m'^2 + C1), contrast-structure = (2 cov + C2) / (var + var' + C2) with
    C1 = 0.01^2 and C2 = 0.03^2, in Gaussian windows of 11 x 11 pixels with a standard deviation of 1.5 pixels, inside
    the image. For an image with a side below 11 pixels the window is cut to the largest odd number that fits.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13(4), 2004.

    >>> ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)).tolist()
    [1.0]
    """
    luminance, contrast = _similarity(images.clamp(0, 1), reference.clamp(0, 1))
    return (luminance * contrast).mean((1, 2, 3))


# Exponents of the five scales, finest first: table II of the source of ms_ssim.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Multi-scale structural similarity, luminance_5^w5 prod_j contrast_j^wj over five scales, averaged over colors.

    The definition of the source requires sides of 161 pixels or more (a window of 11 pixels on the coarsest scale). For
    smaller images the window is cut, on each scale that it does not fit, to the largest odd number that fits
    (128 x 128: 7 pixels on the coarsest scale, 11 on the others). Such values are close to those of the source, but
    compare them only with each other. An odd side is extended by its last sample before it is halved. A negative mean
    contrast counts as 0.

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
    """Luminance and contrast-structure maps of SSIM, each [rows, colors, h', w'].

    They are computed in strips of image rows, which bound the memory of large images.
    """
    offsets = _offsets(images, reference)
    height, width = images.shape[2:]
    margin, step = _taps(height) - 1, max(_STRIP // width, 1)
    strips = [slice(start, start + step + margin) for start in range(0, height - margin, step)]
    parts = [_strip_similarity(images[:, :, strip], reference[:, :, strip], *offsets) for strip in strips]
    luminance, contrast = (torch.cat(maps, 2) for maps in zip(*parts, strict=True))
    return luminance, contrast


def _strip_similarity(images: Tensor, reference: Tensor, offset_x: Tensor, offset_y: Tensor) -> tuple[Tensor, Tensor]:
    """The same for one strip; the offsets are those of the whole images."""
    images, reference = images - offset_x, reference - offset_y
    mean_x, mean_y, square_x, square_y, product = _smooth(
        torch.cat([images, reference, images.square(), reference.square(), images * reference])
    ).chunk(5)
    covariance = product - mean_x * mean_y
    variances = square_x - mean_x.square() + square_y - mean_y.square()
    mean_x, mean_y = mean_x + offset_x, mean_y + offset_y
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
    contrast = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    return luminance, contrast


def _offsets(images: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Constants to subtract from the colors before their variances are computed, each [rows, colors, 1, 1].

    A variance is the difference of two numbers of about mean^2. If a color is nearly constant in both images, the
    rounding error of float32 would exceed the variances, so the means are subtracted first; otherwise zeros.
    """
    both = torch.stack([images, reference])
    span = both.amax((3, 4), keepdim=True) - both.amin((3, 4), keepdim=True)
    constant = (span < _NEARLY_CONSTANT).all(0)
    offset_x, offset_y = torch.where(constant, both.mean((3, 4), keepdim=True), 0)
    return offset_x, offset_y


def _smooth(images: Tensor) -> Tensor:
    """Means in a Gaussian window of at most 11 pixels, for all positions of the window inside the image."""
    colors = images.shape[1]
    images = images.contiguous(memory_format=torch.channels_last)  # three to ten times faster on a CPU, equal results
    for axis in (2, 3):
        taps = _taps(images.shape[axis])
        offsets = torch.arange(taps, device=images.device, dtype=images.dtype) - taps // 2
        window = torch.exp(-offsets.square() / (2 * 1.5**2))
        shape = [colors, 1, 1, 1]
        shape[axis] = taps
        kernel = (window / window.sum()).view(1, *shape[1:]).expand(shape)
        images = functional.conv2d(images, kernel, groups=colors)
    return images


def _taps(side: int) -> int:
    """Side of the window: 11 pixels, or the largest odd number that fits into the image."""
    return min(11, (side - 1) // 2 * 2 + 1)


def _halved(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    even = functional.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
    return functional.avg_pool2d(even, 2)

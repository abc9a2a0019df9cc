"""Convolutional encoder and decoder, conditioned on the SNR and the number of sent latent channels."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8  # pixels per latent position, each direction
_PATCH = 4  # pixels per position of the fine stage, each direction
_CONDITIONS = 2

SMALL_ENCODER = {"latent": 48, "fine": 40, "coarse": 80, "fine_blocks": 1, "coarse_blocks": 2}
"""Arguments of `Encoder` with a quarter of the operations of the encoder of `DeepJscc`."""


class Attention(nn.Module):
    """Attention feature module (Xu et al. 2022): scale each channel depending on the features and the conditions.

    Args:
        channels: number of channels of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels + _CONDITIONS, channels // 4)
        self.excite = nn.Linear(channels // 4, channels)

    def forward(
        self, features: Float[Tensor, "rows channels h w"], condition: Float[Tensor, "rows conditions"]
    ) -> Float[Tensor, "rows channels h w"]:
        context = torch.cat([features.mean((2, 3)), condition.to(features.dtype)], 1)
        weight = 2 * torch.sigmoid(self.excite(functional.relu(self.squeeze(context))))
        return features * weight[:, :, None, None]


class Block(nn.Module):
    """Residual block of two 3x3 convolutions and attention; initialized close to the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = Attention(channels)
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(
        self, features: Float[Tensor, "rows channels h w"], condition: Float[Tensor, "rows conditions"]
    ) -> Float[Tensor, "rows channels h w"]:
        return features + self.attention(self.second(functional.silu(self.first(features))), condition)


class Blocks(nn.ModuleList):
    """Sequence of residual blocks."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__(Block(channels) for _ in range(count))

    def forward(
        self, features: Float[Tensor, "rows channels h w"], condition: Float[Tensor, "rows conditions"]
    ) -> Float[Tensor, "rows channels h w"]:
        for block in self:
            features = block(features, condition)
        return features


class Levels(nn.Module):
    """Positive factor of each latent channel, exp(start + f(condition)) with a small network f.

    Args:
        start: initial logarithms of the factors.
    """

    def __init__(self, start: Float[Tensor, " latent"]) -> None:
        super().__init__()
        self.hidden = nn.Linear(_CONDITIONS, 32)
        self.out = nn.Linear(32, len(start))
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.copy_(start)

    def forward(self, condition: Float[Tensor, "rows conditions"]) -> Float[Tensor, "rows latent 1 1"]:
        return self.out(functional.silu(self.hidden(condition))).float().exp()[:, :, None, None]


class Encoder(nn.Module):
    """Encoder: a linear transform initialized as a color DCT, plus a residual network.

    Args:
        latent: number of latent channels at an eighth of the resolution, most important first.
        fine, coarse: number of channels at a quarter and at an eighth of the resolution.
        fine_blocks, coarse_blocks: number of residual blocks at a quarter and at an eighth of the resolution.
    """

    def __init__(self, latent: int, fine: int, coarse: int, fine_blocks: int, coarse_blocks: int) -> None:
        super().__init__()
        self.latent = latent
        transform, deviation = color_dct(latent)
        self.linear = nn.Conv2d(3, latent, STRIDE, STRIDE)
        self.linear.bias = nn.Parameter(torch.zeros(latent))
        self.enter = nn.Conv2d(3 * _PATCH**2, fine, 3, padding=1)
        self.fine = Blocks(fine_blocks, fine)
        self.down = nn.Conv2d(fine * 4, coarse, 1)
        self.coarse = Blocks(coarse_blocks, coarse)
        self.leave = nn.Conv2d(coarse, latent, 3, padding=1)
        self.power = Levels(-deviation.log() / 2)  # amplitude ~ deviation^(1/2) is the best linear allocation
        with torch.no_grad():
            self.linear.weight.copy_(transform)
            self.leave.weight.zero_()

    def forward(
        self, images: Float[Tensor, "rows 3 h w"], condition: Float[Tensor, "rows conditions"]
    ) -> Float[Tensor, "rows latent latent_h latent_w"]:
        """Encode images whose sides are multiples of `STRIDE`."""
        centered = images - 0.5
        features = self.fine(self.enter(functional.pixel_unshuffle(centered, _PATCH)), condition)
        features = self.coarse(self.down(functional.pixel_unshuffle(features, 2)), condition)
        return (self.linear(centered) + self.leave(features)).float() * self.power(condition)


class Decoder(nn.Module):
    """Decoder: latents weighted by their reliability, a linear transform, and a residual network.

    The reliability of a latent is snr / (snr + a), the MMSE weight of a source of variance 1/a; a is learned for each
    channel. Latents that were not sent have reliability 0. The arguments are those of `Encoder`.
    """

    def __init__(self, latent: int, fine: int, coarse: int, fine_blocks: int, coarse_blocks: int) -> None:
        super().__init__()
        transform, deviation = color_dct(latent)
        self.noise = Levels(-(deviation / deviation.mean()).log())
        self.level = Levels((deviation * deviation.mean()).log() / 2)
        self.linear = nn.ConvTranspose2d(latent, 3, STRIDE, STRIDE)
        self.linear.bias = nn.Parameter(torch.full((3,), 0.5))
        self.enter = nn.Conv2d(2 * latent, coarse, 3, padding=1)
        self.coarse = Blocks(coarse_blocks, coarse)
        self.up = nn.Conv2d(coarse, fine * 4, 1)
        self.fine = Blocks(fine_blocks, fine)
        self.leave = nn.Conv2d(fine, 3 * _PATCH**2, 3, padding=1)
        with torch.no_grad():
            self.linear.weight.copy_(transform)
            self.leave.weight.zero_()

    def forward(
        self,
        latent: Float[Tensor, "rows latent latent_h latent_w"],
        snr: Float[Tensor, "rows latent latent_h latent_w"],
        condition: Float[Tensor, "rows conditions"],
    ) -> Float[Tensor, "rows 3 h w"]:
        """Decode latents to images, not clamped; `snr` is linear, 0 where a latent was not sent."""
        reliability = snr / (snr + self.noise(condition))
        weighted = latent * reliability
        features = self.coarse(self.enter(torch.cat([weighted, reliability], 1)), condition)
        features = self.fine(functional.pixel_shuffle(self.up(features), 2), condition)
        detail = functional.pixel_shuffle(self.leave(features), _PATCH)
        return (self.linear(weighted * self.level(condition)) + detail).float()


def condition(capacity: Float[Tensor, " rows"], sent_channels: float, latent: int) -> Float[Tensor, "rows conditions"]:
    """Conditions of both networks, scaled to about [-1, 1].

    Args:
        capacity: mean of ln(1 + SNR) over the channel uses of a row; for the encoder, at the average SNR.
        sent_channels: number of latent channels that are sent, averaged over the positions.
        latent: number of latent channels.
    """
    return torch.stack([(capacity - 2.5) / 2, torch.full_like(capacity, 1 + math.log2(sent_channels / latent) / 2)], 1)


def color_dct(count: int) -> tuple[Float[Tensor, "count 3 stride stride"], Float[Tensor, " count"]]:
    """Orthonormal color DCT functions of 8x8 blocks with the `count` largest standard deviations, and the deviations.

    The deviations follow a simple model of natural images: 1 / f^1.2 in the frequency f, color differences at a
    quarter and an eighth of the luminance.

    >>> transform, deviation = color_dct(192)
    >>> flat = transform.flatten(1)
    >>> bool(((flat @ flat.T - torch.eye(192)).abs() < 1e-5).all()), bool((deviation.diff() <= 0).all())
    (True, True)
    """
    index = torch.arange(STRIDE, dtype=torch.float64)
    cosine = torch.cos(math.pi / STRIDE * index[:, None] * (index + 0.5)) * math.sqrt(2 / STRIDE)
    cosine[0] /= math.sqrt(2)
    color = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    color /= color.norm(dim=1, keepdim=True)
    functions = torch.einsum("kc,uy,vx->kuvcyx", color, cosine, cosine).flatten(0, 2)
    frequency = torch.hypot(index[:, None], index)
    luminance = torch.where(frequency > 0, 0.6 / frequency.clamp(min=1) ** 1.2, 3.0)
    deviation = (torch.tensor([1, 0.25, 0.125])[:, None, None] * luminance).flatten()
    strongest = deviation.argsort(descending=True, stable=True)[:count]
    return functions[strongest].float(), deviation[strongest].float()

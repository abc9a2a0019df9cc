"""The convolutional encoder and decoder, both told the SNR and how much of the latent is sent."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8  # pixels a side of one latent position
_PATCH = 4  # pixels a side of one position of the fine stage
_CONDITIONS = 2


class Attention(nn.Module):
    """Scale each channel by what the picture and the link are like (Xu et al. 2021, attention feature module).

    Args:
        channels: of the feature map.
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
    """Two 3x3 convolutions and an attention around a shortcut; starts as nearly the identity."""

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
    """Blocks in a row."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__(Block(channels) for _ in range(count))

    def forward(
        self, features: Float[Tensor, "rows channels h w"], condition: Float[Tensor, "rows conditions"]
    ) -> Float[Tensor, "rows channels h w"]:
        for block in self:
            features = block(features, condition)
        return features


class Levels(nn.Module):
    """One positive number a latent channel, its logarithm a small function of the link: exp(start + f(condition)).

    Args:
        start: what the logarithms are before training.
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
    """Picture to latent: a linear transform that starts as the colour DCT, plus what a residual network adds to it.

    Args:
        latent: channels of the latent, at an eighth of the resolution; the most important come first.
        fine, coarse: channels at a quarter and at an eighth of the resolution.
        fine_blocks, coarse_blocks: residual blocks there.
    """

    def __init__(self, latent: int, fine: int, coarse: int, fine_blocks: int, coarse_blocks: int) -> None:
        super().__init__()
        transform, deviation = colour_dct(latent)
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
        """Encode pictures whose sides are multiples of `STRIDE`."""
        centred = images - 0.5
        features = self.fine(self.enter(functional.pixel_unshuffle(centred, _PATCH)), condition)
        features = self.coarse(self.down(functional.pixel_unshuffle(features, 2)), condition)
        return (self.linear(centred) + self.leave(features)).float() * self.power(condition)


class Decoder(nn.Module):
    """Noisy latent to picture: symbols shrunk by their reliability, a linear transform back, and a residual network.

    The reliability of a symbol is snr / (snr + a), the least-squares weight of a source of variance 1/a; a is learned
    for each channel. What was not sent has reliability 0.

    Args: those of `Encoder`, its counterpart.
    """

    def __init__(self, latent: int, fine: int, coarse: int, fine_blocks: int, coarse_blocks: int) -> None:
        super().__init__()
        transform, deviation = colour_dct(latent)
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
        """Decode; `snr` is that of each symbol, 0 where nothing was sent. The result is not clamped."""
        reliability = snr / (snr + self.noise(condition))
        shrunk = latent * reliability
        features = self.coarse(self.enter(torch.cat([shrunk, reliability], 1)), condition)
        features = self.fine(functional.pixel_shuffle(self.up(features), 2), condition)
        detail = functional.pixel_shuffle(self.leave(features), _PATCH)
        return (self.linear(shrunk * self.level(condition)) + detail).float()


def condition(capacity: Float[Tensor, " rows"], kept: float, latent: int) -> Float[Tensor, "rows conditions"]:
    """What both networks are told of the link, scaled to about [-1, 1].

    Args:
        capacity: mean of ln(1 + SNR) over the uses of a row; for the encoder, at the average SNR.
        kept: latent channels that are sent, on average over the positions.
        latent: of so many.
    """
    return torch.stack([(capacity - 2.5) / 2, torch.full_like(capacity, 1 + math.log2(kept / latent) / 2)], 1)


def colour_dct(count: int) -> tuple[Float[Tensor, "count 3 stride stride"], Float[Tensor, " count"]]:
    """The `count` strongest functions of an orthonormal colour DCT of 8x8 blocks, and their standard deviations.

    Deviations are those of a rough model of photographs: falling with frequency f as 1 / f^1.2, colour differences
    at a quarter and an eighth of the luminance.

    >>> transform, deviation = colour_dct(192)
    >>> flat = transform.flatten(1)
    >>> bool(((flat @ flat.T - torch.eye(192)).abs() < 1e-5).all()), bool((deviation.diff() <= 0).all())
    (True, True)
    """
    index = torch.arange(STRIDE, dtype=torch.float64)
    cosine = torch.cos(math.pi / STRIDE * index[:, None] * (index + 0.5)) * math.sqrt(2 / STRIDE)
    cosine[0] /= math.sqrt(2)
    colour = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    colour /= colour.norm(dim=1, keepdim=True)
    functions = torch.einsum("kc,uy,vx->kuvcyx", colour, cosine, cosine).flatten(0, 2)
    frequency = torch.hypot(index[:, None], index)
    luminance = torch.where(frequency > 0, 0.6 / frequency.clamp(min=1) ** 1.2, 3.0)
    deviation = (torch.tensor([1, 0.25, 0.125])[:, None, None] * luminance).flatten()
    strongest = deviation.argsort(descending=True, stable=True)[:count]
    return functions[strongest].float(), deviation[strongest].float()

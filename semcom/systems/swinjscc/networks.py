"""Encoder and decoder of SwinJSCC and WITT: Swin Transformer blocks, with modules that adapt to the SNR and the rate.

Attributes have the names of the keys of the published checkpoints. Features are [rows, h, w, channels] throughout.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from semcom.systems.swinjscc.configuration import Configuration, Stage

PATCH = 2  # pixels per position of the first stage of the encoder, each direction
_MODULATIONS = 7  # layers of a modulation module that a condition scales
_EXCLUDED = -100.0  # logit of a pair of positions that are no neighbors in the image


class WindowAttention(nn.Module):
    """Self-attention in windows with a learned bias for each relative position.

    softmax(Q K^T / sqrt(d) + B) V for each head, where B depends on the difference of the two positions.

    Args:
        stage: width, heads and window of the stage.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.heads, self.window = stage.heads, stage.window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * stage.window - 1) ** 2, stage.heads))
        self.qkv = nn.Linear(stage.width, 3 * stage.width)
        self.proj = nn.Linear(stage.width, stage.width)

    def forward(
        self,
        windows: Float[Tensor, "rows windows positions width"],
        mask: Float[Tensor, "windows positions positions"] | None,
    ) -> Float[Tensor, "rows windows positions width"]:
        query, key, value = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self.bias() if mask is None else self.bias() + mask[:, None]
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(attended.transpose(2, 3).flatten(3))

    def bias(self) -> Float[Tensor, "heads positions positions"]:
        """Bias of each pair of positions in a window."""
        table = self.relative_position_bias_table
        axis = torch.arange(self.window, device=table.device)
        places = torch.cartesian_prod(axis, axis).view(-1, 2)
        down, across = (places[:, None] - places + self.window - 1).unbind(-1)
        return table[down * (2 * self.window - 1) + across].permute(2, 0, 1)


class Block(nn.Module):
    """Swin Transformer block: attention in windows, shifted in every second block, and a feed-forward network.

    Args:
        stage: width, heads, window and hidden width of the stage.
        shift: shift of the windows in positions.
    """

    def __init__(self, stage: Stage, shift: int) -> None:
        super().__init__()
        self.window, self.shift = stage.window, shift
        self.norm1 = nn.LayerNorm(stage.width)
        self.attn = WindowAttention(stage)
        self.norm2 = nn.LayerNorm(stage.width)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(stage.width, stage.hidden), "fc2": nn.Linear(stage.hidden, stage.width)}
        )

    def forward(self, features: Float[Tensor, "rows h w width"]) -> Float[Tensor, "rows h w width"]:
        size, shift = (features.shape[1], features.shape[2]), self.shift
        windows = to_windows(self.norm1(features).roll((-shift, -shift), (1, 2)), self.window)
        mask = shift_mask(size, self.window, shift, features.device) if shift else None
        attended = from_windows(self.attn(windows, mask), self.window, size)
        features = features + attended.roll((shift, shift), (1, 2))
        return features + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(features))))


class Merging(nn.Module):
    """Halve both sides: 2 x 2 positions become one."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, out, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, features: Float[Tensor, "rows h w width"]) -> Float[Tensor, "rows half_h half_w out"]:
        cells = features.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # rows down 2 across 2 width
        return self.reduction(self.norm(cells.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class Splitting(nn.Module):
    """Double both sides: one position becomes 2 x 2."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.increment = nn.Linear(width, 4 * out, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Float[Tensor, "rows h w width"]) -> Float[Tensor, "rows double_h double_w out"]:
        cells = self.increment(self.norm(features)).unflatten(3, (-1, 2, 2))  # rows h w out 2 2
        return cells.permute(0, 1, 4, 2, 5, 3).flatten(3, 4).flatten(1, 2)


class Blocks(nn.Module):
    """Blocks of one stage, after merging in the encoder or before splitting in the decoder.

    Args:
        stage: configuration of the blocks.
        before: width of the encoder's stage before, or None.
        after: width of the decoder's stage after, or None.
    """

    def __init__(self, stage: Stage, before: int | None = None, after: int | None = None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(stage, shift) for shift in stage.shifts))
        self.downsample = None if before is None else Merging(before, stage.width)
        self.upsample = None if after is None else Splitting(stage.width, after)

    def forward(self, features: Float[Tensor, "rows h w width"]) -> Float[Tensor, "rows out_h out_w out"]:
        features = self.blocks(features if self.downsample is None else self.downsample(features))
        return features if self.upsample is None else self.upsample(features)


class Gate(nn.Module):
    """Factors between 0 and 1 from a condition (SNR in dB, or number of sent channels)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        first, *others = (nn.Linear(size, hidden) for size in (1, hidden, hidden))
        self.fc = nn.Sequential(first, nn.ReLU(), others[0], nn.ReLU(), others[1], nn.Sigmoid())

    def forward(self, condition: Float[Tensor, " rows"]) -> Float[Tensor, "rows 1 1 hidden"]:
        return self.fc(condition[:, None])[:, None, None]


def modulation(width: int) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Layers and gates of a modulation module, in the names of the checkpoints `sm_list` and `bm_list`."""
    hidden = int(1.5 * width)
    sizes = [width, *[hidden] * _MODULATIONS, width]
    layers = nn.ModuleList(nn.Linear(first, second) for first, second in itertools.pairwise(sizes))
    return layers, nn.ModuleList(Gate(hidden) for _ in range(_MODULATIONS))


def modulate(
    features: Float[Tensor, "rows h w width"],
    condition: Float[Tensor, " rows"],
    layers: nn.ModuleList,
    gates: nn.ModuleList,
) -> Float[Tensor, "rows h w width"]:
    """Factors of all features, from the features and a condition; layers and gates as in `modulation`."""
    hidden = features
    for layer, gate in zip(layers, gates, strict=False):
        hidden = layer(hidden) * gate(condition)
    return layers[-1](hidden).sigmoid()


class Encoder(nn.Module):
    """Images to features, 1/2^stages of the height and width.

    Args:
        configuration: shape of the networks.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        stages, self.configuration = configuration.encoder, configuration
        befores = [None, *[stage.width for stage in stages]]
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, stages[0].width, PATCH, PATCH)})
        self.layers = nn.Sequential(*(Blocks(stage, before) for stage, before in zip(stages, befores, strict=False)))
        self.norm = nn.LayerNorm(stages[-1].width)
        self.sm_list, self.bm_list = modulation(stages[-1].width)
        if configuration.two_modulations:
            self.sm_list1, self.bm_list1 = modulation(stages[-1].width)
        if configuration.channels is not None:
            self.head_list = nn.Linear(stages[-1].width, configuration.channels)

    def forward(
        self, images: Float[Tensor, "rows 3 image_h image_w"], snr_db: Float[Tensor, " rows"], channels: int
    ) -> tuple[Float[Tensor, "rows h w latents"], Float[Tensor, "rows latents"]]:
        """Encode images whose sides are multiples of `Configuration.multiple`.

        Args:
            images: images in [0, 1].
            snr_db: SNR that the transmitter knows, dB.
            channels: number of channels that are sent.

        Returns:
            Features, and the importance of each channel for rate adaptation (zeros without it).
        """
        adaptation = self.configuration.adaptation
        features = self.norm(self.layers(self.patch_embed["proj"](images).movedim(1, -1)))
        importance = features.new_zeros(len(features), self.configuration.latents)
        if adaptation == "both":
            features = features * modulate(features, snr_db, self.sm_list1, self.bm_list1)
        if adaptation == "snr":
            features = features * modulate(features, snr_db, self.sm_list, self.bm_list)
        elif adaptation != "none":
            factors = modulate(features, torch.full_like(snr_db, channels), self.sm_list, self.bm_list)
            features, importance = features * factors, factors.sum((1, 2))
        return (features if self.configuration.channels is None else self.head_list(features)), importance


class Decoder(nn.Module):
    """Features to images; the argument is that of `Encoder`."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        stages, self.configuration = configuration.decoder, configuration
        afters = [*[stage.width for stage in stages[1:]], 3]
        if configuration.channels is not None:
            self.head_list = nn.Linear(configuration.channels, stages[0].width)
        self.sm_list, self.bm_list = modulation(stages[0].width)
        self.layers = nn.Sequential(*(Blocks(stage, after=after) for stage, after in zip(stages, afters, strict=True)))

    def forward(
        self, features: Float[Tensor, "rows h w latents"], snr_db: Float[Tensor, " rows"]
    ) -> Float[Tensor, "rows 3 image_h image_w"]:
        """Decode features, 0 in channels that were not sent, to images, not clamped; `snr_db` is the receiver's."""
        if self.configuration.channels is not None:
            features = self.head_list(features)
        if self.configuration.adaptation in ("snr", "both"):
            features = features * modulate(features, snr_db, self.sm_list, self.bm_list)
        return self.layers(features).movedim(-1, 1)


class Networks(nn.Module):
    """Encoder and decoder in the layout of the checkpoints."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        self.encoder, self.decoder = Encoder(configuration), Decoder(configuration)


def to_windows(features: Float[Tensor, "rows h w width"], window: int) -> Float[Tensor, "rows windows positions width"]:
    """Cut features into windows in raster order.

    >>> windows = to_windows(torch.arange(32.0).view(1, 4, 4, 2), 2)
    >>> windows[0, 1, :, 0].tolist(), from_windows(windows, 2, (4, 4))[0, 1, :, 1].tolist()
    ([4.0, 6.0, 12.0, 14.0], [9.0, 11.0, 13.0, 15.0])
    """
    cells = features.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def from_windows(
    windows: Float[Tensor, "rows windows positions width"], window: int, size: tuple[int, int]
) -> Float[Tensor, "rows h w width"]:
    """Inverse of `to_windows`."""
    cells = windows.unflatten(2, (window, window)).unflatten(1, (size[0] // window, size[1] // window))
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def shift_mask(
    size: tuple[int, int], window: int, shift: int, device: torch.device
) -> Float[Tensor, "windows positions positions"]:
    """Logits that separate, in shifted windows, the positions that come from opposite edges of the image."""
    parts = []
    for side in size:
        place = torch.arange(side, device=device)
        parts.append((place >= side - window).long() + (place >= side - shift).long())
    regions = to_windows((3 * parts[0][:, None] + parts[1]).float()[None, :, :, None], window)[0, :, :, 0]
    return torch.where(regions[:, :, None] == regions[:, None], 0.0, _EXCLUDED)

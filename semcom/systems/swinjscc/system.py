"""Transmitter and receiver of SwinJSCC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from channels.base import Received
from channels.errors import UsageError
from channels.rng import Rng
from semcom.images.padding import crop, pad_to_multiple
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for
from semcom.systems.carrier_image.symbols import analog_uses, from_symbols, to_symbols
from semcom.systems.swinjscc.configuration import Adaptation, Configuration, inferred
from semcom.systems.swinjscc.header import Header
from semcom.systems.swinjscc.networks import Networks
from semcom.weights import state_dict

PAPER = (
    "K. Yang, S. Wang, J. Dai, X. Qin, K. Niu, P. Zhang, SwinJSCC: taming Swin Transformer for deep joint "
    "source-channel coding, IEEE TCCN 2025"
)
_COMPUTED = ("attn_mask", "relative_position_index")  # buffers of the checkpoint that follow from the shapes


@dataclass(frozen=True)
class Division:
    """Division of the channel uses of an image.

    Args:
        tokens: height and width of the grid of transmitted positions.
        channels: number of real numbers that are sent for each position.
        header: header, which conveys the scale and, for rate adaptation, the selected channels.
        analog_uses: channel uses of the latents.
    """

    tokens: tuple[int, int]
    channels: int
    header: Header
    analog_uses: int


def division(configuration: Configuration, cbr: float, size: tuple[int, int]) -> Division:
    """Division of the channel uses of an image of (height, width) pixels.

    Raises:
        UsageError: the channel-use budget is too small.

    >>> from semcom.systems.swinjscc.configuration import published
    >>> divided = division(published(), 1 / 16, (512, 768))
    >>> divided.tokens, divided.channels, divided.header.uses, divided.analog_uses
    ((32, 48), 96, 64, 73664)
    """
    height, width = (-(-side // configuration.stride) for side in size)
    budget, positions = uses_for(cbr, size), height * width
    if configuration.channels is None:
        channels = _fitting_channels(configuration.latents, budget, positions)
        header, required = Header(configuration.latents, channels), _required(configuration.latents, 1, positions)
    else:
        channels, required = configuration.channels, positions * configuration.channels // 2
        header = Header(configuration.latents, None)
    if budget < required:
        raise UsageError(
            f"the network sends at least {required} channel uses for an image of {size[1]} x {size[0]}, the budget is "
            f"{budget}: raise cbr to {required / (3 * size[0] * size[1]):.6g} per user"
        )
    analog = analog_uses(budget - header.uses, positions, channels)
    if not analog:
        raise UsageError(f"an image of {size[1]} x {size[0]} leaves no channel uses beside a header of {header.uses}")
    return Division((height, width), channels, header, analog)


@lru_cache(maxsize=64)
def _fitting_channels(latents: int, budget: int, positions: int) -> int:
    """Largest number of channels that fit beside the header, 0 if none fits."""
    fits = (channels for channels in range(latents, 0, -1) if _required(latents, channels, positions) <= budget)
    return next(fits, 0)


def _required(latents: int, channels: int, positions: int) -> int:
    """Channel uses of selected channels with their header."""
    return Header(latents, channels).uses + positions * channels // 2


class SwinTransmitter(Transmitter, nn.Module):
    """Transmit a header and the latents as symbols of unit mean energy.

    Args:
        networks: networks, of which the encoder is used.
        cbr: channel bandwidth ratio.
    """

    def __init__(self, networks: Networks, cbr: float) -> None:
        super().__init__()
        self.encoder, self.configuration, self.cbr = networks.encoder, networks.configuration, cbr

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        configuration = self.configuration
        divided = division(configuration, self.cbr, sample.size)
        padded, _ = pad_to_multiple(sample.images, configuration.multiple)
        features, importance = self.encoder(padded, snr_db.to(padded), divided.channels)
        height, width = divided.tokens
        latents = features[:, :height, :width].flatten(1, 2)
        selected = None
        if configuration.channels is None:
            indices = importance.topk(divided.channels, 1).indices
            selected = torch.zeros_like(importance, dtype=torch.bool).scatter(1, indices, True)
            latents = latents.transpose(1, 2)[selected].unflatten(0, (len(padded), -1)).transpose(1, 2)
        symbols, scale = to_symbols(latents, divided.analog_uses)
        header_uses = torch.full((len(symbols),), divided.header.uses, device=padded.device)
        uses = header_uses + divided.analog_uses
        return Payload(
            torch.cat([divided.header.encode(scale, selected), symbols], 1),
            uses,
            digital_uses=header_uses,
            parts={"header": header_uses, "latents": uses - header_uses},
        )


class SwinReceiver(Receiver, nn.Module):
    """Decode the header, then the latents to an image; a gray image if the selected channels are not decoded.

    Args:
        networks: networks, of which the decoder is used.
        cbr: channel bandwidth ratio.
    """

    def __init__(self, networks: Networks, cbr: float) -> None:
        super().__init__()
        self.decoder, self.configuration, self.cbr = networks.decoder, networks.configuration, cbr

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        divided = division(self.configuration, self.cbr, size)
        symbols, noise_var, first = received.symbols, received.noise_var, divided.header.uses
        content = divided.header.decode(symbols[:, :first], noise_var[:, :first])
        images = noise_var.new_full((len(symbols), 3, *size), 0.5)
        rows, body = content.ok.nonzero()[:, 0], slice(first, first + divided.analog_uses)
        if len(rows):
            positions = divided.tokens[0] * divided.tokens[1]
            latents, _ = from_symbols(
                symbols[rows, body], noise_var[rows, body], content.scale[rows], positions, divided.channels
            )
            features = self._features(latents, content.selected[rows], divided)
            images[rows] = crop(self.decoder(features, snr_db(noise_var[rows, body])), size).clamp(0, 1)
        if self.configuration.channels is not None:
            return Reception(images, received.uses)
        blocks = torch.ones_like(received.uses)
        return Reception(
            images, received.uses, outage=~content.ok, blocks=blocks, block_errors=blocks - content.ok.long()
        )

    def _features(
        self, latents: Float[Tensor, "rows tokens channels"], selected: Bool[Tensor, "rows latents"], divided: Division
    ) -> Float[Tensor, "rows h w latents"]:
        """Features of whole attention windows, 0 in channels that were not sent."""
        features = latents.new_zeros(*selected.shape, latents.shape[1])
        features[selected] = latents.transpose(1, 2).flatten(0, 1)
        whole, _ = pad_to_multiple(
            features.unflatten(2, divided.tokens), self.configuration.multiple // self.configuration.stride
        )
        return whole.movedim(1, -1)


def snr_db(noise_var: Float[Tensor, "rows uses"]) -> Float[Tensor, " rows"]:
    """SNR of the constant channel with the same mean capacity, at least -30 dB; the SNR itself if it is constant.

    >>> round(float(snr_db(torch.full((1, 3), 0.1))), 4)
    10.0
    """
    snr = noise_var.clamp(min=1e-9).reciprocal().log1p().mean(1).expm1()
    return 10 * snr.clamp(min=1e-3).log10()


def loaded(weights: str, adaptation: Adaptation | Literal["auto"]) -> tuple[Networks, str]:
    """Networks of a checkpoint in evaluation mode, and its id for rows of results.

    Raises:
        UsageError: the file is missing or has another layout.
    """
    found = state_dict.read(weights)
    configuration = inferred(found, adaptation)
    with torch.device("meta"):
        networks = Networks(configuration)
    used = {
        key: value
        for key, value in found.tensors.items()
        if not key.endswith(_COMPUTED) and not key.startswith("distortion_loss.")
    }
    state_dict.restore(networks, found, "SwinJSCC or WITT (encoder.layers.0.blocks.0.attn.qkv.weight, ...)", used)
    return networks.eval().requires_grad_(False), found.id


def system_of(networks: Networks, weights: str, cbr: float) -> System:
    """Build the system from given networks."""
    return System(
        name="swinjscc",
        paper=PAPER,
        transmitter=SwinTransmitter(networks, cbr),
        receiver=SwinReceiver(networks, cbr),
        agreement="networks, cbr and image size, which determine the number of sent channels and of channel uses",
        weights=weights,
        cbr=cbr,
    )

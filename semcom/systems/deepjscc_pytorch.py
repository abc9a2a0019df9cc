"""DeepJSCC of five convolutions at each end, from checkpoints of its public PyTorch reproduction."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from channels.base import Received
from channels.errors import UsageError
from channels.rng import Rng
from semcom.images.padding import crop, pad_to_multiple
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for
from semcom.weights import state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TITLE = "DeepJSCC (reproduction)"
CITATION_KEYS = "bourtsoulatze2019deep"
PAPER = (
    "E. Bourtsoulatze, D. Burth Kurka, D. Gunduz, Deep joint source-channel coding for wireless image transmission, "
    "IEEE TCCN 2019"
)
LAYOUT = "Deep-JSCC-PyTorch (encoder.conv1.conv.weight, ..., decoder.tconv5.transconv.weight; 5 x 5 kernels)"
STRIDE = 4  # pixels per position of the latents, each direction
_KERNEL = 5
_STRIDES = (2, 2, 1, 1, 1)  # of the encoder; the decoder has them in reverse order


def build(cbr: float, weights: str) -> System:
    """DeepJSCC (reproduction): checkpoints of the repository Deep-JSCC-PyTorch (inference only).

    Five convolutions map each 4 x 4 pixels to 2 c real numbers, sent as c complex symbols of unit mean energy; five
    transposed convolutions map the received symbols to the image. The networks know neither the SNR nor the channel.
    The widths are inferred from the checkpoint. Nothing but the symbols is transmitted.

    The current code of the repository adds noise of half the power that its SNR states: its x dB are x + 3 dB here.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image; at least c / 48.
        weights: path of the checkpoint (`.pth` or `.pkl`), which keeps its own license.

    Raises:
        UsageError: the file is missing or has another layout.

    Source: Bourtsoulatze, Burth Kurka and Gunduz, IEEE TCCN 5(3), 2019.

    >>> build(1 / 6, weights="nowhere.pth")
    Traceback (most recent call last):
    channels.errors.UsageError: no checkpoint nowhere.pth: write a path relative to the working directory
    """
    found = state_dict.read(weights)
    widths, decoder_widths = _widths(found.tensors)
    with torch.device("meta"):
        encoder, decoder = encoder_of(widths), decoder_of(widths[-1], decoder_widths)
    networks = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    state_dict.restore(networks, found, LAYOUT, found.tensors)
    networks.eval().requires_grad_(False)
    symbols = widths[-1] // 2
    return System(
        name="deepjscc_pytorch",
        paper=PAPER,
        transmitter=ConvolutionalTransmitter(encoder, symbols, cbr),
        receiver=ConvolutionalReceiver(decoder, symbols),
        agreement="networks and image size, which determine the number of channel uses",
        weights=found.id,
        cbr=cbr,
    )


def encoder_of(widths: Sequence[int]) -> nn.Sequential:
    """Five convolutions with PReLU, from images in [0, 1] to real numbers that are not normalized.

    Modules have the names of the keys of the checkpoints; image sides must be multiples of `STRIDE`.

    Args:
        widths: output channels of the convolutions; the last is 2 c.
    """
    layers = OrderedDict[str, nn.Module]()
    for index, (width, out, stride) in enumerate(zip((3, *widths), widths, _STRIDES, strict=False), 1):
        convolution = nn.Conv2d(width, out, _KERNEL, stride, _KERNEL // 2)
        layers[f"conv{index}"] = nn.Sequential(OrderedDict(conv=convolution, prelu=nn.PReLU()))
    return nn.Sequential(layers)


def decoder_of(reals: int, widths: Sequence[int]) -> nn.Sequential:
    """Five transposed convolutions with PReLU, the last with a sigmoid, from real numbers of mean square 1 to images.

    Args:
        reals: number 2 c of real numbers for each position.
        widths: output channels of the transposed convolutions; the last is 3.
    """
    layers = OrderedDict[str, nn.Module]()
    for index, (width, out, stride) in enumerate(zip((reals, *widths), widths, _STRIDES[::-1], strict=False), 1):
        transposed = nn.ConvTranspose2d(width, out, _KERNEL, stride, _KERNEL // 2, output_padding=stride - 1)
        activation = nn.Sigmoid() if index == len(widths) else nn.PReLU()
        layers[f"tconv{index}"] = nn.Sequential(OrderedDict(transconv=transposed, activate=activation))
    return nn.Sequential(layers)


def _widths(tensors: Mapping[str, Tensor]) -> tuple[list[int], list[int]]:
    """Output channels of all layers; those of the published networks where a key is not found."""
    encoder, decoder = [16, 32, 32, 32, 16], [32, 32, 32, 16, 3]
    for index in range(5):
        if (key := f"encoder.conv{index + 1}.conv.weight") in tensors:
            encoder[index] = tensors[key].shape[0]
        if (key := f"decoder.tconv{index + 1}.transconv.bias") in tensors:
            decoder[index] = tensors[key].shape[0]
    encoder[-1] += encoder[-1] % 2  # an odd number belongs to another layout, and is refused by its shape
    return encoder, [*decoder[:-1], 3]


class ConvolutionalTransmitter(Transmitter, nn.Module):
    """Send the real numbers of the encoder as symbols: the first half real parts, the second half imaginary parts.

    Args:
        encoder: network from `encoder_of`.
        symbols: number c of symbols for each position.
        cbr: channel bandwidth ratio.
    """

    def __init__(self, encoder: nn.Module, symbols: int, cbr: float) -> None:
        super().__init__()
        self.encoder, self.symbols, self.cbr = encoder, symbols, cbr

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        height, width = sample.size
        used, budget = math.prod(_shape(self.symbols, sample.size)), uses_for(self.cbr, sample.size)
        if used > budget:
            raise UsageError(
                f"the network sends {used} channel uses for an image of {width} x {height}, the budget is {budget}: "
                f"raise cbr to {used / (3 * height * width):.6g} per user"
            )
        real, imaginary = self.encoder(pad_to_multiple(sample.images, STRIDE)[0]).float().chunk(2, 1)
        symbols = torch.complex(real, imaginary).flatten(1)
        symbols = symbols / symbols.abs().square().mean(1, keepdim=True).clamp(min=1e-12).sqrt()
        uses = torch.full((len(symbols),), used, device=symbols.device)
        return Payload(symbols, uses, digital_uses=torch.zeros_like(uses))


class ConvolutionalReceiver(Receiver, nn.Module):
    """Decode equalized received symbols to images.

    Args:
        decoder: network from `decoder_of`.
        symbols: number c of symbols for each position.
    """

    def __init__(self, decoder: nn.Module, symbols: int) -> None:
        super().__init__()
        self.decoder, self.symbols = decoder, symbols

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        symbols = received.symbols.unflatten(1, _shape(self.symbols, size)) * math.sqrt(2)
        images = self.decoder(torch.cat([symbols.real, symbols.imag], 1))
        return Reception(crop(images, size).clamp(0, 1), received.uses)


def _shape(symbols: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """Symbols for each position, height and width of the transmission of an image of (height, width) pixels."""
    return symbols, -(-size[0] // STRIDE), -(-size[1] // STRIDE)

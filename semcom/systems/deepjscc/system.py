"""The transmitter and receiver around the networks: sizes, rates, and what each side knows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from channels._base import Received, noise_variance
from channels._errors import UsageError
from channels._rng import Rng
from semcom.padding import crop, pad_to_multiple
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for
from semcom.systems.deepjscc.networks import STRIDE, Decoder, Encoder, condition
from semcom.systems.deepjscc.stream import from_symbols, symbol_snr, to_symbols

BIBTEX = """
@article{bourtsoulatze2019deep,
  author = {Bourtsoulatze, Eirina and {Burth Kurka}, David and G{\\"u}nd{\\"u}z, Deniz},
  title = {Deep Joint Source-Channel Coding for Wireless Image Transmission},
  journal = {IEEE Transactions on Cognitive Communications and Networking},
  volume = {5}, number = {3}, pages = {567--579}, year = {2019}
}
"""

PAPER = (
    "E. Bourtsoulatze, D. Burth Kurka, D. Gunduz, Deep joint source-channel coding for wireless image transmission, "
    "IEEE TCCN 2019; SNR attention after J. Xu et al., IEEE TCSVT 2021"
)


class DeepJscc(nn.Module):
    """Encoder and decoder with one configuration.

    Args:
        latent: most channels of the latent; it bounds cbr to latent / (2 * 3 * 64).
        fine, coarse: channels at a quarter and at an eighth of the resolution.
        encoder_blocks, decoder_blocks: residual blocks at a quarter and at an eighth of the resolution.
    """

    def __init__(
        self,
        latent: int = 48,
        fine: int = 96,
        coarse: int = 160,
        encoder_blocks: Sequence[int] = (1, 2),
        decoder_blocks: Sequence[int] = (3, 4),
    ) -> None:
        super().__init__()
        self.configuration = {
            "latent": latent,
            "fine": fine,
            "coarse": coarse,
            "encoder_blocks": list(encoder_blocks),
            "decoder_blocks": list(decoder_blocks),
        }
        self.latent = latent
        self.encoder = Encoder(latent, fine, coarse, *encoder_blocks)
        self.decoder = Decoder(latent, fine, coarse, *decoder_blocks)


class DeepJsccTransmitter(Transmitter, nn.Module):
    """Picture to latent to unit-energy symbols.

    Args:
        network: the encoder's; trained for an SNR from -2 to 20 dB.
        cbr: granted; whole and part channels of the latent fill it to the last use.
    """

    def __init__(self, network: DeepJscc, cbr: float) -> None:
        super().__init__()
        self.encoder, self.latent, self.cbr = network.encoder, network.latent, cbr

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        uses, (_, height, width) = granted(self.cbr, sample.size), latent_shape(self.latent, sample.size)
        padded, _ = pad_to_multiple(sample.images, STRIDE)
        capacity = torch.log1p(1 / noise_variance(snr_db)).to(padded.device)
        told = condition(capacity, 2 * uses / (height * width), self.latent)
        symbols = to_symbols(self.encoder(padded, told), uses)
        spent = torch.full((len(symbols),), uses, device=padded.device)
        return Payload(symbols=symbols, uses=spent, digital_uses=torch.zeros_like(spent))


class DeepJsccReceiver(Receiver, nn.Module):
    """Received symbols to picture; the noise variance of each symbol says how far to trust it."""

    def __init__(self, network: DeepJscc, cbr: float) -> None:
        super().__init__()
        self.decoder, self.latent, self.cbr = network.decoder, network.latent, cbr

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        uses, shape = granted(self.cbr, size), latent_shape(self.latent, size)
        values, snr = from_symbols(received, shape)
        capacity = torch.log1p(symbol_snr(received)).mean(1)
        told = condition(capacity, 2 * uses / (shape[1] * shape[2]), self.latent)
        images = self.decoder(values, snr, told)
        return Reception(images=crop(images, size).clamp(0, 1), uses_charged=received.uses)


def system_of(network: DeepJscc, cbr: float, weights: str = "") -> System:
    """The system around a network, at cbr up to 1/8 for 48 latent channels."""
    most = network.latent / (2 * 3 * STRIDE**2)
    if not 0 < cbr <= most:
        raise UsageError(f"deepjscc with {network.latent} latent channels sends at a cbr up to {most:g}, not {cbr:g}")
    return System(
        name="deepjscc",
        paper=PAPER,
        transmitter=DeepJsccTransmitter(network, cbr),
        receiver=DeepJsccReceiver(network, cbr),
        agreement="networks, cbr and picture size, which fix the number of uses and their order",
        weights=weights,
    )


def latent_shape(latent: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """Channels, height and width of the latent of a picture, whose sides are padded to multiples of `STRIDE`."""
    return latent, -(-size[0] // STRIDE), -(-size[1] // STRIDE)


def granted(cbr: float, size: tuple[int, int]) -> int:
    """The uses that a picture of a size gets; padding buys none."""
    uses = uses_for(cbr, size)
    if uses < 1:
        raise UsageError(f"a cbr of {cbr:g} grants a picture of {size[0]} x {size[1]} not one channel use")
    return uses

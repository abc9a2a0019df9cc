"""Transmitter and receiver of DeepJSCC."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from channels.base import Received, noise_variance
from channels.errors import UsageError
from channels.rng import Rng
from semcom.images.padding import crop, pad_to_multiple
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter
from semcom.systems.deepjscc.agreement import Agreement
from semcom.systems.deepjscc.networks import STRIDE, Decoder, Encoder, condition
from semcom.systems.deepjscc.stream import from_symbols, symbol_snr, to_symbols

HIGHEST_CBR = 1 / 2  # of the system; above that of all latents, `refined` transmits them
CITATION_KEYS = "bourtsoulatze2019deep xu2022wireless"

PAPER = (
    "E. Bourtsoulatze, D. Burth Kurka, D. Gunduz, Deep joint source-channel coding for wireless image transmission, "
    "IEEE TCCN 2019; SNR attention after J. Xu et al., IEEE TCSVT 2022"
)


class DeepJscc(nn.Module):
    """Encoder and decoder networks.

    Args:
        latent: number of latent channels; see `highest_cbr`.
        fine, coarse: number of channels at a quarter and at an eighth of the resolution.
        encoder_blocks, decoder_blocks: number of residual blocks at a quarter and at an eighth of the resolution.
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

    @staticmethod
    def highest_cbr(latent: int) -> float:
        """Channel bandwidth ratio at which all latents are transmitted."""
        return latent / (2 * 3 * STRIDE**2)


class DeepJsccTransmitter(Transmitter, nn.Module):
    """Encode images to latents and send them as symbols of unit mean energy.

    Args:
        network: networks, of which the encoder is used; trained for SNRs from -2 to 20 dB.
        agreement: shared configuration.
    """

    def __init__(self, network: DeepJscc, agreement: Agreement) -> None:
        super().__init__()
        self.encoder, self.agreement = network.encoder, agreement

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement = self.agreement
        padded, _ = pad_to_multiple(sample.images, STRIDE)
        capacity = torch.log1p(1 / noise_variance(snr_db)).to(padded.device)
        conditions = condition(capacity, agreement.sent_channels(sample.size), agreement.latent)
        symbols = to_symbols(self.encoder(padded, conditions), agreement.uses(sample.size))
        uses = torch.full((len(symbols),), symbols.shape[1], device=padded.device)
        return Payload(symbols=symbols, uses=uses, digital_uses=torch.zeros_like(uses))


class DeepJsccReceiver(Receiver, nn.Module):
    """Decode received symbols, weighted by their noise variances, to images.

    Args:
        network: networks, of which the decoder is used.
        agreement: shared configuration.
    """

    def __init__(self, network: DeepJscc, agreement: Agreement) -> None:
        super().__init__()
        self.decoder, self.agreement = network.decoder, agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement = self.agreement
        latent, snr = from_symbols(received, agreement.latent_shape(size))
        capacity = torch.log1p(symbol_snr(received)).mean(1)
        conditions = condition(capacity, agreement.sent_channels(size), agreement.latent)
        images = self.decoder(latent, snr, conditions)
        return Reception(images=crop(images, size).clamp(0, 1), counted_uses=received.uses)


def system_of(network: DeepJscc, cbr: float, weights: str = "") -> System:
    """Build the system from given networks; cbr is at most 1/8 for 48 latent channels, see `refined` for more."""
    if not 0 < cbr <= DeepJscc.highest_cbr(network.latent):
        raise UsageError(f"cbr of deepjscc must be above 0 and up to {HIGHEST_CBR:g}, not {cbr:g}")
    agreement = Agreement(cbr, network.latent)
    return System(
        name="deepjscc",
        paper=PAPER,
        transmitter=DeepJsccTransmitter(network, agreement),
        receiver=DeepJsccReceiver(network, agreement),
        agreement="networks, cbr and image size, which determine the number of channel uses and the symbol order",
        weights=weights,
        cbr=cbr,
    )

"""Training of DeepJSCC: mean PSNR over random SNRs and rates."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from channels.arguments import one_of
from channels.base import noise_variance
from channels.errors import UsageError
from channels.rng import Rng
from semcom.system import Sample
from semcom.systems.deepjscc.agreement import Agreement
from semcom.systems.deepjscc.networks import SMALL_ENCODER, STRIDE, Encoder, condition
from semcom.systems.deepjscc.stream import from_symbols, symbol_snr, to_symbols
from semcom.systems.deepjscc.system import DeepJscc, system_of
from semcom.training.task import Losses, Phase, Send, Task
from semcom.weights.files import rebuild

_OTHER_ERROR = 1e-3  # squared error of an image that another encoder would not change, about that at 10 dB
_TILES = (1, 4, 16)  # crops per row, which share one power normalization like the parts of a large image


def training(
    cbr: float = 1 / 16, share_at_cbr: float = 0.5, part: str = "all", teacher: str = "deepjscc", loss: str = "image"
) -> Task:
    """Train one network for all rates up to 1/8; validate at `cbr`.

    Args:
        cbr: channel bandwidth ratio of validation and of part of the training steps, 1/96 to 1/8.
        share_at_cbr: fraction of training steps at `cbr`, 0 to 1; the others use rates log-uniform in [1/96, 1/8].
        part: networks to train: "all", or "edge_encoder", a small encoder for the decoder of `teacher`.
        teacher: weight file whose decoder receives what the small encoder transmits.
        loss: loss of the small encoder: "image", the mean PSNR; or "latents", their difference to those of the encoder
            of `teacher`, which takes a third of the time and is for the first part of the training.
    """
    one_of("part", part, ("all", "edge_encoder"))
    one_of("loss", loss, ("image", "latents"))
    if part == "all" and (loss, teacher) != ("image", "deepjscc"):
        raise UsageError("loss and teacher require part: edge_encoder")
    if not 1 / 96 <= cbr <= 1 / 8 or not 0 <= share_at_cbr <= 1:
        raise UsageError(
            f"cbr must be within [1/96, 1/8] and share_at_cbr within [0, 1], not {cbr:g} and {share_at_cbr:g}"
        )
    if part == "edge_encoder":
        return _small_encoder(cbr, share_at_cbr, teacher, loss)
    network = DeepJscc()
    phases = (Phase("reconstruct", network, _image_loss(network, cbr, share_at_cbr), muon=True),)
    return Task(network, phases, lambda: system_of(network, cbr), network.configuration)


def _small_encoder(cbr: float, share_at_cbr: float, teacher: str, loss: str) -> Task:
    """Train a small encoder for the decoder of a trained network, which stays as it is."""
    network, _ = rebuild(teacher, "deepjscc", DeepJscc)
    network.requires_grad_(False)
    original, encoder = network.encoder, Encoder(**SMALL_ENCODER)
    encoder.linear.load_state_dict(original.linear.state_dict())
    encoder.power.load_state_dict(original.power.state_dict())
    network.encoder = encoder

    def imitation(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> dict[str, Tensor]:
        agreement = Agreement(_rate(cbr, share_at_cbr, rng), network.latent)
        sent_channels = agreement.sent_channels(sample.size)
        capacity = torch.log1p(1 / noise_variance(snr_db))
        conditions = condition(capacity, sent_channels, network.latent)
        count, snr = math.ceil(sent_channels), (1 / noise_variance(snr_db))[:, None, None, None]
        with torch.no_grad():
            target = original(sample.images, conditions)[:, :count]
            scale = target.square().mean((1, 2, 3), keepdim=True).rsqrt()
            # change of the image by that of a latent, from the linear part of the decoder
            reliability = snr / (snr + network.decoder.noise(conditions))
            gain = (scale * network.decoder.level(conditions) * reliability)[:, :count]
        error = gain * (encoder(sample.images, conditions)[:, :count] - target)
        squared = error.square().sum(1).mean((1, 2)) / (3 * STRIDE**2)
        return {"log_mse": (squared + _OTHER_ERROR).log().mean()}

    losses = imitation if loss == "latents" else _image_loss(network, cbr, share_at_cbr)
    phases = (Phase("encode", encoder, losses, muon=True),)
    return Task(encoder, phases, lambda: system_of(network, cbr), SMALL_ENCODER)


def _rate(cbr: float, share_at_cbr: float, rng: Rng) -> float:
    """Channel bandwidth ratio of a training step."""
    selector, exponent, _ = rng[:1].derive("rate").uniform(3)[0].tolist()
    return cbr if selector < share_at_cbr else 1 / 96 * 12**exponent


def _image_loss(network: DeepJscc, cbr: float, share_at_cbr: float) -> Losses:
    def losses(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> dict[str, Tensor]:
        tiles = rng[:1].derive("rate").uniform(3)[0, 2].item()
        tiled = math.gcd(_TILES[int(tiles * len(_TILES))], len(snr_db))
        decoded = _transmit(network, sample.images, snr_db, send, _rate(cbr, share_at_cbr, rng), tiled)
        squared = (decoded - sample.images).square().mean((1, 2, 3)).view(-1, tiled).mean(1)
        return {"log_mse": (squared + 1e-4).log().mean()}  # mean PSNR, saturated at 40 dB

    return losses


def _transmit(
    network: DeepJscc, images: Tensor, snr_db: Tensor, send: Send, rate: float, tiles: int
) -> Float[Tensor, "crops 3 h w"]:
    """Transmit crops, `tiles` crops per row, at the SNR of the first crop of each row."""
    height, width = images.shape[-2:]
    if height % STRIDE or width % STRIDE:
        raise UsageError(f"crop and width must be multiples of {STRIDE} pixels, not {height} and {width}")
    agreement, size = Agreement(rate, network.latent), (height, width * tiles)
    sent_channels = agreement.sent_channels(size)
    snr_db = snr_db.view(-1, tiles)[:, 0]

    average = torch.log1p(1 / noise_variance(snr_db)).repeat_interleave(tiles)
    latent = network.encoder(images, condition(average, sent_channels, network.latent))
    row = latent.unflatten(0, (-1, tiles)).permute(0, 2, 3, 1, 4).flatten(3)
    received = send(to_symbols(row, agreement.uses(size)), snr_db)
    values, snr = (
        part.unflatten(3, (tiles, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        for part in from_symbols(received, agreement.latent_shape(size))
    )
    capacity = torch.log1p(symbol_snr(received)).mean(1).repeat_interleave(tiles)
    return network.decoder(values, snr, condition(capacity, sent_channels, network.latent))

"""Training of the tiny networks: reconstruction of the whole image over the channel at random SNR, mask and budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from channels.arguments import one_of
from channels.errors import UsageError
from channels.rng import Rng
from semcom.system import Sample
from semcom.systems.carrier_image.networks import SMALL_ENCODER, TILE, Networks, PatchEncoder
from semcom.systems.carrier_image.symbols import analog_uses, from_symbols, to_symbols
from semcom.training.task import Phase, Send, Task
from semcom.weights.files import rebuild

_MASK_RATIO = (0.25, 0.95)
_OTHER_ERROR = 1e-3  # squared error of visible patches that another encoder would not change, about that at 10 dB


def training(part: str = "all", teacher: str = "carrier_image") -> Task:
    """Train encoder and decoder jointly; the receiver knows the mask, as after an error-free header.

    Args:
        part: networks to train: "all", or "edge_encoder", a small encoder whose latents become those of `teacher`.
        teacher: weight file of the network whose decoder receives what the small encoder transmits.
    """
    from semcom.systems.carrier_image import build_from_networks

    one_of("part", part, ("all", "edge_encoder"))
    if part == "all" and teacher != "carrier_image":
        raise UsageError("teacher requires part: edge_encoder")
    if part == "edge_encoder":
        return _small_encoder(teacher)
    networks = Networks()

    def losses(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> Mapping[str, Tensor]:
        images = _tiles(sample)
        visible, uses = random_mask_and_uses(len(images), networks.patches, networks.latents, rng)
        latents = networks.encoder(images, visible).float()
        symbols, scale = to_symbols(latents, uses)
        received = send(symbols, snr_db)
        received = replace(received, noise_var=received.noise_var.clamp(max=1e6))
        latents, noise_var = from_symbols(received.symbols, received.noise_var, scale, *latents.shape[1:])
        decoded = networks.decoder(latents, noise_var, visible)
        return {"log_mse": (decoded - images).square().mean((1, 2, 3)).add(1e-5).log().mean()}

    return Task(
        networks,
        (Phase("masked autoencoder", networks, losses, muon=True),),
        lambda: build_from_networks(networks),
        networks.configuration,
    )


def _small_encoder(teacher: str) -> Task:
    """Train a small encoder for the decoder of a trained network, which stays as it is."""
    from semcom.systems.carrier_image import build_from_networks

    networks, _ = rebuild(teacher, "carrier_image", Networks)
    networks.requires_grad_(False)
    original, encoder = networks.encoder, PatchEncoder(**SMALL_ENCODER)
    encoder.base.load_state_dict(original.base.state_dict())
    networks.encoder = encoder

    def losses(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> Mapping[str, Tensor]:
        images = _tiles(sample)
        visible, _ = random_mask_and_uses(len(images), networks.patches, networks.latents, rng)
        with torch.no_grad():
            target = original(images, visible).float()
        # the linear part of the decoder maps a change of the latents to that of the visible patches
        error = (encoder(images, visible).float() - target) @ networks.decoder.base.weight.T
        return {"log_mse": (error.square().mean((1, 2)) + _OTHER_ERROR).log().mean()}

    return Task(
        encoder,
        (Phase("encode", encoder, losses, muon=True),),
        lambda: build_from_networks(networks),
        SMALL_ENCODER,
    )


def _tiles(sample: Sample) -> Float[Tensor, "rows 3 tile tile"]:
    if sample.size != (TILE, TILE):
        raise UsageError(f"carrier_image is trained on crops of {TILE} pixels: write --crop {TILE} and no --width")
    return sample.images


def random_mask_and_uses(rows: int, patches: int, latents: int, rng: Rng) -> tuple[Tensor, int]:
    """Random visible patches of each row and channel uses of their latents; both counts are the same in all rows.

    The mask ratio is uniform from 0.25 to 0.95. In half of the cases at least three quarters of the latents are sent.

    Returns:
        Indices of the visible patches in raster order, int64 [rows, visible]; channel uses of the latents.
    """
    ratio, budget, ample = rng.derive("plan").uniform(3)[0].tolist()
    visible = round(patches * (1 - _MASK_RATIO[0] - (_MASK_RATIO[1] - _MASK_RATIO[0]) * ratio))
    least = 0.75 if ample < 0.5 else 0.125
    places = rng.derive("mask").uniform(patches).argsort(1)[:, :visible].sort(1).values
    return places, analog_uses(round(visible * latents / 2 * (least + (1 - least) * budget)), visible, latents)

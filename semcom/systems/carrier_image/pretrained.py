"""Pretrained masked autoencoders (He et al. 2022) in transformers format.

The encoder's tokens pass through the first projection of the decoder before transmission, which reduces their
dimension. All latents are sent, because the networks were trained neither with fewer latents nor with noise. Each
received latent is scaled by v / (v + noise variance), where v is the mean square of the latents.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from channels.errors import UsageError
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder
from semcom.weights import transformers as checkpoints

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class VitMae(MaskedAutoencoder):
    """Networks of a carrier image from a pretrained masked autoencoder.

    Args:
        model: ViTMAEForPreTraining of transformers that predicts unnormalized pixels; modified in place.
        mean, deviation: mean and standard deviation of its input normalization, RGB.
    """

    extra_tokens = 1  # class token
    requires_all_latents = True

    def __init__(
        self,
        model: Any,
        mean: tuple[float, float, float] = _MEAN,
        deviation: tuple[float, float, float] = _DEVIATION,
    ) -> None:
        super().__init__()
        config = model.config
        self.tile = config.image_size
        self.patches = (config.image_size // config.patch_size) ** 2
        self.latents = config.decoder_hidden_size
        center, scale = (torch.tensor(value).view(3, 1, 1) for value in (mean, deviation))
        self.encoder = VitMaeEncoder(model, self.patches, center, scale)
        self.decoder = VitMaeDecoder(model, self.patches, center, scale)


class VitMaeEncoder(TileEncoder):
    """Pretrained encoder followed by the decoder's first projection; the class token comes first."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, patches: int, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.patches = patches
        self.vit, self.project = model.vit, model.decoder.decoder_embed
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(
        self, images: Float[Tensor, "tiles 3 side side"], visible: Int[Tensor, "tiles visible"]
    ) -> Float[Tensor, "tiles tokens latents"]:
        count = visible.shape[1]
        self.vit.config.mask_ratio = 1 - (count + 0.5) / self.patches  # the model computes `count` from it
        noise = _order(visible, self.patches)
        return self.project(self.vit((images - self.mean) / self.deviation, noise=noise).last_hidden_state)


class VitMaeDecoder(TileDecoder):
    """Pretrained decoder without its first projection; its output is used for every patch."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, patches: int, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.patches = patches
        model.decoder.decoder_embed = nn.Identity()  # applied at the transmitter
        self.decoder, self.unpatchify = model.decoder, model.unpatchify
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(
        self,
        latents: Float[Tensor, "tiles tokens latents"],
        noise_var: Float[Tensor, "tiles tokens latents"],
        visible: Int[Tensor, "tiles visible"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        power = (latents.square() - noise_var).mean((1, 2), keepdim=True).clamp(min=1e-6)
        places = _order(visible, self.patches).argsort(1).argsort(1)
        values = self.decoder(latents * (power / (power + noise_var)), places).logits
        return self.unpatchify(values) * self.deviation + self.mean

    def decode_without_mask(
        self, latents: Float[Tensor, "tiles tokens latents"], noise_var: Float[Tensor, "tiles tokens latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Mid-gray: latents of unknown positions cannot be decoded by this network."""
        side = self.decoder.config.image_size
        return torch.full((len(latents), 3, side, side), 0.5, device=latents.device)


def load_vit_mae(name: str) -> VitMae:
    """Load a ViTMAEForPreTraining checkpoint from a local folder or, unless offline, from the hub.

    Args:
        name: folder with config.json and model.safetensors, or "owner/repository". The checkpoint must contain the
            decoder and predict unnormalized pixels (the "visualize" weights, `norm_pix_loss` false).

    Raises:
        UsageError: the checkpoint is missing, of another kind, without decoder, or predicts normalized patches.
    """
    model = checkpoints.load(
        "ViTMAEForPreTraining", "vit_mae", name, "masked autoencoder", "an encoder without its decoder"
    )
    if model.config.norm_pix_loss:
        raise UsageError(
            f"{name} predicts normalized patches (norm_pix_loss), without mean and contrast: use visualize weights"
        )
    return VitMae(model)


def _order(visible: Int[Tensor, "tiles visible"], patches: int) -> Float[Tensor, "tiles patches"]:
    """Sort keys that put the visible patches first, in their order, and the masked ones last."""
    others = torch.full((len(visible), patches), 2.0, device=visible.device)
    return others.scatter(
        1, visible, torch.linspace(0, 1, visible.shape[1], device=visible.device).expand(visible.shape)
    )

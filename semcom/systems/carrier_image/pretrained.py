"""Masked autoencoders that others trained (He et al. 2022), in the on-disk format of transformers.

The tokens that the pretrained encoder gives pass the decoder's own first projection before they are sent, which makes
them fewer numbers, and all of these are sent: the networks never learned to do with less, nor to expect noise. Each
received number is shrunk to least squared error, v / (v + noise variance) with v the mean square of the latents.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from channels._errors import UsageError
from semcom import checkpoints
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class VitMae(MaskedAutoencoder):
    """A pretrained masked autoencoder as the networks of a carrier image; takes its model over.

    Args:
        model: a transformers ViTMAEForPreTraining that predicts plain pixels.
        mean, deviation: of the pixel values that it was trained on.
    """

    extra = 1  # the class token
    every_latent = True

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
        centre, scale = (torch.tensor(value).view(3, 1, 1) for value in (mean, deviation))
        self.encoder = VitMaeEncoder(model, self.patches, centre, scale)
        self.decoder = VitMaeDecoder(model, self.patches, centre, scale)


class VitMaeEncoder(TileEncoder):
    """Kept patches through the pretrained encoder and the decoder's first projection; the class token comes first."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, patches: int, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.patches = patches
        self.vit, self.project = model.vit, model.decoder.decoder_embed
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(
        self, images: Float[Tensor, "tiles 3 side side"], kept: Int[Tensor, "tiles kept"]
    ) -> Float[Tensor, "tiles tokens latents"]:
        count = kept.shape[1]
        self.vit.config.mask_ratio = 1 - (count + 0.5) / self.patches  # which the model turns back into `count`
        noise = _order(kept, self.patches)
        return self.project(self.vit((images - self.mean) / self.deviation, noise=noise).last_hidden_state)


class VitMaeDecoder(TileDecoder):
    """Noisy latents and mask tokens through the pretrained decoder, whose output is taken for every patch."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, patches: int, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.patches = patches
        model.decoder.decoder_embed = nn.Identity()  # the transmitter has done that
        self.decoder, self.unpatchify = model.decoder, model.unpatchify
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(
        self,
        latents: Float[Tensor, "tiles tokens latents"],
        noise_var: Float[Tensor, "tiles tokens latents"],
        kept: Int[Tensor, "tiles kept"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        power = (latents.square() - noise_var).mean((1, 2), keepdim=True).clamp(min=1e-6)
        places = _order(kept, self.patches).argsort(1).argsort(1)
        values = self.decoder(latents * (power / (power + noise_var)), places).logits
        return self.unpatchify(values) * self.deviation + self.mean

    def guess(
        self, latents: Float[Tensor, "tiles tokens latents"], noise_var: Float[Tensor, "tiles tokens latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Grey: a token without its place tells nothing that could be averaged."""
        side = self.decoder.config.image_size
        return torch.full((len(latents), 3, side, side), 0.5, device=latents.device)


def load_vit_mae(name: str) -> VitMae:
    """Read a ViTMAEForPreTraining checkpoint from a local folder or, unless offline, from the hub.

    Args:
        name: a folder with config.json and model.safetensors, or "owner/repository". For pictures to look right the
            checkpoint must hold a decoder and predict plain pixels (the "visualize" weights; `norm_pix_loss` false).

    Raises:
        UsageError: no such checkpoint, one of another kind, without a decoder, or for normalised patches.
    """
    from transformers import ViTMAEForPreTraining

    model = checkpoints.load(
        ViTMAEForPreTraining, "vit_mae", name, "masked autoencoder", "an encoder without its decoder"
    )
    if model.config.norm_pix_loss:
        raise UsageError(
            f"{name} predicts normalised patches, whose mean and contrast are lost: take visualize weights"
        )
    return VitMae(model)


def _order(kept: Int[Tensor, "tiles kept"], patches: int) -> Float[Tensor, "tiles patches"]:
    """Numbers by which sorting puts the kept patches first, in their order, and the others behind."""
    others = torch.full((len(kept), patches), 2.0, device=kept.device)
    return others.scatter(1, kept, torch.linspace(0, 1, kept.shape[1], device=kept.device).expand(kept.shape))

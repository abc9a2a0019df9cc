"""What the tiny networks are trained for: the whole picture, through the air, at random SNR, mask and budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng
from semcom.system import Sample
from semcom.systems.carrier_image.networks import TILE, Networks
from semcom.systems.carrier_image.symbols import analog_uses, from_symbols, to_symbols
from semcom.training_task import Phase, Send, Task

_MASK_RATIO = (0.25, 0.95)


def training() -> Task:
    """Train encoder and decoder together; the mask is known, as after a digital part without errors."""
    from semcom.systems.carrier_image import system_around

    networks = Networks()

    def losses(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> Mapping[str, Tensor]:
        images = sample.images
        if images.shape[-2:] != (TILE, TILE):
            raise UsageError(f"carrier images learn from crops of {TILE}: leave out --width, and take --crop {TILE}")
        kept, uses = draw_plan(len(images), networks.patches, networks.latents, rng)
        latents = networks.encoder(images, kept).float()
        symbols, scale = to_symbols(latents, uses)
        heard = send(symbols, snr_db)
        heard = replace(heard, noise_var=heard.noise_var.clamp(max=1e6))
        latents, noise_var = from_symbols(heard.symbols, heard.noise_var, scale, *latents.shape[1:])
        pictures = networks.decoder(latents, noise_var, kept)
        return {"log_mse": (pictures - images).square().mean((1, 2, 3)).add(1e-5).log().mean()}

    return Task(
        networks,
        (Phase("masked autoencoder", networks, losses, muon=True),),
        lambda: system_around(networks),
        networks.configuration,
    )


def draw_plan(rows: int, patches: int, latents: int, rng: Rng) -> tuple[Tensor, int]:
    """Random patches to keep in each row, and how many uses their latents get; number and uses are common to all rows.

    The mask ratio is uniform from 0.25 to 0.95. Half of the budgets send at least three quarters of the latents.

    Returns:
        Indices of the kept patches in raster order, int64 [rows, kept]; channel uses.
    """
    ratio, budget, ample = rng.derive("plan").uniform(3)[0].tolist()
    kept = round(patches * (1 - _MASK_RATIO[0] - (_MASK_RATIO[1] - _MASK_RATIO[0]) * ratio))
    least = 0.75 if ample < 0.5 else 0.125
    places = rng.derive("mask").uniform(patches).argsort(1)[:, :kept].sort(1).values
    return places, analog_uses(round(kept * latents / 2 * (least + (1 - least) * budget)), kept, latents)

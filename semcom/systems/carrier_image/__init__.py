"""Carrier images: a message chooses which patches of a picture are masked, and travels with it (Yan and Li 2025).

Bits choose the mask (`semcom.codecs.mask_positions`). A masked autoencoder encodes the patches that are left; their
latents cross the channel as analogue symbols, the mask and the latents' scale as a protected digital part, both under
one power rule. The receiver decodes the mask first, which gives it the message and the places of the latents, and
paints the whole picture.
"""

from __future__ import annotations

from typing import Literal

from channels._errors import UsageError
from channels.modem import Mcs
from semcom.system import System
from semcom.systems.carrier_image.agreement import Agreement, wire_form
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder
from semcom.systems.carrier_image.networks import Networks
from semcom.systems.carrier_image.pretrained import load_vit_mae
from semcom.systems.carrier_image.receiver import CarrierReceiver
from semcom.systems.carrier_image.transmitter import CarrierTransmitter
from semcom.weights import rebuild

PAPER = (
    "Yan and Li, Semantic communications for digital signals via carrier images, IEEE Wireless Communications "
    "Letters 14(6), 1816-1820, 2025 (mappings, codes and networks are this project's reading)"
)


def build(
    cbr: float,
    keep: float = 0.5,
    mapping: Literal["constant_weight", "bit_per_patch"] = "constant_weight",
    wire: Literal["smallest", "bitmap", "list", "enumerative"] = "smallest",
    mask: Literal["message", "random", "best_of_64"] = "message",
    sequence: Literal["sparse", "full"] = "sparse",
    mask_code_rate: float = 0.25,
    preset: Literal["tiny", "base"] = "tiny",
    weights: str = "",
) -> System:
    """A message in the mask of a picture, and the picture from the patches that are left.

    Args:
        cbr: complex channel uses per real number of the picture.
        keep: share of the patches that are sent; with a bit per patch the message decides.
        mapping: how bits choose a mask: its rank among all of its weight, or one bit a patch.
        wire: how the mask is written as bits; "smallest" takes the shortest form.
        mask: chosen by the message, or by chance or as the best of 64, both without a message.
        sequence: send latents of kept patches only and the mask as bits, or all tokens and no bits.
        mask_code_rate: LDPC code rate of scale and mask, on QPSK.
        preset: networks; "tiny" are this project's for 128 x 128 pixels, "base" a pretrained ViT-MAE for 224 x 224.
        weights: of tiny: a weight file's name, or "none"; of base: a folder or hub repository in the transformers
            format. Empty is "carrier_image" for tiny and "facebook/vit-mae-base" for base.
    """
    networks: MaskedAutoencoder
    if preset == "tiny":
        networks, used = rebuild(weights or "carrier_image", "carrier_image", Networks)
    else:
        used = weights or "facebook/vit-mae-base"
        networks = load_vit_mae(used)
    return system_around(networks.requires_grad_(False), cbr, keep, mapping, wire, mask, sequence, mask_code_rate, used)


def system_around(
    networks: MaskedAutoencoder,
    cbr: float = 1 / 8,
    keep: float = 0.5,
    mapping: Literal["constant_weight", "bit_per_patch"] = "constant_weight",
    wire: Literal["smallest", "bitmap", "list", "enumerative"] = "smallest",
    mask: Literal["message", "random", "best_of_64"] = "message",
    sequence: Literal["sparse", "full"] = "sparse",
    mask_code_rate: float = 0.25,
    weights: str = "",
) -> System:
    """The system around networks; the other arguments are those of `build`."""
    masked = networks.patches - round(keep * networks.patches)
    if not 0 <= masked < networks.patches or (masked == 0 and mask == "message"):
        raise UsageError(
            f"keep {keep:g} keeps {networks.patches - masked} of {networks.patches} patches: keep one or more, "
            "and mask one or more for a message"
        )
    if sequence == "full" and (mapping == "bit_per_patch" or networks.extra):
        raise UsageError(
            "sequence: full finds mask tokens by their number: use preset tiny and mapping constant_weight"
        )
    if mask != "message" and mapping == "bit_per_patch":
        raise UsageError(f"mask: {mask} draws masks of a constant weight: use mapping constant_weight")
    agreement = Agreement(
        cbr=cbr,
        masked=masked,
        mapping=mapping,
        wire=wire_form(mapping, wire, networks.patches, masked),
        sequence=sequence,
        mcs=Mcs(2, mask_code_rate),
        tile=networks.tile,
        patches=networks.patches,
        latents=networks.latents,
        extra=networks.extra,
        every_latent=networks.every_latent,
    )
    return System(
        name="carrier_image",
        paper=PAPER,
        transmitter=CarrierTransmitter(agreement, networks.encoder, networks.decoder, mask),
        receiver=CarrierReceiver(agreement, networks.decoder, mask == "message"),
        agreement="networks, cbr, size, number of kept patches, how bits make masks, modulation and code of masks",
        weights=weights,
    )

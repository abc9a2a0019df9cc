"""Carrier images: a digital message is embedded in the positions of the masked patches of an image (Yan and Li 2025).

The message bits select the mask (`semcom.codecs.mask_positions`). A masked autoencoder encodes the visible patches.
Their latents are transmitted as analog symbols; the mask and the latent scale are transmitted as a coded digital
header. The receiver decodes the mask, which gives the message and the positions of the latents, and reconstructs the
whole image.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.modem.transport_block import Mcs
from semcom.system import System
from semcom.systems.carrier_image.agreement import Agreement, mask_code_named
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder
from semcom.systems.carrier_image.networks import SMALL_ENCODER, Networks, PatchEncoder
from semcom.systems.carrier_image.pretrained import load_vit_mae
from semcom.systems.carrier_image.receiver import CarrierReceiver
from semcom.systems.carrier_image.transmitter import CarrierTransmitter
from semcom.weights.files import rebuild

TITLE = "Carrier image"
CITATION_KEYS = "yan2025semantic he2022masked"
PAPER = (
    "Yan and Li, Semantic communications for digital signals via carrier images, IEEE Wireless Communications "
    "Letters 14(6), 1816-1820, 2025 (mappings, codes and networks are this project's interpretation)"
)


def build(
    cbr: float,
    visible_ratio: float = 0.5,
    mapping: Literal["constant_weight", "bit_per_patch"] = "constant_weight",
    mask_code: Literal["shortest", "bitmap", "index_list", "enumerative"] = "shortest",
    mask: Literal["message", "random", "best_of_64"] = "message",
    sent_tokens: Literal["visible", "all"] = "visible",
    code_rate: float = 0.25,
    preset: Literal["tiny", "edge", "base"] = "tiny",
    weights: str = "",
    encoder: str = "carrier_image_edge",
) -> System:
    """Carrier image: an image whose masked patches represent a message, restored by a masked autoencoder.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        visible_ratio: fraction of the patches that are encoded and sent, above 0 and below 1 (up to 1 without a
            message). Not used by `mapping: bit_per_patch`, where the message sets it.
        mapping: mapping of message bits to a mask. constant_weight: the bits are the rank of the mask among all masks
            with the same number of masked patches; bit_per_patch: one bit per patch, 1 masks it.
        mask_code: source code of the mask positions in the header: bitmap (1 bit per patch), index_list (indices of
            the masked or of the visible patches, whichever are fewer), enumerative (rank of the mask), or shortest
            (the one with the fewest bits).
        mask: selection of the mask: by the message, random (no message), or best_of_64 (no message; the random mask
            of 64 with the lowest reconstruction error).
        sent_tokens: tokens that are sent: visible (latents of visible patches, mask in the header) or all (also a
            fixed mask token for each masked patch, no mask in the header).
        code_rate: LDPC code rate of the header (QPSK), above 0 and up to 0.95.
        preset: networks: tiny (this project's, tiles of 128 x 128 pixels), edge (the same decoder and a small encoder,
            which computes a quarter of the operations) or base (pretrained ViT-MAE, tiles of 224 x 224 pixels).
        weights: weights. tiny and edge: name or path of a weight file, or "none" for untrained networks (default
            "carrier_image"); base: folder or hub repository in transformers format (default "facebook/vit-mae-base").
        encoder: name or path of the weight file of the small encoder, or "none"; requires `preset: edge`.

    Source: Yan and Li, IEEE Wireless Communications Letters 14(6), 2025.

    >>> build(cbr=1 / 8, visible_ratio=0.25, weights="none").transmitter.message_bits((128, 128))
    203
    """
    networks: MaskedAutoencoder
    one_of("preset", preset, ("tiny", "edge", "base"))
    if preset != "edge" and encoder != "carrier_image_edge":
        raise UsageError("encoder requires preset: edge")
    if preset in ("tiny", "edge"):
        networks, used = rebuild(weights or "carrier_image", "carrier_image", Networks)
        if preset == "edge":
            make = partial(PatchEncoder, **SMALL_ENCODER)
            networks.encoder, small = rebuild(encoder, "carrier_image", make)
            used = f"{used}, {small}"
    else:
        used = weights or "facebook/vit-mae-base"
        networks = load_vit_mae(used)
    return build_from_networks(
        networks.requires_grad_(False), cbr, visible_ratio, mapping, mask_code, mask, sent_tokens, code_rate, used
    )


def build_from_networks(
    networks: MaskedAutoencoder,
    cbr: float = 1 / 8,
    visible_ratio: float = 0.5,
    mapping: Literal["constant_weight", "bit_per_patch"] = "constant_weight",
    mask_code: Literal["shortest", "bitmap", "index_list", "enumerative"] = "shortest",
    mask: Literal["message", "random", "best_of_64"] = "message",
    sent_tokens: Literal["visible", "all"] = "visible",
    code_rate: float = 0.25,
    weights: str = "",
) -> System:
    """Build the system from given networks; the other arguments are those of `build`."""
    within("visible_ratio", visible_ratio, 0, 1)
    masked = networks.patches - round(visible_ratio * networks.patches)
    if not 0 <= masked < networks.patches or (masked == 0 and mask == "message"):
        raise UsageError(
            f"visible_ratio {visible_ratio:g} leaves {networks.patches - masked} of {networks.patches} patches "
            "visible: it must leave 1 or more, and a message requires 1 or more masked patches"
        )
    if sent_tokens == "all" and (mapping == "bit_per_patch" or networks.extra_tokens):
        raise UsageError("sent_tokens: all requires preset: tiny and mapping: constant_weight")
    if mask != "message" and mapping == "bit_per_patch":
        raise UsageError(f"mask: {mask} requires mapping: constant_weight")
    agreement = Agreement(
        cbr=cbr,
        masked=masked,
        mapping=mapping,
        mask_code=mask_code_named(mapping, mask_code, networks.patches, masked),
        sent_tokens=sent_tokens,
        mcs=Mcs(2, code_rate),
        tile=networks.tile,
        patches=networks.patches,
        latents=networks.latents,
        extra_tokens=networks.extra_tokens,
        requires_all_latents=networks.requires_all_latents,
    )
    return System(
        name="carrier_image",
        paper=PAPER,
        transmitter=CarrierTransmitter(agreement, networks.encoder, networks.decoder, mask),
        receiver=CarrierReceiver(agreement, networks.decoder, mask == "message"),
        agreement="networks, cbr, image size, number of visible patches, mapping and mask code, header modulation and "
        "code rate",
        weights=weights,
        cbr=agreement.cbr,
    )

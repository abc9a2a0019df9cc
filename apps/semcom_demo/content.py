"""What the symbols of a system convey: a patch mask with its message, a label map, or features with their SNR."""

from __future__ import annotations

import math

import streamlit as st
import torch
from torch import Tensor

from semcom import Delivery
from semcom.images.source_image import SourceImage
from semcom.scenario.model import Point
from semcom.sweep.single import link_for
from semcom.system import System
from semcom.systems.carrier_image.agreement import Agreement, from_tiles
from semcom.systems.carrier_image.receiver import CarrierReceiver
from semcom.systems.multimodal_generation.receiver import GenerationReceiver
from semcom_demo import calls, charts, photos
from semcom_demo.words import SYSTEM_COLORS

_GRAY = 0.5
_FEATURE_COLORS = {"image": SYSTEM_COLORS["multimodal_generation"], "text": SYSTEM_COLORS["scene"]}


def show(image: SourceImage, point: Point, delivery: Delivery) -> None:
    """Show the content of the first row of a delivery, for the systems whose content is not the image itself."""
    system = link_for(point, calls.build_channel(point.channel), image).system
    receiver = system.receiver if isinstance(system, System) else None
    if isinstance(receiver, CarrierReceiver):
        _show_mask(image, receiver.agreement, delivery)
    elif delivery.reception.labels is not None:
        _show_label_map(image, delivery)
    elif isinstance(receiver, GenerationReceiver):
        _show_features(receiver, delivery)


# --- carrier image ---------------------------------------------------------------------------------------------------


def transmitted_patches(image: SourceImage, agreement: Agreement, message: Tensor) -> Tensor:
    """The image with the patches that a message selects; the others are gray.

    Args:
        image: Image.
        agreement: Shared configuration of the carrier image.
        message: Message of 0 and 1, [bits].
    """
    size = (image.pixels.shape[1], image.pixels.shape[2])
    masks = torch.from_numpy(agreement.code.embed(message.cpu().numpy().reshape(agreement.tiles(size), -1)))
    across = math.isqrt(agreement.patches)
    side = agreement.tile // across
    patches = masks.view(-1, 1, across, across).repeat_interleave(side, 2).repeat_interleave(side, 3)
    masked = from_tiles(patches.expand(-1, 3, -1, -1).float(), size)[0]
    return torch.where(masked > 0, torch.tensor(_GRAY), image.pixels)


def _show_mask(image: SourceImage, agreement: Agreement, delivery: Delivery) -> None:
    sent, received = delivery.truth["message"][0].cpu(), delivery.reception.message
    if received is None:
        return
    recovered = received[0].cpu()
    left, right = st.columns(2)
    left.image(
        photos.to_png(transmitted_patches(image, agreement, sent)),
        "Mask sent: patches that are transmitted; gray: masked patches",
        alt="Image sent, with the masked patches in gray",
    )
    if bool((recovered <= 1).all()):
        right.image(
            photos.to_png(transmitted_patches(image, agreement, recovered)),
            "Mask received",
            alt="Image sent, with the masked patches of the received mask in gray",
        )
    else:
        right.caption("Mask received: outage, no mask and no message could be decoded.")
    tile_bits = agreement.code.bits
    errors = int((sent != recovered).sum())
    st.caption(
        f"The message has {len(sent):,} bits: {tile_bits} bits select the masked patches of each of the "
        f"{len(sent) // tile_bits} tiles of {agreement.patches} patches. Bit errors after decoding: {errors:,}. "
        "Message of the first tile, sent and received:"
    )
    st.code("\n".join("".join("01-"[bit] for bit in bits[:tile_bits].tolist()) for bits in (sent, recovered)), None)


# --- scene -----------------------------------------------------------------------------------------------------------


def _show_label_map(image: SourceImage, delivery: Delivery) -> None:
    sent, received = calls.label_maps(delivery)
    factor, map_bytes = int(delivery.truth["downsampling"][0]), int(delivery.truth["map_bytes"][0])
    height, width = image.pixels.shape[1:]
    left, right = st.columns(2)
    left.image(
        photos.to_png(sent),
        f"Label map sent: {map_bytes:,} bytes for {width // factor} x {height // factor} labels",
        width="stretch",
        alt="Label map sent",
    )
    blocks, errors = delivery.reception.blocks, delivery.reception.block_errors
    assert blocks is not None
    assert errors is not None
    count = int(blocks[0])
    right.image(
        photos.to_png(received),
        f"Label map received: {count - int(errors[0])} of {count} packets decoded; black: not decoded",
        width="stretch",
        alt="Label map received",
    )


# --- generation ------------------------------------------------------------------------------------------------------


def feature_snrs_db(receiver: GenerationReceiver, delivery: Delivery) -> dict[str, list[float | None]]:
    """SNR of each feature of the first row in dB, by stream; None for a feature that was not received."""
    assert delivery.signals is not None
    size = (delivery.sample.images.shape[2], delivery.sample.images.shape[3])
    image, text = receiver.received_features(delivery.signals.received, size)
    return {
        name: [-10 * math.log10(noise) if 0 < noise < math.inf else None for noise in features.noise_var[0].tolist()]
        for name, features in (("image", image), ("text", text))
    }


def _show_features(receiver: GenerationReceiver, delivery: Delivery) -> None:
    snrs_db = feature_snrs_db(receiver, delivery)
    rows = [
        {"stream": name, "feature": number, "snr": snr_db}
        for name, values in snrs_db.items()
        for number, snr_db in enumerate(values, 1)
        if snr_db is not None
    ]
    encoding = {
        "x": {"field": "feature", "type": "quantitative", "title": "Feature"},
        "y": {"field": "snr", "type": "quantitative", "title": "SNR (dB)", "scale": {"zero": False}},
        "color": {
            "field": "stream",
            "type": "nominal",
            "title": None,
            "scale": {"domain": list(_FEATURE_COLORS), "range": list(_FEATURE_COLORS.values())},
            "legend": {"orient": "bottom", "symbolOpacity": 1},
        },
    }
    mark = {"type": "point", "filled": True, "size": 12}
    charts.show({"mark": mark, "height": 320, "encoding": encoding}, rows, "features")
    sentences = []
    for name, values in snrs_db.items():
        known = [value for value in values if value is not None]
        mean = f", at an SNR of {sum(known) / len(known):.1f} dB on average" if known else ""
        sentences.append(f"{len(known)} of {len(values)} {name} features are received{mean}.")
    st.caption(f"SNR of the received features. Repeated features have a higher SNR. {' '.join(sentences)}")

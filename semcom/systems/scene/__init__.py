"""Label-map transmission: semantic segmentation, lossless map coding, digital link, restoration by a GAN.

The transmitter segments the image and codes the label map without loss (`semcom.codecs.label_map`) in slices. These are
transmitted in packets, each with a CRC, over the digital link. The receiver restores an image from the received map; a
lost slice leaves a horizontal band of the map without classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.extras import require
from semcom.system import System

if TYPE_CHECKING:
    from semcom.systems.scene.receiver import Restore
    from semcom.systems.scene.transmitter import SegmentationNetwork
    from semcom.weights.files import Network

TITLE = "Label map"
EXTRA = "semantic"
PAPER = (
    "Deep image semantic communication model for artificial intelligent Internet of Things, "
    "arXiv:2311.02926, 2023 (networks, map codec and link are implementation choices of this project)"
)


def build(
    cbr: float,
    restorer: Literal["gan", "cyclegan", "class_colors"] = "gan",
    send_class_colors: bool = False,
    packets: int = 4,
    downsampling: int = 1,
    adaptation: Literal["average_snr", "fixed"] = "average_snr",
    modulation: Literal["bpsk", "qpsk", "16qam", "64qam", "256qam"] | None = None,
    code_rate: float | None = None,
    margin_db: float | None = None,
    preset: Literal["tiny", "base"] = "tiny",
    weights: str = "",
    restorer_weights: str = "",
) -> System:
    """Label map: classes of the pixels of a street scene, from which a GAN restores an image.

    Transmitter: segmentation network, lossless coding of the map, LDPC code and QAM. Receiver: the restorer generates
    an image with the received map; colors and textures are not transmitted, so PSNR is low and mIoU is the metric.

    The map has the smallest downsampling (1, 2, 4, ... 128) at which it fits the channel-use budget with the highest
    modulation and coding scheme whose packet error rate on AWGN, at the known SNR minus `margin_db`, is below 1e-3.
    It is transmitted with the most robust scheme that still fits it, which fills the budget. A header names the scheme,
    as in the system `digital`; its channel uses are counted. A larger margin means a smaller map and fewer outages. The
    default margin is the one with the highest expected mIoU of the received map over the fading of the channel,
    computed for each map; 0 on AWGN.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        restorer: network that restores the image: "gan" (SPADE generator, default); "cyclegan" (the paper's baseline);
            "class_colors" (no network: each class has one color).
        send_class_colors: transmit the mean color of each class, 21 bytes, so that restored colors match the scene. The
            colors are omitted where they exceed a quarter of the payload or the first packet. Not for cyclegan.
        packets: number of packets of equal size with a CRC each, 1 to 64; the map is cut into as many horizontal bands.
        downsampling: smallest downsampling factor of the map per side: 1, 2, 4, ... 128. A smaller map needs fewer
            bytes and so permits a scheme that is robust against deeper fades.
        adaptation: choice of the scheme: "average_snr" adapts it to the average SNR; "fixed" uses `modulation` and
            `code_rate`, without a header.
        modulation: modulation of the fixed scheme.
        code_rate: code rate of the fixed scheme, payload and CRC bits over coded bits, up to 0.95.
        margin_db: SNR margin in dB, subtracted from the known SNR before the scheme is chosen. null: the margin of
            highest expected mIoU over the channel.
        preset: segmentation network: "tiny" (bundled, DeepLabV3+ on EfficientNet-Lite0) or "base" (a pretrained
            SegFormer for Cityscapes).
        weights: weights of the segmentation network. tiny: weight file or "none" (untrained), default
            "scene_segmenter". base: folder or hub repository in the transformers format, default
            "nvidia/segformer-b0-finetuned-cityscapes-1024-1024".
        restorer_weights: weight file of the restorer or "none" (untrained); default "scene_restorer" for gan and
            "scene_cyclegan" for cyclegan.

    Raises:
        UsageError: an argument is out of range, or arguments contradict each other.

    Source: arXiv:2311.02926.

    >>> build(cbr=1 / 16, weights="none", restorer="class_colors").name
    'scene'
    """
    from torch import nn

    from channels.arguments import positive
    from semcom.systems.digital import scheme_frame
    from semcom.systems.scene.agreement import Agreement
    from semcom.systems.scene.packets import DOWNSAMPLINGS
    from semcom.systems.scene.receiver import SceneReceiver
    from semcom.systems.scene.transmitter import SceneTransmitter

    require(EXTRA)
    positive("cbr", cbr)
    within("packets", packets, 1, 64)
    one_of("downsampling", downsampling, DOWNSAMPLINGS)
    if send_class_colors and restorer == "cyclegan":
        raise UsageError("send_class_colors is for restorer: gan or class_colors; cyclegan does not use class colors")
    frame = scheme_frame(adaptation, modulation, code_rate, margin_db)
    agreement = Agreement(cbr, frame, packets, send_class_colors)
    segmenter, segmenter_id = _segmenter(preset, weights)
    restore, restorer_networks, restorer_id = _restorer(restorer, restorer_weights)
    return System(
        name="scene",
        paper=PAPER,
        transmitter=SceneTransmitter(segmenter, agreement, margin_db, downsampling),
        receiver=SceneReceiver(restore, agreement),
        agreement="cbr, image size, classes, number of packets, send_class_colors, schemes, restorer weights",
        weights=", ".join(name for name in (segmenter_id, restorer_id) if name),
        cbr=cbr,
        networks=tuple(part for part in (segmenter, *restorer_networks) if isinstance(part, nn.Module)),
    )


def _segmenter(preset: str, weights: str) -> tuple[SegmentationNetwork, str]:
    """Segmentation network of the transmitter, and the id of its weights."""
    from semcom.systems.scene.segformer import load_segformer
    from semcom.systems.scene.segmenter import Segmenter

    if preset == "tiny":
        network, identity = _rebuild("preset: tiny", Segmenter, weights, "scene_segmenter")
        return network.requires_grad_(False), identity
    one_of("preset", preset, ("tiny", "base"))
    name = weights or "nvidia/segformer-b0-finetuned-cityscapes-1024-1024"
    return load_segformer(name).requires_grad_(False), name


def _restorer(restorer: str, weights: str) -> tuple[Restore, list[object], str]:
    """Restorer of the receiver, its networks, and the id of their weights."""
    from semcom.systems.scene.class_colors import fill_with_class_colors
    from semcom.systems.scene.cyclegan import CycleGan
    from semcom.systems.scene.restorer import Restorer

    if restorer == "class_colors":
        if weights:
            raise UsageError("restorer: class_colors has no weights; omit restorer_weights")
        return fill_with_class_colors, [], ""
    one_of("restorer", restorer, ("gan", "cyclegan", "class_colors"))
    if restorer == "gan":
        network, identity = _rebuild("restorer: gan", Restorer, weights, "scene_restorer")
        return network.requires_grad_(False), [network], identity
    generator, identity = _rebuild("restorer: cyclegan", CycleGan, weights, "scene_cyclegan")
    generator.requires_grad_(False)
    return lambda labels, class_colors, has_colors: generator(labels), [generator], identity


def _rebuild(argument: str, make: Callable[..., Network], weights: str, default: str) -> tuple[Network, str]:
    """Rebuild a network from its weights; the error for an unsuitable file names the argument and a suitable file."""
    from semcom.weights.files import rebuild

    try:
        return rebuild(weights or default, "scene", make)
    except UsageError as error:
        raise UsageError(f"{error}; {argument} requires weights such as {default}") from None

"""Scenes as label maps: segment, send the map losslessly, restore a street with a generative network.

The transmitter sees the class of each pixel and codes them without loss (`semcom.codecs.label_map`) in slices; packets
with a CRC each carry them over the digital link. The receiver restores what arrived: a lost slice leaves a band of
which nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from channels._errors import UsageError
from semcom.system import System

if TYPE_CHECKING:
    from semcom.systems.digital.schemes import Frame
    from semcom.systems.scene.receiver import Restore
    from semcom.systems.scene.transmitter import Segments
    from semcom.weights import Network

PAPER = (
    "Deep image semantic communication model for artificial intelligent Internet of Things, "
    "arXiv:2311.02926, 2023 (networks, codec and link are this project's reading)"
)


def build(
    cbr: float,
    restorer: Literal["gan", "cyclegan", "palette"] = "gan",
    colour: bool = False,
    packets: int = 4,
    coarseness: int = 0,
    adaptation: Literal["average_snr", "fixed"] = "average_snr",
    modulation: Literal["bpsk", "qpsk", "16qam", "64qam", "256qam"] | None = None,
    code_rate: float | None = None,
    margin_db: float = 0.0,
    preset: Literal["tiny", "base"] = "tiny",
    weights: str = "",
    restorer_weights: str = "",
) -> System:
    """A scene as its label map: segmented, sent without loss over the digital link, restored from the classes.

    The map is sent as fine as the fastest scheme allows that, on AWGN at the average SNR less the margin, loses one
    packet in a thousand; of the schemes that can carry it the most robust is taken, which fills the granted uses. It
    is coarsened by 2, 4, 8 ... where the grant is too small. The header is that of `digital`, and is paid for.

    Args:
        cbr: complex channel uses per real number of the picture.
        restorer: "gan" is this project's; "cyclegan" the published baseline; "palette" paints each class in one colour.
        colour: send the mean colour of each class too, 21 bytes, so that the light is right. They are left out where
            they would take more than a quarter of the room or do not fit into the first packet; cyclegan has no use
            for them.
        packets: of equal size, each with a CRC of its own; the map is cut into as many bands.
        coarseness: of the map, 0 to 7: its sides are at least 2^coarseness times shorter, whatever would fit. A coarse
            map takes few bytes, and so a scheme that survives a deeper fade.
        adaptation: "average_snr" chooses the scheme for the SNR; "fixed" has always the one given, and no header.
        modulation: of the fixed scheme.
        code_rate: of the fixed scheme, payload and CRC bits over coded bits, up to 0.95.
        margin_db: the scheme is chosen for an SNR that is lower by so much.
        preset: segmenter; "tiny" is this project's, "base" a pretrained SegFormer of Cityscapes' classes.
        weights: of the segmenter; tiny: a weight file's name, or "none"; base: a folder or hub repository in the
            transformers format. Empty is "scene_segmenter" for tiny and
            "nvidia/segformer-b0-finetuned-cityscapes-1024-1024" for base.
        restorer_weights: of the restorer: a weight file's name, or "none". Empty is "scene_restorer" for gan and
            "scene_cyclegan" for cyclegan.

    Raises:
        UsageError: arguments that do not belong together or are out of range.

    >>> build(cbr=1 / 16, weights="none", restorer="palette").name
    'scene'
    """
    from channels._base import positive
    from semcom.systems.scene.packets import COARSEST
    from semcom.systems.scene.receiver import SceneReceiver
    from semcom.systems.scene.transmitter import SceneTransmitter
    from semcom.systems.scene.wire import Wire

    positive("cbr", cbr)
    if not 1 <= packets <= 64:
        raise UsageError(f"packets must be 1 to 64, not {packets}")
    if not 0 <= coarseness <= COARSEST:
        raise UsageError(f"coarseness must be 0 to {COARSEST}, not {coarseness}")
    if colour and restorer == "cyclegan":
        raise UsageError("colour is for gan and palette: cyclegan cannot be told colours, and they take 21 bytes")
    agreement = Wire(cbr, _frame(adaptation, modulation, code_rate, margin_db), packets, colour)
    segmenter, seeing = _segmenter(preset, weights)
    restore, restoring = _restorer(restorer, restorer_weights)
    return System(
        name="scene",
        paper=PAPER,
        transmitter=SceneTransmitter(segmenter, agreement, margin_db, coarseness),
        receiver=SceneReceiver(restore, agreement),
        agreement="cbr, size, classes, number of packets, whether colours come first, the schemes, restorer's weights",
        weights=", ".join(name for name in (seeing, restoring) if name),
    )


def _frame(adaptation: str, modulation: str | None, code_rate: float | None, margin_db: float) -> Frame:
    from channels.modem import Mcs
    from semcom.systems.digital import MODULATIONS
    from semcom.systems.digital.schemes import Frame, adaptive

    if adaptation == "average_snr":
        if modulation is not None or code_rate is not None:
            raise UsageError("modulation and code_rate are for adaptation: fixed")
        return adaptive()
    if adaptation != "fixed":
        raise UsageError(f"adaptation must be average_snr or fixed, not {adaptation!r}")
    if modulation is None or code_rate is None:
        raise UsageError("a fixed scheme needs modulation and code_rate")
    if modulation not in MODULATIONS:
        raise UsageError(f"no modulation {modulation!r}; there are {', '.join(MODULATIONS)}")
    if margin_db:
        raise UsageError("margin_db is for adaptation: average_snr; a fixed scheme does not look at the SNR")
    return Frame((Mcs(MODULATIONS[modulation], code_rate),))


def _segmenter(preset: str, weights: str) -> tuple[Segments, str]:
    """What sees the classes, and the id of its weights."""
    from semcom.systems.scene.cityscapes import load_segformer
    from semcom.systems.scene.segmenter import Segmenter

    if preset == "tiny":
        network, identity = _rebuilt("preset: tiny", Segmenter, weights, "scene_segmenter")
        return network.requires_grad_(False), identity
    if preset != "base":
        raise UsageError(f"preset must be tiny or base, not {preset!r}")
    name = weights or "nvidia/segformer-b0-finetuned-cityscapes-1024-1024"
    return load_segformer(name).requires_grad_(False), name


def _restorer(restorer: str, weights: str) -> tuple[Restore, str]:
    """What paints the scene, and the id of its weights."""
    from semcom.systems.scene.cyclegan import CycleGan
    from semcom.systems.scene.palette import painted
    from semcom.systems.scene.restorer import Restorer

    if restorer == "palette":
        if weights:
            raise UsageError("restorer: palette has no weights; leave restorer_weights out")
        return painted, ""
    if restorer not in ("gan", "cyclegan"):
        raise UsageError(f"restorer must be gan, cyclegan or palette, not {restorer!r}")
    if restorer == "gan":
        network, identity = _rebuilt("restorer: gan", Restorer, weights, "scene_restorer")
        return network.requires_grad_(False), identity
    translator, identity = _rebuilt("restorer: cyclegan", CycleGan, weights, "scene_cyclegan")
    translator.requires_grad_(False)
    return lambda labels, palette, sent: translator(labels), identity


def _rebuilt(part: str, make: Callable[..., Network], weights: str, own: str) -> tuple[Network, str]:
    """A network of this system, and the id of its weights; a file that will not do may be that of another part."""
    from semcom.weights import rebuild

    try:
        return rebuild(weights or own, "scene", make)
    except UsageError as error:
        raise UsageError(f"{error}; {part} takes weights like those of {own}") from None

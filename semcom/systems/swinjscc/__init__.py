"""SwinJSCC and WITT: joint source-channel coding with Swin Transformers, from published PyTorch checkpoints."""

from typing import Literal

from semcom.system import System

TITLE = "SwinJSCC"
CITATION_KEYS = "yang2025swinjscc yang2023witt"


def build(cbr: float, weights: str, adaptation: Literal["auto", "none", "snr", "rate", "both"] = "auto") -> System:
    """SwinJSCC or WITT with a checkpoint of the published PyTorch code (inference only).

    The widths, depths, attention windows, number of channels and modules are inferred from the checkpoint. Image sides
    are padded to whole attention windows (128 pixels for the published networks for large images); the latents of
    padding are not transmitted, the receiver repeats those at the edge.

    The published code conveys the latent scale and, for rate adaptation, the selected channels to the receiver without
    channel uses. Here a header transmits them, and they are counted: 64 channel uses for the scale, and QPSK at code
    rate 1/4 for the channels. At a fixed number of channels, the header replaces the last latents where the budget
    allows no further channel uses; with rate adaptation, as many channels are sent as fit beside it. If the selected
    channels are not decoded, the image is an outage (gray).
    The networks are conditioned on the SNR in dB, also outside the range that they were trained for.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image; at least that of the network,
            C / (6 * 4^stages), for a fixed number C of channels.
        weights: path of the checkpoint (`.model` or `.pth`), which keeps its own license.
        adaptation: conditions of the networks: snr (w/ SA; WITT), rate (w/ RA), both (w/ SA&RA), or none (w/o SA&RA;
            WITT_W/O). Default: inferred, where none cannot be distinguished from snr, because both have the same keys.

    Raises:
        UsageError: the file is missing, has another layout or lacks the modules of `adaptation`.

    Source: Yang et al., IEEE TCCN 11(1), 2025; Yang et al., ICASSP 2023.

    >>> build(1 / 16, weights="nowhere.model")
    Traceback (most recent call last):
    channels.errors.UsageError: no checkpoint nowhere.model: write a path relative to the working directory
    """
    from semcom.systems.swinjscc.system import loaded, system_of

    return system_of(*loaded(weights, adaptation), cbr=cbr)

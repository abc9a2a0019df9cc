"""Separate source and channel coding: image file, 5G LDPC code, QAM."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from channels.arguments import one_of, positive, within
from channels.errors import UsageError
from semcom.system import System

if TYPE_CHECKING:
    from channels.modem.link_adaptation import Frame

TITLE = "Image file + LDPC"
MODULATIONS = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
"""Bits per symbol of each modulation."""

CITATION_KEYS = "threegpp38212 threegpp38214"


def build(
    cbr: float,
    codec: Literal["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"] = "avif",
    adaptation: Literal["average_snr", "fixed"] = "average_snr",
    modulation: Literal["bpsk", "qpsk", "16qam", "64qam", "256qam"] | None = None,
    code_rate: float | None = None,
    margin_db: float | None = None,
    header: Literal["sent", "blind"] = "sent",
    speed: int = 6,
    harq: Literal["none", "chase", "incremental"] = "none",
    rounds: int = 4,
    joint_users: bool = False,
) -> System:
    """Image file + LDPC: a file that fits the channel-use budget, 5G LDPC code and QAM.

    An image whose CRC fails is an outage and is shown as mid-gray.

    With `adaptation: average_snr` the transmitter selects the scheme with the highest rate whose outage rate on AWGN at
    the average SNR minus `margin_db` is at most 1e-3, and signals it in a header. If `csit` of the channel is not
    average, the SNR that the transmitter knows of each image replaces the average SNR. The default margin is
    the one with the highest expected PSNR over the fading of the channel, computed from validation images; 0 on AWGN.
    `python -m semcom.systems.digital` finds the best margin or fixed scheme by simulation.

    With HARQ the budget is divided into equal rounds and the file is sized to the first round. Rounds after the CRC
    has passed are not counted. HARQ helps if the first round has a high rate: the default margin is the one of highest
    expected PSNR within the budget of all rounds, often negative. Acknowledgements (1 bit per round) are error-free and
    not counted.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0.
        codec: image file format: jpeg, webp, avif, jpeg2000, hevc (intra coding of HEIC and BPG; requires the extra
            `hevc`) or jxl (JPEG XL; requires the extra `jxl`).
        adaptation: selection of the modulation and coding scheme. average_snr: highest rate for the average SNR,
            signaled in a header; fixed: `modulation` and `code_rate`, no header.
        modulation: modulation of the fixed scheme; required with `adaptation: fixed`, otherwise null.
        code_rate: LDPC code rate of the fixed scheme, (payload + CRC bits) / coded bits, above 0 and up to 0.95;
            required with `adaptation: fixed`, otherwise null.
        margin_db: SNR margin of the scheme selection, dB; the scheme is selected for the known SNR minus the margin.
            null: the margin of highest expected PSNR over the channel, that of all superposed users included; with
            HARQ that of highest PSNR after all rounds, which a negative margin makes use of. A larger margin counts
            fewer channel uses.
        header: sent: the selected scheme is signaled in a header of 64 channel uses; blind: there is no header, and the
            receiver tries the schemes in the order of their likelihood until the CRC passes. blind requires
            `adaptation: average_snr` and `harq: none`.
        speed: speed of the AVIF encoder, 0 (slowest, best compression) to 10; ignored by other codecs.
        harq: HARQ scheme: none, chase (every round repeats the first one) or incremental (redundancy versions
            0, 2, 3, 1).
        rounds: maximum number of HARQ rounds, 1 to 16; ignored with `harq: none`.
        joint_users: successive interference cancellation of superposed users, strongest first; requires
            `adaptation: fixed` and `harq: none`. Default: every user is decoded alone.

    Raises:
        UsageError: an argument is out of range, or arguments contradict each other.

    >>> build(cbr=1 / 16, adaptation="fixed", modulation="16qam", code_rate=0.5).name
    'digital'
    """
    from semcom.codecs.image_file import codec_named
    from semcom.systems.digital.agreement import Agreement
    from semcom.systems.digital.harq import Rounds, versions
    from semcom.systems.digital.joint import JointReceiver
    from semcom.systems.digital.system import DigitalReceiver, DigitalTransmitter

    positive("cbr", cbr)
    codec_named(codec)
    within("speed", speed, 0, 10)
    frame = scheme_frame(adaptation, modulation, code_rate, margin_db)
    one_of("header", header, ("sent", "blind"))
    if header == "blind":
        if adaptation != "average_snr" or harq != "none":
            raise UsageError("header: blind requires adaptation: average_snr and harq: none")
        frame = replace(frame, blind=True)
    if joint_users and (adaptation != "fixed" or harq != "none"):
        raise UsageError("joint_users requires adaptation: fixed and harq: none")
    agreement = Agreement(cbr, codec, frame, Rounds(versions(harq, rounds), frame.header_uses))
    receiver = DigitalReceiver(agreement)
    shared = "cbr, codec, image size, and the table of schemes or the fixed scheme"
    harq_shared = "; number of rounds, redundancy versions; error-free acknowledgements (1 bit per round), not counted"
    return System(
        name="digital",
        paper="3GPP TS 38.212 and 38.214 (5G NR coding and modulation) with image files",
        transmitter=DigitalTransmitter(agreement, speed, margin_db),
        receiver=JointReceiver(receiver) if joint_users else receiver,
        agreement=shared if harq == "none" else shared + harq_shared,
        joint_users=joint_users,
        repeats=harq != "none",
        cbr=cbr,
    )


def scheme_frame(adaptation: str, modulation: str | None, code_rate: float | None, margin_db: float | None) -> Frame:
    """Modulation and coding schemes of a digital transmission, from the arguments of `build`.

    Raises:
        UsageError: an argument is missing, unknown, or does not apply to this adaptation.
    """
    from channels.modem.link_adaptation import Frame, adaptive
    from channels.modem.transport_block import Mcs

    if adaptation == "average_snr":
        if modulation is not None or code_rate is not None:
            raise UsageError("modulation and code_rate require adaptation: fixed")
        return adaptive()
    one_of("adaptation", adaptation, ("average_snr", "fixed"))
    if modulation is None or code_rate is None:
        raise UsageError("adaptation: fixed requires modulation and code_rate")
    one_of("modulation", modulation, tuple(MODULATIONS))
    if margin_db:
        raise UsageError("margin_db requires adaptation: average_snr")
    return Frame((Mcs(MODULATIONS[modulation], code_rate),))

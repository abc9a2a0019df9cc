"""The classical chain: an image file, 5G channel coding, QAM."""

from typing import Literal

from channels._base import positive
from channels._errors import UsageError
from semcom.system import System

MODULATIONS = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
"""Bits per symbol of each modulation."""


def build(
    cbr: float,
    codec: Literal["jpeg", "webp", "avif", "jpeg2000"] = "avif",
    adaptation: Literal["average_snr", "fixed"] = "average_snr",
    modulation: Literal["bpsk", "qpsk", "16qam", "64qam", "256qam"] | None = None,
    code_rate: float | None = None,
    margin_db: float = 0.0,
    speed: int = 6,
    harq: Literal["none", "chase", "incremental"] = "none",
    rounds: int = 4,
    joint_users: bool = False,
) -> System:
    """An image file fitted to its uses, sent with LDPC codes and QAM; a picture whose CRC fails is lost.

    With `average_snr` the transmitter takes the fastest scheme that, on AWGN at the average SNR less the margin, loses
    one picture in a thousand, and says which in a header. It does not know the fade: on fading channels a margin pays,
    and `python -m semcom.systems.digital` finds the best one, or the best fixed scheme, on validation pictures.

    With HARQ the grant is cut into equal rounds, the picture fitted to the first, and the rounds after the one in which
    the CRC is met are not charged. A high rate in the first round makes it worth while: a fixed scheme, or a negative
    margin. Acknowledgements, one bit a round, arrive without error and are not charged.

    Args:
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        adaptation: "average_snr" chooses the scheme for the SNR; "fixed" has always the one given, and no header.
        modulation: of the fixed scheme.
        code_rate: of the fixed scheme, payload and CRC bits over coded bits, up to 0.95.
        margin_db: the scheme is chosen for an SNR that is lower by so much.
        speed: of the AVIF encoder, 0 (slowest, best) to 10.
        harq: "chase" repeats the first round, "incremental" sends new redundancy (versions 0, 2, 3, 1) in each.
        rounds: of HARQ at most, 1 to 16; without HARQ there is one.
        joint_users: decode superposed users together and cancel those decoded, strongest first; for a fixed scheme.

    Raises:
        UsageError: arguments that do not belong together or are out of range.

    >>> build(cbr=1 / 16, adaptation="fixed", modulation="16qam", code_rate=0.5).name
    'digital'
    """
    from channels.modem import Mcs
    from semcom.codecs.image_file import codec_named
    from semcom.systems.digital.harq import Rounds, versions
    from semcom.systems.digital.joint import JointReceiver
    from semcom.systems.digital.schemes import Frame, adaptive
    from semcom.systems.digital.system import DigitalReceiver, DigitalTransmitter

    positive("cbr", cbr)
    codec_named(codec)
    if not 0 <= speed <= 10:
        raise UsageError(f"speed must be from 0 to 10, not {speed}")
    if adaptation == "fixed":
        if modulation is None or code_rate is None:
            raise UsageError("a fixed scheme needs modulation and code_rate")
        if modulation not in MODULATIONS:
            raise UsageError(f"no modulation {modulation!r}; there are {', '.join(MODULATIONS)}")
        if margin_db:
            raise UsageError("margin_db is for adaptation: average_snr; a fixed scheme does not look at the SNR")
        frame = Frame((Mcs(MODULATIONS[modulation], code_rate),))
    elif adaptation == "average_snr":
        if modulation is not None or code_rate is not None:
            raise UsageError("modulation and code_rate are for adaptation: fixed")
        frame = adaptive()
    else:
        raise UsageError(f"adaptation must be average_snr or fixed, not {adaptation!r}")
    if joint_users and (adaptation != "fixed" or harq != "none"):
        raise UsageError("joint_users needs adaptation: fixed and harq: none")
    division = Rounds(versions(harq, rounds), frame.header_uses)
    receiver = DigitalReceiver(cbr, codec, frame, division)
    agreement = "cbr, codec, the picture's size and the table of schemes, or the fixed scheme"
    acknowledged = "; the rounds and their versions; acknowledgements, a bit a round, error-free and not charged"
    return System(
        name="digital",
        paper="3GPP TS 38.212 and 38.214 (5G NR coding and modulation) with image files",
        transmitter=DigitalTransmitter(cbr, codec, speed, frame, division, margin_db),
        receiver=JointReceiver(receiver) if joint_users else receiver,
        agreement=agreement if harq == "none" else agreement + acknowledged,
        joint_users=joint_users,
        repeats=harq != "none",
    )

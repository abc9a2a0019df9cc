"""SoftCast: transform coefficients sent as they are, scaled so that the least error is left.

A picture goes through an orthonormal DCT over colours, rows and columns. Its coefficients fall into bands whose
variances travel in a protected header; the strongest coefficients that fit go on the air uncoded. Transmitter and
receiver derive everything else (variances, choice, gains) from the header.
"""

from typing import Literal

from channels._base import positive
from channels._errors import UsageError
from semcom.system import System

BIBTEX = """
@inproceedings{jakubczak2011softcast,
  author = {Jakubczak, Szymon and Katabi, Dina},
  title = {A Cross-Layer Design for Scalable Mobile Video},
  booktitle = {Proceedings of MobiCom},
  year = {2011}
}
"""


def build(cbr: float, allocation: Literal["matched", "softcast"] = "matched") -> System:
    """SoftCast: the DCT of the picture sent as analogue symbols, with optimal power allocation and linear estimation.

    Args:
        cbr: complex channel uses per real number of the picture.
        allocation: "matched" shares the power for the average SNR, "softcast" without knowing it (the same from about
            5 dB on, worse below).

    Source: Jakubczak and Katabi, A Cross-Layer Design for Scalable Mobile Video, MobiCom 2011.

    >>> build(cbr=1 / 16).name
    'analog'
    """
    from semcom.systems.analog.system import AnalogReceiver, AnalogTransmitter

    positive("cbr", cbr)
    if allocation not in ("matched", "softcast"):
        raise UsageError(f"allocation must be matched or softcast, not {allocation!r}")
    return System(
        name="analog",
        paper="Jakubczak and Katabi, A Cross-Layer Design for Scalable Mobile Video, MobiCom 2011",
        transmitter=AnalogTransmitter(cbr, allocation == "matched"),
        receiver=AnalogReceiver(cbr),
        agreement="cbr and the picture's size give the layout of the header, the bands and the order of the symbols",
    )

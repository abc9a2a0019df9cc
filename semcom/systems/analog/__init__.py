"""Analog image transmission (SoftCast): scaled DCT coefficients as analog symbols.

Each color plane is transformed by an orthonormal DCT. A coded digital header transmits the variance of each band of
coefficients; the strongest coefficients that fit the remaining channel uses are transmitted uncoded. Transmitter and
receiver derive the variances, the selection and the gains from the header.
"""

from typing import Literal

from channels.arguments import one_of, positive
from semcom.system import System

TITLE = "Analog DCT"
CITATION_KEYS = "jakubczak2011softcast"


def build(cbr: float, allocation: Literal["matched", "softcast"] = "matched") -> System:
    """Analog DCT: coefficients as analog symbols (SoftCast), with power allocation and linear MMSE estimation.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0.
        allocation: power allocation among the coefficients. matched: least mean squared error at the average SNR;
            softcast: gains proportional to variance^(-1/4), independent of the SNR (equal to matched above about 5 dB).

    Source: Jakubczak and Katabi, A Cross-Layer Design for Scalable Mobile Video, MobiCom 2011.

    >>> build(cbr=1 / 16).name
    'analog'
    """
    from semcom.systems.analog.system import AnalogReceiver, AnalogTransmitter

    positive("cbr", cbr)
    one_of("allocation", allocation, ("matched", "softcast"))
    return System(
        name="analog",
        paper="Jakubczak and Katabi, A Cross-Layer Design for Scalable Mobile Video, MobiCom 2011",
        transmitter=AnalogTransmitter(cbr, allocation == "matched"),
        receiver=AnalogReceiver(cbr),
        agreement="cbr and image size, which determine the header layout, the bands and the symbol order",
        cbr=cbr,
    )

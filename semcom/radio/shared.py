"""What both ends of a radio link share: system, channel-use budget and waveform, never the image."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError

if TYPE_CHECKING:
    from channels.waveform.channel import WaveformChannel
    from semcom.scenario.model import Point

_OPTIONS = {"snr_db": "--designed-snr", "medium_cbr": "--cbr"}  # scenario key -> option, for error messages


@dataclass(frozen=True)
class Shared:
    """Shared configuration of a radio link.

    Args:
        system: system with its arguments, as in digital:codec=webp.
        waveform: waveform with the arguments of its frames, as in waveform:pilot_spacing=30.
        cbr: channel bandwidth ratio of the medium, channel uses per real number of an image.
        sample_rate: sample rate of both radios in Hz.
        weights: names of the trained weights of the system with the first digits of their hashes, as in
            deepjscc@1db9e5fd; "" without trained weights, and before `encode` has built the system.

    >>> Shared("analog", "waveform", 1 / 8, 1e6) == Shared.read(Shared("analog", "waveform", 1 / 8, 1e6).fields())
    True
    """

    system: str
    waveform: str
    cbr: float
    sample_rate: float
    weights: str = ""

    @property
    def configuration(self) -> int:
        """16 bits of the hash of system, weights, waveform and budget; the header of every frame has them."""
        from channels.waveform.modulator import configuration

        return configuration(" ".join([self.system, *_hashes(self.weights)]), self.waveform, self.cbr)

    def check_weights(self, weights: str) -> None:
        """Check that a receiver has the weights of the transmitter, whatever the names of their files.

        Raises:
            UsageError: it has others.
        """
        if self.weights and _hashes(weights) != _hashes(self.weights):  # older recordings name none
            raise UsageError(
                f"the images were transmitted with the weights {self.weights}, and {self.system} here has "
                f"{weights or 'none'}; copy the weight files of the transmitter"
            )

    def fields(self) -> dict[str, Any]:
        """The values by name, for the metadata of a recording, with the symbol rate and the 16 bits of the hash."""
        rate = self.sample_rate / self.channel().layout.pulse.samples_per_symbol
        return {**asdict(self), "symbol_rate": rate, "configuration": self.configuration}

    @staticmethod
    def read(fields: object) -> Shared:
        """The configuration of metadata.

        Raises:
            UsageError: a value is missing or of another type.
        """
        texts, numbers = ("system", "waveform"), ("cbr", "sample_rate")
        if not (
            isinstance(fields, dict)
            and all(isinstance(fields.get(name), str) for name in texts)
            and all(isinstance(fields.get(name), int | float) and 0 < fields[name] < math.inf for name in numbers)
        ):
            raise UsageError(
                "the metadata have no complete shared configuration; "
                "give the metadata of the transmitted recording, --shared"
            )
        system, waveform = (fields[name] for name in texts)
        cbr, sample_rate = (float(fields[name]) for name in numbers)
        shared = Shared(system, waveform, cbr, sample_rate, str(fields.get("weights", "")))
        if fields.get("configuration", shared.configuration) != shared.configuration:
            raise UsageError(
                "the shared configuration was changed after the transmission; "
                "give the metadata of the transmitted recording, --shared"
            )
        return shared

    def point(self, snr_db: float) -> Point:
        """System and waveform at an SNR in dB that the transmitter assumes."""
        from semcom.scenario.arguments import parse_part, with_option
        from semcom.scenario.load import scenario_from

        scenario = {
            "systems": [{"label": self.system, **parse_part(self.system, "--system")}],
            "channel": [{"label": self.waveform, **parse_part(self.waveform, "--waveform")}],
            "medium_cbr": self.cbr,
            "sweep": {"snr_db": snr_db, "users": 1},
            "images": {"source": "folder"},
            "metrics": ["psnr"],
            "seed": 0,
        }
        try:
            return scenario_from(scenario, (), name="radio").points()[0]
        except UsageError as error:
            raise UsageError(with_option(str(error).removeprefix("radio: "), _OPTIONS)) from None

    def channel(self) -> WaveformChannel:
        """The waveform.

        Raises:
            UsageError: it is another channel, or it has impairments, which are part of simulations only.
        """
        from channels.waveform.channel import WaveformChannel
        from channels.waveform.impairments import Impairments
        from semcom.sweep.transmission import built_channel

        channel = built_channel(self.point(10.0).channel)
        if not isinstance(channel, WaveformChannel):
            raise UsageError(f"--waveform {self.waveform} is no waveform; write waveform, with arguments if you like")
        if channel.impairments != Impairments():
            raise UsageError(f"--waveform {self.waveform} has impairments of simulations; leave them out")
        return channel


def _hashes(weights: str) -> list[str]:
    return re.findall(r"@([0-9a-f]{8})", weights)

"""Images to samples, and samples to images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex
from torch import Tensor

from channels.base import Received
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from channels.waveform.channel import MISSED_NOISE_VAR
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from channels.waveform.receiver import ReceivedFrame, Receiver, Rejected
from semcom.images.source_image import SourceImage
from semcom.link import Link
from semcom.radio.shared import Shared
from semcom.sweep.single import link_for
from semcom.system import Reception, Sample, System

_SILENCE = 128  # symbol durations before, between and after transmissions


@dataclass(frozen=True)
class ReceivedImage:
    """One image of a recording.

    Args:
        number: index of the image in the recording.
        frames: frames that were found, by index.
        expected: number of frames of the image.
        reception: output of the receiver.
    """

    number: int
    frames: dict[int, ReceivedFrame]
    expected: int
    reception: Reception

    @property
    def complete(self) -> bool:
        """Whether all frames were found and decoding succeeded."""
        failed = self.reception.outage is not None and bool(self.reception.outage[0])
        return len(self.frames) == self.expected and not failed


def encode(
    shared: Shared, images: Sequence[SourceImage], snr_db: float
) -> tuple[Complex[Tensor, " samples"], list[tuple[int, int, str]], Shared]:
    """Transmissions of images.

    Args:
        shared: shared configuration, without the weights.
        images: images to transmit.
        snr_db: SNR in dB for which the images are encoded.

    Returns:
        Samples with parts within +-1; place and label of each transmission; shared configuration with the weights.
    """
    channel = shared.channel()
    layout, point = channel.layout, shared.point(snr_db)
    silence = torch.zeros(_SILENCE * layout.pulse.samples_per_symbol, dtype=torch.complex64)
    parts, places, length = [silence], [], len(silence)
    for number, image in enumerate(images):
        link = link_for(point, channel, image)
        if link.transmitter is None:
            raise UsageError(f"{shared.system} is a bound, which transmits nothing; choose another system")
        assert isinstance(link.system, System)
        shared = replace(shared, weights=link.system.weights)
        rng = Rng([seed_for("radio", number)]).derive("encode")
        with torch.no_grad():
            payload = link.transmitter.encode(_sample(image), torch.tensor([float(snr_db)]), rng)
        uses, (height, width) = int(payload.uses[0]), image.pixels.shape[1:]
        if not uses:
            raise UsageError(
                f"image {image.name}: CBR {shared.cbr:g} leaves no channel uses beside preamble, header and pilots; "
                "raise --cbr"
            )
        header = Header(shared.configuration, uses, 0, number, len(images) - 1, height, width)
        waveform = modulate(payload.symbols[0, :uses], layout, header)
        places.append((length, len(waveform), f"image {number + 1} of {len(images)}"))
        parts += [waveform, silence]
        length += len(waveform) + len(silence)
    samples = torch.cat(parts)
    return samples / torch.view_as_real(samples).abs().amax().clamp(min=1e-12), places, shared


def decode(shared: Shared, samples: Complex[Tensor, " samples"]) -> tuple[list[ReceivedImage], int, list[Rejected]]:
    """The images of a recording.

    Args:
        shared: shared configuration.
        samples: recording, complex64 [samples].

    Returns:
        Images of which at least one frame was found; number of images that were sent, 0 if no frame was found;
        preambles without a frame.
    """
    channel = shared.channel()
    frames, rejected = Receiver(channel.layout, shared.configuration).receive(samples)
    groups: dict[Header, dict[int, ReceivedFrame]] = {}
    for frame in sorted(frames, key=lambda frame: frame.statistic):
        groups.setdefault(replace(frame.header, part=0), {})[frame.header.part] = frame
    found = [_decoded(shared, header, group) for header, group in groups.items()]
    sent = max((header.last + 1 for header in groups), default=0)
    return sorted(found, key=lambda image: image.number), sent, rejected


def _decoded(shared: Shared, header: Header, frames: dict[int, ReceivedFrame]) -> ReceivedImage:
    channel = shared.channel()
    rng = Rng([seed_for("radio", header.number)])
    symbols = rng.derive("missed").complex_normal(header.uses, variance=torch.tensor([MISSED_NOISE_VAR]))
    noise_var, gains = (
        torch.full((1, header.uses), MISSED_NOISE_VAR),
        torch.zeros(1, 1, header.uses, dtype=torch.complex64),
    )
    sizes = channel.layout.parts(header.uses)
    for part, frame in frames.items():
        place = slice(sum(sizes[:part]), sum(sizes[: part + 1]))
        symbols[0, place], noise_var[0, place] = frame.symbols, frame.noise_var
        gains[0, 0, place] = torch.polar(torch.full_like(frame.phase, frame.gain), frame.phase)
    received = Received(symbols, noise_var, torch.tensor([header.uses]), torch.zeros(1), gains)
    size = (header.height, header.width)
    image = SourceImage("", torch.zeros(3, 1, 1).expand(3, *size))
    link: Link = link_for(shared.point(10.0), channel, image)
    assert isinstance(link.system, System)
    shared.check_weights(link.system.weights)
    with torch.no_grad():
        reception = link.system.receiver.decode(received, size, rng.derive("decode"))
    return ReceivedImage(header.number, frames, len(sizes), reception)


def _sample(image: SourceImage) -> Sample:
    return Sample(images=image.pixels[None], names=("image",))

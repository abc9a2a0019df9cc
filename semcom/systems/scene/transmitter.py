"""Scene to label map to packets to symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels import modem
from channels._rng import Rng
from semcom.system import Payload, Sample, Transmitter, uses_for
from semcom.systems._interleaver import interleaver
from semcom.systems.digital import header, schemes
from semcom.systems.scene import packets, wire
from semcom.systems.scene.palette import mean_colours
from semcom.systems.scene.wire import Wire


@runtime_checkable
class Segments(Protocol):
    """Whatever sees the class of each pixel."""

    def labels(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
        """The class of each pixel."""
        ...


@dataclass(frozen=True)
class _Plan:
    """How a row is sent: by which scheme, how coarse, in which packets; and their bytes without the padding."""

    index: int
    coarseness: int
    packets: list[bytes]
    map_bytes: int


class SceneTransmitter(Transmitter):
    """Sends the map as fine as the fastest safe scheme can carry it, with the most robust scheme that still can.

    Args:
        segmenter: sees the classes.
        agreement: what both ends know.
        margin_db: subtracted from the average SNR before schemes are judged.
        finest: coarseness of the finest map that is sent.
    """

    def __init__(self, segmenter: Segments, agreement: Wire, margin_db: float, finest: int = 0) -> None:
        self.segmenter, self.agreement, self.margin_db, self.finest = segmenter, agreement, margin_db, finest

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement, granted = self.agreement, uses_for(self.agreement.cbr, sample.size)
        # Row by row: sums in another order may tip the likeliest class, and a batch must not change what a row sends.
        labels = torch.cat([self.segmenter.labels(image[None]) for image in sample.images]).cpu()
        colours = mean_colours(sample.images.cpu(), labels)
        plans = [self._plan(*row, granted) for row in zip(labels, colours, snr_db.tolist(), strict=True)]
        spent = agreement.spent(granted)
        symbols = torch.zeros(len(plans), granted, dtype=torch.complex64)
        uses = torch.tensor([0 if plan is None else spent for plan in plans])
        for index in sorted({plan.index for plan in plans if plan}):
            rows = [row for row, plan in enumerate(plans) if plan and plan.index == index]
            coded = torch.stack([self._coded(plan, granted) for plan in plans if plan and plan.index == index])
            symbols[torch.tensor(rows)[:, None], interleaver(spent)] = coded
        return Payload(
            symbols,
            uses,
            digital_uses=uses,
            truth={
                "labels": labels,
                "map_bytes": torch.tensor([plan.map_bytes if plan else 0 for plan in plans]),
                "sent_bits": torch.tensor([self._bits(plan) if plan else 0 for plan in plans]),
                "coarseness": torch.tensor([plan.coarseness if plan else packets.COARSEST for plan in plans]),
            },
        )

    def _plan(
        self, labels: Int[Tensor, "h w"], colours: Float[Tensor, "classes 3"], snr_db: float, granted: int
    ) -> _Plan | None:
        """None if the grant holds not even the coarsest map."""
        agreement = self.agreement
        fastest = self._fastest(granted, snr_db)
        most = wire.room(agreement, granted, fastest)
        colour = agreement.colour and min(most / 4, most / agreement.packets) >= wire.COLOUR_BYTES
        first = wire.colours_to_bytes(colours) if colour else b""
        for coarseness in range(self.finest, packets.COARSEST + 1):
            slices = wire.slices_of(labels, agreement, coarseness)
            length = len(first) + sum(len(packets.behind_its_length(piece)) for piece in slices)
            for index in range(fastest + 1):
                room = wire.room(agreement, granted, index)
                if room >= length and room / agreement.packets >= len(first):  # colours stand in the first packet
                    size = agreement.packet_bytes(granted, index)
                    made = packets.pack(first, slices, coarseness, agreement.packets, size)
                    return _Plan(index, coarseness, made, length + packets.overhead(agreement.packets))
        return None

    def _fastest(self, granted: int, snr_db: float) -> int:
        """The last scheme that loses at most one packet in a thousand."""
        if len(self.agreement.frame.schemes) == 1:
            return 0
        alone = self.agreement.frame.header_uses + self.agreement.packet_uses(granted)
        return schemes.best(alone, snr_db - self.margin_db)

    def _bits(self, plan: _Plan) -> int:
        """What crosses the air before channel coding, header and padding included."""
        said = header.to_bits(torch.tensor([plan.index])).numel() if self.agreement.frame.header_uses else 0
        return said + 8 * sum(map(len, plan.packets))

    def _coded(self, plan: _Plan, granted: int) -> Tensor:
        frame, uses = self.agreement.frame, self.agreement.packet_uses(granted)
        bits = torch.stack([modem.bytes_to_bits(packet) for packet in plan.packets])
        data = modem.encode(bits, frame.schemes[plan.index], uses).flatten()
        return torch.cat([header.encode(torch.tensor([plan.index]))[0], data]) if frame.header_uses else data

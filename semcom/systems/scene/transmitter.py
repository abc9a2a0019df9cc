"""Transmitter of the scene link: image to label map, to packets, to symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels import modem
from channels.base import Channel
from channels.modem import link_adaptation, scheme_header
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.system import Payload, Sample, Transmitter, uses_for
from semcom.systems.digital.margin import margin_of_highest_quality
from semcom.systems.scene import packets
from semcom.systems.scene.agreement import (
    COLOR_BYTES,
    Agreement,
    downsample,
    encode_colors,
    encode_map,
    map_miou,
    upsample,
)
from semcom.systems.scene.class_colors import mean_class_colors


@runtime_checkable
class SegmentationNetwork(Protocol):
    """A network that estimates the class of each pixel."""

    def labels(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
        """Most likely class of each pixel."""
        ...


@dataclass(frozen=True)
class _Plan:
    """Scheme index, downsampling factor of the map, packets, and their bytes without padding, for one row."""

    scheme: int
    downsampling: int
    packets: list[bytes]
    map_bytes: int


class SceneTransmitter(Transmitter):
    """Choose the smallest downsampling that fits the budget, then the most robust scheme that fits the map.

    Args:
        segmenter: segmentation network.
        agreement: shared configuration.
        margin_db: dB subtracted from the known SNR before the scheme is chosen; None for the margin of highest expected
            mIoU of each map over `channel`.
        downsampling: smallest downsampling factor of the map.
        channel: channel whose statistics the transmitter knows; None for a margin of 0 where none is given.
    """

    def __init__(
        self,
        segmenter: SegmentationNetwork,
        agreement: Agreement,
        margin_db: float | None,
        downsampling: int = 1,
        channel: Channel | None = None,
    ) -> None:
        self.segmenter, self.agreement = segmenter, agreement
        self.margin_db, self.downsampling, self.channel = margin_db, downsampling, channel

    def for_channel(self, channel: Channel) -> SceneTransmitter:
        if self.margin_db is not None or len(self.agreement.frame.schemes) == 1:
            return self
        return SceneTransmitter(self.segmenter, self.agreement, None, self.downsampling, channel)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement, budget = self.agreement, uses_for(self.agreement.cbr, sample.size)
        # One row at a time: rounding depends on the batch size, and a row's map must not depend on the other rows.
        labels = torch.cat([self.segmenter.labels(image[None]) for image in sample.images]).cpu()
        colors = mean_class_colors(sample.images.cpu(), labels)
        plans = [self._plan(*row, budget) for row in zip(labels, colors, snr_db.tolist(), strict=True)]
        total_uses = agreement.total_uses(budget)
        symbols = torch.zeros(len(plans), budget, dtype=torch.complex64, device=sample.images.device)
        order = interleaver(total_uses).to(symbols.device)
        uses = torch.tensor([0 if plan is None else total_uses for plan in plans])
        for scheme in sorted({plan.scheme for plan in plans if plan}):
            rows = [row for row, plan in enumerate(plans) if plan and plan.scheme == scheme]
            members = [plan for plan in plans if plan and plan.scheme == scheme]
            coded = torch.stack([self._coded(plan, budget, symbols.device) for plan in members])
            symbols[torch.tensor(rows, device=symbols.device)[:, None], order] = coded
        downsampling = [plan.downsampling if plan else packets.DOWNSAMPLINGS[-1] for plan in plans]
        return Payload(
            symbols,
            uses,
            digital_uses=uses,
            truth={
                "labels": labels,
                "map_bytes": torch.tensor([plan.map_bytes if plan else 0 for plan in plans]),
                "sent_bits": torch.tensor([self._bits(plan) if plan else 0 for plan in plans]),
                "downsampling": torch.tensor(downsampling),
                "scheme": [str(agreement.frame.schemes[plan.scheme]) if plan else "none" for plan in plans],
            },
            parts=self._parts(plans, total_uses),
        )

    def _parts(self, plans: list[_Plan | None], total_uses: int) -> dict[str, Float[Tensor, " rows"]]:
        """Channel uses of header, map, padding and parity of each row."""
        rows = []
        for plan in plans:
            header, per_byte = self.agreement.frame.header_uses, 0.0
            if plan:
                per_byte = 8 / self.agreement.frame.schemes[plan.scheme].bits_per_symbol
            data = plan.map_bytes * per_byte if plan else 0.0
            padding = sum(map(len, plan.packets)) * per_byte - data if plan else 0.0
            rows.append([header, data, padding, total_uses - header - data - padding] if plan else [0.0] * 4)
        columns = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).T
        return dict(zip(("header", "data", "padding", "parity"), columns, strict=True))

    def _plan(
        self, labels: Int[Tensor, "h w"], colors: Float[Tensor, "classes 3"], snr_db: float, budget: int
    ) -> _Plan | None:
        """Plan of one row; None if even the smallest map exceeds the budget."""
        slices = cache(lambda downsampling: encode_map(labels, self.agreement, downsampling))
        schemes = len(self.agreement.frame.schemes)
        capacities = [self.agreement.payload_bytes(budget, scheme) for scheme in range(schemes)]
        if schemes == 1:
            return self._fitting(slices, colors, capacities, budget)
        uses = self.agreement.frame.header_uses + self.agreement.packet_uses(budget)
        margin_db = self.margin_db or 0.0
        if self.channel is not None:
            plans = [self._fitting(slices, colors, capacities[: last + 1], budget) for last in range(schemes)]
            miou = cache(lambda downsampling: self._miou(labels, downsampling))
            # with other channel knowledge than the average SNR, snr_db differs between rows
            average_db = snr_db if self.channel.csit.is_average else None
            margin_db = margin_of_highest_quality(
                self.channel,
                link_adaptation.thresholds_db(uses),
                self.agreement.total_uses(budget),
                average_db,
                np.array([miou(plan.downsampling) if plan else 0.0 for plan in plans]),
                np.array([plan.scheme if plan else 0 for plan in plans]),
            )
        fastest = link_adaptation.best(uses, snr_db - margin_db)
        return self._fitting(slices, colors, capacities[: fastest + 1], budget)

    def _fitting(
        self,
        encoded: Callable[[int], list[bytes]],
        colors: Float[Tensor, "classes 3"],
        capacities: list[int],
        budget: int,
    ) -> _Plan | None:
        """Plan with one of the first schemes, whose payload bytes are given, from the slices of each downsampling."""
        agreement = self.agreement
        capacity = capacities[-1]
        send_colors = agreement.send_class_colors and min(capacity / 4, capacity / agreement.packets) >= COLOR_BYTES
        color_bytes = encode_colors(colors) if send_colors else b""
        for downsampling in packets.DOWNSAMPLINGS[packets.DOWNSAMPLINGS.index(self.downsampling) :]:
            slices = encoded(downsampling)
            length = len(color_bytes) + sum(len(packets.with_length(piece)) for piece in slices)
            for scheme, capacity in enumerate(capacities):
                if capacity >= length and capacity / agreement.packets >= len(color_bytes):
                    size = agreement.packet_bytes(budget, scheme)
                    made = packets.pack(color_bytes, slices, downsampling, agreement.packets, size)
                    return _Plan(scheme, downsampling, made, length + packets.header_bytes(agreement.packets))
        return None

    @staticmethod
    def _miou(labels: Int[Tensor, "h w"], downsampling: int) -> float:
        """mIoU of the received map against the transmitter's if all packets are decoded."""
        received = upsample(downsample(labels, downsampling), downsampling, (labels.shape[0], labels.shape[1]))
        return map_miou(received, labels)

    def _bits(self, plan: _Plan) -> int:
        """Transmitted bits before channel coding, with header and padding."""
        header = scheme_header.to_bits(torch.tensor([plan.scheme])).numel() if self.agreement.frame.header_uses else 0
        return header + 8 * sum(map(len, plan.packets))

    def _coded(self, plan: _Plan, budget: int, device: torch.device) -> Tensor:
        """Symbols of header and packets."""
        frame, uses = self.agreement.frame, self.agreement.packet_uses(budget)
        bits = torch.stack([modem.bytes_to_bits(packet) for packet in plan.packets]).to(device)
        data = modem.encode(bits, frame.schemes[plan.scheme], uses).flatten()
        if not frame.header_uses:
            return data
        return torch.cat([scheme_header.encode(torch.tensor([plan.scheme], device=device))[0], data])

"""Receiver of the scene link: symbols to packets, to a label map, to a restored image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels import modem
from channels.base import Received
from channels.modem import scheme_header
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.images.street_classes import CLASSES, IGNORED
from semcom.system import Receiver, Reception, uses_for
from semcom.systems.scene import packets
from semcom.systems.scene.agreement import COLOR_BYTES, Agreement, decode_colors, decode_map

# A restorer: arguments are label maps, class colors or None, and which rows have class colors (None: all rows).
Restore = Callable[
    [Int[Tensor, "rows h w"], Float[Tensor, "rows classes 3"] | None, Tensor | None], Float[Tensor, "rows 3 h w"]
]


class SceneReceiver(Receiver):
    """Decode each packet separately and restore an image from the received bands; mid-gray if no band was received.

    Args:
        restore: restorer, called with label maps, class colors, and which rows have class colors.
        agreement: shared configuration.
    """

    def __init__(self, restore: Restore, agreement: Agreement) -> None:
        self.restore, self.agreement = restore, agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement, rows = self.agreement, len(received.symbols)
        budget = uses_for(agreement.cbr, size)
        labels = torch.full((rows, *size), IGNORED)
        colors, has_colors = torch.zeros(rows, len(CLASSES), 3), torch.zeros(rows, dtype=torch.bool)
        blocks, block_errors = torch.zeros(2, rows, dtype=torch.int64)
        active = received.uses.cpu().nonzero().flatten()
        symbols, noise_var = received.ordered(active, interleaver(agreement.total_uses(budget)))
        device = symbols.device
        indices = self._schemes(symbols, noise_var).cpu()
        for index in indices.unique().tolist():
            part = (indices == index).nonzero().flatten()
            members, part = active[part], part.to(device)
            blocks[members] = block_errors[members] = agreement.packets
            if not agreement.packet_bytes(budget, index):
                continue  # decoding error of the header: no transmitter chooses this scheme
            found = self._packets(symbols[part], noise_var[part], index, budget)
            for row, row_packets, errors in zip(members.tolist(), *found, strict=True):
                blocks[row], block_errors[row] = errors.numel(), int(errors.sum())
                downsampling = packets.downsampling_of(row_packets)
                if downsampling is not None:
                    labels[row] = decode_map(packets.unpack(row_packets), agreement, size, downsampling)
                if data := packets.colors_of(row_packets, COLOR_BYTES):
                    colors[row], has_colors[row] = decode_colors(data), True
        outage = (labels == IGNORED).all(2).all(1)
        images = torch.full((rows, 3, *size), 0.5)
        if decoded := (~outage).nonzero().flatten().tolist():
            known = (values[decoded].to(device) for values in (labels, colors, has_colors))
            images[decoded] = self.restore(*known).clamp(0, 1).cpu()
        return Reception(images, received.uses, outage, blocks, block_errors, labels=labels)

    def _schemes(self, symbols: Tensor, noise_var: Tensor) -> Int[Tensor, " rows"]:
        """Scheme index of each row, decoded from its header."""
        frame = self.agreement.frame
        if not frame.header_uses or not len(symbols):
            return torch.zeros(len(symbols), dtype=torch.int64)
        part = slice(None, frame.header_uses)
        return scheme_header.decode(symbols[:, part], noise_var[:, part], len(frame.schemes))

    def _packets(
        self, symbols: Tensor, noise_var: Tensor, index: int, budget: int
    ) -> tuple[list[list[bytes | None]], Tensor]:
        """Packets of each row, None for each lost one, and whether each code block failed."""
        agreement, data = self.agreement, slice(self.agreement.frame.header_uses, None)
        shape = (-1, agreement.packets, agreement.packet_uses(budget))
        found = modem.decode(
            symbols[:, data].reshape(shape),
            noise_var[:, data].reshape(shape),
            agreement.frame.schemes[index],
            8 * agreement.packet_bytes(budget, index),
        )
        rows = [
            [modem.bits_to_bytes(bits) if ok else None for bits, ok in zip(row_bits, row_ok, strict=True)]
            for row_bits, row_ok in zip(found.bits.cpu(), found.ok.cpu(), strict=True)
        ]
        return rows, ~found.block_ok.flatten(1).cpu()

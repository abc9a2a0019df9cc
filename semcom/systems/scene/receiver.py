"""Symbols to packets to a label map, as much of it as arrived, and a scene that looks like it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels import modem
from channels._base import Received
from channels._rng import Rng
from semcom.system import Receiver, Reception, uses_for
from semcom.systems._interleaver import interleaver
from semcom.systems.digital import header
from semcom.systems.scene import packets, wire
from semcom.systems.scene.classes import CLASSES, IGNORED
from semcom.systems.scene.wire import Wire

Restore = Callable[
    [Int[Tensor, "rows h w"], Float[Tensor, "rows classes 3"] | None, Tensor | None], Float[Tensor, "rows 3 h w"]
]


class SceneReceiver(Receiver):
    """Decodes each packet alone and restores what there is of the map; mid-grey where nothing arrived at all.

    Args:
        restore: maps [rows, h, w], class colours or None, the rows whose colours are known or None -> pictures.
        agreement: what both ends know.
    """

    def __init__(self, restore: Restore, agreement: Wire) -> None:
        self.restore, self.agreement = restore, agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement, rows = self.agreement, len(received.symbols)
        granted = uses_for(agreement.cbr, size)
        order = interleaver(agreement.spent(granted))
        labels = torch.full((rows, *size), IGNORED)
        colours, coloured = torch.zeros(rows, len(CLASSES), 3), torch.zeros(rows, dtype=torch.bool)
        blocks, block_errors = torch.zeros(2, rows, dtype=torch.int64)
        heard = received.uses.cpu().nonzero().flatten()
        symbols, noise_var = received.symbols.cpu()[heard][:, order], received.noise_var.cpu()[heard][:, order]
        indices = self._schemes(symbols, noise_var)
        for index in indices.unique().tolist():
            part = indices == index
            blocks[heard[part]] = block_errors[heard[part]] = agreement.packets
            if not agreement.packet_bytes(granted, index):
                continue  # only a misread header says so
            found = self._packets(symbols[part], noise_var[part], index, granted)
            for row, heard_packets, errors in zip(heard[part].tolist(), *found, strict=True):
                blocks[row], block_errors[row] = errors.numel(), int(errors.sum())
                coarseness = packets.coarseness_of(heard_packets)
                if coarseness is not None:
                    labels[row] = wire.map_of(packets.unpack(heard_packets), agreement, size, coarseness)
                if data := packets.head_of(heard_packets, wire.COLOUR_BYTES):
                    colours[row], coloured[row] = wire.colours_from_bytes(data), True
        nothing = (labels == IGNORED).all(2).all(1)
        images = torch.full((rows, 3, *size), 0.5)
        if there := (~nothing).nonzero().flatten().tolist():
            images[there] = self.restore(labels[there], colours[there], coloured[there]).clamp(0, 1)
        return Reception(images, received.uses.cpu(), nothing, blocks, block_errors, labels=labels)

    def _schemes(self, symbols: Tensor, noise_var: Tensor) -> Int[Tensor, " rows"]:
        """The index that each row's header says."""
        frame = self.agreement.frame
        if not frame.header_uses or not len(symbols):
            return torch.zeros(len(symbols), dtype=torch.int64)
        part = slice(None, frame.header_uses)
        return header.decode(symbols[:, part], noise_var[:, part], len(frame.schemes))

    def _packets(
        self, symbols: Tensor, noise_var: Tensor, index: int, granted: int
    ) -> tuple[list[list[bytes | None]], Tensor]:
        """The packets of each row, None where one is lost, and which of their code blocks failed."""
        agreement, data = self.agreement, slice(self.agreement.frame.header_uses, None)
        shape = (-1, agreement.packets, agreement.packet_uses(granted))
        found = modem.decode(
            symbols[:, data].reshape(shape),
            noise_var[:, data].reshape(shape),
            agreement.frame.schemes[index],
            8 * agreement.packet_bytes(granted, index),
        )
        rows = [
            [modem.bits_to_bytes(bits) if met else None for bits, met in zip(of_row, ok, strict=True)]
            for of_row, ok in zip(found.bits, found.ok, strict=True)
        ]
        return rows, ~found.block_ok.flatten(1)

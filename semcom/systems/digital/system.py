"""Transmitter and receiver of the digital system: image file, LDPC code, QAM."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor, nn

from channels import modem
from channels.base import Channel, Received
from channels.modem import link_adaptation, scheme_header
from channels.rng import Rng
from semcom.codecs import image_file
from semcom.devices import moved
from semcom.images.files import to_bytes
from semcom.system import Payload, Receiver, Reception, Sample, Transmitter
from semcom.systems.digital import blind_header, harq
from semcom.systems.digital.agreement import END, Agreement
from semcom.systems.digital.margin import best_margin_db

_PADDING_BIT = 2  # fills rows with fewer bits


class DigitalTransmitter(Transmitter):
    """Fit an image file to the payload of the selected scheme, and encode it.

    Args:
        agreement: shared configuration.
        speed: speed of the AVIF encoder, 0 to 10.
        margin_db: SNR margin of the scheme selection, dB; None for the best one over `channel`, see `best_margin_db`.
        channel: channel whose statistics the transmitter knows; None for a margin of 0 where none is given.
    """

    def __init__(
        self, agreement: Agreement, speed: int, margin_db: float | None, channel: Channel | None = None
    ) -> None:
        self.agreement = agreement
        self.speed = speed
        self.margin_db = margin_db
        self.channel = channel

    def for_channel(self, channel: Channel) -> DigitalTransmitter:
        agreement = self.agreement
        if self.margin_db is not None or len(agreement.frame.schemes) == 1:
            return self
        return DigitalTransmitter(agreement, self.speed, None, channel)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement, rounds = self.agreement, self.agreement.rounds
        budget, device = agreement.budget(sample.size), sample.images.device
        indices = torch.tensor([self._scheme(rounds.first(budget), snr, sample.size) for snr in snr_db.tolist()])
        symbols = torch.zeros(len(indices), budget, dtype=torch.complex64, device=device)
        uses = torch.zeros(len(indices), dtype=torch.int64)
        bits_per_symbol = torch.zeros(len(indices), budget, dtype=torch.int64)
        bits = [torch.zeros(0, dtype=torch.uint8)] * len(indices)
        schemes, file_uses, padding_uses = ["none"] * len(indices), *torch.zeros(2, len(indices), dtype=torch.float64)
        for index in indices.unique().tolist():
            rows = (indices == index).nonzero().flatten()
            if length := agreement.payload_bytes(sample.size, index):
                scheme = agreement.frame.schemes[index]
                files = [self._file(sample.images[row], length) for row in rows.tolist()]
                payloads = torch.stack([modem.bytes_to_bits(file.ljust(length, b"\0")) for file in files])
                uses[rows] = rounds.total(budget)
                order = rounds.order(budget)
                symbols[rows[:, None].to(device), order.to(device)] = self._symbols(payloads.to(device), index, budget)
                is_header = torch.arange(len(order)) < agreement.frame.header_uses
                bits_per_symbol[rows[:, None], order] = torch.where(is_header, 2, scheme.bits_per_symbol)
                for row, file, payload in zip(rows.tolist(), files, payloads, strict=True):
                    bits[row] = torch.cat([agreement.header_bits(index), payload])
                    schemes[row], file_uses[row] = str(scheme), 8 * len(file) / scheme.bits_per_symbol
                    padding_uses[row] = 8 * (length - len(file)) / scheme.bits_per_symbol
        header_uses = (uses > 0) * float(agreement.frame.header_uses)
        parts = {"header": header_uses, "data": file_uses, "padding": padding_uses}
        parts["parity"] = uses - header_uses - file_uses - padding_uses
        truth = {"bits": _padded(bits), "scheme": schemes}
        return Payload(symbols, uses, uses, truth, parts, bits_per_symbol)

    def _scheme(self, uses: int, snr_db: float, size: tuple[int, int]) -> int:
        """Index of the scheme for `uses` channel uses at the SNR that the transmitter knows."""
        if len(self.agreement.frame.schemes) == 1:
            return 0
        if self.agreement.frame.blind:
            uses += scheme_header.USES  # tables are those of budgets with a header
        margin_db = self.margin_db or 0.0
        if self.channel is not None:
            # with other channel knowledge than the average SNR, snr_db differs between rows
            average_db = snr_db if self.channel.csit.is_average else None
            agreement, pixels = self.agreement, math.prod(size)
            versions = agreement.rounds.versions
            margin_db = best_margin_db(self.channel, agreement.codec, uses, pixels, average_db, versions)
        return link_adaptation.best(uses, snr_db - margin_db)

    def _file(self, image: Float[Tensor, "3 h w"], length: int) -> bytes:
        """File of an image and end marker, at most `length` bytes; zeros fill the rest of the payload."""
        return (image_file.fit(to_bytes(image), self.agreement.codec, length - len(END), self.speed) or b"") + END

    def _symbols(self, payloads: Tensor, index: int, budget: int) -> Complex[Tensor, "rows uses"]:
        """Symbols of header and rounds."""
        frame, rounds = self.agreement.frame, self.agreement.rounds
        data = harq.encode(payloads, frame.schemes[index], rounds.share(budget), rounds.versions)
        if not frame.header_uses:
            return data
        header = scheme_header.encode(torch.full((len(data),), index, device=data.device))
        return torch.cat([header, data], 1)


class DigitalReceiver(Receiver):
    """Decode the image file; a mid-gray image if the CRC fails.

    Args:
        agreement: shared configuration.
    """

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement, rounds = self.agreement, self.agreement.rounds
        rows, budget = len(received.symbols), agreement.budget(size)
        images = torch.full((rows, 3, *size), 0.5)
        outage = torch.ones(rows, dtype=torch.bool)
        blocks, block_errors = torch.zeros(2, rows, dtype=torch.int64)
        bits = [torch.zeros(0, dtype=torch.uint8)] * rows
        counted = received.uses.cpu().clone()
        active = received.uses.cpu().nonzero().flatten()
        symbols, noise_var = received.ordered(active, rounds.order(budget))
        indices = self._schemes(symbols, noise_var, size).cpu()
        for index in indices.unique().tolist():
            part = (indices == index).nonzero().flatten()
            members, part = active[part], part.to(symbols.device)
            for row in members.tolist():
                bits[row] = agreement.header_bits(index)
            length = agreement.payload_bytes(size, index)
            if not length:  # possible only after a header error
                blocks[members] = block_errors[members] = 1
                continue
            found = moved(self._payloads(symbols[part], noise_var[part], index, length), "cpu")
            counted[members] -= (len(rounds.versions) - found.rounds) * rounds.share(budget)
            for row, payload, ok, block_ok in zip(members.tolist(), found.bits, found.ok, found.block_ok, strict=True):
                bits[row] = torch.cat([bits[row], payload])
                blocks[row], block_errors[row] = len(block_ok), int((~block_ok).sum())
                image = self._image(payload, size) if ok else None
                if image is not None:
                    images[row], outage[row] = image, False
        return Reception(images, counted, outage, blocks, block_errors, bits=_padded(bits))

    def _schemes(self, symbols: Tensor, noise_var: Tensor, size: tuple[int, int]) -> Int[Tensor, " rows"]:
        """Scheme index in each row's header, or that of the first scheme whose CRC passes."""
        frame = self.agreement.frame
        if frame.blind and len(symbols):

            def passes(rows: Tensor, index: int) -> Tensor:
                length = self.agreement.payload_bytes(size, index)
                return self._payloads(symbols[rows], noise_var[rows], index, length).ok

            return blind_header.find(symbols, noise_var, frame, passes)
        part = slice(None, frame.header_uses)
        if not frame.header_uses or not len(symbols):
            return torch.zeros(len(symbols), dtype=torch.int64)
        return scheme_header.decode(symbols[:, part], noise_var[:, part], len(frame.schemes))

    def _payloads(self, symbols: Tensor, noise_var: Tensor, index: int, length: int) -> harq.Combined:
        """Decoded payloads of `length` bytes."""
        frame, versions = self.agreement.frame, self.agreement.rounds.versions
        data = slice(frame.header_uses, None)
        return harq.decode(symbols[:, data], noise_var[:, data], frame.schemes[index], 8 * length, versions)

    def _image(self, bits: Tensor, size: tuple[int, int]) -> Float[Tensor, "3 h w"] | None:
        """Image of a payload; None if the payload is no image file (undetected errors)."""
        payload = modem.bits_to_bytes(bits).rstrip(b"\0")
        try:
            pixels = image_file.decode(payload.removesuffix(END), self.agreement.codec, size)
        except image_file.UndecodableFile:
            return None
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _padded(rows: list[Tensor]) -> UInt8[Tensor, "rows bits"]:
    """Rows of bits as one tensor, padded to the longest row."""
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_PADDING_BIT)

"""Picture to file to bits to symbols, and back if every bit arrives."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor, nn

from channels import modem
from channels._base import Received
from channels._rng import Rng
from semcom.codecs import image_file
from semcom.images import to_bytes
from semcom.system import Payload, Receiver, Reception, Sample, Transmitter, uses_for
from semcom.systems.digital import harq, header, schemes
from semcom.systems.digital.harq import Rounds
from semcom.systems.digital.schemes import Frame

_END = b"\x80"  # ends the file; zeros fill the payload
_NO_BIT = 2  # past the bits of a row


class DigitalTransmitter(Transmitter):
    """Fits an image file to the payload of the chosen scheme.

    Args:
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        speed: of the AVIF encoder.
        frame: the schemes that it may use.
        rounds: of its grant.
        margin_db: subtracted from the average SNR before a scheme is chosen.
    """

    def __init__(self, cbr: float, codec: str, speed: int, frame: Frame, rounds: Rounds, margin_db: float) -> None:
        self.cbr = cbr
        self.codec = codec
        self.speed = speed
        self.frame = frame
        self.rounds = rounds
        self.margin_db = margin_db

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        granted = uses_for(self.cbr, sample.size)
        first = self.rounds.first(granted)
        indices = torch.tensor([self._scheme(first, snr) for snr in snr_db.tolist()])
        symbols = torch.zeros(len(indices), granted, dtype=torch.complex64)
        uses = torch.zeros(len(indices), dtype=torch.int64)
        sent = [torch.zeros(0, dtype=torch.uint8)] * len(indices)
        for index in indices.unique().tolist():
            rows = (indices == index).nonzero().flatten()
            if size := self.frame.payload_bytes(first, index):
                payloads = torch.stack([self._payload(sample.images[row], size) for row in rows.tolist()])
                uses[rows] = self.rounds.spent(granted)
                symbols[rows[:, None], self.rounds.order(granted)] = self._coded(payloads, index, granted)
                for row, payload in zip(rows.tolist(), payloads, strict=True):
                    sent[row] = torch.cat([_header_bits(self.frame, index), payload])
        return Payload(symbols, uses, digital_uses=uses, truth={"bits": _side_by_side(sent)})

    def _scheme(self, first: int, snr_db: float) -> int:
        return schemes.best(first, snr_db - self.margin_db) if len(self.frame.schemes) > 1 else 0

    def _payload(self, picture: Float[Tensor, "3 h w"], size: int) -> Tensor:
        file = image_file.fit(to_bytes(picture), self.codec, size - len(_END), self.speed) or b""
        return modem.bytes_to_bits((file + _END).ljust(size, b"\0"))

    def _coded(self, payloads: Tensor, index: int, granted: int) -> Complex[Tensor, "rows uses"]:
        data = harq.encode(payloads, self.frame.schemes[index], self.rounds.share(granted), self.rounds.versions)
        if not self.frame.header_uses:
            return data
        return torch.cat([header.encode(torch.full((len(data),), index)), data], 1)


class DigitalReceiver(Receiver):
    """Shows the picture of the file whose CRC is met, and mid-grey otherwise.

    Args:
        cbr: complex channel uses per real number of the picture.
        codec: of the image file.
        frame: the schemes that the transmitter may use.
        rounds: of its grant; those that were not needed are not charged.
    """

    def __init__(self, cbr: float, codec: str, frame: Frame, rounds: Rounds) -> None:
        self.cbr = cbr
        self.codec = codec
        self.frame = frame
        self.rounds = rounds

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        rows, granted = len(received.symbols), uses_for(self.cbr, size)
        images = torch.full((rows, 3, *size), 0.5)
        outage = torch.ones(rows, dtype=torch.bool)
        blocks, block_errors = torch.zeros(2, rows, dtype=torch.int64)
        decided = [torch.zeros(0, dtype=torch.uint8)] * rows
        charged = received.uses.cpu().clone()
        heard = received.uses.cpu().nonzero().flatten()
        first, order = self.rounds.first(granted), self.rounds.order(granted)
        symbols, noise_var = received.symbols.cpu()[heard][:, order], received.noise_var.cpu()[heard][:, order]
        indices = self._schemes(symbols, noise_var)
        for index in indices.unique().tolist():
            part = indices == index
            for row in heard[part].tolist():
                decided[row] = _header_bits(self.frame, index)
            size_bytes = self.frame.payload_bytes(first, index)
            if not size_bytes:  # only a misread header says so
                blocks[heard[part]] = block_errors[heard[part]] = 1
                continue
            found = self._payloads(symbols[part], noise_var[part], index, size_bytes)
            charged[heard[part]] -= (len(self.rounds.versions) - found.rounds) * self.rounds.share(granted)
            for row, bits, ok, block_ok in zip(heard[part].tolist(), found.bits, found.ok, found.block_ok, strict=True):
                decided[row] = torch.cat([decided[row], bits])
                blocks[row], block_errors[row] = len(block_ok), int((~block_ok).sum())
                picture = self._picture(bits, size) if ok else None
                if picture is not None:
                    images[row], outage[row] = picture, False
        return Reception(images, charged, outage, blocks, block_errors, bits=_side_by_side(decided))

    def _schemes(self, symbols: Tensor, noise_var: Tensor) -> Int[Tensor, " rows"]:
        """The index that each row's header says."""
        part = slice(None, self.frame.header_uses)
        if not self.frame.header_uses or not len(symbols):
            return torch.zeros(len(symbols), dtype=torch.int64)
        return header.decode(symbols[:, part], noise_var[:, part], len(self.frame.schemes))

    def _payloads(self, symbols: Tensor, noise_var: Tensor, index: int, size_bytes: int) -> harq.Combined:
        data = slice(self.frame.header_uses, None)
        scheme = self.frame.schemes[index]
        return harq.decode(symbols[:, data], noise_var[:, data], scheme, 8 * size_bytes, self.rounds.versions)

    def _picture(self, bits: Tensor, size: tuple[int, int]) -> Float[Tensor, "3 h w"] | None:
        """The picture of a payload; None if it holds none, which a CRC that is met by chance can bring about."""
        payload = modem.bits_to_bytes(bits).rstrip(b"\0")
        try:
            pixels = image_file.decode(payload.removesuffix(_END), self.codec, size)
        except image_file.UndecodableFile:
            return None
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _header_bits(frame: Frame, index: int) -> UInt8[Tensor, " bits"]:
    """The bits of a header that says this index; none of a fixed scheme."""
    return header.to_bits(torch.tensor([index]))[0] if frame.header_uses else torch.zeros(0, dtype=torch.uint8)


def _side_by_side(rows: list[Tensor]) -> UInt8[Tensor, "rows bits"]:
    """Rows of bits as one tensor, as wide as the longest."""
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_NO_BIT)

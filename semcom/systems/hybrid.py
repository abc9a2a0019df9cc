"""Hybrid digital-analog transmission: an image file at a robust rate, and its residual as analog coefficients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels import modem
from channels.arguments import positive, within
from channels.base import Channel, Received
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.devices import moved
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for
from semcom.systems import digital
from semcom.systems.analog import refinement
from semcom.systems.analog.refinement import Refinement, refinement_for

TITLE = "Hybrid digital-analog"
_Codec = Literal["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"]
CITATION_KEYS = "skoglund2006hybrid jakubczak2011softcast threegpp38212"


def build(
    cbr: float,
    codec: Literal["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"] = "avif",
    file_share: float = 0.3,
    margin_db: float | None = None,
) -> System:
    """Hybrid digital-analog: an image file and its residual as analog symbols.

    A part of the channel uses transmits an image file with a channel code, as in `digital`. The residual of the decoded
    file, which both ends have if decoding succeeds, is transmitted in the other uses as DCT coefficients. Their
    estimate improves with every dB above the threshold of the file. If the file fails its CRC, the image is an outage.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0.
        codec: image file format, as in `digital`.
        file_share: fraction of the channel uses for the file, above 0 and up to 1.
        margin_db: SNR margin of the scheme selection for the file, dB, as in `digital`. null: the margin of highest
            expected PSNR over the channel.

    Source: Skoglund, Phamdo and Alajaji, IEEE Trans. Inf. Theory 52(8), 2006.

    >>> build(cbr=1 / 16).name
    'hybrid'
    """
    positive("cbr", cbr)
    positive("file_share", file_share)
    within("file_share", file_share, 0, 1)
    agreement = Agreement(cbr, codec, file_share, margin_db)
    return System(
        name="hybrid",
        paper="Skoglund, Phamdo and Alajaji, Hybrid digital-analog source-channel coding, IEEE Trans. Inf. Theory 2006",
        transmitter=HybridTransmitter(agreement),
        receiver=HybridReceiver(agreement),
        agreement="cbr, file_share, codec, image size, the table of schemes, and the decoded file if its CRC passes",
        cbr=cbr,
    )


@dataclass(frozen=True)
class Agreement:
    """Build arguments that both ends know."""

    cbr: float
    codec: _Codec
    file_share: float
    margin_db: float | None

    def division(self, size: tuple[int, int]) -> tuple[int, System, Refinement | None]:
        """Channel uses of the file, the system that transmits it, and the refinement, if its header fits."""
        uses, share = uses_for(self.cbr, size), self.file_share
        refined = refinement_for(uses - uses_for(self.cbr * share, size), size, guided=True)
        cbr = self.cbr * (share if refined else 1.0)
        file = digital.build(cbr, self.codec, margin_db=self.margin_db)
        return uses_for(cbr, size), file, refined


class HybridTransmitter(Transmitter):
    """Transmit a file and the residual of the decoded file.

    Args:
        agreement: shared configuration.
        channel: channel whose statistics the transmitter of the file knows; None for none.
    """

    def __init__(self, agreement: Agreement, channel: Channel | None = None) -> None:
        self.agreement, self.channel = agreement, channel

    def for_channel(self, channel: Channel) -> HybridTransmitter:
        return HybridTransmitter(self.agreement, channel)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        file_uses, system, refined = self.agreement.division(sample.size)
        transmitter = system.transmitter
        if self.channel is not None:
            transmitter = transmitter.for_channel(self.channel)
        file = moved(transmitter.encode(sample, snr_db, rng), "cpu")
        if refined is None:
            return file
        sent = file.uses > 0  # no file fits a tiny image
        noise_var = torch.full(file.symbols.shape, 1e-3) * sent[:, None]
        # the transmitter has the receiver's decoded file, which is the guide
        decoded = system.receiver.decode(_received(file.symbols, noise_var, file.uses), sample.size, rng).images
        rows = [
            refined.encode((image.double() - file_image.double()).numpy(), snr, file_image.double().numpy())
            for image, file_image, snr in zip(sample.images.cpu(), decoded, snr_db.tolist(), strict=True)
        ]
        headers = modem.encode(torch.stack([bits for bits, _ in rows]), refinement.MCS, refined.header_uses)
        stream = torch.cat([file.symbols, headers, torch.stack([symbols for _, symbols in rows])], 1)
        symbols = torch.zeros_like(stream)
        symbols[:, interleaver(stream.shape[1])] = stream * sent[:, None]
        return Payload(
            symbols,
            uses=sent * stream.shape[1],
            digital_uses=sent * (file_uses + refined.header_uses),
            truth={"scheme": file.truth["scheme"]},
            parts={
                **file.parts,
                "refinement header": sent * refined.header_uses,
                "refinement": sent * refined.stream_uses,
            },
        )


class HybridReceiver(Receiver):
    """Decode the file and add the estimated residual; an outage if the file is not decoded.

    Args:
        agreement: shared configuration.
    """

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        file_uses, system, refined = self.agreement.division(size)
        if refined is None:
            return system.receiver.decode(received, size, rng)
        rows = torch.arange(len(received.symbols))
        order = interleaver(uses_for(self.agreement.cbr, size))
        symbols, noise_var = moved(received.ordered(rows, order), "cpu")
        counts = (received.uses.cpu() > 0) * file_uses
        part = slice(file_uses)
        found = system.receiver.decode(_received(symbols[:, part], noise_var[:, part], counts), size, rng)
        head, body = slice(file_uses, file_uses + refined.header_uses), slice(file_uses + refined.header_uses, None)
        header = modem.decode(symbols[:, head], noise_var[:, head], refinement.MCS, refined.bits)
        images = found.images.clone()
        for row in (header.ok & (counts > 0)).nonzero().flatten().tolist():
            residual = refined.decode(
                header.bits[row], symbols[row, body], noise_var[row, body], guide=found.images[row].double().numpy()
            )
            images[row] = (images[row] + torch.from_numpy(residual).float()).clamp(0, 1)
        return replace(found, images=images, counted_uses=received.uses, bits=None)


def _received(
    symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], uses: Int[Tensor, " rows"]
) -> Received:
    """Received symbols of the file."""
    return Received(symbols, noise_var, uses, uses.float(), torch.ones_like(symbols)[:, None])

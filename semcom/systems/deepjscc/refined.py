"""DeepJSCC above the rates of its networks: their latents, and an analog refinement of the decoded image.

The transmitter decodes its own latents without noise, and transmits what is missing as analog DCT coefficients. The
receiver decodes the noisy latents and adds its estimate of the residual. At low SNR all latents are transmitted
instead, with the energy of the whole budget; a repeated flag states which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from channels import modem
from channels.base import Received
from channels.errors import UsageError
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.devices import moved
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for
from semcom.systems.analog import refinement
from semcom.systems.analog.refinement import Refinement, refinement_for
from semcom.systems.deepjscc.agreement import Agreement
from semcom.systems.deepjscc.system import HIGHEST_CBR, PAPER, DeepJscc, DeepJsccReceiver, DeepJsccTransmitter

BASE_SHARES = {1 / 8: 0.85, 1 / 6: 0.77, 1 / 4: 0.68, 1 / 3: 0.65, 1 / 2: 0.63}
"""Share of the analog energy that the latents get, by channel bandwidth ratio; interpolated between these. Highest mean
PSNR on validation images, see benchmarks/deepjscc_shares.py."""

_LOWEST_SNR_DB = 2.5  # with the energy of all uses in those of all latents: below, all latents are better
_FLAG_USES = 48  # BPSK symbols, all equal: at -8 dB the flag is wrong with a probability of 5e-5
_HIGHEST_SNR_DB = 20.0  # highest SNR of the training: above it, the networks are conditioned on this one


@dataclass(frozen=True)
class Division:
    """Division of the channel uses and of their energy; the same at both ends.

    Args:
        uses: channel-use budget.
        flag_uses: channel uses of the flag that states whether there is a refinement; 0 where none fits.
        base: shared configuration of the latents.
        base_uses: channel uses of the latents.
        refinement: header and stream of the residual, or None.
        base_share: fraction of the analog energy that the latents get.
    """

    uses: int
    flag_uses: int
    base: Agreement
    base_uses: int
    refinement: Refinement | None
    base_share: float

    @property
    def digital_uses(self) -> int:
        """Channel uses of flag and header, which have unit energy per use."""
        return self.flag_uses + (self.refinement.header_uses if self.refinement else 0)

    @property
    def base_energy(self) -> float:
        """Energy of a symbol of the latents."""
        return self.base_share * (self.uses - self.digital_uses) / self.base_uses

    @property
    def stream_energy(self) -> float:
        """Energy of a symbol of the refinement's stream."""
        if self.refinement is None:
            return 0.0
        return (1 - self.base_share) * (self.uses - self.digital_uses) / self.refinement.stream_uses

    @property
    def parts(self) -> dict[str, int]:
        """Channel uses by part, in the order of transmission; uses without energy come last."""
        parts = {"flag": self.flag_uses, "latents": self.base_uses}
        if self.refinement is not None:
            return parts | {"header": self.refinement.header_uses, "refinement": self.refinement.stream_uses}
        return parts | {"unused": self.uses - self.flag_uses - self.base_uses}


def division_for(cbr: float, latent: int, size: tuple[int, int], refine: bool) -> Division:
    """Division at a channel bandwidth ratio above that of all latents.

    With a refinement half of the latents are transmitted: it represents further detail in fewer channel uses than the
    other half. Without one all latents are, with the energy of the whole budget.

    >>> division = division_for(1 / 6, 48, (128, 128), refine=True)
    >>> division.parts, round(division.base_energy, 2), round(division.stream_energy, 2)
    ({'flag': 48, 'latents': 3072, 'header': 460, 'refinement': 4612}, 1.93, 0.38)
    """
    uses, highest = uses_for(cbr, size), DeepJscc.highest_cbr(latent)
    fitting = refinement_for(uses - _FLAG_USES - uses_for(highest / 2, size), size)
    flag_uses = _FLAG_USES if fitting else 0
    if fitting is None or not refine:
        base = Agreement(min(highest, (uses - flag_uses) / (3 * math.prod(size))), latent)
        return Division(uses, flag_uses, base, base.uses(size), None, 1.0)
    base = Agreement(highest / 2, latent)
    share = float(np.interp(cbr, list(BASE_SHARES), list(BASE_SHARES.values())))
    return Division(uses, flag_uses, base, base.uses(size), fitting, share)


class RefinedTransmitter(Transmitter, nn.Module):
    """Transmit latents and, from an SNR on, the residual of the image that they are decoded to.

    Args:
        network: encoder and decoder.
        cbr: channel bandwidth ratio, above that of all latents.
    """

    def __init__(self, network: DeepJscc, cbr: float) -> None:
        super().__init__()
        self.network, self.cbr = network, cbr

    @torch.no_grad()
    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        rows, uses = len(snr_db), uses_for(self.cbr, sample.size)
        gain_db = 10 * math.log10(self.cbr / DeepJscc.highest_cbr(self.network.latent))
        wanted = (snr_db + gain_db >= _LOWEST_SNR_DB).tolist()
        divisions = [division_for(self.cbr, self.network.latent, sample.size, refine) for refine in wanted]
        symbols = torch.zeros(rows, uses, dtype=torch.complex64)
        for division in set(divisions):
            members = [row for row in range(rows) if divisions[row] == division]
            stream = self._stream(division, sample.images[members], snr_db[members])
            symbols[torch.tensor(members)[:, None], interleaver(uses)[: stream.shape[1]]] = stream
        names = dict.fromkeys(name for division in divisions for name in division.parts)
        return Payload(
            symbols,
            uses=torch.full((rows,), uses),
            digital_uses=torch.tensor([division.digital_uses for division in divisions]),
            parts={name: torch.tensor([division.parts.get(name, 0) for division in divisions]) for name in names},
        )

    def _stream(
        self, division: Division, images: Float[Tensor, "rows 3 h w"], snr_db: Float[Tensor, " rows"]
    ) -> Complex[Tensor, "rows used"]:
        """Symbols of all parts that have energy."""
        sample, refined = Sample(images), division.refinement
        base_snr_db = (snr_db + 10 * math.log10(division.base_energy)).clamp(max=_HIGHEST_SNR_DB)
        latents = DeepJsccTransmitter(self.network, division.base).encode(sample, base_snr_db, Rng([0])).symbols
        flag = torch.full((len(images), division.flag_uses), 1.0 if refined else -1.0)
        parts = [flag.to(torch.complex64), math.sqrt(division.base_energy) * latents.cpu()]
        if refined is None:
            return torch.cat(parts, 1)
        noise_free = _received(latents, (10 ** (-base_snr_db / 10))[:, None].expand(latents.shape))
        decoded = DeepJsccReceiver(self.network, division.base).decode(noise_free, sample.size, Rng([0])).images
        gain_db = 10 * math.log10(division.stream_energy)
        rows = [
            refined.encode(residual.double().numpy(), snr + gain_db)
            for residual, snr in zip((images - decoded).cpu(), snr_db.tolist(), strict=True)
        ]
        headers = modem.encode(torch.stack([bits for bits, _ in rows]), refinement.MCS, refined.header_uses)
        streams = math.sqrt(division.stream_energy) * torch.stack([stream for _, stream in rows])
        return torch.cat([*parts, headers, streams], 1)


class RefinedReceiver(Receiver, nn.Module):
    """Decode the latents and add the estimated residual, if the header is decoded.

    Args:
        network: networks, of which the decoder is used.
        cbr: channel bandwidth ratio, above that of all latents.
    """

    def __init__(self, network: DeepJscc, cbr: float) -> None:
        super().__init__()
        self.network, self.cbr = network, cbr

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        uses = uses_for(self.cbr, size)
        symbols, noise_var = received.ordered(torch.arange(len(received.symbols)), interleaver(uses))
        divisions = [division_for(self.cbr, self.network.latent, size, refined) for refined in (False, True)]
        flag = slice(divisions[0].flag_uses)
        # the likelihood ratio of the flag; 0, no refinement, where there is no flag
        evidence = (symbols[:, flag].real / noise_var[:, flag].clamp(min=1e-9)).sum(1)
        images = symbols.real.new_zeros(len(symbols), 3, *size)
        for division, members in zip(divisions, (evidence <= 0, evidence > 0), strict=True):
            if members.any():
                images[members] = self._images(division, size, symbols[members], noise_var[members])
        return Reception(images, received.uses)

    def _images(
        self,
        division: Division,
        size: tuple[int, int],
        symbols: Complex[Tensor, "rows uses"],
        noise_var: Float[Tensor, "rows uses"],
    ) -> Float[Tensor, "rows 3 h w"]:
        start, end = division.flag_uses, division.flag_uses + division.base_uses
        part, gain, lowest = slice(start, end), division.base_energy, 10 ** (-_HIGHEST_SNR_DB / 10)
        base = _received(symbols[:, part] / math.sqrt(gain), (noise_var[:, part] / gain).clamp(min=lowest))
        images = DeepJsccReceiver(self.network, division.base).decode(base, size, Rng([0])).images
        if division.refinement is not None:
            residual = self._residual(division, *moved((symbols[:, end:], noise_var[:, end:]), "cpu"))
            images = (images + residual.to(images.device)).clamp(0, 1)
        return images

    def _residual(
        self, division: Division, symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"]
    ) -> Float[Tensor, "rows 3 h w"]:
        """Estimated residuals; zero where header decoding fails."""
        refined, gain = division.refinement, division.stream_energy
        assert refined is not None
        head, body = slice(refined.header_uses), slice(refined.header_uses, None)
        found = modem.decode(symbols[:, head], noise_var[:, head], refinement.MCS, refined.bits)
        residual = torch.zeros(len(symbols), 3, *refined.size)
        for row in found.ok.nonzero().flatten().tolist():
            estimate = refined.decode(
                found.bits[row], symbols[row, body] / math.sqrt(gain), noise_var[row, body] / gain
            )
            residual[row] = torch.from_numpy(estimate)
        return residual


def _received(symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"]) -> Received:
    """Received symbols of the latents."""
    uses = torch.full((len(symbols),), symbols.shape[1], device=symbols.device)
    return Received(symbols, noise_var, uses, uses.float(), torch.ones_like(symbols)[:, None])


def system_of(network: DeepJscc, cbr: float, weights: str = "") -> System:
    """Build the system from given networks, at rates above that of all latents."""
    lowest = DeepJscc.highest_cbr(network.latent)
    if not lowest < cbr <= HIGHEST_CBR:
        raise UsageError(f"cbr of deepjscc must be above 0 and up to {HIGHEST_CBR:g}, not {cbr:g}")
    return System(
        name="deepjscc",
        paper=PAPER,
        transmitter=RefinedTransmitter(network, cbr),
        receiver=RefinedReceiver(network, cbr),
        agreement="networks, cbr and image size, which determine the shares of latents, header and refinement",
        weights=weights,
        cbr=cbr,
    )

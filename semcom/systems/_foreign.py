"""Models of other frameworks as transmitter and receiver: arrays in, arrays out, and a contract that is checked.

The contract, in [rows, ...] of float32; height, width and uses may be fixed in the model or left open:

* The encoder takes pictures in [0, 1], [rows, h, w, 3] or [rows, 3, h, w], and returns the real and imaginary parts of
  its symbols, [rows, uses, 2] or in turns in [rows, 2 uses].
* The decoder takes received symbols in either form, equalised as the channel hands them out, and returns pictures in
  either form, which are clipped to [0, 1].
* Besides, both may have an input named `snr_db`, [rows] or [rows, 1]: the encoder's is the average SNR, the decoder's
  what it could measure, 10 log10 of the mean of 1 / noise variance over the row's symbols. The decoder may have one
  named `noise_var`, [rows, uses].
* A model whose number of rows is fixed must have it fixed at 1, and is then run row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from channels._base import Received
from channels._errors import UsageError
from channels._rng import Rng
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for

_TOLERANCE = 1e-3  # of the mean energy of analogue symbols, as the link allows it
_BESIDE = ("snr_db", "noise_var")
_LONGEST = 300  # characters of another framework's complaint


@dataclass(frozen=True)
class Port:
    """An input of a model: its name and its shape, None where it is open; the first number is that of the rows."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Args:
        path: its file.
        digest: SHA-256 of its files, in hex.
        inputs: in the order in which `run` takes them.
        channels: where its framework puts colours when shapes do not tell.
        run: arrays, one an input, to the first output.
    """

    path: Path
    digest: str
    inputs: tuple[Port, ...]
    channels: Literal["first", "last"]
    run: Callable[[list[np.ndarray]], np.ndarray]

    @property
    def id(self) -> str:
        """Name and first 8 hex of the hash, as rows of results carry it."""
        return f"{self.path.stem}@{self.digest[:8]}"

    def main(self, beside: Iterable[str]) -> Port:
        """The one input that does not go by the name of something that travels beside it.

        Raises:
            UsageError: there are none, or others that nobody can feed.
        """
        ports = [port for port in self.inputs if port.name not in beside]
        if len(ports) != 1:
            names = ", ".join(port.name for port in self.inputs)
            raise UsageError(
                f"{self.path} has inputs {names}; besides the first it may have {' and '.join(beside)}, "
                "under just these names"
            )
        for port in self.inputs:
            if not port.shape or port.shape[0] not in (None, 1):
                rows = port.shape[0] if port.shape else "no"
                raise UsageError(f"{self.path} takes {port.name} in {rows} rows; export it for any number, or for 1")
        return ports[0]

    def __call__(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Run the model on arrays by the names of its inputs; those that it has no input for are left out.

        Raises:
            UsageError: shapes that it was not made for, a failure inside, anything but numbers in return.
        """
        fed = [self._fitted(port, arrays[port.name]) for port in self.inputs]
        try:
            if any(port.shape[0] == 1 for port in self.inputs):
                parts = [self.run([array[row : row + 1] for array in fed]) for row in range(len(fed[0]))]
                found = np.concatenate([np.asarray(part) for part in parts])
            else:
                found = np.asarray(self.run(fed))
        except Exception as error:  # whatever the frameworks raise, it is the file that does not do
            shapes = ", ".join(f"{port.name} {list(array.shape)}" for port, array in zip(self.inputs, fed, strict=True))
            raise UsageError(f"{self.path} fails on {shapes}: {one_line(error)}") from None
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise UsageError(f"{self.path} must return finite float32 numbers; some of its {found.dtype} are not")
        return torch.from_numpy(np.array(found))

    def _fitted(self, port: Port, values: Tensor) -> np.ndarray:
        """The values in the form that an input takes."""
        array = values.detach().cpu().float().numpy()
        if port.name == "snr_db" and len(port.shape) == 2:
            array = array[:, None]
        fixed = zip(port.shape[1:], array.shape[1:], strict=False)
        if len(port.shape) != array.ndim or any(wanted not in (None, found) for wanted, found in fixed):
            wanted = ", ".join("any" if length is None else str(length) for length in port.shape)
            raise UsageError(
                f"{self.path} takes {port.name} of shape [{wanted}], here it is {list(array.shape)}: "
                "change the size of the pictures, or export the model for this one"
            )
        return np.ascontiguousarray(array)


class ForeignTransmitter(Transmitter):
    """Symbols from a model that maps pictures to reals.

    Args:
        encoder: the model.
        cbr: granted uses per real number of a picture.
        normalise: bring each row to unit mean energy instead of refusing it; the scale is not sent.
    """

    def __init__(self, encoder: Model, cbr: float, normalise: bool) -> None:
        self.encoder, self.cbr, self.normalise = encoder, cbr, normalise
        self.port = encoder.main(("snr_db",))
        self.layout = _layout(encoder, self.port)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        images = sample.images if self.layout == "first" else sample.images.movedim(1, -1)
        reals = self.encoder({self.port.name: images, "snr_db": snr_db})
        pairs = reals if reals.ndim == 3 else reals.reshape(len(reals), -1, 2) if _in_turns(reals) else None
        if pairs is None or pairs.shape[0] != len(images) or pairs.shape[2] != 2 or not pairs.shape[1]:
            raise UsageError(
                f"{self.encoder.path} returns {list(reals.shape)} for {len(images)} pictures; "
                "it must be [rows, uses, 2] or [rows, 2 uses]"
            )
        symbols = torch.view_as_complex(pairs.contiguous())
        uses, granted = symbols.shape[1], uses_for(self.cbr, sample.size)
        if uses > granted:
            height, width = sample.size
            raise UsageError(
                f"{self.encoder.path} sends {uses} uses for a picture of {width}x{height} pixels, granted are "
                f"{granted}: a cbr of {uses / (3 * height * width):.6g} a user would do"
            )
        counts = torch.full((len(symbols),), uses)
        return Payload(self._checked(symbols), counts, digital_uses=torch.zeros_like(counts))

    def _checked(self, symbols: Tensor) -> Tensor:
        """The symbols, if they keep the power rule or are to be brought to it.

        Raises:
            UsageError: they do not keep it; there is nothing to normalise.
        """
        energy = symbols.abs().square().mean(1)
        if self.normalise and bool((energy > 0).all()):
            return symbols / energy.sqrt()[:, None]
        wrong = (energy - 1).abs() > _TOLERANCE
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            fix = "there is nothing to normalise" if self.normalise else "normalise in the model or set normalise: true"
            raise UsageError(
                f"{self.encoder.path} sends {float(energy[row]):.4g} of energy per use in row {row}; "
                f"the power rule asks for 1 +- {_TOLERANCE:g}: {fix}"
            )
        return symbols


class ForeignReceiver(Receiver):
    """Pictures from a model that maps received reals to pictures.

    Args:
        decoder: the model.
    """

    def __init__(self, decoder: Model) -> None:
        self.decoder = decoder
        self.port = decoder.main(_BESIDE)
        if len(self.port.shape) not in (2, 3):
            raise UsageError(f"{decoder.path} must take received reals, [rows, uses, 2] or [rows, 2 uses]")

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        reals = torch.view_as_real(received.symbols.resolve_conj())
        images = self.decoder(
            {
                self.port.name: reals if len(self.port.shape) == 3 else reals.flatten(1),
                "snr_db": 10 * received.noise_var.reciprocal().mean(1).log10(),
                "noise_var": received.noise_var,
            }
        )
        first, last = (len(reals), 3, *size), (len(reals), *size, 3)
        if images.shape == last and (images.shape != first or self.decoder.channels == "last"):
            images = images.movedim(-1, 1).contiguous()
        elif images.shape != first:
            raise UsageError(f"{self.decoder.path} returns {list(images.shape)}; the pictures sent were {list(first)}")
        return Reception(images.clamp(0, 1), received.uses)


def system_of(name: str, encoder: Model, decoder: Model, cbr: float, normalise: bool, paper: str) -> System:
    """The system of an encoder and a decoder."""
    return System(
        name=name,
        paper=paper,
        transmitter=ForeignTransmitter(encoder, cbr, normalise),
        receiver=ForeignReceiver(decoder),
        agreement="the two models and the picture's size, which fix the number of uses",
        weights=f"{encoder.id} {decoder.id}",
    )


def model_file(name: str, suffix: str) -> Path:
    """The path of a model file.

    Raises:
        UsageError: there is no such file, or it is of another kind.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() != suffix:
        raise UsageError(f"{name!r} does not end in {suffix}; save the model in that format")
    if not path.is_file():
        raise UsageError(f"no model file {path}; paths start from the folder in which the command runs")
    return path


def sha256_of(paths: Iterable[Path]) -> str:
    """One digest of several files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def one_line(error: Exception) -> str:
    """What another framework has to say, short enough to be read."""
    return " ".join(str(error).split())[:_LONGEST]


def _in_turns(reals: Tensor) -> bool:
    return reals.ndim == 2 and reals.shape[1] % 2 == 0


def _layout(model: Model, port: Port) -> Literal["first", "last"]:
    """Where an input for pictures has its colours."""
    found = port.shape[1:]
    places = [place for place, axis in (("first", 0), ("last", -1)) if len(found) == 3 and found[axis] in (None, 3)]
    sure = [place for place, axis in (("first", 0), ("last", -1)) if len(found) == 3 and found[axis] == 3]
    if not places:
        shape = ", ".join("any" if length is None else str(length) for length in port.shape)
        raise UsageError(f"{model.path} takes [{shape}]; pictures are [rows, 3, h, w] or [rows, h, w, 3]")
    candidates = sure or places
    return model.channels if model.channels in candidates else "first" if "first" in candidates else "last"

"""Models of other frameworks (ONNX, Keras) as transmitter and receiver, with checks of their inputs and outputs.

All arrays are float32; height, width and uses may be fixed or variable:

* The encoder maps images in [0, 1], [rows, h, w, 3] or [rows, 3, h, w], to the real and imaginary parts of its
  symbols, [rows, uses, 2] or interleaved [rows, 2 * uses].
* The decoder maps equalized received symbols in either form to images in either form, which are clipped to [0, 1].
* Both may have an optional input `snr_db`, [rows] or [rows, 1]: the average SNR at the encoder, and
  10 log10(mean(1 / noise_var)) of the row at the decoder. The decoder may have an optional input `noise_var`,
  [rows, uses].
* The number of rows must be variable or 1; with 1, rows are processed one by one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from channels.base import Received
from channels.errors import UsageError
from channels.rng import Rng
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for

_TOLERANCE = 1e-3  # tolerance of the mean energy per symbol, the same as in the link
_OPTIONAL_INPUTS = ("snr_db", "noise_var")
_LONGEST = 600  # characters quoted from an error message of another framework


@dataclass(frozen=True)
class Port:
    """Input of a model.

    Args:
        name: name of the input.
        shape: shape, None for variable lengths; the first dimension is the rows.
    """

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """Loaded model of another framework.

    Args:
        path: path of the model file.
        digest: SHA-256 of the model files, hexadecimal.
        inputs: inputs in the argument order of `run`.
        channels: position of the color dimension if the shapes are ambiguous: "first" or "last".
        run: function from one array per input to the first output.
    """

    path: Path
    digest: str
    inputs: tuple[Port, ...]
    channels: Literal["first", "last"]
    run: Callable[[list[np.ndarray]], np.ndarray]

    @property
    def id(self) -> str:
        """File name and the first 8 hex digits of the hash, written to the rows of results."""
        return f"{self.path.stem}@{self.digest[:8]}"

    def main(self, optional: Iterable[str]) -> Port:
        """The input that is not one of the optional inputs.

        Raises:
            UsageError: the model has no such input, or several.
        """
        ports = [port for port in self.inputs if port.name not in optional]
        if len(ports) != 1:
            names = ", ".join(port.name for port in self.inputs)
            raise UsageError(
                f"{self.path} has inputs {names}: export it with one main input and optionally {' and '.join(optional)}"
            )
        for port in self.inputs:
            if not port.shape or port.shape[0] not in (None, 1):
                rows = port.shape[0] if port.shape else "no"
                raise UsageError(f"{self.path} requires {rows} rows of {port.name}: export it for any number, or for 1")
        return ports[0]

    def __call__(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Run the model on arrays given by input name; arrays without an input are ignored.

        Raises:
            UsageError: a shape does not match, the model fails, or its output is not finite float32.
        """
        feeds = [self._feed(port, arrays[port.name]) for port in self.inputs]
        try:
            if any(port.shape[0] == 1 for port in self.inputs):
                parts = [self.run([array[row : row + 1] for array in feeds]) for row in range(len(feeds[0]))]
                output = np.concatenate([np.asarray(part) for part in parts])
            else:
                output = np.asarray(self.run(feeds))
        except Exception as error:  # the frameworks raise errors without a common base class
            named = zip(self.inputs, feeds, strict=True)
            shapes = ", ".join(f"{port.name} {list(array.shape)}" for port, array in named)
            raise UsageError(f"{self.path} fails on {shapes}: {one_line(error)}") from None
        if output.dtype != np.float32 or not np.isfinite(output).all():
            raise UsageError(f"{self.path} must return finite float32 numbers; some of its {output.dtype} are not")
        return torch.from_numpy(np.array(output))

    def _feed(self, port: Port, values: Tensor) -> np.ndarray:
        """Values in the shape of an input."""
        array = values.detach().cpu().float().numpy()
        if port.name == "snr_db" and len(port.shape) == 2:
            array = array[:, None]
        fixed = zip(port.shape[1:], array.shape[1:], strict=False)
        if len(port.shape) != array.ndim or any(expected not in (None, actual) for expected, actual in fixed):
            raise UsageError(
                f"{self.path} requires {port.name} of shape [{_text(port.shape)}], not {list(array.shape)}: "
                "change the image size, or export the model for this size"
            )
        return np.ascontiguousarray(array)


class ForeignTransmitter(Transmitter):
    """Transmitter with a model that maps images to the real and imaginary parts of symbols.

    Args:
        encoder: encoder model.
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        normalize: whether to normalize each row to unit mean energy; otherwise another energy is an error.
    """

    def __init__(self, encoder: Model, cbr: float, normalize: bool) -> None:
        self.encoder, self.cbr, self.normalize = encoder, cbr, normalize
        self.port = encoder.main(("snr_db",))
        self.layout = _layout(encoder, self.port)
        height, width = self.port.shape[2:] if self.layout == "first" else self.port.shape[1:3]
        self.only_size = None if height is None or width is None else (height, width)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        images = sample.images if self.layout == "first" else sample.images.movedim(1, -1)
        reals = self.encoder({self.port.name: images, "snr_db": snr_db})
        pairs = reals if reals.ndim == 3 else reals.reshape(len(reals), -1, 2) if _interleaved(reals) else None
        if pairs is None or pairs.shape[0] != len(images) or pairs.shape[2] != 2 or not pairs.shape[1]:
            raise UsageError(
                f"{self.encoder.path} returns {list(reals.shape)} for {len(images)} images; "
                "it must return [rows, uses, 2] or [rows, 2 * uses]"
            )
        symbols = torch.view_as_complex(pairs.contiguous())
        uses, budget = symbols.shape[1], uses_for(self.cbr, sample.size)
        if uses > budget:
            height, width = sample.size
            raise UsageError(
                f"{self.encoder.path} sends {uses} channel uses for an image of {width} x {height}, the budget is "
                f"{budget}: raise cbr to {uses / (3 * height * width):.6g} per user"
            )
        counts = torch.full((len(symbols),), uses)
        return Payload(self._checked(symbols), counts, digital_uses=torch.zeros_like(counts))

    def _checked(self, symbols: Tensor) -> Tensor:
        """Symbols with unit mean energy per row, normalized if requested.

        Raises:
            UsageError: the mean energy of a row is not 1, or 0 with `normalize`.
        """
        energy = symbols.abs().square().mean(1)
        if self.normalize and bool((energy > 0).all()):
            return symbols / energy.sqrt()[:, None]
        wrong = (energy - 1).abs() > _TOLERANCE
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            fix = "a row of zeros cannot be normalized" if self.normalize else "normalize it or write normalize: true"
            raise UsageError(
                f"{self.encoder.path} returns symbols of mean energy {float(energy[row]):.4g} in row {row}, "
                f"not 1 +- {_TOLERANCE:g}: {fix}"
            )
        return symbols


class ForeignReceiver(Receiver):
    """Receiver with a model that maps received symbols to images.

    Args:
        decoder: decoder model.
    """

    def __init__(self, decoder: Model) -> None:
        self.decoder = decoder
        self.port = decoder.main(_OPTIONAL_INPUTS)
        if len(self.port.shape) not in (2, 3):
            raise UsageError(
                f"{decoder.path} requires {self.port.name} of shape [{_text(self.port.shape)}]: export it for received "
                "symbols, [rows, uses, 2] or [rows, 2 * uses]"
            )

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
            raise UsageError(f"{self.decoder.path} returns images of shape {list(images.shape)}, not {list(first)}")
        return Reception(images.clamp(0, 1), received.uses)


def build_from_networks(name: str, encoder: Model, decoder: Model, cbr: float, normalize: bool, paper: str) -> System:
    """Build the system of an encoder model and a decoder model."""
    return System(
        name=name,
        paper=paper,
        transmitter=ForeignTransmitter(encoder, cbr, normalize),
        receiver=ForeignReceiver(decoder),
        agreement="both models and the image size, which determines the number of channel uses",
        weights=f"{encoder.id} {decoder.id}",
        cbr=cbr,
    )


def model_file(name: str, suffix: str) -> Path:
    """Path of an existing model file.

    Raises:
        UsageError: the file does not exist or has another suffix.
    """
    path = Path(os.path.expanduser(name))
    if path.suffix.lower() != suffix:
        raise UsageError(f"{name!r} does not end in {suffix}: save the model in this format")
    if not path.is_file():
        raise UsageError(f"no model file {path}: write a path relative to the working directory")
    return path


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 digest of several files, in the given order, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def one_line(error: Exception) -> str:
    """Error message of another framework on one line; a long one is cut in its middle, its reason may be at the end."""
    text, half = " ".join(str(error).split()), _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def _interleaved(reals: Tensor) -> bool:
    """Whether real and imaginary parts alternate in [rows, 2 * uses]."""
    return reals.ndim == 2 and reals.shape[1] % 2 == 0


def _text(shape: tuple[int | None, ...]) -> str:
    """Shape for error messages."""
    return ", ".join("any" if length is None else str(length) for length in shape)


def _layout(model: Model, port: Port) -> Literal["first", "last"]:
    """Position of the color dimension in an image input."""
    shape = port.shape[1:]
    possible = [place for place, axis in (("first", 0), ("last", -1)) if len(shape) == 3 and shape[axis] in (None, 3)]
    certain = [place for place, axis in (("first", 0), ("last", -1)) if len(shape) == 3 and shape[axis] == 3]
    if not possible:
        raise UsageError(
            f"{model.path} requires {port.name} of shape [{_text(port.shape)}]: export it for images, "
            "[rows, 3, h, w] or [rows, h, w, 3]"
        )
    candidates = certain or possible
    return model.channels if model.channels in candidates else "first" if "first" in candidates else "last"

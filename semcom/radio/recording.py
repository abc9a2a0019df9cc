"""Recordings of samples in the Signal Metadata Format (SigMF)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from channels.errors import UsageError
from semcom import atomic

FORMATS: dict[str, np.dtype[Any]] = {"cf32_le": np.dtype("<f4"), "ci16_le": np.dtype("<i2"), "ci8": np.dtype("i1")}
"""Sample formats that can be written, and the type of their real and imaginary parts."""
FIELD = "semcom:shared"
"""Field of the metadata with the shared configuration."""


@dataclass(frozen=True)
class Recording:
    """Samples with their metadata.

    Args:
        samples: complex64 [samples].
        sample_rate: sample rate in Hz; None if it is not stated.
        shared: content of the field `semcom:shared`; None without one.
    """

    samples: Complex[Tensor, " samples"]
    sample_rate: float | None
    shared: object


def data_file(meta: Path) -> Path:
    """File of the samples that belongs to a file of metadata."""
    return meta.with_suffix(".sigmf-data")


def write(
    meta: Path,
    samples: Complex[Tensor, " samples"],
    sample_rate: float,
    sample_format: str,
    shared: dict[str, Any],
    frames: Sequence[tuple[int, int, str]],
) -> None:
    """Write a recording; integers use the whole range of the format.

    Args:
        meta: file of metadata, *.sigmf-meta; the samples are written beside it.
        samples: complex64 [samples], parts within +-1.
        sample_rate: sample rate in Hz.
        sample_format: one of `FORMATS`.
        shared: shared configuration.
        frames: first sample, number of samples and label of each transmission.
    """
    from sigmf import SigMFFile

    kind = FORMATS[sample_format]
    parts = torch.view_as_real(samples.contiguous()).flatten().numpy()
    if kind.kind == "i":
        parts = np.round(parts.clip(-1, 1) * np.iinfo(kind).max)
    data = data_file(meta)
    atomic.write(data, parts.astype(kind).tobytes())
    file = SigMFFile(
        data_file=str(data),
        global_info={
            SigMFFile.DATATYPE_KEY: sample_format,
            SigMFFile.SAMPLE_RATE_KEY: sample_rate,
            SigMFFile.RECORDER_KEY: "semcom",
            SigMFFile.DESCRIPTION_KEY: "Images as frames of a waveform",
            SigMFFile.EXTENSIONS_KEY: [{"name": "semcom", "version": "0.2.0", "optional": True}],
            FIELD: shared,
        },
    )
    file.add_capture(0)
    for first, count, label in frames:
        file.add_annotation(first, count, metadata={SigMFFile.LABEL_KEY: label})
    atomic.write(meta, file.dumps(pretty=True).encode())


def read(meta: Path) -> Recording:
    """Read a recording of any sample format of SigMF.

    Args:
        meta: file of metadata, *.sigmf-meta.

    Raises:
        UsageError: a file cannot be read, or it is no recording of complex samples of one channel.
    """
    from sigmf import SigMFFile, error, sigmffile

    if meta.suffix != ".sigmf-meta":
        raise UsageError(f"{meta} is no SigMF file; give a file *.sigmf-meta")
    if not meta.is_file():
        raise UsageError(f"{meta} does not exist; give a file *.sigmf-meta")
    data = data_file(meta)
    if data.is_file() and not data.stat().st_size:
        raise UsageError(f"{data} is empty; record it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sigmf warns of incomplete files, which are examined here
            file = sigmffile.fromfile(str(meta), skip_checksum=True)
            fields = file.get_global_info()
            complex_samples, channels = fields[SigMFFile.DATATYPE_KEY].startswith("c"), file.num_channels
            samples = np.asarray(file.read_samples()) if complex_samples and channels == 1 else np.empty(0)
    except (error.SigMFError, OSError, ValueError) as problem:
        if not data.is_file():
            raise UsageError(f"{data} does not exist; put the file of the samples beside {meta.name}") from None
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise UsageError(f"{meta} cannot be read as a SigMF recording: {reason[:160]}") from None
    except (KeyError, TypeError, AttributeError):  # raised by sigmf for fields of another type
        raise UsageError(f"{meta} is no valid SigMF metadata; write the fields global, captures, annotations") from None
    if not complex_samples or channels != 1:
        raise UsageError(f"{meta} has not complex samples of one channel; record those")
    if not np.isfinite(samples).all():
        raise UsageError(f"{data} has samples that are not numbers; record it again")
    rate = fields.get(SigMFFile.SAMPLE_RATE_KEY)
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < math.inf):
        raise UsageError(f"{meta} has the sample rate {rate!r}; write a number above 0 in Hz")
    return Recording(
        torch.from_numpy(samples.astype(np.complex64)), None if rate is None else float(rate), fields.get(FIELD)
    )

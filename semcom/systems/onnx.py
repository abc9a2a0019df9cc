"""Encoder and decoder networks in ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels.errors import UsageError
from channels.extras import extra

if TYPE_CHECKING:
    from semcom.system import System
    from semcom.systems._foreign import Model

TITLE = "ONNX model"
EXTRA = "onnx"


def build(cbr: float, encoder: str, decoder: str, normalize: bool = False, paper: str = "") -> System:
    """ONNX model: user-defined encoder and decoder networks in ONNX files (inference only).

    The encoder maps images, float32 [rows, 3, h, w] or [rows, h, w, 3] in [0, 1], to the real and imaginary parts of
    its symbols, [rows, uses, 2] or interleaved [rows, 2 * uses]. The decoder maps equalized received symbols in either
    form to images, which are clipped to [0, 1]. Optional inputs: `snr_db`, [rows] or [rows, 1] (average SNR at the
    encoder, SNR from the noise variances at the decoder), and `noise_var`, [rows, uses] (decoder only). The number of
    rows must be variable or 1.

    The symbols must have unit mean energy in each row; their number must not exceed the channel-use budget.
    The models run on the CPU with the number of threads of torch.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        encoder: path of the `.onnx` file of the encoder (images to symbols).
        decoder: path of the `.onnx` file of the decoder (received symbols to images).
        normalize: normalization of each row of symbols to unit mean energy (the scale is not sent to the decoder).
            Default: a row with another energy is an error.
        paper: citation of the models, for reports.

    Raises:
        UsageError: a file is missing, is not an ONNX model, lacks its external weights, contains random operations or
            operations in training mode, or violates the conditions above; `onnxruntime` is not installed.

    >>> build(1 / 6, encoder="nowhere.onnx", decoder="nowhere.onnx")
    Traceback (most recent call last):
    channels.errors.UsageError: no model file nowhere.onnx: write a path relative to the working directory
    """
    from semcom.systems._foreign import build_from_networks

    return build_from_networks("onnx", _loaded(encoder), _loaded(decoder), cbr, normalize, paper=paper)


def _loaded(name: str) -> Model:
    import torch

    from semcom.systems._foreign import Model, Port, model_file, one_line, sha256_of
    from semcom.systems._onnx_file import check

    path = model_file(name, ".onnx")
    files = [path, *check(path)]
    with extra("onnx"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as exceptions too
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # errors of onnxruntime have no common base class
        raise UsageError(f"{path} cannot be loaded as an ONNX model: {one_line(error)}") from None
    inputs = session.get_inputs()
    if unsupported := [port for port in inputs if port.type != "tensor(float)"]:
        raise UsageError(
            f"{path} requires {unsupported[0].name} as {unsupported[0].type}: export it with float32 inputs"
        )
    names, output = [port.name for port in inputs], session.get_outputs()[0].name
    return Model(
        path=path,
        digest=sha256_of(files),
        inputs=tuple(
            Port(port.name, tuple(length if isinstance(length, int) else None for length in port.shape))
            for port in inputs
        ),
        channels="first",
        run=lambda arrays: session.run([output], dict(zip(names, arrays, strict=True)))[0],
    )

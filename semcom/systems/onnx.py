"""An encoder and a decoder as ONNX files, from any framework that exports them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from channels._errors import UsageError

if TYPE_CHECKING:
    from semcom.system import System
    from semcom.systems._foreign import Model

_LOCATION = b"\x0a\x08location\x12"  # key of an entry of `external_data`, and the tag of its value
_DRAWING = (b"RandomNormal", b"RandomNormalLike", b"RandomUniform", b"RandomUniformLike", b"Bernoulli", b"Multinomial")


def build(cbr: float, encoder: str, decoder: str, normalise: bool = False, paper: str = "") -> System:
    """An ONNX encoder and decoder over the link, inference only.

    The encoder maps pictures, float32 [rows, 3, h, w] or [rows, h, w, 3] (its input's shape tells) in [0, 1], to the
    real and imaginary parts of its symbols, [rows, uses, 2] or in turns in [rows, 2 uses]. The decoder maps received
    symbols, equalised, in either form, to pictures, which are clipped to [0, 1]. Both may have an input `snr_db`,
    [rows] or [rows, 1] (the encoder's is the average SNR, the decoder's what the row's noise variances come to), the
    decoder one called `noise_var`, [rows, uses]. Rows may be fixed at 1.

    Symbols must have unit mean energy in each row, and their number must not exceed the grant. The models run on the
    CPU with as many threads as torch has when they are built.

    Args:
        cbr: complex channel uses per real number of the picture.
        encoder: path of the file that maps pictures to symbols.
        decoder: path of the file that maps received symbols to pictures.
        normalise: bring each row to unit mean energy instead of refusing it; the decoder is not told the scale.
        paper: what to cite for the two models.

    Raises:
        UsageError: a file that is missing, is no model, lacks its weights' file, draws random numbers of its own or
            breaks the contract; `onnxruntime` is not installed.

    >>> build(1 / 6, encoder="nowhere.onnx", decoder="nowhere.onnx")
    Traceback (most recent call last):
    channels._errors.UsageError: no model file nowhere.onnx; paths start from the folder in which the command runs
    """
    from semcom.systems._foreign import system_of

    return system_of("onnx", _loaded(encoder), _loaded(decoder), cbr, normalise, paper=paper)


def _loaded(name: str) -> Model:
    import torch

    from semcom.systems._foreign import Model, Port, model_file, one_line, sha256_of

    path = model_file(name, ".onnx")
    content = path.read_bytes()
    files = [path, *_beside(path, content)]
    for operation in _DRAWING:
        if b"\x22" + bytes([len(operation)]) + operation in content:  # field 4 of a node: its operation
            raise UsageError(
                f"{path} draws random numbers of its own ({operation.decode()}), which no seed of a scenario reaches; "
                "export it for inference, without noise"
            )
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("onnx models need onnxruntime: pip install 'semcom[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised too
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common base
        raise UsageError(f"{path} cannot be loaded as an ONNX model: {one_line(error)}") from None
    inputs = session.get_inputs()
    if odd := [port for port in inputs if port.type != "tensor(float)"]:
        raise UsageError(f"{path} takes {odd[0].name} as {odd[0].type}; inputs must be float32")
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


def _beside(path: Path, content: bytes) -> list[Path]:
    """The files in which a model keeps its weights, where it does.

    Raises:
        UsageError: one is missing.
    """
    names = {
        part[1 : 1 + part[0]].decode(errors="replace")  # names are shorter than 128 bytes: their length is one
        for part in content.split(_LOCATION)[1:]
        if part
    }
    for name in sorted(names):
        if not (path.parent / name).is_file():
            raise UsageError(f"{path} keeps its weights in {name}, which is missing: put it beside the model")
    return [path.parent / name for name in sorted(names)]

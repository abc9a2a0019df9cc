"""An encoder and a decoder as Keras files, from TensorFlow or any other framework behind Keras 3."""

from __future__ import annotations

import json
import os
import random
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels._errors import UsageError

if TYPE_CHECKING:
    from semcom.system import System
    from semcom.systems._foreign import Model


def build(cbr: float, encoder: str, decoder: str, normalise: bool = False, paper: str = "") -> System:
    """A Keras encoder and decoder over the link, inference only.

    The encoder maps pictures, float32 [rows, h, w, 3] in [0, 1], to the real and imaginary parts of its symbols,
    [rows, uses, 2] or in turns in [rows, 2 uses]. The decoder maps received symbols, equalised, in either form, to
    pictures [rows, h, w, 3], which are clipped to [0, 1]. Both may have an input `snr_db`, [rows, 1] (the encoder's is
    the average SNR, the decoder's what the row's noise variances come to), the decoder one called `noise_var`,
    [rows, uses]. Models that put colours first, [rows, 3, h, w], are known by their shapes.

    Symbols must have unit mean energy in each row, and their number must not exceed the grant. Only layers of Keras
    itself are loaded: a file with a Lambda layer or a class or function of someone's own is refused before any of it
    runs. TensorFlow gets as many threads as torch has, unless the process has used it before.

    Args:
        cbr: complex channel uses per real number of the picture.
        encoder: path of the `.keras` file that maps pictures to symbols.
        decoder: path of the `.keras` file that maps received symbols to pictures.
        normalise: bring each row to unit mean energy instead of refusing it; the decoder is not told the scale.
        paper: what to cite for the two models.

    Raises:
        UsageError: a file that is missing, is no model, holds code of its own or breaks the contract; TensorFlow is
            not installed.

    >>> build(1 / 6, encoder="nowhere.keras", decoder="nowhere.keras")
    Traceback (most recent call last):
    channels._errors.UsageError: no model file nowhere.keras; paths start from the folder in which the command runs
    """
    from semcom.systems._foreign import system_of

    return system_of("keras", _loaded(encoder), _loaded(decoder), cbr, normalise, paper=paper)


def _loaded(name: str) -> Model:
    from semcom.systems._foreign import Model, Port, model_file, one_line, sha256_of

    path = model_file(name, ".keras")
    _refuse_code(path)
    keras = _keras()
    try:
        with _python_draws_kept():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        ports = tuple(Port(tensor.name, tuple(tensor.shape)) for tensor in model.inputs)
    except Exception as error:  # of whatever kind, it is the file that does not do
        raise UsageError(f"{path} cannot be loaded as a Keras model: {one_line(error)}") from None

    def run(arrays: list[Any]) -> Any:
        by_name = {port.name: array for port, array in zip(ports, arrays, strict=True)}
        found = model(arrays[0] if len(arrays) == 1 else by_name, training=False)
        return keras.ops.convert_to_numpy(found[0] if isinstance(found, list | tuple) else found)

    return Model(path=path, digest=sha256_of([path]), inputs=ports, channels="last", run=run)


def _keras() -> Any:
    """Keras over the framework that it is configured for; TensorFlow unless someone said otherwise."""
    first = "tensorflow" not in sys.modules
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on stderr otherwise
    try:
        with _python_draws_kept():
            import keras
    except ImportError:
        raise UsageError("keras models need TensorFlow: pip install 'semcom[tensorflow]'") from None
    if first and keras.backend.backend() == "tensorflow":
        import tensorflow
        import torch

        tensorflow.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return keras


def _refuse_code(path: Path) -> None:
    """Read what a file is made of, and stop at anything that is not Keras's own, before Keras sees it.

    Raises:
        UsageError: a Lambda layer, a custom class or function; not a `.keras` file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
        if not isinstance(config, dict):
            raise ValueError("not the description of a model")
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        RuntimeError,
    ):  # the last: encrypted, or packed otherwise
        raise UsageError(f"{path} is not a whole .keras file; write it with model.save({path.name!r})") from None
    config.pop("compile_config", None)  # losses and optimisers, which `compile=False` leaves alone
    for item in _dictionaries(config):
        kind, module, registered = item.get("class_name"), item.get("module"), item.get("registered_name")
        if kind in ("Lambda", "__lambda__"):
            raise UsageError(f"{path} has a Lambda layer, which is code and is not run; use layers of Keras instead")
        foreign = registered is not None if module is None else str(module).split(".")[0] != "keras"
        if kind is not None and (foreign or ">" in str(registered or "")):
            what = item["config"] if kind == "function" and isinstance(item.get("config"), str) else registered or kind
            raise UsageError(
                f"{path} has {what} of {module or 'its author'}, which is code of its own and is not run; "
                "use layers and functions of Keras instead"
            )


def _dictionaries(item: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries within a JSON document, outermost first."""
    if isinstance(item, dict):
        yield item
    for inner in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from _dictionaries(inner)


@contextmanager
def _python_draws_kept() -> Iterator[None]:
    """Keras seeds its layers from Python's global generator, which others count on; leave it as it was."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)

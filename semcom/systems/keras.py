"""Encoder and decoder networks in Keras 3 files, with TensorFlow or another Keras backend."""

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

from channels.errors import UsageError
from channels.extras import extra

if TYPE_CHECKING:
    from semcom.system import System
    from semcom.systems._foreign import Model

TITLE = "Keras model"
EXTRA = "tensorflow"

# Layers that compute with their weights alone: they run no code of the file and read no further files.
_LAYERS = """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention Average
AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop Concatenate Conv1D
Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D
Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer
LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum
MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN ReLU RepeatVector Rescaling Reshape
Resizing ReversibleEmbedding SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D
SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract TimeDistributed UnitNormalization
UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_MODELS = frozenset({"Functional", "Sequential", "Model"})
_POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "QuantizedDTypePolicy", "DTypePolicyMap"})
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__"})
_CLASS_MODULES = ("initializers", "regularizers", "constraints", "activations")
_OPERATION_MODULES = ("numpy", "nn", "math", "image", "linalg")  # those of keras.src.ops without functions as arguments
_OPERATIONS = frozenset({"Cast", "ConvertToTensor", "Slice", "SliceUpdate", "StopGradient", "Unstack"})  # of ops.core


def build(cbr: float, encoder: str, decoder: str, normalize: bool = False, paper: str = "") -> System:
    """Keras model: user-defined encoder and decoder networks in Keras files (inference only).

    The encoder maps images, float32 [rows, h, w, 3] or [rows, 3, h, w] in [0, 1], to the real and imaginary parts of
    its symbols, [rows, uses, 2] or interleaved [rows, 2 * uses]. The decoder maps equalized received symbols in either
    form to images, which are clipped to [0, 1]. Optional inputs: `snr_db`, [rows, 1] (average SNR at the encoder, SNR
    from the noise variances at the decoder), and `noise_var`, [rows, uses] (decoder only).

    The symbols must have unit mean energy in each row; their number must not exceed the channel-use budget.
    For security, only layers of Keras that compute with their weights alone are loaded; Lambda layers, wrapped models
    of other frameworks, layers that read files, and custom classes or functions are errors.
    TensorFlow uses the number of threads of torch, unless it was already in use in this process.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        encoder: path of the `.keras` file of the encoder (images to symbols).
        decoder: path of the `.keras` file of the decoder (received symbols to images).
        normalize: normalization of each row of symbols to unit mean energy (the scale is not sent to the decoder).
            Default: a row with another energy is an error.
        paper: citation of the models, for reports.

    Raises:
        UsageError: a file is missing, is not a Keras model, contains custom code or violates the conditions above;
            TensorFlow is not installed.

    >>> build(1 / 6, encoder="nowhere.keras", decoder="nowhere.keras")
    Traceback (most recent call last):
    channels.errors.UsageError: no model file nowhere.keras: write a path relative to the working directory
    """
    from semcom.systems._foreign import build_from_networks

    return build_from_networks("keras", _loaded(encoder), _loaded(decoder), cbr, normalize, paper=paper)


def _loaded(name: str) -> Model:
    from semcom.systems._foreign import Model, Port, model_file, one_line, sha256_of

    path = model_file(name, ".keras")
    _refuse_code(path)
    keras = _keras()
    try:
        with _python_random_state_restored():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        ports = tuple(Port(tensor.name, tuple(tensor.shape)) for tensor in model.inputs)
    except Exception as error:  # errors of Keras have no common base class
        raise UsageError(f"{path} cannot be loaded as a Keras model: {one_line(error)}") from None

    def run(arrays: list[Any]) -> Any:
        by_name = {port.name: array for port, array in zip(ports, arrays, strict=True)}
        output = model(arrays[0] if len(arrays) == 1 else by_name, training=False)
        return keras.ops.convert_to_numpy(output[0] if isinstance(output, list | tuple) else output)

    return Model(path=path, digest=sha256_of([path]), inputs=ports, channels="last", run=run)


def _keras() -> Any:
    """Keras with its configured backend, TensorFlow by default."""
    first = "tensorflow" not in sys.modules
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no start-up messages of TensorFlow on stderr
    with _python_random_state_restored(), extra("tensorflow"):
        import keras
    if first and keras.backend.backend() == "tensorflow":
        import torch

        with extra("tensorflow"):
            import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return keras


def _refuse_code(path: Path) -> None:
    """Check the layers of a file against the list of permitted ones before Keras loads it.

    Raises:
        UsageError: the file has a Lambda layer, a custom class or function, a layer or function that is not in the
            list, or is not a `.keras` file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
        if not isinstance(config, dict):
            raise ValueError("not a model configuration")
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        RuntimeError,
    ):  # RuntimeError: encrypted, or another compression method
        raise UsageError(f"{path} is not a valid .keras file: write it with model.save({path.name!r})") from None
    config.pop("compile_config", None)  # losses and optimizers, which `compile=False` does not load
    for item in _dictionaries(config):
        kind, module, registered = item.get("class_name"), item.get("module"), item.get("registered_name")
        if kind in ("Lambda", "__lambda__"):
            raise UsageError(f"{path} has a Lambda layer, whose code is not run: use layers of Keras instead")
        foreign = registered is not None if module is None else str(module).split(".")[0] != "keras"
        if kind is not None and (foreign or ">" in str(registered or "")):
            name = item["config"] if kind == "function" and isinstance(item.get("config"), str) else registered or kind
            raise UsageError(
                f"{path} has the custom class or function {name} ({module or 'no module'}), whose code is not run: use "
                "layers and functions of Keras instead"
            )
        if kind is not None and not _is_permitted(str(module), str(kind), item.get("config")):
            name = item["config"] if kind == "function" else kind
            raise UsageError(
                f"{path} has {name} ({module}), which may do more than compute with weights and is not loaded: use "
                "another layer or function of Keras"
            )


def _is_permitted(module: str, kind: str, config: Any) -> bool:
    """Whether an entry of a model configuration is in the list of permitted classes and functions."""
    parts = module.split(".")
    if module == "None":
        return kind in _VALUES
    if kind == "function":
        return "activations" in parts and str(config) not in ("get", "deserialize", "serialize")
    if parts[:3] == ["keras", "src", "ops"]:
        return kind in _OPERATIONS or (parts[-1] in _OPERATION_MODULES and kind[:1].isupper())
    if parts[-1] == "layers" or "layers" in parts[:3]:
        return kind in _LAYERS.split()
    if "models" in parts[1:3] or module == "keras":
        return kind in _MODELS | _POLICIES
    if "dtype_policies" in parts[1:3]:
        return kind in _POLICIES
    return any(part in _CLASS_MODULES for part in parts[1:3]) and kind[:1].isupper()


def _dictionaries(item: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries within a JSON document, outermost first."""
    if isinstance(item, dict):
        yield item
    for inner in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from _dictionaries(inner)


@contextmanager
def _python_random_state_restored() -> Iterator[None]:
    """Restore the state of Python's random generator, from which Keras seeds its layers."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)

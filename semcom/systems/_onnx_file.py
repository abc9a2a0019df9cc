"""Checks of ONNX files before they are loaded: random and training operations, and places of external weights.

The file is read as protocol buffers (https://protobuf.dev/programming-guides/encoding), because the package onnx is
not required to run a model. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from channels.errors import UsageError
from semcom.codecs.varint import read_varint

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
_TRAINING_INPUT = {"Dropout": 2, "BiasDropout": 4}  # place of the input `training_mode`
_MAX_DEPTH = 100  # nested messages, as in Google's parsers

# Messages that are read: their fields that are messages themselves.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}

Message = dict[int, list[int | memoryview]]


def check(path: Path) -> list[Path]:
    """Check a model file; return the files of its external weights.

    Raises:
        UsageError: the file is no ONNX model, has random operations or operations in training mode, or its external
            weights are missing or outside the folder of the model.
    """
    try:
        messages = list(_messages(memoryview(path.read_bytes()), "model"))
    except (IndexError, ValueError):
        raise UsageError(f"{path} cannot be loaded as an ONNX model: the file has another format") from None
    constants: dict[tuple[int, str], set[bool]] = defaultdict(set)
    for kind, message, scope in messages:
        for name, value in _constants(kind, message):
            constants[scope, name].add(value)
    for kind, message, scope in messages:
        if kind == "node":
            _refuse_node(
                path, message, {name for name in _texts(message, 1) if constants.get((scope, name)) == {False}}
            )
    names = {_text(entry, 2) for kind, entry, _ in messages if kind == "entry" and _text(entry, 1) == "location"}
    return [_external_file(path, name) for name in sorted(names)]


def _refuse_node(path: Path, node: Message, false: set[str]) -> None:
    """Raise a `UsageError` for a random operation, or one in training mode.

    Args:
        path: model file.
        node: operation.
        false: names of its inputs that are the constant false.
    """
    operation, inputs, outputs = _text(node, 4), _texts(node, 1), _texts(node, 2)
    if operation in _RANDOM:
        raise UsageError(
            f"{path} contains a random operation ({operation}), which is not seeded: export it for inference, without "
            "noise"
        )
    place = _TRAINING_INPUT.get(operation)
    training = place is not None and len(inputs) > place and inputs[place] not in {"", *false}
    if operation == "BatchNormalization":
        training = any(_attributes(node, "training_mode")) or len([name for name in outputs if name]) > 1
    if training:
        raise UsageError(
            f"{path} contains {operation} in training mode, which is random or depends on the other rows: export it "
            "for inference (in PyTorch: model.eval())"
        )


def _external_file(path: Path, name: str) -> Path:
    folder = path.parent.resolve()
    file = (folder / name).resolve()
    if not file.is_relative_to(folder) or Path(name).is_absolute():
        raise UsageError(f"{path} refers to the weight file {name} outside its folder: copy it to the same folder")
    if not file.is_file():
        raise UsageError(f"{path} refers to the weight file {name}, which is missing: copy it to the same folder")
    return file


def _constants(kind: str, message: Message) -> Iterator[tuple[str, bool]]:
    """Names of initializers and of outputs of Constant, and whether they have a value other than zero."""
    if kind == "graph":
        yield from ((_text(tensor, 8), _true(tensor)) for tensor in map(_message, message.get(5, [])))
    if kind == "node" and _text(message, 4) == "Constant":
        for attribute in message.get(5, []):
            for tensor in _message(attribute).get(5, []):
                yield from ((name, _true(_message(tensor))) for name in _texts(message, 2))


def _true(tensor: Message) -> bool:
    """Whether a tensor has a value other than zero."""
    stored = [*tensor.get(5, []), *tensor.get(9, []), *tensor.get(13, [])]  # int32_data, raw_data, external_data
    return any(item if isinstance(item, int) else any(item) for item in stored) or not stored


def _attributes(node: Message, name: str) -> list[int | memoryview]:
    """Integer values of an attribute."""
    found = [attribute for attribute in map(_message, node.get(5, [])) if _text(attribute, 1) == name]
    return [value for attribute in found for value in attribute.get(3, [])]


def _messages(data: memoryview, kind: str, scope: int = 0, depth: int = 0) -> Iterator[tuple[str, Message, int]]:
    """The message and all messages in it, as (kind, fields, number of the model or function whose names it uses)."""
    if depth > _MAX_DEPTH:
        raise ValueError("too many nested messages")
    message = _message(data)
    yield kind, message, scope
    for field, inner in _FIELDS[kind].items():
        for number, value in enumerate(message.get(field, [])):
            inside = number + 1 if inner == "function" else scope
            yield from _messages(_bytes(value), inner, inside, depth + 1)


def _message(value: int | memoryview) -> Message:
    """Values of the fields of a message by field number: numbers, or the bytes of texts and messages."""
    data, place = _bytes(value), 0
    found: Message = defaultdict(list)
    while place < len(data):
        key, place = _varint(data, place)
        match key & 7:
            case 0:
                number, place = _varint(data, place)
                found[key >> 3].append(number)
            case 2:
                length, place = _varint(data, place)
                if place + length > len(data):
                    raise ValueError("the file ends within a field")
                found[key >> 3].append(data[place : place + length])
                place += length
            case 1 | 5 as width:
                place += 8 if width == 1 else 4
            case other:
                raise ValueError(f"unknown wire type {other}")
    return found


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    found = read_varint(data, place, most_bytes=10)  # 64 bits
    if found is None:
        raise ValueError("the file ends within a number, or a number has more than 64 bits")
    return found


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number in place of a message")
    return value


def _texts(message: Message, field: int) -> list[str]:
    return [bytes(_bytes(value)).decode(errors="replace") for value in message.get(field, [])]


def _text(message: Message, field: int) -> str:
    return (_texts(message, field) or [""])[-1]

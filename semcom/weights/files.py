"""Weight files: safetensors with a header that holds the configuration and the provenance of the network."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from channels.errors import UsageError
from channels.extras import extra
from semcom import atomic
from semcom.weights import quantization
from semcom.weights.connection import hub_is_reachable, offline

Network = TypeVar("Network", bound=nn.Module)

_BUNDLED = Path(__file__).parent / "bundled"
_FORMAT = "semcom-weights-1"
_FORMAT_QUANTIZED = "semcom-weights-2"  # some tensors are packed integers, see `quantization`
_PACKED, _SCALE = ".packed", ".scale"


@dataclass(frozen=True)
class Weights:
    """Content of a weight file.

    Args:
        name: file name without its suffix.
        system: system that the network belongs to.
        configuration: arguments that rebuild the network.
        provenance: origin of the weights as text, by topic: "command", "commit", "data", "terms", "measured".
        tensors: parameters and buffers by name, float16 (integers unchanged).
        digest: SHA-256 of all of the above except the name, in hex.
        bits: number of bits of each weight that is stored in a few bits, by name; such a tensor is float32.
    """

    name: str
    system: str
    configuration: Mapping[str, Any]
    provenance: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    digest: str
    bits: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name and first 8 hex digits of the hash, as in rows of results: "deepjscc@0a1b2c3d"."""
        return f"{self.name}@{self.digest[:8]}"


@torch.inference_mode(False)  # networks are cached and may be trained later
def rebuild(name: str, system: str, make: Callable[..., Network]) -> tuple[Network, str]:
    """Return the network of a weight file in evaluation mode, and its id for rows of results.

    Args:
        name: path of a file; name of a bundled file; "hub:owner/repository/file.safetensors" on the Hugging Face hub,
            read from its cache or downloaded; or "none" for untrained weights (always the same).
        system: system that the file must belong to.
        make: function that builds the network from the file's configuration; called without arguments for "none".

    Raises:
        UsageError: the file does not exist, is no weight file, is damaged or changed, or belongs to another system or
            network.
    """
    if name == "none":
        with seeded(0):
            return make().eval(), "none"
    loaded = load(name)
    if loaded.system != system:
        raise UsageError(f"weights {name!r} belong to {loaded.system}, not to {system}")
    try:
        with seeded(0):
            network = make(**loaded.configuration)
    except TypeError as error:
        raise UsageError(f"weights {name!r} belong to another network or version of {system}: {error}") from None
    restore(network, loaded)
    return network.eval(), loaded.id


def restore(network: nn.Module, loaded: Weights) -> None:
    """Copy loaded weights into a network.

    Raises:
        UsageError: names or shapes of the tensors differ from those of the network.
    """
    expected = {key: value.shape for key, value in network.state_dict().items()}
    found = {key: value.shape for key, value in loaded.tensors.items()}
    if expected != found:
        odd = min(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
        raise UsageError(f"weights {loaded.name!r} of {loaded.system} belong to another network: {odd} does not fit")
    network.load_state_dict(loaded.tensors)
    for name, parameter in network.named_parameters() if loaded.bits else ():
        size = quantization.stored_bytes(parameter, loaded.bits[name]) if name in loaded.bits else 2 * parameter.numel()
        parameter.stored_bytes = size  # type: ignore[attr-defined]


def save(
    path: Path,
    network: nn.Module,
    system: str,
    configuration: Mapping[str, Any],
    provenance: Mapping[str, str],
    bits: Mapping[str, int] | None = None,
) -> Weights:
    """Write the weights of a network in float16, and beside them a model card `<name>.md`.

    Args:
        path: file to write, `<name>.safetensors`; its folder is created if necessary.
        network: network with the weights.
        system: system that the network belongs to.
        configuration: arguments that rebuild the network.
        provenance: origin of the weights as text, by topic.
        bits: number of bits of each weight of some parameters, by name; these are stored as packed integers and one
            float16 scale per output channel.

    Returns:
        Content of the file.

    Raises:
        UsageError: a value is NaN, or exceeds the range of float16; former files are unchanged.
        OSError: a file cannot be written; former files are unchanged.
    """
    from safetensors.torch import save as to_bytes

    tensors = {key: value.detach().cpu().contiguous() for key, value in stored(network.state_dict()).items()}
    header = {
        "format": _FORMAT,
        "system": system,
        "configuration": json.dumps(configuration, sort_keys=True),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    if bits:
        shapes = {key: [number, *tensors[key].shape] for key, number in bits.items()}
        header |= {"format": _FORMAT_QUANTIZED, "bits": json.dumps(shapes, sort_keys=True)}
        exact = {key: network.state_dict()[key].detach().cpu() for key in bits}
        content = _packed(tensors, exact, bits)
        tensors = _unpacked(content, shapes)
    else:
        content = tensors
    digest = _digest(header, content)
    written = Weights(path.stem, system, configuration, provenance, tensors, digest, dict(bits or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, to_bytes(content, header | {"sha256": digest}))
    atomic.write(path.with_suffix(".md"), card(written).encode())
    return written


def _packed(tensors: Mapping[str, Tensor], exact: Mapping[str, Tensor], bits: Mapping[str, int]) -> dict[str, Tensor]:
    """The tensors of a file, in which some are packed integers and scales."""
    content = {key: value for key, value in tensors.items() if key not in bits}
    for key, number in bits.items():
        levels, content[f"{key}{_SCALE}"] = quantization.quantize(exact[key], number)
        content[f"{key}{_PACKED}"] = quantization.pack(levels, number)
    return content


def _unpacked(content: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The tensors of a network from those of a file; `shapes` has the number of bits and the shape."""
    tensors = {key: value for key, value in content.items() if not key.endswith((_PACKED, _SCALE))}
    for key, (number, *shape) in shapes.items():
        scale = content[f"{key}{_SCALE}"]
        levels = quantization.unpack(content[f"{key}{_PACKED}"], number, math.prod(shape)).view(len(scale), -1)
        tensors[key] = quantization.dequantize(levels, scale, tuple(shape))
    return tensors


def stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network as weight files store them: float16, integers unchanged.

    Raises:
        UsageError: a value is NaN, or exceeds the range of float16.
    """
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    for key, value in tensors.items():
        if value.isnan().any() or not torch.equal(value.isinf(), state[key].isinf()):  # masks may contain -inf
            raise UsageError(f"{key} is NaN or exceeds the range of float16, the number format of weight files")
    return tensors


def load(name: str) -> Weights:
    """Read and verify a weight file; `name` as in `rebuild`, except "none".

    Raises:
        UsageError: the file does not exist, is no weight file, or is damaged or changed.
    """
    from safetensors import SafetensorError, safe_open

    path = find(name)
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is not a complete safetensors file: {' '.join(str(error).split())}") from None
    digest = header.pop("sha256", "")
    if header.get("format") not in (_FORMAT, _FORMAT_QUANTIZED):
        raise UsageError(f"{path} was not written by semcom train: its header lacks format {_FORMAT}")
    if _digest(header, tensors) != digest:
        raise UsageError(f"{path} is damaged or was changed: its content does not match the hash in its header")
    try:
        system, configuration, provenance = header["system"], header["configuration"], header["provenance"]
        shapes = json.loads(header.get("bits", "{}"))
        tensors, bits = _unpacked(tensors, shapes), {key: shape[0] for key, shape in shapes.items()}
        return Weights(path.stem, system, json.loads(configuration), json.loads(provenance), tensors, digest, bits)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{path} was not written by semcom train: its header is incomplete ({error})") from None


def find(name: str) -> Path:
    """Path of a weight file: a local file, a bundled file, a file in the hub's cache, or a download from the hub.

    Raises:
        UsageError: there is no such file; the message lists the places that were searched.
    """
    if name.startswith("hub:"):
        owner, _, rest = name.removeprefix("hub:").partition("/")
        repository, _, file = rest.partition("/")
        if not (owner and repository and file.endswith(".safetensors")):
            raise UsageError(f"no weights {name!r}: write hub:owner/repository/file.safetensors")
        return _from_hub(f"{owner}/{repository}", file)
    path = Path(os.path.expanduser(name))
    if path.is_file():
        return path
    if path.name == name and (bundled := _BUNDLED / f"{name}.safetensors").is_file():
        return bundled
    bundled_names = ", ".join(sorted(path.stem for path in _BUNDLED.glob("*.safetensors")))
    raise UsageError(
        f"no weights {name!r}: neither a file nor a bundled file ({bundled_names}); "
        "for the Hugging Face hub write hub:owner/repository/file.safetensors"
    )


def is_bundled(name: str) -> bool:
    """Whether the package contains a weight file of that name."""
    return (_BUNDLED / f"{name}.safetensors").is_file()


def _from_hub(repository: str, file: str) -> Path:
    with extra("hub"):
        from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    if offline():
        raise UsageError(f"weights {repository}/{file} are not in the hub's cache; HF_HUB_OFFLINE forbids downloads")
    if not hub_is_reachable():
        raise UsageError(f"weights {repository}/{file} are not in the hub's cache, and the hub cannot be reached")
    try:
        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises the exceptions of several libraries
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"weights {repository}/{file} cannot be downloaded from the hub: {reason}") from None


def card(weights: Weights) -> str:
    """Model card in Markdown, made from the header of a weight file."""
    lines = [
        f"# {weights.name}",
        "",
        f"* system: `{weights.system}`; id in results: `{weights.id}`; {_number_format(weights)}",
    ]
    lines += [f"* {topic}: {text}" for topic, text in weights.provenance.items()]
    lines += [f"* configuration: `{json.dumps(weights.configuration)}`"]
    lines += [f"* parameters: {sum(value.numel() for value in weights.tensors.values()):,}"]
    lines += [f"* sha256 of header and tensors: `{weights.digest}`"]
    return "\n".join(lines) + "\n"


def _number_format(weights: Weights) -> str:
    few = sorted(set(weights.bits.values()))
    return (
        f"{', '.join(map(str, few))} bits per weight of {len(weights.bits)} tensors, else float16" if few else "float16"
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random generators inside the context and restore their state afterwards."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        yield


def _digest(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the header and of each tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(tensors):
        value = tensors[key].contiguous()
        digest.update(f"\n{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

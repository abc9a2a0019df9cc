"""Weight files: safetensors whose header rebuilds the network and says where it comes from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from channels._errors import UsageError

Network = TypeVar("Network", bound=nn.Module)

_BUNDLED = Path(__file__).parent / "weights"
_FORMAT = "semcom-weights-1"


@dataclass(frozen=True)
class Weights:
    """What a weight file holds.

    Args:
        name: of the file, without its ending.
        system: whose networks these are.
        configuration: arguments that rebuild the network.
        provenance: where the weights come from, in words: "command", "commit", "data", "terms", "measured", and so on.
        tensors: float16 (integers as they are), by the network's names.
        digest: SHA-256 over all of the above except the name, in hex.
    """

    name: str
    system: str
    configuration: Mapping[str, Any]
    provenance: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    digest: str

    @property
    def id(self) -> str:
        """Name and first 8 hex of the hash, as rows of results carry it: "deepjscc@0a1b2c3d"."""
        return f"{self.name}@{self.digest[:8]}"


def rebuild(name: str, system: str, make: Callable[..., Network]) -> tuple[Network, str]:
    """Return the network of a weight file, ready to infer, and the id that rows of results name it by.

    Args:
        name: a path; a bundled file's name; "owner/repository/file.safetensors" on the Hugging Face hub, from its cache
            or, unless offline, from the hub; or "none" for untrained weights (always the same).
        system: whose networks the file must hold.
        make: called with the file's configuration, or without arguments for "none".

    Raises:
        UsageError: no such file; not a weight file, damaged or changed; of another system; of another network.
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
        raise UsageError(f"weights {name!r} are of another network or version of {system}: {error}") from None
    restore(network, loaded)
    return network.eval(), loaded.id


def restore(network: nn.Module, loaded: Weights) -> None:
    """Put loaded weights into a network.

    Raises:
        UsageError: they are of another network.
    """
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    found = {key: value.shape for key, value in loaded.tensors.items()}
    if wanted != found:
        odd = min(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        raise UsageError(
            f"weights {loaded.name!r}, of {loaded.system}, are of another network than this: {odd} does not fit"
        )
    network.load_state_dict(loaded.tensors)


def save(
    path: Path,
    network: nn.Module,
    system: str,
    configuration: Mapping[str, Any],
    provenance: Mapping[str, str],
) -> Weights:
    """Write a network's state in float16, whole or not at all, and beside it a model card `<name>.md`."""
    from safetensors.torch import save as to_bytes

    tensors = {
        key: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in network.state_dict().items()
    }
    header = {
        "format": _FORMAT,
        "system": system,
        "configuration": json.dumps(configuration, sort_keys=True),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    digest = _digest(header, tensors)
    written = Weights(path.stem, system, configuration, provenance, tensors, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, to_bytes(tensors, header | {"sha256": digest}))
    _replace(path.with_suffix(".md"), card(written).encode())
    return written


def load(name: str) -> Weights:
    """Read and verify a weight file; `name` as in `rebuild`, except "none".

    Raises:
        UsageError: no such file; not a weight file, damaged or changed.
    """
    from safetensors import SafetensorError, safe_open

    path = find(name)
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is not a whole safetensors file: {' '.join(str(error).split())}") from None
    digest = header.pop("sha256", "")
    if header.get("format") != _FORMAT:
        raise UsageError(f"{path} was not written by semcom train: its header lacks format {_FORMAT}")
    if _digest(header, tensors) != digest:
        raise UsageError(f"{path} is damaged or was changed: its content does not match the hash in its header")
    try:
        system, configuration, provenance = header["system"], header["configuration"], header["provenance"]
        return Weights(path.stem, system, json.loads(configuration), json.loads(provenance), tensors, digest)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{path} was not written by semcom train: its header is not whole ({error})") from None


def find(name: str) -> Path:
    """The file that a name stands for: a path, a bundled file, one in the hub's cache, one fetched from the hub.

    Raises:
        UsageError: there is none; the message says where it was looked for.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.name == name and (bundled := _BUNDLED / f"{name}.safetensors").is_file():
        return bundled
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if not file.endswith(".safetensors"):
        there = ", ".join(sorted(path.stem for path in _BUNDLED.glob("*.safetensors")))
        raise UsageError(
            f"no weights {name!r}: neither a file nor one of the bundled ({there}); "
            "on the hub they are called owner/repository/file.safetensors"
        )
    return _from_hub(f"{owner}/{repository}", file)


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids asking the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _from_hub(repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    if offline():
        raise UsageError(f"weights {repository}/{file} are not in the hub's cache, and HF_HUB_OFFLINE forbids fetching")
    try:
        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises what its several transports raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"weights {repository}/{file} could not be fetched from the hub: {reason}") from None


def card(weights: Weights) -> str:
    """A model card in Markdown, from nothing but what the file's header says."""
    lines = [f"# {weights.name}", "", f"Weights of the system `{weights.system}`, `{weights.id}`, float16.", ""]
    lines += [f"* {topic}: {text}" for topic, text in weights.provenance.items()]
    lines += [f"* configuration: `{json.dumps(weights.configuration)}`"]
    lines += [f"* parameters: {sum(value.numel() for value in weights.tensors.values()):,}"]
    lines += [f"* sha256 of header and tensors: `{weights.digest}`"]
    return "\n".join(lines) + "\n"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's global generators start from `seed`; outside, they are as they were."""
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


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

"""Weight files: reading and writing, and refusal of damaged files and of files of other systems."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from semcom import UsageError, weights
from semcom.weights import files, hub, transformers


class Toy(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(2, width)
        self.register_buffer("count", torch.tensor([7]))


@pytest.fixture
def path(tmp_path):
    network = Toy(width=5)
    weights.save(tmp_path / "toy.safetensors", network, "toy", {"width": 5}, {"measured": "30 dB", "terms": "free"})
    return tmp_path / "toy.safetensors"


def rewritten(path, change):
    """The file after `change` was applied to its header and tensors with the library."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    change(header, tensors)
    save_file(tensors, path, header)
    return str(path)


def test_a_file_rebuilds_its_network(path):
    original = load_file(path)
    network, identity = weights.rebuild(str(path), "toy", Toy)
    assert network.layer.weight.dtype == torch.float32
    assert network.layer.out_features == 5
    for name, value in network.state_dict().items():
        assert torch.equal(value, original[name].to(value.dtype))
    assert original["layer.weight"].dtype == torch.float16
    assert identity == f"toy@{weights.load(str(path)).digest[:8]}"
    assert not network.training


def test_hash_depends_on_the_content_alone(tmp_path, path):
    network, identity = weights.rebuild(str(path), "toy", Toy)
    again = weights.save(
        tmp_path / "again" / "toy.safetensors", network, "toy", {"width": 5}, {"measured": "30 dB", "terms": "free"}
    )
    assert again.id == identity
    assert weights.save(path, network, "toy", {"width": 5}, {"measured": "31 dB"}).id != identity


def test_model_card_has_the_content_of_the_header(path):
    card = path.with_suffix(".md").read_text()
    assert "measured: 30 dB" in card
    assert "terms: free" in card
    assert weights.load(str(path)).digest in card


@pytest.mark.parametrize("where", [0.5, 0.999])
def test_a_changed_byte_is_refused(path, where):
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError):
        weights.load(str(path))


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_truncated_file_is_refused_in_one_line(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UsageError, match="not a complete safetensors file") as error:
        weights.load(str(path))
    assert "\n" not in str(error.value)


def change_header(header, tensors):
    header["provenance"] = json.dumps({"measured": "60 dB"})


def change_tensor(header, tensors):
    tensors["layer.bias"] += 0.01


def add_tensor(header, tensors):
    tensors["extra"] = torch.zeros(1)


@pytest.mark.parametrize("change", [change_header, change_tensor, add_tensor])
def test_a_changed_header_or_tensor_is_refused(path, change):
    with pytest.raises(UsageError, match="does not match the hash"):
        weights.load(rewritten(path, change))


def test_a_file_of_another_program_is_refused(tmp_path):
    save_file({"layer.weight": torch.zeros(3, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="not written by semcom"):
        weights.load(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("key", ["system", "configuration", "provenance"])
def test_an_incomplete_header_is_refused(path, key):
    def drop(header, tensors):
        del header[key], header["sha256"]
        header["sha256"] = files._digest(header, tensors)

    with pytest.raises(UsageError, match=f"header is incomplete .*{key}"):
        weights.load(rewritten(path, drop))


def test_a_file_of_another_system_is_refused(path):
    with pytest.raises(UsageError, match="belong to toy, not to deepjscc"):
        weights.rebuild(str(path), "deepjscc", Toy)


def test_a_file_of_another_network_is_refused(path):
    class Wider(Toy):
        def __init__(self, width: int) -> None:
            super().__init__(width + 1)

    class Renamed(nn.Module):
        def __init__(self, breadth: int = 1) -> None:
            super().__init__()

    with pytest.raises(UsageError, match=r"layer\.bias does not fit"):
        weights.rebuild(str(path), "toy", Wider)
    with pytest.raises(UsageError, match="another network or version of toy"):
        weights.rebuild(str(path), "toy", Renamed)


def test_an_unknown_name_lists_the_places_that_were_searched():
    with pytest.raises(UsageError, match=r"neither a file nor a bundled file .*hub:owner/repository/file"):
        weights.find("no_such_weights")


@pytest.mark.parametrize(
    "name", ["/nowhere.safetensors", "a/b/c.safetensors", "./a.safetensors", "~nobody/b/c.safetensors", "../../x/y"]
)
def test_a_path_is_never_looked_for_on_the_hub(name, monkeypatch):
    import huggingface_hub
    import open_clip
    from transformers import AutoConfig

    from semcom.systems.multimodal_generation.networks import clip, stable_diffusion

    for module, function in (
        (huggingface_hub, "hf_hub_download"),
        (open_clip, "create_model_and_transforms"),
        (AutoConfig, "from_pretrained"),
    ):
        monkeypatch.setattr(module, function, lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(UsageError, match=r"^no weights .* neither a file nor a bundled file"):
        weights.find(name)
    with pytest.raises(UsageError, match=r"^no network .* there is no such file or folder"):
        transformers.load("ViTModel", "vit", name, "network", "another")
    with pytest.raises(UsageError, match=r"^no CLIP model .* there is no such file or folder"):
        clip.load_open_clip(name)
    with pytest.raises(UsageError, match=r"^no Stable Diffusion pipeline .* there is no such file or folder"):
        stable_diffusion.load_stable_diffusion(name, torch.zeros_like, (), torch.zeros(0, 1))


def test_hub_files_are_read_from_the_cache_and_not_downloaded_offline(path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: pytest.fail("downloaded"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        weights.find("hub:nobody/nothing/toy.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, file: str(path))
    assert weights.find("hub:nobody/nothing/toy.safetensors") == path


def test_an_unreachable_hub_is_a_one_line_error(monkeypatch):
    import huggingface_hub

    def unreachable(*_):
        raise OSError("no\nroute")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    monkeypatch.setattr(files, "hub_is_reachable", lambda: False)
    with pytest.raises(UsageError, match="not in the hub's cache, and the hub cannot be reached"):
        weights.find("hub:nobody/nothing/toy.safetensors")
    monkeypatch.setattr(files, "hub_is_reachable", lambda: True)
    with pytest.raises(UsageError, match="cannot be downloaded from the hub: no route"):
        weights.find("hub:nobody/nothing/toy.safetensors")


def test_untrained_weights_are_reproducible_and_keep_the_global_random_state():
    state = torch.get_rng_state()
    first, identity = weights.rebuild("none", "toy", Toy)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    second, _ = weights.rebuild("none", "toy", Toy)
    assert identity == "none"
    assert torch.equal(first.layer.weight, second.layer.weight)


def test_without_a_connection_the_client_of_the_hub_is_not_called(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the port "discard"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(UsageError, match=r"no model 'nobody/nothing': it is not in the cache .* cannot be reached"):
        hub.check_connection("nobody/nothing", "model")
    (tmp_path / "models--nobody--nothing").mkdir()
    hub.check_connection("nobody/nothing", "model")
    assert constants.HF_HUB_OFFLINE, "the cache is read without attempts to connect"
    hub.check_connection(str(tmp_path), "model")


@pytest.mark.parametrize("name", ["carrier_image", "scene", "multimodal_generation"])
def test_a_pretrained_preset_without_a_connection_is_one_line_at_once(name, tmp_path, monkeypatch):
    """Before the libraries of the models are imported, which takes seconds and prints lines."""
    from huggingface_hub import constants

    from semcom.discover import find

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "hub_is_reachable", lambda: False)
    libraries = ("transformers", "open_clip", "diffusers")
    for library in libraries:
        monkeypatch.delitem(sys.modules, library, raising=False)
    with pytest.raises(UsageError, match="which cannot be reached; check the connection, or give the path of its fold"):
        find("system", name).load()(cbr=1 / 8, preset="base")
    assert not sys.modules.keys() & libraries

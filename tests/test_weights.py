"""Weight files: what is written comes back, what was touched or is foreign is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from semcom import UsageError, weights


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
    """The file with its header and tensors passed through `change`, as somebody with the library would do it."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    change(header, tensors)
    save_file(tensors, path, header)
    return str(path)


def test_a_file_rebuilds_its_network_to_float16_and_names_it(path):
    original = load_file(path)
    network, identity = weights.rebuild(str(path), "toy", Toy)
    assert network.layer.weight.dtype == torch.float32
    assert network.layer.out_features == 5
    for name, value in network.state_dict().items():
        assert torch.equal(value, original[name].to(value.dtype))
    assert original["layer.weight"].dtype == torch.float16
    assert identity == f"toy@{weights.load(str(path)).digest[:8]}"
    assert not network.training


def test_the_same_content_has_the_same_hash_and_other_content_another(tmp_path, path):
    network, identity = weights.rebuild(str(path), "toy", Toy)
    again = weights.save(
        tmp_path / "again" / "toy.safetensors", network, "toy", {"width": 5}, {"measured": "30 dB", "terms": "free"}
    )
    assert again.id == identity
    assert weights.save(path, network, "toy", {"width": 5}, {"measured": "31 dB"}).id != identity


def test_the_model_card_says_what_the_header_says(path):
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
    with pytest.raises(UsageError, match="not a whole safetensors file") as error:
        weights.load(str(path))
    assert "\n" not in str(error.value)


def boast(header, tensors):
    header["provenance"] = json.dumps({"measured": "60 dB"})


def nudge(header, tensors):
    tensors["layer.bias"] += 0.01


def add(header, tensors):
    tensors["extra"] = torch.zeros(1)


@pytest.mark.parametrize("change", [boast, nudge, add])
def test_a_changed_header_or_tensor_is_refused(path, change):
    with pytest.raises(UsageError, match="does not match the hash"):
        weights.load(rewritten(path, change))


def test_a_file_of_another_program_is_refused(tmp_path):
    save_file({"layer.weight": torch.zeros(3, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="not written by semcom"):
        weights.load(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("key", ["system", "configuration", "provenance"])
def test_a_header_that_is_not_whole_is_refused(path, key):
    def drop(header, tensors):
        del header[key], header["sha256"]
        header["sha256"] = weights._digest(header, tensors)

    with pytest.raises(UsageError, match=f"header is not whole .*{key}"):
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


def test_an_unknown_name_says_where_it_was_looked_for():
    with pytest.raises(UsageError, match=r"neither a file nor one of the bundled .*owner/repository/file"):
        weights.find("no_such_weights")


def test_hub_names_come_from_the_cache_and_are_never_fetched_offline(path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: pytest.fail("fetched"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        weights.find("nobody/nothing/toy.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, file: str(path))
    assert weights.find("nobody/nothing/toy.safetensors") == path


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    import huggingface_hub

    def unreachable(*_):
        raise OSError("no\nroute")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(UsageError, match="could not be fetched from the hub: no route"):
        weights.find("nobody/nothing/toy.safetensors")


def test_untrained_weights_are_always_the_same_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    first, identity = weights.rebuild("none", "toy", Toy)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    second, _ = weights.rebuild("none", "toy", Toy)
    assert identity == "none"
    assert torch.equal(first.layer.weight, second.layer.weight)

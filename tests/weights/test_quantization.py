"""Weights of a few bits: integers in the file, their error, and training with them."""

import pytest
import torch
from torch import nn

from semcom import UsageError, weights
from semcom.budget import Meter
from semcom.training import trainer
from semcom.training.settings import Settings
from semcom.weights import files, quantization


@pytest.mark.parametrize("bits", range(2, 9))
def test_packing_is_lossless_and_has_no_gaps(bits):
    highest = 2 ** (bits - 1) - 1
    levels = torch.randint(-highest, highest + 1, (7, 11), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    packed = quantization.pack(levels, bits)
    assert len(packed) == -(-77 * bits // 8)
    assert torch.equal(quantization.unpack(packed, bits, 77).view(7, 11), levels)


def test_the_error_is_that_of_uniform_quantization():
    """A uniform source over 2 a in steps of d has the error d^2 / 12; each bit quarters it."""
    value = 2 * torch.rand(8, 20_000, generator=torch.Generator().manual_seed(1)) - 1
    errors = {bits: float((quantization.rounded(value, bits) - value).square().mean()) for bits in (5, 6, 7, 8)}
    for bits, error in errors.items():
        step = 1 / (2 ** (bits - 1) - 1)
        assert error == pytest.approx(step**2 / 12, rel=0.1), bits


def test_channels_have_scales_of_their_own():
    value = torch.tensor([[1.0, -1.0, 0.5], [0.01, -0.01, 0.005]])
    error = (quantization.rounded(value, 8) - value).abs().amax(1)
    assert error[1] < 1e-4 < error[0] + 1e-4


def test_a_file_holds_integers_and_restores_the_rounded_network(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 2))
    with torch.no_grad():
        network[0].bias.fill_(0.5)
    bits = {"0.weight": 4, "1.weight": 6}
    written = files.save(tmp_path / "few.safetensors", network, "toy", {}, {"command": "none"}, bits)
    loaded = files.load(str(tmp_path / "few.safetensors"))
    assert loaded.id == written.id
    assert loaded.bits == bits
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 2))
    files.restore(other, loaded)
    for key, number in bits.items():
        assert torch.equal(other.state_dict()[key], quantization.rounded(network.state_dict()[key], number))
    assert torch.equal(other[0].bias, network[0].bias)
    with torch.no_grad(), Meter() as meter:
        other(torch.zeros(1, 3, 8, 8))
    assert meter.parameter_bytes == (216 * 4 // 8 + 2 * 8) + 2 * 8 + (128 * 6 // 8 + 2 * 8) + 2 * 4
    assert "4, 6 bits per weight of 2 tensors" in (tmp_path / "few.md").read_text()
    again = files.save(tmp_path / "again.safetensors", other, "toy", {}, {"command": "none"}, bits)
    assert again.digest == written.digest  # rounding a rounded network changes nothing


def test_a_changed_integer_is_detected(tmp_path):
    path = tmp_path / "few.safetensors"
    files.save(path, nn.Linear(8, 8), "toy", {}, {}, {"weight": 4})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UsageError, match="damaged or was changed"):
        files.load(str(path))


def test_training_rounds_the_weights_of_a_part(tmp_path):
    settings = Settings(
        "deepjscc", steps=1, rows=1, crop=32, validation_count=1, weight_bits=4, weight_bits_of="encoder"
    )
    state = trainer.Trainer(settings, tmp_path)
    before = {name: value.clone() for name, value in state.task.network.state_dict().items()}
    assert set(state._bits()) == {
        name for name, value in state.task.network.encoder.named_parameters(prefix="encoder") if value.ndim > 1
    }
    with state._rounded():
        inside = state.task.network.state_dict()
        assert torch.equal(inside["encoder.enter.weight"], quantization.rounded(before["encoder.enter.weight"], 4))
        assert torch.equal(inside["decoder.enter.weight"], before["decoder.enter.weight"])
    for name, value in state.task.network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("bits", [0, 1, 9, 33])
def test_wrong_bits_are_refused(bits):
    with pytest.raises(UsageError, match="weight_bits must be 2 to 8"):
        Settings("deepjscc", weight_bits=bits)


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'encoder'"):
        trainer.Trainer(Settings("deepjscc", weight_bits=4, weight_bits_of="encode"), tmp_path)
    assert weights.load("deepjscc").bits == {}

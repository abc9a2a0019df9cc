"""Streams of multimodal generation: analog repetition, quantization and captions."""

import pytest
import torch
from small_system import TEXTS, unit_rows

from channels.rng import Rng
from semcom.systems.multimodal_generation.streams import captions, quantizer
from semcom.systems.multimodal_generation.streams.analog import (
    combine_repeats,
    from_symbols,
    repeat_to_fill,
    to_symbols,
)


@pytest.mark.parametrize("reals", [6, 7])
def test_two_numbers_per_channel_use_at_unit_energy(reals):
    values = Rng([1, 2]).normal(reals)
    values = values / values.square().mean(1, keepdim=True).sqrt()
    symbols = to_symbols(values)
    assert symbols.shape == (2, -(-reals // 2))
    torch.testing.assert_close(symbols.abs().square().sum(1), torch.full((2,), reals / 2))
    received = from_symbols(symbols, torch.tensor([[0.5, 0.0, *[2.0] * (symbols.shape[1] - 2)]] * 2), reals)
    torch.testing.assert_close(received.values, values)
    assert received.noise_var[0, :5].tolist() == [0.5, 0.5, torch.inf, torch.inf, 2.0]


def test_reported_noise_variance_is_the_actual_one():
    symbols = Rng([5]).complex_normal(20_000, variance=torch.tensor([0.4]))
    received = from_symbols(symbols, torch.full((1, 20_000), 0.4), 40_000)
    assert received.noise_var.unique().tolist() == [pytest.approx(0.4)]
    assert received.values.var().item() == pytest.approx(0.4, abs=5 * 0.4 * (2 / 40_000) ** 0.5)


@pytest.mark.parametrize("times", [1, 4])
def test_combined_repeats_have_the_noise_of_maximum_ratio_combining(times):
    values = unit_rows(1, 20_000)
    symbols = repeat_to_fill(values, 10_000 * times)
    assert symbols.abs().square().mean().item() == pytest.approx(1, abs=1e-4)
    variance = (torch.arange(10_000 * times) % 3 + 1) * 0.2
    noise = Rng([9]).complex_normal(10_000 * times) * variance.sqrt()
    received = combine_repeats(symbols + noise, variance[None], 20_000)
    weights = (1 / variance).view(times, 10_000).sum(0).repeat_interleave(2)
    torch.testing.assert_close(received.noise_var[0], 1 / weights)
    normal = (received.values - values) / received.noise_var.sqrt()
    assert normal.var().item() == pytest.approx(1, abs=5 * (2 / 20_000) ** 0.5)


def test_few_channel_uses_transmit_the_first_numbers():
    values = unit_rows(2, 40)
    symbols = repeat_to_fill(values, 6)
    torch.testing.assert_close(symbols.abs().square().mean(1), torch.ones(2))
    received = combine_repeats(symbols, torch.full((2, 6), 0.1), 40)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(received.values[:, :12], values[:, :12]), torch.ones(2)
    )
    assert received.noise_var.isinf().sum(1).tolist() == [28, 28]
    assert not received.values[:, 12:].any()


@pytest.mark.parametrize(
    ("bits", "least", "most"), [(1, 0.3633, 0.3635), (2, 0.1174, 0.1188), (3, 0.03454, 0.03744), (4, 0.0095, 0.01154)]
)
def test_quantizer_distortion_is_between_two_tables_of_max(bits, least, most):
    """Max (1960): cells of unequal width (lower), and of equal width with their middles as levels (upper)."""
    assert least < quantizer.quantizer(bits).distortion < most
    values = Rng([2]).normal(50_000)[0]
    received = quantizer.from_bits(quantizer.to_bits(values, bits * 50_000 + 7)[None], 50_000)
    assert (received.values[0] * values).mean().item() == pytest.approx(1, abs=0.03)
    error = (received.values[0] - values).square().mean().item()
    assert error == pytest.approx(received.noise_var[0, 0].item(), rel=0.05)


def test_less_than_one_bit_per_number_sends_the_first_signs():
    received = quantizer.from_bits(quantizer.to_bits(torch.tensor([1.0, -1.0, 1.0]), 2)[None], 3)
    assert received.values.sign().tolist() == [[1, -1, 0]]
    assert received.noise_var.isinf().tolist() == [[False, False, True]]


def test_caption_bits_give_the_text_features_of_the_caption(networks):
    bits = captions.token_bits(networks.clip)
    assert bits == 16
    tokens = captions.caption_tokens(networks.clip, TEXTS[0])
    payload = captions.to_bits(tokens, bits, 160)
    torch.testing.assert_close(
        captions.caption_features(networks.clip, payload[None], bits), networks.clip.text_features([TEXTS[0]])
    )
    cut = captions.to_bits(tokens, bits, 32).view(2, 16)
    assert cut.tolist() == captions.to_bits(tokens[[0, -1]], bits, 32).view(2, 16).tolist()

"""Mappings of bits to masks and mask codes: bijection, exact lengths, errors."""

import itertools
import math
import time

import numpy as np
import pytest

from channels.errors import UsageError
from semcom.codecs.mask_positions import (
    MASK_CODES,
    BitPerPatch,
    ConstantWeight,
    decode_masks,
    encode_masks,
    mask_code_bits,
    shortest_mask_code,
)

CAPACITIES = [
    (196, 49, 155),
    (196, 98, 191),
    (196, 147, 155),
    (196, 176, 89),
    (196, 186, 54),
    (256, 64, 203),
    (256, 128, 251),
    (256, 192, 203),
    (256, 230, 117),
    (256, 243, 71),
]


@pytest.mark.parametrize(("patches", "masked", "bits"), CAPACITIES)
def test_message_length_is_the_floor_of_log2_of_the_binomial(patches, masked, bits):
    code = ConstantWeight(patches, masked)
    assert code.bits == bits
    assert 2**bits <= math.comb(patches, masked) < 2 ** (bits + 1)


@pytest.mark.parametrize("masked", range(7))
def test_rank_is_the_order_of_masks_as_binary_numbers(masked):
    """Brute force: all masks of 6 patches, sorted as binary numbers whose most significant digit is the last patch."""
    every = [np.array(m, bool) for m in itertools.product([False, True], repeat=6) if sum(m) == masked]
    every.sort(key=lambda mask: mask[::-1].tolist())
    length = mask_code_bits("enumerative", 6, masked)
    codewords = encode_masks("enumerative", np.stack(every), masked)
    ranks = codewords @ (1 << np.arange(length)[::-1]) if length else np.zeros(len(every))
    assert ranks.tolist() == list(range(math.comb(6, masked)))


def round_trip(patches, masked, rows):
    code = ConstantWeight(patches, masked)
    payloads = np.random.default_rng(patches + masked).integers(0, 2, (rows, code.bits), dtype=np.uint8)
    payloads[0], payloads[1] = 0, 1
    masks = code.embed(payloads)
    assert (masks.sum(1) == masked).all()
    assert code.is_valid(masks).all()
    assert (code.extract(masks) == payloads).all()


@pytest.mark.parametrize(("patches", "masked", "bits"), CAPACITIES)
def test_extract_inverts_embed(patches, masked, bits):
    round_trip(patches, masked, rows=1000)


@pytest.mark.parametrize(
    ("patches", "masked"), [(1, 0), (1, 1), (5, 0), (5, 5), (7, 1), (1024, 1), (1024, 512), (1024, 1023)]
)
def test_extract_inverts_embed_for_extreme_masks(patches, masked):
    round_trip(patches, masked, rows=4)


def test_bit_per_patch_masks_equal_the_bits():
    bits = np.random.default_rng(0).integers(0, 2, (50, 196), dtype=np.uint8)
    code = BitPerPatch(196)
    masks = code.embed(bits)
    assert code.bits == 196
    assert (masks == bits.astype(bool)).all()
    assert (code.extract(masks) == bits).all()
    assert code.is_valid(masks).all()


def test_a_wrong_number_of_masked_patches_is_an_error():
    code = ConstantWeight(196, 147)
    masks = code.embed(np.zeros((3, code.bits), np.uint8))
    masks[1, np.flatnonzero(masks[1])[0]] = False
    assert code.is_valid(masks).tolist() == [True, False, True]
    with pytest.raises(UsageError, match="mask 1 masks 146 of 196 patches, not 147"):
        code.extract(masks)


def test_a_rank_above_the_message_range_is_an_error():
    code = ConstantWeight(6, 3)  # 20 masks, 4 bits: ranks 16 to 19 represent no message
    last = np.array([[False, False, False, True, True, True]])
    assert not code.is_valid(last)[0]
    with pytest.raises(UsageError, match="no message of 4 bits"):
        code.extract(last)


@pytest.mark.parametrize(
    "act",
    [
        lambda: ConstantWeight(10, 11),
        lambda: ConstantWeight(0, 0),
        lambda: ConstantWeight(196, 98).embed(np.zeros((1, 190), np.uint8)),
        lambda: ConstantWeight(196, 98).embed(np.full((1, 191), 2, np.uint8)),
        lambda: ConstantWeight(196, 98).extract(np.zeros((1, 195), bool)),
        lambda: BitPerPatch(4).embed(np.zeros((1, 5), np.uint8)),
        lambda: encode_masks("bitmap", np.zeros((1, 4), bool), masked=1),
    ],
)
def test_wrong_arguments_are_errors(act):
    with pytest.raises(UsageError):
        act()


@pytest.mark.parametrize("code", MASK_CODES)
@pytest.mark.parametrize("masked", [0, 1, 63, 128, 129, 250, 256])
def test_decode_masks_inverts_encode_masks(code, masked):
    rng = np.random.default_rng(masked)
    masks = rng.permuted(np.tile(np.arange(256) < masked, (40, 1)), axis=1)
    bits = encode_masks(code, masks, masked)
    assert bits.shape == (40, mask_code_bits(code, 256, masked))
    decoded, valid = decode_masks(code, bits, 256, masked)
    assert valid.all()
    assert (decoded == masks).all()


def test_invalid_codewords_are_detected():
    assert decode_masks("bitmap", np.ones((1, 8), np.uint8), 8, 3)[1].tolist() == [False]
    assert decode_masks("index_list", np.array([[0, 1, 1, 0, 0, 1]], np.uint8), 8, 2)[1].tolist() == [
        False
    ]  # indices 3, 1: out of order
    assert decode_masks("enumerative", np.ones((1, 6), np.uint8), 8, 3)[1].tolist() == [False]  # 63 >= C(8, 3) = 56


def test_enumerative_is_never_longer_than_the_other_codes():
    for masked in range(1, 256):
        assert shortest_mask_code(256, masked) == ("index_list" if masked in (1, 255) else "enumerative")
        assert mask_code_bits("enumerative", 256, masked) <= min(
            mask_code_bits(code, 256, masked) for code in MASK_CODES
        )


def test_index_list_is_shorter_than_bitmap_only_below_n_over_log2_n():
    shorter = [m for m in range(197) if mask_code_bits("index_list", 196, m) < mask_code_bits("bitmap", 196, m)]
    assert shorter == [m for m in range(197) if min(m, 196 - m) <= 24]


def test_embed_and_extract_take_less_than_1_ms():
    """Less than 1 % of the run time of the networks."""
    code = ConstantWeight(256, 128)
    payloads = np.random.default_rng(0).integers(0, 2, (200, code.bits), dtype=np.uint8)
    start = time.process_time()
    code.extract(code.embed(payloads))
    assert (time.process_time() - start) / 200 < 1e-3

"""Masks as carriers of bits: bijective, exact, and refusing what is not theirs."""

import itertools
import math
import time

import numpy as np
import pytest

from channels._errors import UsageError
from semcom.codecs.mask_positions import (
    WIRE_FORMS,
    BitPerPatch,
    ConstantWeight,
    from_wire,
    smallest_wire_form,
    to_wire,
    wire_bits,
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
def test_capacity_is_the_floor_of_log2_of_the_binomial(patches, masked, bits):
    code = ConstantWeight(patches, masked)
    assert code.bits == bits
    assert 2**bits <= math.comb(patches, masked) < 2 ** (bits + 1)


@pytest.mark.parametrize("masked", range(7))
def test_rank_is_the_order_of_the_masks_read_from_the_last_patch(masked):
    """Against brute force: all masks of 6 patches, sorted as binary numbers whose highest digit is the last patch."""
    every = [np.array(m, bool) for m in itertools.product([False, True], repeat=6) if sum(m) == masked]
    every.sort(key=lambda mask: mask[::-1].tolist())
    length = wire_bits("enumerative", 6, masked)
    written = to_wire("enumerative", np.stack(every), masked)
    ranks = written @ (1 << np.arange(length)[::-1]) if length else np.zeros(len(every))
    assert ranks.tolist() == list(range(math.comb(6, masked)))


def round_trip(patches, masked, rows):
    code = ConstantWeight(patches, masked)
    payloads = np.random.default_rng(patches + masked).integers(0, 2, (rows, code.bits), dtype=np.uint8)
    payloads[0], payloads[1] = 0, 1
    masks = code.embed(payloads)
    assert (masks.sum(1) == masked).all()
    assert code.carries(masks).all()
    assert (code.extract(masks) == payloads).all()


@pytest.mark.parametrize(("patches", "masked", "bits"), CAPACITIES)
def test_every_payload_comes_back(patches, masked, bits):
    round_trip(patches, masked, rows=1000)


@pytest.mark.parametrize(
    ("patches", "masked"), [(1, 0), (1, 1), (5, 0), (5, 5), (7, 1), (1024, 1), (1024, 512), (1024, 1023)]
)
def test_edges_round_trip(patches, masked):
    round_trip(patches, masked, rows=4)


def test_a_bit_per_patch_is_its_own_mask():
    bits = np.random.default_rng(0).integers(0, 2, (50, 196), dtype=np.uint8)
    code = BitPerPatch(196)
    masks = code.embed(bits)
    assert code.bits == 196
    assert (masks == bits.astype(bool)).all()
    assert (code.extract(masks) == bits).all()
    assert code.carries(masks).all()


def test_a_wrong_weight_is_refused():
    code = ConstantWeight(196, 147)
    masks = code.embed(np.zeros((3, code.bits), np.uint8))
    masks[1, np.flatnonzero(masks[1])[0]] = False
    assert code.carries(masks).tolist() == [True, False, True]
    with pytest.raises(UsageError, match="mask 1 masks 146 of 196 patches, not 147"):
        code.extract(masks)


def test_a_mask_beyond_the_payloads_is_refused():
    code = ConstantWeight(6, 3)  # 20 masks, 4 bits: ranks 16 to 19 are nobody's
    last = np.array([[False, False, False, True, True, True]])
    assert not code.carries(last)[0]
    with pytest.raises(UsageError, match="no payload of 4 bits"):
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
        lambda: to_wire("bitmap", np.zeros((1, 4), bool), masked=1),
    ],
)
def test_what_is_not_theirs_is_refused(act):
    with pytest.raises(UsageError):
        act()


@pytest.mark.parametrize("form", WIRE_FORMS)
@pytest.mark.parametrize("masked", [0, 1, 63, 128, 129, 250, 256])
def test_wire_forms_return_any_mask_of_the_weight(form, masked):
    rng = np.random.default_rng(masked)
    masks = rng.permuted(np.tile(np.arange(256) < masked, (40, 1)), axis=1)
    bits = to_wire(form, masks, masked)
    assert bits.shape == (40, wire_bits(form, 256, masked))
    back, valid = from_wire(form, bits, 256, masked)
    assert valid.all()
    assert (back == masks).all()


def test_wire_forms_refuse_what_they_never_write():
    assert from_wire("bitmap", np.ones((1, 8), np.uint8), 8, 3)[1].tolist() == [False]
    assert from_wire("list", np.array([[0, 1, 1, 0, 0, 1]], np.uint8), 8, 2)[1].tolist() == [
        False
    ]  # places 3, 1: out of order
    assert from_wire("enumerative", np.ones((1, 6), np.uint8), 8, 3)[1].tolist() == [False]  # 63 >= C(8, 3) = 56


def test_the_enumerative_form_is_never_longer_and_a_list_wins_nowhere_but_at_the_ends():
    for masked in range(1, 256):
        assert smallest_wire_form(256, masked) == ("list" if masked in (1, 255) else "enumerative")
        assert wire_bits("enumerative", 256, masked) <= min(wire_bits(form, 256, masked) for form in WIRE_FORMS)


def test_a_list_beats_the_bitmap_only_below_n_over_log2_n():
    wins = [m for m in range(197) if wire_bits("list", 196, m) < wire_bits("bitmap", 196, m)]
    assert wins == [m for m in range(197) if min(m, 196 - m) <= 24]


def test_embedding_and_extraction_take_well_under_a_millisecond():
    """A masked autoencoder takes tens of milliseconds a picture on the same core: this is under 1 % of it."""
    code = ConstantWeight(256, 128)
    payloads = np.random.default_rng(0).integers(0, 2, (200, code.bits), dtype=np.uint8)
    start = time.process_time()
    code.extract(code.embed(payloads))
    assert (time.process_time() - start) / 200 < 1e-3

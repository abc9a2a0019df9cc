"""Masks of patches as carriers of bits, and the sparse matrix of mask tokens as a string of bits.

All mask tokens of a masked autoencoder are one learned vector t, so the matrix of mask tokens is m t^T with the mask m
in {0, 1}^N: sparse, and known once the positions of its nonzero rows are. What must cross the channel is m alone.

Bits choose a mask in one of two ways:
R1, `BitPerPatch`: bit i masks patch i; N bits, and the mask ratio is whatever the bits make it.
R2, `ConstantWeight`: M of N patches are masked and the bits are the rank of the mask among all C(N, M) of them;
floor(log2 C(N, M)) bits, the ratio is under control, and any other number of masked patches is an error.

Source: Yan and Li, "Semantic communications for digital signals via carrier images", IEEE Wireless Communications
Letters 14(6), 2025 (the idea; both mappings are a reading of it); Cover, "Enumerative source encoding", IEEE
Trans. Information Theory 19(1), 1973 (the rank).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from channels._errors import UsageError

WireForm = Literal["bitmap", "list", "enumerative"]
WIRE_FORMS: tuple[WireForm, ...] = get_args(WireForm)


@dataclass(frozen=True)
class BitPerPatch:
    """R1: a patch is masked where its bit is one.

    Args:
        patches: N, patches of a picture.

    >>> code = BitPerPatch(patches=4)
    >>> code.embed(np.array([[0, 1, 1, 0]], np.uint8)).tolist()
    [[False, True, True, False]]
    """

    patches: int

    def __post_init__(self) -> None:
        _check_weight(self.patches, 0)

    @property
    def bits(self) -> int:
        """Bits that a mask carries: N."""
        return self.patches

    def embed(self, bits: UInt8[ndarray, "rows bits"]) -> Bool[ndarray, "rows patches"]:
        """Bits to masks; True is masked.

        Raises:
            UsageError: not rows of `bits` zeros and ones.
        """
        return _checked_bits(bits, self.bits).astype(bool)

    def carries(self, masks: Bool[ndarray, "rows patches"]) -> Bool[ndarray, " rows"]:
        """Whether each mask is one that `embed` can make: every mask is."""
        return np.ones(len(masks), bool)

    def extract(self, masks: Bool[ndarray, "rows patches"]) -> UInt8[ndarray, "rows bits"]:
        """Masks to bits, the inverse of `embed`.

        Raises:
            UsageError: masks of another number of patches.
        """
        return _checked_masks(masks, self.patches).astype(np.uint8)


@dataclass(frozen=True)
class ConstantWeight:
    """R2: the bits, most significant first, are the rank of the mask among those of its weight.

    rank = sum_i C(p_i, i) over the masked patches p_1 < p_2 < ... < p_M (the combinatorial number system), in exact
    integers. Only ranks below 2^bits carry a payload.

    Args:
        patches: N, patches of a picture.
        masked: M, how many of them are masked.

    >>> code = ConstantWeight(patches=4, masked=2)
    >>> code.bits, code.embed(np.array([[1, 1]], np.uint8)).tolist()
    (2, [[True, False, False, True]])
    """

    patches: int
    masked: int

    def __post_init__(self) -> None:
        _check_weight(self.patches, self.masked)

    @property
    def bits(self) -> int:
        """Bits that a mask carries: floor(log2 C(N, M))."""
        return math.comb(self.patches, self.masked).bit_length() - 1

    def embed(self, bits: UInt8[ndarray, "rows bits"]) -> Bool[ndarray, "rows patches"]:
        """Bits to masks of weight M; True is masked.

        Raises:
            UsageError: not rows of `bits` zeros and ones.
        """
        ranks = _integers(_checked_bits(bits, self.bits))
        return _stack([_unrank(rank, self.patches, self.masked) for rank in ranks], self.patches)

    def carries(self, masks: Bool[ndarray, "rows patches"]) -> Bool[ndarray, " rows"]:
        """Whether each mask is one that `embed` can make: the right weight, and a rank below 2^bits."""
        masks = _checked_masks(masks, self.patches)
        right = masks.sum(1) == self.masked
        return np.array([ok and _rank(mask) >> self.bits == 0 for ok, mask in zip(right, masks, strict=True)], bool)

    def extract(self, masks: Bool[ndarray, "rows patches"]) -> UInt8[ndarray, "rows bits"]:
        """Masks to bits, the inverse of `embed`.

        Raises:
            UsageError: a mask of another weight, or one that no payload makes.
        """
        masks = _checked_masks(masks, self.patches)
        wrong = np.flatnonzero(masks.sum(1) != self.masked)
        if wrong.size:
            raise UsageError(
                f"mask {wrong[0]} masks {int(masks[wrong[0]].sum())} of {self.patches} patches, not {self.masked}: "
                "it was not made by this code"
            )
        ranks = [_rank(mask) for mask in masks]
        if any(rank >> self.bits for rank in ranks):
            raise UsageError(f"a mask has a rank of 2^{self.bits} or more: no payload of {self.bits} bits makes it")
        return _bits(ranks, self.bits)


# --- three ways to write a mask of known weight ---------------------------------------------------------------------


def wire_bits(form: WireForm, patches: int, masked: int | None) -> int:
    """Bits that a wire form takes for any mask of M among N patches; M = None, any number of them, has only a bitmap.

    bitmap: N. list: the places of the minority, ceil(log2 N) bits each. enumerative: ceil(log2 C(N, M)), the least
    that any fixed length can do.

    >>> [wire_bits(form, patches=196, masked=147) for form in WIRE_FORMS]
    [196, 392, 156]
    """
    _check_weight(patches, masked or 0)
    if form == "bitmap":
        return patches
    if masked is None:
        raise UsageError(f"the {form} form needs a constant weight; write masks of any weight as a bitmap")
    if form == "list":
        return min(masked, patches - masked) * _index_bits(patches)
    if form == "enumerative":
        return (math.comb(patches, masked) - 1).bit_length()
    raise UsageError(f"no wire form {form!r}; there are {', '.join(WIRE_FORMS)}")


def smallest_wire_form(patches: int, masked: int) -> WireForm:
    """The wire form of fewest bits; where two tie, the simpler one (bitmap, then list).

    >>> [smallest_wire_form(256, masked) for masked in (0, 1, 128, 256)]
    ['list', 'list', 'enumerative', 'list']
    """
    return min(WIRE_FORMS, key=lambda form: wire_bits(form, patches, masked))


def to_wire(form: WireForm, masks: Bool[ndarray, "rows patches"], masked: int | None) -> UInt8[ndarray, "rows bits"]:
    """Write masks of weight M as bits.

    Raises:
        UsageError: a mask of another weight.

    >>> to_wire("list", np.array([[True, True, False, True]]), masked=3).tolist()
    [[1, 0]]
    """
    rows, patches = masks.shape
    length = wire_bits(form, patches, masked)
    if masked is not None and (masks.sum(1) != masked).any():
        raise UsageError(f"a mask does not mask {masked} of {patches} patches")
    if form == "bitmap" or masked is None:
        return masks.astype(np.uint8)
    if form == "enumerative":
        return _bits([_rank(mask) for mask in masks], length)
    minority = masks if 2 * masked <= patches else ~masks
    places = np.nonzero(minority)[1].reshape(rows, -1, 1)
    return (places >> np.arange(_index_bits(patches))[::-1] & 1).astype(np.uint8).reshape(rows, length)


def from_wire(
    form: WireForm, bits: UInt8[ndarray, "rows bits"], patches: int, masked: int | None
) -> tuple[Bool[ndarray, "rows patches"], Bool[ndarray, " rows"]]:
    """Read masks back, and whether each row is what `to_wire` could have written; a row that is not gives no mask.

    What a form refuses: a bitmap another weight, a list places out of order or out of range, the enumerative form a
    rank of C(N, M) or more.

    >>> masks, valid = from_wire("bitmap", np.array([[1, 0, 0, 1], [1, 0, 0, 0]], np.uint8), patches=4, masked=2)
    >>> valid.tolist()
    [True, False]
    """
    bits = _checked_bits(bits, wire_bits(form, patches, masked))
    rows = len(bits)
    if form == "bitmap" or masked is None:
        masks = bits.astype(bool)
        valid = np.ones(rows, bool) if masked is None else masks.sum(1) == masked
    elif form == "enumerative":
        total, ranks = math.comb(patches, masked), _integers(bits)
        valid = np.array([rank < total for rank in ranks], bool)
        masks = _stack([_unrank(rank if rank < total else 0, patches, masked) for rank in ranks], patches)
    else:
        width = _index_bits(patches)
        places = bits.reshape(rows, -1, width) @ (1 << np.arange(width)[::-1]) if width else bits.reshape(rows, 0)
        valid = (np.diff(places, axis=1) > 0).all(1) & (places < patches).all(1)
        minority = np.zeros((rows, patches), bool)
        np.put_along_axis(minority, np.minimum(places, patches - 1), True, axis=1)
        masks = minority if 2 * masked <= patches else ~minority
    masks[~valid] = False
    return masks, valid


# --- exact integers --------------------------------------------------------------------------------------------------


def _rank(mask: Bool[ndarray, " patches"]) -> int:
    """sum_i C(p_i, i); from C(p, i) follow C(p + 1, i + 1) and C(p + 1, i) by one product and one exact division."""
    rank, index, binomial = 0, 1, 0  # binomial = C(place, index)
    for place, masked in enumerate(mask.tolist()):
        if masked:
            rank += binomial
            index += 1
            binomial = binomial * (place + 1) // index
        elif place + 1 == index:
            binomial = 1
        elif binomial:
            binomial = binomial * (place + 1) // (place + 1 - index)
    return rank


def _unrank(rank: int, patches: int, masked: int) -> list[bool]:
    """The mask of a rank below C(N, M): from the last patch down, mask wherever C(p, i) still fits."""
    mask = [False] * patches
    place, index = patches - 1, masked
    binomial = math.comb(place, index) if index else 0
    while index:
        if binomial <= rank:
            mask[place] = True
            rank -= binomial
            binomial = binomial * index // max(place, 1)
            index -= 1
        else:
            binomial = binomial * (place - index) // place
        place -= 1
    return mask


def _integers(bits: UInt8[ndarray, "rows bits"]) -> list[int]:
    """Rows of bits, most significant first, as integers."""
    spare = -bits.shape[1] % 8
    return [int.from_bytes(row.tobytes(), "big") >> spare for row in np.packbits(bits, axis=1)]


def _bits(values: list[int], count: int) -> UInt8[ndarray, "rows count"]:
    """Integers as rows of `count` bits, most significant first."""
    size, spare = -(-count // 8), -count % 8
    octets = b"".join((value << spare).to_bytes(size, "big") for value in values)
    return np.unpackbits(np.frombuffer(octets, np.uint8).reshape(len(values), size), axis=1)[:, :count]


def _stack(masks: list[list[bool]], patches: int) -> Bool[ndarray, "rows patches"]:
    return np.array(masks, bool).reshape(len(masks), patches)


def _index_bits(patches: int) -> int:
    return (patches - 1).bit_length()


def _check_weight(patches: int, masked: int) -> None:
    if patches < 1 or not 0 <= masked <= patches:
        raise UsageError(f"cannot mask {masked} of {patches} patches")


def _checked_bits(bits: UInt8[ndarray, "rows bits"], count: int) -> UInt8[ndarray, "rows bits"]:
    if bits.ndim != 2 or bits.shape[1] != count or (bits > 1).any():
        raise UsageError(f"a mask code takes rows of {count} zeros and ones, not an array {bits.shape}")
    return bits


def _checked_masks(masks: Bool[ndarray, "rows patches"], patches: int) -> Bool[ndarray, "rows patches"]:
    if masks.ndim != 2 or masks.shape[1] != patches:
        raise UsageError(f"a mask code takes masks of {patches} patches, not an array {masks.shape}")
    return masks

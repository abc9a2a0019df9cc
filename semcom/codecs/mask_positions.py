"""Mapping of message bits to masks of patches, and source codes of mask positions.

A mask m in {0, 1}^N marks the masked ones (1) of N patches. A message selects a mask by one of two mappings:

* `BitPerPatch`: bit i masks patch i; N bits, and the message sets the mask ratio.
* `ConstantWeight`: M of N patches are masked and the bits are the rank of the mask among all C(N, M) masks;
  floor(log2 C(N, M)) bits.

`encode_masks` and `decode_masks` write masks as bits for transmission. All mask tokens of a masked autoencoder are one
learned vector t, so the sparse matrix of mask tokens is m t^T and only m is transmitted.

Source: Cover, "Enumerative source encoding", IEEE Trans. Information Theory 19(1), 1973.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray

from channels import modem
from channels.errors import UsageError

MaskCode = Literal["bitmap", "index_list", "enumerative"]
MASK_CODES: tuple[MaskCode, ...] = get_args(MaskCode)


@dataclass(frozen=True)
class BitPerPatch:
    """Mapping of one bit per patch: 1 masks the patch.

    Args:
        patches: number N of patches of an image.

    >>> code = BitPerPatch(patches=4)
    >>> code.embed(np.array([[0, 1, 1, 0]], np.uint8)).tolist()
    [[False, True, True, False]]
    """

    patches: int

    def __post_init__(self) -> None:
        _check_weight(self.patches, 0)

    @property
    def bits(self) -> int:
        """Message length per mask, bits: N."""
        return self.patches

    def embed(self, bits: UInt8[ndarray, "rows bits"]) -> Bool[ndarray, "rows patches"]:
        """Map bits to masks; True is masked.

        Raises:
            UsageError: the rows are not `bits` zeros and ones.
        """
        return _checked_bits(bits, self.bits).astype(bool)

    def is_valid(self, masks: Bool[ndarray, "rows patches"]) -> Bool[ndarray, " rows"]:
        """Whether `embed` can produce each mask: always true."""
        return np.ones(len(masks), bool)

    def extract(self, masks: Bool[ndarray, "rows patches"]) -> UInt8[ndarray, "rows bits"]:
        """Map masks to bits, the inverse of `embed`.

        Raises:
            UsageError: the masks have another number of patches.
        """
        return _checked_masks(masks, self.patches).astype(np.uint8)


@dataclass(frozen=True)
class ConstantWeight:
    """Mapping of bits, most significant first, to the rank of a mask among all masks with M masked patches.

    rank = sum_i C(p_i, i) over the masked patches p_1 < p_2 < ... < p_M (combinatorial number system), in exact
    integers. Only ranks below 2^bits represent a message.

    Args:
        patches: number N of patches of an image.
        masked: number M of masked patches.

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
        """Message length per mask, bits: floor(log2 C(N, M))."""
        return math.comb(self.patches, self.masked).bit_length() - 1

    def embed(self, bits: UInt8[ndarray, "rows bits"]) -> Bool[ndarray, "rows patches"]:
        """Map bits to masks with M masked patches; True is masked.

        Raises:
            UsageError: the rows are not `bits` zeros and ones.
        """
        ranks = _integers(_checked_bits(bits, self.bits))
        return _stack([_unrank(rank, self.patches, self.masked) for rank in ranks], self.patches)

    def is_valid(self, masks: Bool[ndarray, "rows patches"]) -> Bool[ndarray, " rows"]:
        """Whether `embed` can produce each mask: M masked patches and a rank below 2^bits."""
        masks = _checked_masks(masks, self.patches)
        right = masks.sum(1) == self.masked
        return np.array([ok and _rank(mask) >> self.bits == 0 for ok, mask in zip(right, masks, strict=True)], bool)

    def extract(self, masks: Bool[ndarray, "rows patches"]) -> UInt8[ndarray, "rows bits"]:
        """Map masks to bits, the inverse of `embed`.

        Raises:
            UsageError: a mask has another number of masked patches, or a rank of 2^bits or more.
        """
        masks = _checked_masks(masks, self.patches)
        wrong = np.flatnonzero(masks.sum(1) != self.masked)
        if wrong.size:
            raise UsageError(
                f"mask {wrong[0]} masks {int(masks[wrong[0]].sum())} of {self.patches} patches, not {self.masked}"
            )
        ranks = [_rank(mask) for mask in masks]
        if any(rank >> self.bits for rank in ranks):
            raise UsageError(
                f"a mask has a rank of 2^{self.bits} or more: it represents no message of {self.bits} bits"
            )
        return _bits(ranks, self.bits)


# --- source codes of masks ------------------------------------------------------------------------------------------


def mask_code_bits(code: MaskCode, patches: int, masked: int | None) -> int:
    """Length of a mask code, bits, for masks of M among N patches.

    bitmap: N. index_list: ceil(log2 N) bits for the index of each masked or each visible patch, whichever are fewer.
    enumerative: ceil(log2 C(N, M)), the shortest code of fixed length.

    Args:
        code: mask code.
        patches: number N of patches.
        masked: number M of masked patches; None (any number) requires a bitmap.

    >>> [mask_code_bits(code, patches=196, masked=147) for code in MASK_CODES]
    [196, 392, 156]
    """
    _check_weight(patches, masked or 0)
    if code == "bitmap":
        return patches
    if masked is None:
        raise UsageError(f"mask code {code} requires a fixed number of masked patches: use bitmap")
    if code == "index_list":
        return min(masked, patches - masked) * _index_bits(patches)
    if code == "enumerative":
        return (math.comb(patches, masked) - 1).bit_length()
    raise UsageError(f"no mask code {code!r}: use one of {', '.join(MASK_CODES)}")


def shortest_mask_code(patches: int, masked: int) -> MaskCode:
    """Mask code with the fewest bits; ties are resolved in the order of `MASK_CODES`.

    >>> [shortest_mask_code(256, masked) for masked in (0, 1, 128, 256)]
    ['index_list', 'index_list', 'enumerative', 'index_list']
    """
    return min(MASK_CODES, key=lambda code: mask_code_bits(code, patches, masked))


def encode_masks(
    code: MaskCode, masks: Bool[ndarray, "rows patches"], masked: int | None
) -> UInt8[ndarray, "rows bits"]:
    """Write masks with M masked patches as bits.

    Args:
        code: mask code.
        masks: masks, True where a patch is masked.
        masked: number M of masked patches; None (any number) requires a bitmap.

    Raises:
        UsageError: a mask has another number of masked patches.

    >>> encode_masks("index_list", np.array([[True, True, False, True]]), masked=3).tolist()
    [[1, 0]]
    """
    rows, patches = masks.shape
    length = mask_code_bits(code, patches, masked)
    if masked is not None and (masks.sum(1) != masked).any():
        raise UsageError(f"a mask does not mask {masked} of {patches} patches")
    if code == "bitmap" or masked is None:
        return masks.astype(np.uint8)
    if code == "enumerative":
        return _bits([_rank(mask) for mask in masks], length)
    minority = masks if 2 * masked <= patches else ~masks
    places = torch.from_numpy(np.nonzero(minority)[1])
    return modem.integers_to_bits(places, _index_bits(patches)).numpy().reshape(rows, length)


def decode_masks(
    code: MaskCode, bits: UInt8[ndarray, "rows bits"], patches: int, masked: int | None
) -> tuple[Bool[ndarray, "rows patches"], Bool[ndarray, " rows"]]:
    """Read masks from bits, and whether each row is a valid codeword; masks of invalid rows are all False.

    Invalid are a bitmap with another number of masked patches, indices out of order or out of range, and a rank of
    C(N, M) or more.

    Args:
        code: mask code.
        bits: codewords.
        patches: number N of patches.
        masked: number M of masked patches; None (any number) requires a bitmap.

    >>> masks, valid = decode_masks("bitmap", np.array([[1, 0, 0, 1], [1, 0, 0, 0]], np.uint8), patches=4, masked=2)
    >>> valid.tolist()
    [True, False]
    """
    bits = _checked_bits(bits, mask_code_bits(code, patches, masked))
    rows = len(bits)
    if code == "bitmap" or masked is None:
        masks = bits.astype(bool)
        valid = np.ones(rows, bool) if masked is None else masks.sum(1) == masked
    elif code == "enumerative":
        total, ranks = math.comb(patches, masked), _integers(bits)
        valid = np.array([rank < total for rank in ranks], bool)
        masks = _stack([_unrank(rank if rank < total else 0, patches, masked) for rank in ranks], patches)
    else:
        width = _index_bits(patches)
        listed = bits.shape[1] // width if width else 0
        places = modem.bits_to_integers(torch.tensor(bits).view(rows, listed, width)).numpy()
        valid = (np.diff(places, axis=1) > 0).all(1) & (places < patches).all(1)
        minority = np.zeros((rows, patches), bool)
        np.put_along_axis(minority, np.minimum(places, patches - 1), True, axis=1)
        masks = minority if 2 * masked <= patches else ~minority
    masks[~valid] = False
    return masks, valid


# --- exact integers --------------------------------------------------------------------------------------------------


def _rank(mask: Bool[ndarray, " patches"]) -> int:
    """Rank sum_i C(p_i, i); each binomial follows from the previous one by one product and one exact division."""
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
    """Mask of a rank below C(N, M): from the last patch down, mask patch p if C(p, i) is at most the remaining rank."""
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
    """Rows of bits as integers; `modem.bits_to_integers` is limited to 63 bits."""
    octets = torch.from_numpy(np.pad(bits, ((0, 0), (-bits.shape[1] % 8, 0))))
    return [int.from_bytes(modem.bits_to_bytes(row), "big") for row in octets]


def _bits(values: list[int], count: int) -> UInt8[ndarray, "rows count"]:
    """Integers as rows of `count` bits, the inverse of `_integers`."""
    size = -(-count // 8)
    octets = modem.bytes_to_bits(b"".join(value.to_bytes(size, "big") for value in values))
    return octets.numpy().reshape(len(values), 8 * size)[:, 8 * size - count :]


def _stack(masks: list[list[bool]], patches: int) -> Bool[ndarray, "rows patches"]:
    return np.array(masks, bool).reshape(len(masks), patches)


def _index_bits(patches: int) -> int:
    return (patches - 1).bit_length()


def _check_weight(patches: int, masked: int) -> None:
    if patches < 1 or not 0 <= masked <= patches:
        raise UsageError(f"cannot mask {masked} of {patches} patches")


def _checked_bits(bits: UInt8[ndarray, "rows bits"], count: int) -> UInt8[ndarray, "rows bits"]:
    if bits.ndim != 2 or bits.shape[1] != count or (bits > 1).any():
        raise UsageError(f"mask bits must be rows of {count} zeros and ones, not an array of shape {bits.shape}")
    return bits


def _checked_masks(masks: Bool[ndarray, "rows patches"], patches: int) -> Bool[ndarray, "rows patches"]:
    if masks.ndim != 2 or masks.shape[1] != patches:
        raise UsageError(f"masks must have {patches} patches, not an array of shape {masks.shape}")
    return masks

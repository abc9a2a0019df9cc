"""Transport of a file in messages: split, join, capacity, errors."""

import pytest

from channels.errors import UsageError
from semcom.codecs.file_frames import capacity_bytes, join, split


@pytest.mark.parametrize("bits", [[251, 251, 251, 251], [256], [1] * 72, [203, 502, 203]])
def test_join_inverts_split(bits):
    room = capacity_bytes(bits)
    assert room == sum(bits) // 8 - 8
    for length in {0, 1, room}:
        data = bytes(range(length))
        frames = split(data, bits)
        assert [len(frame) for frame in frames] == bits
        assert join(frames) == data


def test_about_half_of_the_scrambled_bits_are_ones():
    ones = sum(int(frame.sum()) for frame in split(bytes(1000), [256] * 32))
    assert abs(ones / 8192 - 0.5) < 4 * 0.5 / 8192**0.5


def test_a_file_that_does_not_fit_is_an_error():
    with pytest.raises(UsageError, match="the file has 100 bytes, 2 images hold 54: send 4 such images"):
        split(bytes(100), [251, 251])
    assert join(split(bytes(100), [251] * 4)) == bytes(100)
    with pytest.raises(UsageError, match="send more or larger images"):
        capacity_bytes([40])


def test_bit_errors_and_erasures_are_detected():
    frames = split(b"every bit counts", [100, 100])
    assert join(frames) == b"every bit counts"
    for frame in frames:
        for place in range(100):
            frame[place] ^= 1
            wrong = join(frames)
            frame[place] ^= 1
            padding = frame is frames[1] and place >= 8 * 24 - 100
            assert wrong == (b"every bit counts" if padding else None)
    frames[0][5] = 2
    assert join(frames) is None

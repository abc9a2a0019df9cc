"""Allocation of channel uses to the streams of multimodal generation."""

import pytest

from channels.errors import UsageError
from channels.modem import scheme_header
from semcom.system import uses_for
from semcom.systems.multimodal_generation.agreement import Agreement, Allocation, class_uses

SIZE = (128, 128)
REALS_AND_BITS = (512, 256, 12)  # image features, text features, bits per token


def allocation(image, text, uses):
    return Agreement(uses / (3 * SIZE[0] * SIZE[1]), image, text, *REALS_AND_BITS).allocate(SIZE)


@pytest.mark.parametrize("size", [(128, 128), (40, 56)])
@pytest.mark.parametrize("text", ["analog", "digital", "caption", "class", "none"])
@pytest.mark.parametrize("image", ["analog", "digital", "none"])
def test_allocation_never_exceeds_the_budget(image, text, size):
    if image == text == "none":
        with pytest.raises(UsageError, match="nothing to send"):
            Agreement(1 / 64, image, text, *REALS_AND_BITS)
        return
    for cbr in (1 / 1000, 1 / 256, 1 / 64, 1 / 12):
        found = Agreement(cbr, image, text, *REALS_AND_BITS).allocate(size)
        assert min(found.header, found.image, found.text) >= 0
        assert found.total <= uses_for(cbr, size)
        assert (found.image > 0) <= (image != "none")
        assert (found.text > 0) <= (text != "none")
    assert found.total > 0.7 * uses_for(cbr, size)
    assert (found.header > 0) == bool({image, text} & {"digital", "caption"})


def test_odd_numbers_of_features_are_refused():
    with pytest.raises(UsageError, match="must be even, not 511 and 256"):
        Agreement(1 / 64, "analog", "analog", 511, 256, 12)


def test_adaptive_streams_give_channel_uses_to_the_header():
    header = scheme_header.USES
    assert allocation("analog", "analog", 768) == Allocation(0, 512, 256)
    assert allocation("analog", "caption", 768) == Allocation(header, 512, 256 - header)
    assert allocation("digital", "analog", 768) == Allocation(header, 512 - header, 256)
    assert allocation("digital", "digital", 768).text == 256 - header // 2


@pytest.mark.parametrize("uses", [20, 40, 66, 70, 90])
def test_without_room_for_an_adaptive_stream_there_is_no_header(uses):
    found = allocation("analog", "caption", uses)
    assert found.header or found == Allocation(0, uses, 0)


def test_a_class_has_the_channel_uses_that_it_needs():
    needed = class_uses()
    for uses, image, text in (
        (2 * needed - 1, 2 * needed - 1, 0),
        (2 * needed, needed, needed),
        (200, 200 - needed, needed),
        (768, 512, 256),
    ):
        assert allocation("analog", "class", uses) == Allocation(0, image, text)
    assert allocation("none", "class", needed) == Allocation(0, 0, needed)

"""The type checks of the tests find wrong types and shapes that do not agree."""

import pytest
import torch

from channels.modem.transport import Mcs, transport_uses
from semcom.systems.scene.agreement import map_miou


def test_a_wrong_type_is_found():
    with pytest.raises(Exception, match=r"(?s)transport_uses.*info_bits"):
        transport_uses("8000", Mcs(4, 0.5))


def test_shapes_that_do_not_agree_are_found():
    with pytest.raises(Exception, match=r"(?s)Type-check error.*map_miou"):
        map_miou(torch.zeros(4, 6, dtype=torch.long), torch.zeros(4, 5, dtype=torch.long))

"""The tables of 3GPP TS 38.212 and TR 38.901 equal those of Sionna, number by number."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from channels.modem.ldpc_code import LdpcCode
from channels.propagation.profiles import MODELS, table

SIONNA = Path(next(iter(find_spec("sionna").submodule_search_locations)), "phy")
LARGEST = {2: 256, 3: 384, 5: 320, 7: 224, 9: 288, 11: 352, 13: 208, 15: 240}  # lifting size of each set


@pytest.mark.parametrize("base_graph", [1, 2])
def test_base_graphs(base_graph):
    lines = list(csv.reader((SIONNA / "fec/ldpc/codes" / f"5G_bg{base_graph}.csv").open(), delimiter=";"))[2:]
    row, expected = 0, {}
    for line in lines:
        row = int(line[0]) if line[0] else row
        for index, lifting in enumerate(LARGEST.values()):
            expected[row, int(line[1]), lifting] = int(line[2 + index]) % lifting
    assert len(expected) == 8 * {1: 316, 2: 197}[base_graph]
    found = {
        (row, column, lifting): shift
        for lifting in LARGEST.values()
        for row, entries in enumerate(LdpcCode(base_graph, (22 if base_graph == 1 else 10) * lifting).shifts)
        for column, shift in entries
    }
    assert found == expected


@pytest.mark.parametrize("name", [f"{kind}-{model}" for kind in ("TDL", "CDL") for model in MODELS])
def test_link_level_models(name):
    theirs = json.loads((SIONNA / "channel/tr38901/models/v19_2" / f"{name}.json").read_text())
    ours = table(name)
    assert set(ours) >= {"los", "delays", "powers"}
    assert ours == {key: theirs[key] for key in ours}

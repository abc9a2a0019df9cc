"""Coded bits equal those of py3gpp, an independent implementation of 3GPP TS 38.212, clauses 5 and 7.2."""

from functools import cache

import numpy as np
import py3gpp
import pytest
import torch

from channels import modem
from channels.modem.crc import crc_bits
from channels.modem.qam import demap
from channels.modem.scrambling import scrambling_bits
from channels.modem.transport import segment

_NAMES = {2: "QPSK", 4: "16QAM", 6: "64QAM", 8: "256QAM"}
_RATES = {(1, True): 0.75, (1, False): 0.5, (2, True): 0.5, (2, False): 0.2}  # by base graph and info_bits <= 3824


@cache
def code_words(info_bits, base_graph):
    """Payload bits, and the code words of py3gpp without the punctured bits, [bits, blocks]; fillers are -1."""
    mcs = modem.Mcs(2, _RATES[base_graph, info_bits <= 3824])
    payload = np.random.default_rng(info_bits).integers(0, 2, info_bits)
    # The sizes of TS 38.214 divide into equal blocks; ours pads other payloads with zeros first.
    padded = np.pad(payload, (0, segment(info_bits, mcs).padding))
    transport = py3gpp.nrCRCEncode(padded, "16" if info_bits <= 3824 else "24A")
    return payload, py3gpp.nrLDPCEncode(py3gpp.nrCodeBlockSegmentLDPC(transport, base_graph), base_graph)


@pytest.mark.parametrize("base_graph", [1, 2])
@pytest.mark.parametrize("info_bits", [1000, 3824, 3825, 3840, 5000, 8424])
def test_coded_bits_equal_those_of_py3gpp(info_bits, base_graph):
    rate = _RATES[base_graph, info_bits <= 3824]
    payload, words = code_words(info_bits, base_graph)
    assert py3gpp.nrDLSCHInfo(info_bits, rate)["BGN"] == base_graph
    for bits_per_symbol, more in ((2, 0), (4, 1), (6, 5), (8, 3000)):  # 3000 more channel uses repeat bits
        mcs = modem.Mcs(bits_per_symbol, rate)
        plan = segment(info_bits, mcs)
        assert (plan.blocks, plan.code.base_graph) == (words.shape[1], base_graph)
        uses = modem.transport_uses(info_bits, mcs) + more
        length = uses * bits_per_symbol
        for rv in range(4):
            symbols = modem.encode(torch.from_numpy(payload.astype(np.uint8)), mcs, uses, rv)
            sent = (demap(symbols, 1e-2, bits_per_symbol) < 0).numpy() ^ scrambling_bits(length).astype(bool)
            expected = py3gpp.nrRateMatchLDPC(words, length, rv, _NAMES[bits_per_symbol], 1)
            assert np.array_equal(sent, expected == 1), (bits_per_symbol, rv)


@pytest.mark.parametrize("name", ["24A", "24B", "16", "11"])
@pytest.mark.parametrize("length", [1, 12, 333])
def test_crcs_equal_those_of_py3gpp(name, length):
    from channels.modem import crc

    bits = np.random.default_rng(length).integers(0, 2, length).astype(np.uint8)
    expected = py3gpp.nrCRCEncode(bits.astype(int), name)[:, 0]
    assert len(expected) == length + crc_bits(name)
    assert np.array_equal(crc.attach(bits, name), expected)

"""The LDPC encoder against its parity checks and Sionna, the compiled decoder against the one in PyTorch."""

import math

import numpy as np
import pytest
import torch

from channels.errors import UsageError
from channels.modem import ldpc, ldpc_rate
from channels.modem.ldpc_code import LIFTING_SIZES, LdpcCode, code
from channels.modem.qam import demap, map_bits

SIZES = [(1, 2000), (1, 500), (2, 1024), (2, 600), (2, 200), (2, 20)]


def random_info(code, blocks, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (blocks, code.info_bits), np.uint8)


def received(code, length, bits_per_symbol, snr_db, blocks, seed=0):
    """Information bits, LLRs of their buffers after AWGN, and the number of rows to use."""
    info = random_info(code, blocks, seed)
    coded = ldpc_rate.match(code.to_buffer(code.encode(info)), code, length, bits_per_symbol, 0)
    symbols = map_bits(torch.from_numpy(coded), bits_per_symbol)
    noise = torch.randn((*symbols.shape, 2), generator=torch.Generator().manual_seed(seed))
    noise_var = 10 ** (-snr_db / 10)
    llr = demap(symbols + math.sqrt(noise_var / 2) * torch.view_as_complex(noise), noise_var, bits_per_symbol)
    rows = code.rows_needed(ldpc_rate.last_position(code, length, 0))
    return torch.from_numpy(info), ldpc_rate.recover(llr, code, bits_per_symbol, 0), rows


def certain(code, info):
    return torch.from_numpy(8.0 - 16.0 * code.to_buffer(code.encode(info)).astype(np.float32))


@pytest.mark.parametrize("lifting", LIFTING_SIZES)
@pytest.mark.parametrize("base_graph", [1, 2])
def test_code_words_meet_every_check(base_graph, lifting):
    code = LdpcCode(base_graph, (22 if base_graph == 1 else 10) * lifting)
    assert code.lifting == lifting or base_graph == 2  # short blocks of graph 2 use fewer, longer columns
    word = code.encode(random_info(code, 2)).reshape(2, code.columns, code.lifting)
    for row in code.shifts:
        parity = np.bitwise_xor.reduce([np.roll(word[:, column], -shift, 1) for column, shift in row])
        assert not parity.any()


@pytest.mark.parametrize(("base_graph", "info_bits"), SIZES)
def test_encoder_and_rate_matching_equal_sionna(base_graph, info_bits):
    from sionna.phy.fec.ldpc import LDPC5GEncoder

    code = LdpcCode(base_graph, info_bits)
    info = random_info(code, 3)
    for rate, order in ((0.34, 2), (0.5, 4), (0.8, 6)) if base_graph == 1 else ((0.22, 2), (0.5, 4), (0.66, 8)):
        length = math.ceil(info_bits / rate / order) * order
        theirs = LDPC5GEncoder(info_bits, length, num_bits_per_symbol=order, bg=f"bg{base_graph}", device="cpu")
        buffer = code.to_buffer(code.encode(info))
        expected = theirs(torch.from_numpy(info).float(), rv=[0, 1, 2, 3]).numpy()
        for rv in range(4):
            ours = ldpc_rate.match(buffer, code, length, order, rv)
            assert (ours == expected[:, rv]).all(), (rate, rv)


@pytest.mark.parametrize("rv", [0, 1, 2, 3])
def test_recovery_undoes_matching_and_adds_repetitions(rv):
    code = LdpcCode(2, 100)
    buffer = np.random.default_rng(0).integers(0, 2, (2, code.buffer_bits), np.uint8)
    length = 4 * (code.buffer_bits // 2)
    sent = ldpc_rate.match(buffer, code, length, 4, rv)
    back = ldpc_rate.recover(torch.from_numpy(1.0 - 2.0 * sent).float(), code, 4, rv)
    assert torch.equal(back < 0, torch.from_numpy(buffer).bool())
    assert set(back.abs().unique().tolist()) <= {1.0, 2.0}
    assert back.abs().sum() == 2 * length


@pytest.mark.parametrize(("base_graph", "info_bits"), [(1, 8448), (2, 3840), *SIZES])
@pytest.mark.parametrize("decoder", ["layered", "torch"])
def test_bits_with_large_llrs_are_decoded(base_graph, info_bits, decoder):
    code = LdpcCode(base_graph, info_bits)
    info = random_info(code, 3)
    decoded = ldpc.decode(certain(code, info), code, decoder=decoder)
    assert (decoded.bits.numpy() == info).all()
    assert decoded.ok.all()


@pytest.mark.parametrize("lifting", LIFTING_SIZES[::5])
@pytest.mark.parametrize("base_graph", [1, 2])
def test_compiled_and_torch_decoders_agree_bit_for_bit(base_graph, lifting):
    """Also for blocks that fail, because the arithmetic is the same."""
    code = LdpcCode(base_graph, max(22 * lifting - 3, 12) if base_graph == 1 else min(10 * lifting, 3840))
    noise = torch.randn((4, code.buffer_bits), generator=torch.Generator().manual_seed(lifting))
    info, llr, rows = received(code, 4 * (code.info_bits // 2), 2, 1.0, 4, seed=lifting)
    for values, used in ((llr, rows), (1.5 + 2.5 * noise, code.rows), (8 * noise, 4)):
        compiled = ldpc.decode(values, code, used, iterations=6)
        plain = ldpc.decode(values, code, used, iterations=6, decoder="torch")
        assert torch.equal(compiled.bits, plain.bits)
        assert torch.equal(compiled.ok, plain.ok)
        assert torch.equal(compiled.iterations, plain.iterations)
    assert info.shape == compiled.bits.shape


def test_blocks_do_not_depend_on_batch_order_or_threads():
    lifted = code(2, 1024)
    _, llr, rows = received(lifted, 2048, 4, 6.3, 150)
    together = ldpc.decode(llr, lifted, rows)
    assert 0 < together.ok.sum() < 150
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    shuffled = ldpc.decode(llr[order], lifted, rows)
    assert torch.equal(shuffled.bits, together.bits[order])
    assert torch.equal(shuffled.iterations, together.iterations[order])
    for block in (0, 77, 149):
        assert torch.equal(ldpc.decode(llr[block : block + 1], lifted, rows).bits[0], together.bits[block])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(ldpc.decode(llr, lifted, rows).bits, together.bits)
    finally:
        torch.set_num_threads(threads)


def test_a_met_syndrome_means_a_code_word():
    lifted = code(2, 1024)
    info, llr, rows = received(lifted, 2048, 4, 6.5, 300)
    decoded = ldpc.decode(llr, lifted, rows)
    # with 1024 information bits a wrong code word is far less likely than one in 300
    assert (decoded.bits == info).all(1)[decoded.ok].all()
    assert decoded.iterations[decoded.ok].double().mean() < 20  # the early stop


def test_more_iterations_only_help():
    lifted = code(2, 1024)
    _, llr, rows = received(lifted, 2048, 4, 6.2, 300)
    few, many = (ldpc.decode(llr, lifted, rows, iterations=most) for most in (20, ldpc.ITERATIONS))
    assert torch.equal(few.bits[few.ok], many.bits[few.ok])
    assert torch.equal(few.iterations[few.ok], many.iterations[few.ok])
    gained = int((many.ok & ~few.ok).sum())
    assert gained > 5  # of the 20 or so that 20 iterations leave undecoded


def test_not_worse_than_sionna_on_the_same_noise():
    """Paired comparison of 120 blocks in the waterfall region, 20 iterations: no significantly higher error rate."""
    lifted = code(2, 200)
    info, llr, rows = received(lifted, 400, 4, 6.6, 120, seed=3)
    ours = (ldpc.decode(llr, lifted, rows, iterations=20).bits != info).any(1)
    theirs = (ldpc.decode(llr, lifted, rows, iterations=20, decoder="sionna").bits != info).any(1)
    assert 5 < theirs.sum() < 100
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    assert only_ours - only_theirs < 3 * math.sqrt(only_ours + only_theirs + 1)


def test_no_error_floor_above_the_waterfall():
    """Saturating arithmetic may cause one; 0.6 dB above the waterfall none of 2000 blocks may fail."""
    lifted = code(2, 1024)
    info, llr, rows = received(lifted, 2048, 4, 7.4, 2000)
    assert torch.equal(ldpc.decode(llr, lifted, rows).bits, info)


def test_negated_llrs_are_not_decoded():
    lifted = code(2, 1024)
    info, llr, rows = received(lifted, 2048, 4, 9.0, 5)
    assert torch.equal(ldpc.decode(llr, lifted, rows).bits, info)
    assert not ldpc.decode(-llr, lifted, rows).ok.any()


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="info_bits must be"):
        LdpcCode(2, 5000)
    with pytest.raises(UsageError, match="base_graph must be"):
        LdpcCode(3, 50)
    lifted = code(2, 100)
    with pytest.raises(UsageError, match="shape"):
        ldpc.decode(torch.zeros(2, 100), lifted)
    with pytest.raises(UsageError, match="iterations must be"):
        ldpc.decode(torch.zeros(2, lifted.buffer_bits), lifted, iterations=0)
    with pytest.raises(UsageError, match="rows must be"):
        ldpc.decode(torch.zeros(2, lifted.buffer_bits), lifted, rows=99)

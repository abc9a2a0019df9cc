"""The modem against theory and against the arithmetic of the 3GPP standard."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

from channels import modem
from channels.errors import UsageError
from channels.modem import crc
from channels.modem.qam import ORDERS, demap, map_bits
from channels.modem.scrambling import INITIAL_STATE, scrambling_bits
from channels.modem.transport import segment
from channels.modem.transport_block import Mcs, decode, encode, transport_bits, transport_uses


def random_bits(*shape, seed=0):
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def awgn(symbols, snr_db, seed=1):
    noise_var = 10 ** (-snr_db / 10)
    noise = torch.randn((*symbols.shape, 2), generator=torch.Generator().manual_seed(seed))
    return symbols + math.sqrt(noise_var / 2) * torch.view_as_complex(noise), noise_var


def pam_error(levels_bits, noise_std):
    """Exact bit error rate of hard decisions on one Gray-labeled dimension, by enumerating levels and decisions."""
    labels = [[label >> (levels_bits - 1 - bit) & 1 for bit in range(levels_bits)] for label in range(2**levels_bits)]
    bits = torch.tensor([[bit for b in label for bit in (b, 0)] for label in labels], dtype=torch.uint8)
    points = sorted(zip(map_bits(bits, 2 * levels_bits).real.flatten().tolist(), labels, strict=True))
    normal, total = NormalDist(0.0, noise_std), 0.0
    edges = [-math.inf, *((a[0] + b[0]) / 2 for a, b in itertools.pairwise(points)), math.inf]
    for sent, label in points:
        for (_, decided), low, high in zip(points, edges, edges[1:], strict=False):
            probability = normal.cdf(high - sent) - normal.cdf(low - sent)
            total += probability * sum(x != y for x, y in zip(label, decided, strict=True))
    return total / (len(points) * levels_bits)


@pytest.mark.parametrize(("order", "snr_db"), [(1, 4.0), (2, 7.0), (4, 12.0), (6, 17.0), (8, 23.0)])
def test_hard_decisions_have_the_closed_form_error_rate(order, snr_db):
    bits = random_bits(order * 100_000)
    received, noise_var = awgn(map_bits(bits, order), snr_db)
    errors = int(((demap(received, noise_var, order, "max_log") < 0) != bits.bool()).sum())
    if order == 1:  # both dimensions carry the same bit
        expected = 0.5 * math.erfc(math.sqrt(1 / noise_var))
    else:
        expected = pam_error(order // 2, math.sqrt(noise_var / 2))
    # the bits of a symbol are not independent: a bound on the variance of their sum
    spread = math.sqrt(len(bits) * expected * (1 - expected) * (1.5 if order > 2 else 1.0))
    assert abs(errors - len(bits) * expected) < 4 * spread


@pytest.mark.parametrize("order", ORDERS)
def test_constellation_has_unit_energy_and_gray_neighbors(order):
    labels = torch.arange(2**order)
    bits = torch.stack([labels >> (order - 1 - i) & 1 for i in range(order)], 1).to(torch.uint8)
    points = map_bits(bits.flatten(), order)
    assert points.abs().square().mean().item() == pytest.approx(1.0, abs=1e-6)
    distance = (points[:, None] - points).abs() + 10 * torch.eye(2**order)
    nearest = distance < distance.min() * 1.001
    assert ((bits[:, None] != bits).sum(-1)[nearest] == 1).all()


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_exact_llrs_are_calibrated(order):
    """Among bits with LLR near L the odds of a zero are e^L: the slope of the empirical log-odds over the LLR is 1."""
    bits = random_bits(400_000 // order * order)
    received, noise_var = awgn(map_bits(bits, order), {2: 2.0, 4: 7.0, 6: 11.0, 8: 16.0}[order])
    llr = demap(received, noise_var, order)
    edges = torch.linspace(-4, 4, 17)
    center, odds, weight = [], [], []
    for low, high in itertools.pairwise(edges):
        inside = (llr >= low) & (llr < high)
        ones = int(bits[inside].sum())
        zeros = int(inside.sum()) - ones
        center.append(llr[inside].mean().item())
        odds.append(math.log(zeros / ones))
        weight.append(1 / (1 / zeros + 1 / ones))
    x, y, w = map(np.array, (center, odds, weight))
    slope = (w * x * y).sum() / (w * x * x).sum()
    assert abs(slope - 1) < 4 / math.sqrt((w * x * x).sum()) + 0.01


@pytest.mark.parametrize("order", ORDERS)
def test_demapper_equals_the_sum_over_all_points(order):
    labels = torch.arange(2**order)
    bits = torch.stack([labels >> (order - 1 - i) & 1 for i in range(order)], 1)
    points = map_bits(bits.flatten().to(torch.uint8), order)
    received, _ = awgn(points.repeat(3), 6.0)
    noise_var = torch.linspace(0.05, 0.5, len(received))
    exponents = -((received[:, None] - points).abs().double() ** 2) / noise_var[:, None]
    for method, combine in (("exact", torch.logsumexp), ("max_log", torch.amax)):
        expected = [
            combine(exponents[:, bits[:, i] == 0], 1) - combine(exponents[:, bits[:, i] == 1], 1) for i in range(order)
        ]
        actual = demap(received, noise_var, order, method)
        assert torch.allclose(actual.double(), torch.stack(expected, 1).flatten(), atol=2e-3, rtol=1e-4)


def test_demapper_is_differentiable_and_finite_at_extremes():
    symbols = torch.tensor([0.3 + 0.2j, 50 - 50j, 0j], requires_grad=True)
    demap(symbols, 1e-4, 6).sum().backward()
    assert symbols.grad.isfinite().all()
    assert demap(symbols.detach(), 0.0, 8).isfinite().all()
    assert (demap(symbols.detach(), math.inf, 8) == 0).all()


def remainder_by_long_division(bits, polynomial, width):
    register = 0
    for bit in [*bits, *[0] * width]:
        register = register << 1 | int(bit)
        if register >> width:
            register ^= polynomial
    return [register >> i & 1 for i in range(width - 1, -1, -1)]


@pytest.mark.parametrize(
    ("name", "polynomial"), [("24A", 0x1864CFB), ("24B", 0x1800063), ("16", 0x11021), ("11", 0xE21)]
)
def test_crc_equals_long_division(name, polynomial):
    for length in (1, 2, 3, 23, 24, 25, 100, 1000):
        bits = random_bits(3, length, seed=length).numpy()
        expected = [remainder_by_long_division(row, polynomial, crc.crc_bits(name)) for row in bits]
        assert crc.crc(bits, name).tolist() == expected
        assert crc.check(crc.attach(bits, name), name).all()


@pytest.mark.parametrize(("name", "value"), [("24A", 0xCDE703), ("16", 0x31C3)])
def test_crc_of_the_digits_matches_the_published_check_value(name, value):
    """The catalogs list CRC-24/LTE-A = CDE703 and CRC-16/XMODEM = 31C3 for the message "123456789"."""
    parity = crc.crc(modem.bytes_to_bits(b"123456789").numpy(), name)
    assert int("".join(map(str, parity)), 2) == value


def test_scrambling_equals_the_shift_registers():
    length = 700
    first, second = [1] + [0] * 30, [INITIAL_STATE >> i & 1 for i in range(31)]
    for n in range(length + 1600):
        first.append(first[n + 3] ^ first[n])
        second.append(second[n + 3] ^ second[n + 2] ^ second[n + 1] ^ second[n])
    expected = [a ^ b for a, b in zip(first[1600:], second[1600:], strict=True)][:length]
    assert scrambling_bits(length).tolist() == expected


@pytest.mark.parametrize("mcs", [Mcs(2, 0.1), Mcs(2, 0.5), Mcs(4, 0.75), Mcs(8, 0.925)])
def test_accounting_is_exact(mcs):
    for size in range(1, 5001):
        uses = transport_uses(8 * size, mcs)
        total = segment(8 * size, mcs).total_bits
        assert (uses - 1) * mcs.efficiency < total <= uses * mcs.efficiency + 1e-6
        if size % 50 < 3:
            assert transport_bits(uses, mcs) >= 8 * size
            most = transport_bits(uses + size % 7, mcs)
            assert transport_uses(most, mcs) <= uses + size % 7 < transport_uses(most + 8, mcs)


def test_segments_have_their_crcs():
    plan = segment(100_001, Mcs(4, 0.5))
    payload = random_bits(2, 100_001).numpy()
    blocks = plan.cut(payload)
    assert blocks.shape == (2, 12, plan.code.info_bits)
    assert crc.check(blocks, "24B").all()
    blocks[1, 3, 5] ^= 1
    back, ok, block_ok = plan.join(blocks)
    assert (back[0] == payload[0]).all()
    assert ok.tolist() == [True, False]
    assert np.argwhere(~block_ok).tolist() == [[1, 3]]


@pytest.mark.parametrize("size", [1, 11, 64, 65, 292, 293, 3824, 3825, 8424, 8425, 40_000])
@pytest.mark.parametrize("mcs", [Mcs(1, 0.05), Mcs(2, 0.3), Mcs(6, 0.66), Mcs(8, 0.9)])
def test_every_size_is_decoded_without_noise(size, mcs):
    payload = random_bits(2, size, seed=size)
    symbols = encode(payload, mcs, transport_uses(size, mcs))
    decoded = decode(symbols, 1e-3, mcs, size)
    assert torch.equal(decoded.bits, payload)
    assert decoded.ok.all()
    assert decoded.block_ok.all()


def test_rows_do_not_depend_on_each_other():
    mcs, size = Mcs(4, 0.5), 20_000
    payload = random_bits(3, size)
    uses = transport_uses(size, mcs)
    together, noise_var = awgn(encode(payload, mcs, uses), 5.9)
    decoded = decode(together, noise_var, mcs, size)
    for row in (2, 0, 1):
        alone = decode(together[row], noise_var, mcs, size)
        assert torch.equal(encode(payload[row], mcs, uses), encode(payload, mcs, uses)[row])
        assert torch.equal(alone.bits, decoded.bits[row])
        assert torch.equal(alone.iterations, decoded.iterations[row])
        assert alone.ok == decoded.ok[row]


def test_expected_energy_is_one_for_any_data():
    for order in ORDERS:
        symbols = encode(torch.zeros(20_000, dtype=torch.uint8), Mcs(order, 0.5), 60_000)
        # the variance of |x|^2 is below 0.4 for all of these
        assert abs(symbols.abs().square().mean().item() - 1) < 4 * math.sqrt(0.4 / 60_000)


def test_short_payload_is_decoded_at_minus_eight_decibels():
    """48 bits in 2^10 uses: repetition beyond the circular buffer; the Shannon limit at -8 dB is 0.21 bit a use."""
    mcs, size, rows = Mcs(2, 0.03), 48, 200
    payload = random_bits(rows, size)
    uses = transport_uses(size, mcs)
    assert uses * 2 > segment(size, mcs).code.buffer_bits
    received, noise_var = awgn(encode(payload, mcs, uses), -8.0)
    decoded = decode(received, noise_var, mcs, size)
    assert (decoded.bits == payload).all(1).sum() >= rows - 1
    assert ((decoded.bits == payload).all(1) | ~decoded.ok).all()


@pytest.mark.parametrize("snr_db", [-25.0, -30.0, -33.0, -36.0, -40.0, -100.0])
@pytest.mark.parametrize(
    ("mcs", "size", "rows", "check_bits"), [(Mcs(2, 0.1), 50, 3000, 11), (Mcs(4, 0.5), 500, 500, 16)]
)
def test_noise_is_accepted_no_more_often_than_by_its_crc(mcs, size, rows, check_bits, snr_db):
    """Below -30 dB more and more LLRs are rounded to zero, until the decoder returns the all-zero word."""
    received, noise_var = awgn(encode(random_bits(rows, size), mcs, transport_uses(size, mcs)), snr_db)
    decoded = decode(received, noise_var, mcs, size)
    expected = rows / 2**check_bits
    assert int(decoded.ok.sum()) <= expected + 4 * math.sqrt(expected)
    if snr_db <= -40:
        assert not decoded.bits.any()  # all LLRs are rounded to zero
        assert not decoded.ok.any()
        assert not decoded.block_ok.any()
        again = decode(received, noise_var, mcs, size, soft=decoded.soft)
        assert not again.ok.any()


@pytest.mark.parametrize("snr_db", [-33.0, -40.0, -100.0])
def test_no_block_of_many_is_decoded_from_noise(snr_db):
    mcs, size = Mcs(6, 0.8), 40_000
    received, noise_var = awgn(encode(random_bits(8, size), mcs, transport_uses(size, mcs)), snr_db)
    decoded = decode(received, noise_var, mcs, size)
    assert decoded.block_ok.shape == (8, 5)
    assert not decoded.block_ok.any()
    assert not decoded.ok.any()


def test_zeros_are_decoded_as_often_as_other_bits():
    mcs, size, rows, passed = Mcs(2, 0.5), 256, 1500, []
    for payload in (torch.zeros(rows, size, dtype=torch.uint8), random_bits(rows, size)):
        received, noise_var = awgn(encode(payload, mcs, transport_uses(size, mcs)), 0.8, seed=len(passed))
        decoded = decode(received, noise_var, mcs, size)
        assert torch.equal(decoded.bits[decoded.ok], payload[decoded.ok])
        passed.append(float(decoded.ok.double().mean()))
    assert 0.2 < passed[1] < 0.8
    assert abs(passed[0] - passed[1]) < 4 * math.sqrt(0.5 / rows)


@pytest.mark.parametrize("size", [1, 12, 300, 30_000])
def test_sent_zeros_are_accepted_and_llrs_of_zero_are_not(size):
    mcs, payload = Mcs(2, 0.2), torch.zeros(1, size, dtype=torch.uint8)
    received, noise_var = awgn(encode(payload, mcs, transport_uses(size, mcs)), 3.0)
    assert decode(received, noise_var, mcs, size).block_ok.all()
    assert not decode(torch.zeros_like(received), noise_var, mcs, size).block_ok.any()


def test_wrong_sign_is_not_decoded():
    mcs, size = Mcs(2, 0.5), 1000
    payload = random_bits(4, size)
    received, noise_var = awgn(encode(payload, mcs, transport_uses(size, mcs)), 3.0)
    assert decode(received, noise_var, mcs, size).ok.all()
    assert not decode(-received, noise_var, mcs, size).ok.any()


def test_retransmissions_are_combined():
    """Rate 0.9 fails at 3 dB; the same block with a second redundancy version is rate 0.45 and passes."""
    mcs, size = Mcs(2, 0.9), 2000
    payload = random_bits(6, size)
    uses = transport_uses(size, mcs)
    first, noise_var = awgn(encode(payload, mcs, uses), 3.0)
    second, _ = awgn(encode(payload, mcs, uses, rv=2), 3.0, seed=2)
    once = decode(first, noise_var, mcs, size)
    assert not once.ok.any()
    twice = decode(second, noise_var, mcs, size, rv=2, soft=once.soft)
    assert twice.ok.all()
    assert torch.equal(twice.bits, payload)


def test_table_is_monotone_and_below_capacity():
    rows = modem.waterfalls()
    efficiency = [row.mcs.efficiency for row in rows]
    thresholds = [row.threshold_db(1e-3) for row in rows]
    assert efficiency == sorted(efficiency)
    assert thresholds == sorted(thresholds)
    for bits, snr_db in zip(efficiency, thresholds, strict=True):
        capacity_db = 10 * math.log10(2**bits - 1)
        assert capacity_db + 0.3 < snr_db < capacity_db + 3.0


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 18.0])
def test_selected_scheme_has_the_block_error_rate(snr_db):
    mcs = modem.choose(snr_db, block_error=1e-2)
    size = transport_bits(12_000, mcs)
    payload = random_bits(4, size)
    received, noise_var = awgn(encode(payload, mcs, 12_000), snr_db)
    failed = int((~decode(received, noise_var, mcs, size).block_ok).sum())
    blocks = 4 * segment(size, mcs).blocks
    assert failed <= 0.01 * blocks + 4 * math.sqrt(0.01 * blocks) + 1


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="bits_per_symbol"):
        Mcs(3, 0.5)
    with pytest.raises(UsageError, match="code_rate"):
        Mcs(2, 1.5)
    with pytest.raises(UsageError, match="do not fit"):
        encode(random_bits(1000), Mcs(2, 0.5), 100)
    with pytest.raises(UsageError, match="rv must be"):
        encode(random_bits(1000), Mcs(2, 0.5), 1100, rv=4)
    with pytest.raises(UsageError, match="uint8"):
        encode(torch.zeros(100), Mcs(2, 0.5), 1000)
    with pytest.raises(UsageError, match="no scheme"):
        modem.choose(-30.0)
    with pytest.raises(UsageError, match="whole bytes"):
        modem.bits_to_bytes(random_bits(9))

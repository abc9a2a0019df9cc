"""Block error rates of all modulation and coding schemes on AWGN: the table that `channels.modem.choose` reads.

    python benchmarks/mcs.py                        all schemes (several minutes on one core)
    python benchmarks/mcs.py --quick --out x.json   a coarse table

The schemes are a grid of bits per use for each modulation, and all schemes of 3GPP TS 38.214, table 5.1.3.1-2. A block
has 8448 bits (base graph 1) or 3840 bits (base graph 2). The block error rate is measured in steps of 0.1 dB and fitted
by a Q function. A scheme is dropped if another one is more efficient at a lower or nearly equal SNR.
"""

import argparse
import json
import math
from statistics import NormalDist

import numpy as np
import outputs
import torch

from channels.modem import ldpc, ldpc_rate
from channels.modem.ldpc_code import choose_base_graph, code
from channels.modem.mcs import NR_TABLE_2, TABLE_FILE
from channels.modem.qam import demap, map_bits
from channels.modem.scrambling import scrambling_bits
from channels.modem.transport import Mcs
from channels.rng import seed_for

ABOUT = "BLER = Q((snr_db - middle_db) / width_db) on AWGN; points: [snr_db, block errors, blocks]"
BLOCK_ERROR = 1e-3
GRID = {2: (0.2, 1.6, 0.05), 4: (1.3, 3.4, 0.075), 6: (2.9, 5.2, 0.1), 8: (4.5, 7.4, 0.1)}
LEAST_STEP_DB = 0.15


def block_errors(mcs: Mcs, snr_db: float, blocks: int, least_errors: int, seed: int) -> tuple[int, int]:
    """Simulate single code blocks until there are `least_errors` errors or `blocks` blocks: (errors, blocks)."""
    base_graph = 2 if choose_base_graph(3825, mcs.code_rate) == 2 else 1
    block_bits = 3840 if base_graph == 2 else 8448
    lifted = code(base_graph, block_bits)
    q = mcs.bits_per_symbol
    uses = math.ceil(block_bits / mcs.efficiency - 1e-9)
    noise_var = 10 ** (-snr_db / 10)
    numbers = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    scramble = scrambling_bits(uses * q)
    flip = torch.from_numpy(scramble.astype(bool))
    rows = lifted.rows_needed(ldpc_rate.last_position(lifted, uses * q, 0))
    errors = done = 0
    while done < blocks and errors < least_errors:
        info = numbers.integers(0, 2, (50, block_bits), np.uint8)
        coded = ldpc_rate.match(lifted.to_buffer(lifted.encode(info)), lifted, uses * q, q, 0)
        symbols = map_bits(torch.from_numpy(coded ^ scramble), q)
        noise = torch.view_as_complex(torch.randn((*symbols.shape, 2), generator=generator))
        llr = demap(symbols + math.sqrt(noise_var / 2) * noise, noise_var, q)
        llr = torch.where(flip, -llr, llr)
        decoded = ldpc.decode(ldpc_rate.recover(llr, lifted, q, 0), lifted, rows)
        errors += int((decoded.bits.numpy() != info).any(1).sum())
        done += len(info)
    return errors, done


def capacity_snr_db(efficiency: float) -> float:
    return 10 * math.log10(2**efficiency - 1)


def waterfall(mcs: Mcs, blocks: int, start_db: float) -> dict:
    """Measure the waterfall in steps of 0.1 dB, from an SNR where every block fails, and fit it."""
    snr_db = round(start_db, 1)
    points = []
    while True:
        seed = seed_for("mcs", mcs.bits_per_symbol, mcs.code_rate, snr_db) % 2**31
        if not points:  # below the waterfall: coarse steps
            errors, done = block_errors(mcs, snr_db, 50, 45, seed)
            if errors >= 45:
                snr_db = round(snr_db + 0.15, 2)
                continue
        errors, done = block_errors(mcs, snr_db, blocks, 60, seed)
        points.append((snr_db, errors, done))
        if errors / done < 0.01 or len(points) > 12:
            break
        snr_db = round(snr_db + 0.1, 2)
    middle, width = fit(points)
    return {
        "bits_per_symbol": mcs.bits_per_symbol,
        "code_rate": round(mcs.code_rate, 6),
        "middle_db": round(middle, 3),
        "width_db": round(width, 3),
        "points": [[snr, errors, done] for snr, errors, done in points],
    }


def fit(points: list[tuple[float, int, int]]) -> tuple[float, float]:
    """Maximum-likelihood (middle, width) of BLER = Q((snr - middle) / width), by refined grid search."""
    normal = NormalDist()
    snr = np.array([point[0] for point in points])
    errors = np.array([point[1] for point in points], float)
    done = np.array([point[2] for point in points], float)

    def loss(middle: float, width: float) -> float:
        p = np.clip([1 - normal.cdf((s - middle) / width) for s in snr], 1e-9, 1 - 1e-9)
        # a weak prior on the usual width, for waterfalls with a single informative point
        return float(-(errors * np.log(p) + (done - errors) * np.log1p(-p)).sum() + 2 * math.log(width / 0.1) ** 2)

    best = (float(snr.mean()), 0.1)
    reach = 0.4
    for _ in range(12):
        middles = best[0] + reach * np.linspace(-1, 1, 13)
        widths = best[1] * np.exp(2 * reach * np.linspace(-1, 1, 13))
        best = min(((m, w) for m in middles for w in widths), key=lambda pair: loss(*pair))
        reach *= 0.6
    return float(best[0]), float(best[1])


def threshold(row: dict) -> float:
    return row["middle_db"] - row["width_db"] * NormalDist().inv_cdf(BLOCK_ERROR)


def worth_using(rows: list[dict]) -> list[dict]:
    """Drop each scheme for which a more efficient one has a lower threshold, or one less than LEAST_STEP_DB higher.

    The step limits the length of the table, because a header of 7 bits conveys the index of its row.
    """
    selected, lowest = [], math.inf
    for row in sorted(rows, key=lambda r: (-r["bits_per_symbol"] * r["code_rate"], threshold(r))):
        if threshold(row) < lowest - LEAST_STEP_DB:
            selected.append(row)
            lowest = threshold(row)
    return selected[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "JSON file for the table", default=TABLE_FILE)
    parser.add_argument("--quick", action="store_true", help="300 blocks per SNR in place of 1000")
    options = parser.parse_args()
    beginning = f'{{\n  "about": "{ABOUT}",\n'
    outputs.check_file(parser, options, beginning)
    grid = [
        Mcs(q, round(first + step * i, 6) / q)
        for q, (first, last, step) in GRID.items()
        for i in range(round((last - first) / step) + 1)
    ]
    rows: list[dict] = []
    gap = dict.fromkeys(GRID, 0.6)
    for mcs in sorted({*grid, *NR_TABLE_2}, key=lambda mcs: (mcs.bits_per_symbol, mcs.code_rate)):
        capacity = capacity_snr_db(mcs.efficiency)
        rows.append(waterfall(mcs, 300 if options.quick else 1000, capacity + gap[mcs.bits_per_symbol] - 0.2))
        gap[mcs.bits_per_symbol] = rows[-1]["middle_db"] - capacity  # schemes of similar rate have nearly the same gap
        print(
            f"{mcs.bits_per_symbol} bits, rate {mcs.code_rate:.4f}, {mcs.efficiency:.3f} bit/use: "
            f"{threshold(rows[-1]):6.2f} dB, capacity {capacity_snr_db(mcs.efficiency):6.2f} dB",
            flush=True,
        )
    selected = worth_using(rows)
    lines = ",\n".join("    " + json.dumps(row) for row in selected)
    header = f'{beginning}  "command": "python benchmarks/mcs.py",\n  "iterations": {ldpc.ITERATIONS},\n'
    outputs.write_text(options.out, f'{header}  "schemes": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()

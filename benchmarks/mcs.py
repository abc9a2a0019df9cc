"""Measure the block error rates of all schemes on AWGN and write the table that `channels.modem.choose` reads.

    python benchmarks/mcs.py                        all schemes (some minutes on one core)
    python benchmarks/mcs.py --quick --out x.json   a coarse one

For each modulation a grid of bits per use, and all of 38.214 Table 5.1.3.1-2. Blocks are of 8448 bits (base graph 1)
or 3840 bits (base graph 2). The waterfall is searched in steps of 0.1 dB, then fitted by a normal law. Schemes are kept
if no other one is more efficient at a lower SNR, or at one that is nearly the same.
"""

import argparse
import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch

from channels import _ldpc_rate as rate_matching
from channels import ldpc
from channels._ldpc_code import choose_base_graph, code
from channels._mcs import NR_TABLE_2
from channels._qam import demap, map_bits
from channels._rng import seed_for
from channels._scrambling import scrambling_bits
from channels._transport import Mcs

BLOCK_ERROR = 1e-3
GRID = {2: (0.2, 1.6, 0.05), 4: (1.3, 3.4, 0.075), 6: (2.9, 5.2, 0.1), 8: (4.5, 7.4, 0.1)}
LEAST_STEP_DB = 0.15


def block_errors(mcs: Mcs, snr_db: float, blocks: int, least_errors: int, seed: int) -> tuple[int, int]:
    """Simulate single code blocks: (errors, blocks), stopped early once there are errors enough."""
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
    rows = lifted.rows_needed(rate_matching.last_position(lifted, uses * q, 0))
    errors = done = 0
    while done < blocks and errors < least_errors:
        info = numbers.integers(0, 2, (50, block_bits), np.uint8)
        coded = rate_matching.match(lifted.to_buffer(lifted.encode(info)), lifted, uses * q, q, 0)
        symbols = map_bits(torch.from_numpy(coded ^ scramble), q)
        noise = torch.view_as_complex(torch.randn((*symbols.shape, 2), generator=generator))
        llr = demap(symbols + math.sqrt(noise_var / 2) * noise, noise_var, q)
        llr = torch.where(flip, -llr, llr)
        found = ldpc.decode(rate_matching.recover(llr, lifted, q, 0), lifted, rows)
        errors += int((found.bits.numpy() != info).any(1).sum())
        done += len(info)
    return errors, done


def capacity_snr_db(efficiency: float) -> float:
    return 10 * math.log10(2**efficiency - 1)


def waterfall(mcs: Mcs, blocks: int, start_db: float) -> dict:
    """Walk down the waterfall in steps of 0.1 dB from where every block fails, and fit."""
    snr_db = round(start_db, 1)
    points = []
    while True:
        seed = seed_for("mcs", mcs.bits_per_symbol, mcs.code_rate, snr_db) % 2**31
        if not points:  # far above the waterfall, coarse steps
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
    """Most likely (middle, width) of BLER = Q((snr - middle) / width) given binomial counts, by refined grid search."""
    law = NormalDist()
    snr = np.array([point[0] for point in points])
    errors = np.array([point[1] for point in points], float)
    done = np.array([point[2] for point in points], float)

    def loss(middle: float, width: float) -> float:
        p = np.clip([1 - law.cdf((s - middle) / width) for s in snr], 1e-9, 1 - 1e-9)
        # a weak preference for the usual width decides where one point alone would leave it open
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
    """Drop each scheme that a more efficient one beats: at a lower threshold, or less than LEAST_STEP_DB above it.

    The step keeps the table short: a header has to name its rows.
    """
    kept, lowest = [], math.inf
    for row in sorted(rows, key=lambda r: (-r["bits_per_symbol"] * r["code_rate"], threshold(r))):
        if threshold(row) < lowest - LEAST_STEP_DB:
            kept.append(row)
            lowest = threshold(row)
    return kept[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("channels/mcs_awgn.json"))
    parser.add_argument("--quick", action="store_true", help="fewer blocks")
    options = parser.parse_args()
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
        gap[mcs.bits_per_symbol] = rows[-1]["middle_db"] - capacity  # neighbours have nearly the same
        print(
            f"{mcs.bits_per_symbol} bits, rate {mcs.code_rate:.4f}, {mcs.efficiency:.3f} bit/use: "
            f"{threshold(rows[-1]):6.2f} dB, capacity {capacity_snr_db(mcs.efficiency):6.2f} dB",
            flush=True,
        )
    kept = worth_using(rows)
    about = "BLER = Q((snr_db - middle_db) / width_db) on AWGN; points: [snr_db, block errors, blocks]"
    lines = ",\n".join("    " + json.dumps(row) for row in kept)
    header = f'  "about": "{about}",\n  "command": "python benchmarks/mcs.py",\n  "iterations": {ldpc.ITERATIONS},\n'
    options.out.write_text(f'{{\n{header}  "schemes": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()

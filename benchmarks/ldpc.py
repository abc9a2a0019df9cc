"""LDPC decoder of semcom compared with that of Sionna in one run: throughput, block error rates, loss in dB.

    python benchmarks/ldpc.py                              tables and figure in runs/bench
    python benchmarks/ldpc.py --quick --figure quick.png   two SNRs with many errors, one setting of Sionna
    python benchmarks/ldpc.py --speed-only --rules boxplus-phi --batches 100 --out results   ldpc_throughput.csv
    python benchmarks/ldpc.py --errors-only --out results                                    ldpc_threshold.csv

k = 1024, n = 2048, 16QAM, base graph 2, the same noise for both decoders. Several settings of Sionna are timed (check
rule, batch size, threads) at 20 iterations; the fastest one and boxplus-phi are reported. The decoder of semcom is
timed with 20 forced iterations (on noise alone, which never meets the checks) and with its early stop at an SNR where
about one block in 200 fails. Its error rate is measured with 20 iterations, as that of Sionna, and with the 50
iterations that the link uses.
"""

import argparse
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import outputs
import torch
from argument_types import real, whole

from channels.modem import ldpc, ldpc_rate
from channels.modem.ldpc_code import code
from channels.modem.qam import demap, map_bits
from semcom.results.intervals import Estimate, proportion

INFO_BITS, CODED_BITS, BITS_PER_SYMBOL, ITERATIONS = 1024, 2048, 4, 20
RULES = ("boxplus-phi", "boxplus", "minsum", "offset-minsum")  # rules of the check nodes in Sionna
CODE = code(2, INFO_BITS)
BATCH = 512  # allocating the LLRs of thousands of blocks at once takes as long as decoding them
ROWS = CODE.rows_needed(ldpc_rate.last_position(CODE, CODED_BITS, 0))

TABLES = {
    "ldpc_throughput": (
        *("Threads", f"semcom, {ITERATIONS} forced iterations", "semcom, early stopping", "Iterations until the stop"),
        *("semcom, with rate recovery", "Sionna, boxplus-phi"),
    ),
    "ldpc_threshold": ("Decoder", "Es/N0 at BLER 1e-2 (dB)"),
}


def draw(snr_db: float, blocks: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Information bits [blocks, k] and LLRs [blocks, n] in transmission order."""
    info = np.random.default_rng(seed).integers(0, 2, (blocks, INFO_BITS), np.uint8)
    coded = ldpc_rate.match(CODE.to_buffer(CODE.encode(info)), CODE, CODED_BITS, BITS_PER_SYMBOL, 0)
    symbols = map_bits(torch.from_numpy(coded), BITS_PER_SYMBOL)
    noise_var = 10 ** (-snr_db / 10)
    noise = torch.randn((*symbols.shape, 2), generator=torch.Generator().manual_seed(seed))
    received = symbols + math.sqrt(noise_var / 2) * torch.view_as_complex(noise)
    return torch.from_numpy(info), demap(received, noise_var, BITS_PER_SYMBOL)


def decode_semcom(llr: torch.Tensor, iterations: int = ITERATIONS) -> torch.Tensor:
    return ldpc.decode(ldpc_rate.recover(llr, CODE, BITS_PER_SYMBOL, 0), CODE, ROWS, iterations).bits


def best_seconds(function, repeats: int, threads: int) -> float:
    """Shortest time of several runs: processor time for one thread, which other processes hardly change."""
    clock = time.process_time if threads == 1 else time.perf_counter
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def speed_of_semcom(threads: int, snr_db: float, blocks: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    _, llr = draw(snr_db, blocks, 0)
    buffers = ldpc_rate.recover(llr, CODE, BITS_PER_SYMBOL, 0)
    noise = torch.randn(buffers.shape, generator=torch.Generator().manual_seed(1))
    decoded = ldpc.decode(noise, CODE, ROWS, ITERATIONS)
    assert int(decoded.iterations.min()) == ITERATIONS
    iterations = ldpc.decode(buffers, CODE, ROWS, ITERATIONS).iterations.double().mean().item()
    megabits = blocks * INFO_BITS / 1e6
    return {
        "fixed": megabits / best_seconds(lambda: ldpc.decode(noise, CODE, ROWS, ITERATIONS), 5, threads),
        "early": megabits / best_seconds(lambda: ldpc.decode(buffers, CODE, ROWS, ITERATIONS), 5, threads),
        "early_with_rate_recovery": megabits
        / best_seconds(lambda: [decode_semcom(part) for part in llr.split(BATCH)], 5, threads),
        "mean_iterations": iterations,
    }


def scaling(most: int, blocks: int) -> dict[str, float]:
    """Speed of the decoder with `most` threads over that with one: alternating passes, the best of each.

    Other processes on the machine lower `wall_ratio`, but hardly `work_ratio`, the processor time of one thread over
    that of all threads; a value below 1 is the overhead of the threads.
    """
    _, llr = draw(5.0, blocks, 0)  # nearly all blocks need all iterations
    buffers = ldpc_rate.recover(llr, CODE, BITS_PER_SYMBOL, 0)
    wall, work = {1: math.inf, most: math.inf}, {1: math.inf, most: math.inf}
    for _ in range(8):
        for count in (1, most):
            torch.set_num_threads(count)
            start, busy = time.perf_counter(), time.process_time()
            ldpc.decode(buffers, CODE, ROWS, ITERATIONS)
            wall[count] = min(wall[count], time.perf_counter() - start)
            work[count] = min(work[count], time.process_time() - busy)
    return {"threads": most, "wall_ratio": wall[1] / wall[most], "work_ratio": work[1] / work[most]}


def sionna_decoder(check_rule: str):
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    encoder = LDPC5GEncoder(INFO_BITS, CODED_BITS, num_bits_per_symbol=BITS_PER_SYMBOL, device="cpu")
    return LDPC5GDecoder(encoder, cn_update=check_rule, num_iter=ITERATIONS, device="cpu")


def speed_of_sionna(rules: list[str], threads: list[int], batches: list[int], snr_db: float) -> list[dict[str, object]]:
    table = []
    for check_rule in rules:
        decoder = sionna_decoder(check_rule)
        for count in threads:
            torch.set_num_threads(count)
            for batch in batches:
                _, llr = draw(snr_db, batch, 0)
                decoder(-llr[:2])
                seconds = best_seconds(lambda decoder=decoder, llr=llr: decoder(-llr), 2, count)
                speed = batch * INFO_BITS / seconds / 1e6
                table.append({"rule": check_rule, "threads": count, "batch": batch, "megabits": speed})
    return table


def error_rates(points: list[float], wanted: int, most: int, with_sionna: bool) -> list[dict[str, float]]:
    """Block errors and blocks of each decoder; a decoder stops at a point once it has `wanted` errors."""
    decoders = {"semcom": decode_semcom, "semcom_50": lambda llr: decode_semcom(llr, ldpc.ITERATIONS)}
    if with_sionna:
        reference = sionna_decoder("boxplus-phi")
        decoders["sionna"] = lambda llr: reference(-llr).to(torch.uint8)
    rows = []
    for snr_db in points:
        row: dict[str, float] = {"snr_db": snr_db}
        row |= {key: 0 for name in decoders for key in (name, f"{name}_blocks")}
        blocks = 0
        while blocks < most and min(row[name] for name in decoders) < wanted:
            info, llr = draw(snr_db, 250, 1 + blocks + round(1e6 * (snr_db + 50)))
            blocks += len(info)
            for name, decode in decoders.items():
                if row[name] < wanted:
                    row[name] += int((decode(llr) != info).any(1).sum())
                    row[f"{name}_blocks"] += len(info)
        rows.append(row)
        text = ", ".join(f"{name} {row[name]} errors in {row[f'{name}_blocks']} blocks" for name in decoders)
        print(f"  {snr_db:.2f} dB: {text}", flush=True)
    return rows


def snr_at(rows: list[dict[str, float]], name: str, target: float) -> float:
    """SNR at a block error rate, by linear interpolation in probit scale between the two nearest points."""
    normal = NormalDist()
    known = [(row["snr_db"], normal.inv_cdf(row[name] / row[f"{name}_blocks"])) for row in rows if row[name] > 0]
    (a, x), (b, y) = sorted(sorted(known, key=lambda pair: abs(pair[1] - normal.inv_cdf(target)))[:2])
    return a + (b - a) * (normal.inv_cdf(target) - x) / (y - x)


def _share(errors: int, blocks: int) -> Estimate:
    return proportion(np.arange(blocks) < errors, np.ones(blocks), range(blocks))


def draw_figure(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.6, 4.2), layout="constrained")
    # colors of Okabe and Ito, distinguishable for color-blind readers; markers and line styles for printing in gray
    looks = {
        "sionna": ("Sionna, boxplus-phi, 20 iterations", {"color": "#D55E00", "marker": "s", "linestyle": "--"}),
        "semcom": ("semcom, layered, 8 bits, 20 iterations", {"color": "#0072B2", "marker": "o", "linestyle": "-"}),
        "semcom_50": ("semcom, layered, 8 bits, 50 iterations", {"color": "#009E73", "marker": "^", "linestyle": ":"}),
    }
    for name, (label, look) in looks.items():
        known = [row for row in rows if row.get(name)]
        if not known:
            continue
        shares = [_share(int(row[name]), int(row[f"{name}_blocks"])) for row in known]
        rate = np.array([share.mean for share in shares])
        spread = np.abs(np.array([[share.low for share in shares], [share.high for share in shares]]) - rate)
        axes.errorbar([row["snr_db"] for row in known], rate, spread, capsize=3, markersize=5, label=label, **look)
    axes.set(yscale="log", xlabel="Es/N0 (dB)", ylabel="Block error rate (95 % intervals)")
    axes.set_title(f"5G LDPC, k = {INFO_BITS}, n = {CODED_BITS}, 16QAM, AWGN")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(loc="lower left")
    outputs.write_figure(path, figure, dpi=150)
    pyplot.close(figure)


def compare_error_rates(options: argparse.Namespace, threads: int) -> list[Sequence[str]]:
    """Table of the SNRs at a block error rate of 1e-2."""
    torch.set_num_threads(threads)
    print("block error rates, the same noise for all decoders")
    rows = error_rates(options.points, options.errors, options.most, not options.without_sionna)
    draw_figure(rows, options.figure)
    decoders = {
        "semcom": f"semcom, {ITERATIONS} iterations",
        "semcom_50": f"semcom, {ldpc.ITERATIONS} iterations (default of the link)",
        "sionna": f"Sionna, boxplus-phi, {ITERATIONS} iterations",
    }
    needed = {name: snr_at(rows, name, 1e-2) for name in decoders if name in rows[0]} if len(rows) > 1 else {}
    for name, snr_db in needed.items():
        print(f"Es/N0 at BLER 1e-2: {snr_db:.3f} dB with {decoders[name]}")
    return [TABLES["ldpc_threshold"], *([decoders[name], f"{snr_db:.2f}"] for name, snr_db in needed.items())]


def compare_speeds(options: argparse.Namespace, threads: list[int]) -> list[Sequence[str]]:
    """Table of the throughputs."""
    snr_db = 6.6
    speeds = {count: speed_of_semcom(count, snr_db, options.blocks) for count in threads}
    print(
        f"information Mbit/s at {snr_db} dB (k = {INFO_BITS}, n = {CODED_BITS}, 16QAM); processor time for one thread"
    )
    for count, speed in speeds.items():
        print(
            f"  semcom, {count} threads: {speed['fixed']:.1f} with {ITERATIONS} forced iterations, "
            f"{speed['early']:.1f} with early stop ({speed['mean_iterations']:.1f} iterations), "
            f"{speed['early_with_rate_recovery']:.1f} with rate recovery",
            flush=True,
        )
    if len(threads) > 1:
        ratios = scaling(threads[-1], options.blocks // 2)
        print(
            f"  semcom, {ratios['threads']} threads over one: {ratios['wall_ratio']:.2f} times the speed, "
            f"{1 / ratios['work_ratio']:.2f} times the processor time",
            flush=True,
        )
    reference = {} if options.without_sionna else compare_with_sionna(options, threads, snr_db, speeds)
    columns = ("fixed", "early", "mean_iterations", "early_with_rate_recovery")
    rows = [
        [str(count), *(f"{speed[column]:.1f}" for column in columns), reference.get(count, "")]
        for count, speed in speeds.items()
    ]
    return [TABLES["ldpc_throughput"], *rows]


def compare_with_sionna(
    options: argparse.Namespace, threads: list[int], snr_db: float, speeds: dict[int, dict[str, float]]
) -> dict[int, str]:
    """Throughput of Sionna with boxplus-phi by number of threads."""
    table = speed_of_sionna(options.rules, threads, options.batches, snr_db)
    for row in table:
        print(f"  Sionna {row['rule']}, {row['threads']} threads, batch {row['batch']}: {row['megabits']:.4f}")
    fastest = max(table, key=lambda row: row["megabits"])
    best = max(speeds.values(), key=lambda speed: speed["early"])
    print(
        f"  semcom over the fastest setting of Sionna ({fastest['rule']}): "
        f"{best['fixed'] / fastest['megabits']:.0f} at equal iterations, "
        f"{best['early_with_rate_recovery'] / fastest['megabits']:.0f} with early stop"
    )
    found: dict[int, float] = {}
    for row in table:
        if row["rule"] == "boxplus-phi":
            found[row["threads"]] = max(found.get(row["threads"], 0.0), row["megabits"])
    return {count: f"{megabits:.3f}" for count, megabits in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "folder for the tables", default=Path("runs/bench"))
    parser.add_argument("--errors", type=whole(1), default=100, help="number of block errors at each SNR")
    parser.add_argument("--most", type=whole(1), default=1_000_000, help="largest number of blocks at each SNR")
    parser.add_argument(
        "--points", type=real(-100, 100), nargs="+", default=[5.9, 6.1, 6.3, 6.5, 6.65, 6.8], help="SNRs, Es/N0 in dB"
    )
    parser.add_argument("--blocks", type=whole(2), default=4000, help="number of blocks whose decoding is timed")
    parser.add_argument("--batches", type=whole(1), nargs="+", default=[16, 100, 400])
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=RULES)
    parser.add_argument("--figure", type=Path, default=Path("runs/bench/ldpc_bler.png"))
    parser.add_argument("--quick", action="store_true", help="two SNRs with many errors, one setting of Sionna")
    parser.add_argument("--without-sionna", action="store_true")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--speed-only", action="store_true", help="no block error rates")
    only.add_argument("--errors-only", action="store_true", help="no run times")
    options = parser.parse_args()
    if options.quick:
        options.points, options.batches, options.rules = [6.1, 6.3], [100], ["boxplus-phi"]
    tables = dict(list(TABLES.items())[options.errors_only : 1 if options.speed_only else 2])
    outputs.check_tables(parser, options, tables)
    if not options.speed_only:
        outputs.check_figure(parser, options, option="--figure")
    threads = sorted({1, len(os.sched_getaffinity(0))})
    if not options.errors_only:
        outputs.write_csv(options.out / "ldpc_throughput.csv", compare_speeds(options, threads))
    if not options.speed_only:
        outputs.write_csv(options.out / "ldpc_threshold.csv", compare_error_rates(options, max(threads)))


if __name__ == "__main__":
    outputs.run(main)

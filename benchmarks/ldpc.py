"""Our LDPC decoder beside Sionna's, in one run: bits per second, block error rates, loss in decibels.

    python benchmarks/ldpc.py --out results/ldpc

k = 1024, n = 2048, 16QAM, base graph 2. Sionna's settings (check rule, batch size, threads) are tried, its fastest at
20 iterations is reported next to boxplus-phi, and both decode the same noise. Ours is timed with all iterations forced
(on noise alone, which never meets the checks) and with its early stop, where about one block in 200 fails.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch

from channels import _ldpc_rate as rate_matching
from channels import ldpc
from channels._ldpc_code import code
from channels._qam import demap, map_bits

INFO_BITS, CODED_BITS, BITS_PER_SYMBOL, ITERATIONS = 1024, 2048, 4, 20
CODE = code(2, INFO_BITS)
ROWS = CODE.rows_needed(rate_matching.last_position(CODE, CODED_BITS, 0))


def draw(snr_db: float, blocks: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Information bits [blocks, k] and LLRs [blocks, n] in transmitted order."""
    info = np.random.default_rng(seed).integers(0, 2, (blocks, INFO_BITS), np.uint8)
    coded = rate_matching.match(CODE.to_buffer(CODE.encode(info)), CODE, CODED_BITS, BITS_PER_SYMBOL, 0)
    symbols = map_bits(torch.from_numpy(coded), BITS_PER_SYMBOL)
    noise_var = 10 ** (-snr_db / 10)
    noise = torch.randn((*symbols.shape, 2), generator=torch.Generator().manual_seed(seed))
    received = symbols + math.sqrt(noise_var / 2) * torch.view_as_complex(noise)
    return torch.from_numpy(info), demap(received, noise_var, BITS_PER_SYMBOL)


def ours(llr: torch.Tensor) -> torch.Tensor:
    return ldpc.decode(rate_matching.recover(llr, CODE, BITS_PER_SYMBOL, 0), CODE, ROWS, ITERATIONS).bits


def best_seconds(function, repeats: int, threads: int) -> float:
    """Shortest of some runs. One thread is timed by its processor time, which neighbours do not touch."""
    clock = time.process_time if threads == 1 else time.perf_counter
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def speed_of_ours(threads: int, snr_db: float, blocks: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    _, llr = draw(snr_db, blocks, 0)
    buffers = rate_matching.recover(llr, CODE, BITS_PER_SYMBOL, 0)
    hopeless = torch.randn(buffers.shape, generator=torch.Generator().manual_seed(1))
    found = ldpc.decode(hopeless, CODE, ROWS, ITERATIONS)
    assert int(found.iterations.min()) == ITERATIONS
    sweeps = ldpc.decode(buffers, CODE, ROWS, ITERATIONS).iterations.double().mean().item()
    megabits = blocks * INFO_BITS / 1e6
    return {
        "fixed": megabits / best_seconds(lambda: ldpc.decode(hopeless, CODE, ROWS, ITERATIONS), 5, threads),
        "early": megabits / best_seconds(lambda: ldpc.decode(buffers, CODE, ROWS, ITERATIONS), 5, threads),
        "early_with_rate_recovery": megabits / best_seconds(lambda: ours(llr), 5, threads),
        "mean_sweeps": sweeps,
    }


def sionna_decoder(check_rule: str):
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    encoder = LDPC5GEncoder(INFO_BITS, CODED_BITS, num_bits_per_symbol=BITS_PER_SYMBOL, device="cpu")
    return LDPC5GDecoder(encoder, cn_update=check_rule, num_iter=ITERATIONS, device="cpu")


def speed_of_sionna(threads: list[int], batches: list[int], snr_db: float) -> list[dict[str, object]]:
    table = []
    for check_rule in ("boxplus-phi", "boxplus", "minsum", "offset-minsum"):
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
    decoder = sionna_decoder("boxplus-phi") if with_sionna else None
    rows = []
    for snr_db in points:
        row = {"snr_db": snr_db, "ours": 0, "ours_blocks": 0, "sionna": 0, "sionna_blocks": 0}
        while row["ours_blocks"] < most and min(row["ours"], row["sionna"] if decoder else wanted) < wanted:
            info, llr = draw(snr_db, 250, 1 + row["ours_blocks"] + round(1e6 * (snr_db + 50)))
            row["ours"] += int((ours(llr) != info).any(1).sum())
            row["ours_blocks"] += len(info)
            if decoder is not None and row["sionna"] < wanted:  # it is slow: no more than needed
                row["sionna"] += int((decoder(-llr).to(torch.uint8) != info).any(1).sum())
                row["sionna_blocks"] += len(info)
        rows.append(row)
        print(
            f"  {snr_db:.2f} dB: ours {row['ours']} errors in {row['ours_blocks']} blocks, "
            f"Sionna {row['sionna']} in {row['sionna_blocks']}",
            flush=True,
        )
    return rows


def snr_at(rows: list[dict[str, float]], name: str, target: float) -> float:
    """SNR of a block error rate, by a straight line in probit scale through the two points nearest to it."""
    law = NormalDist()
    known = [(row["snr_db"], law.inv_cdf(row[name] / row[f"{name}_blocks"])) for row in rows if row[name] > 0]
    (a, x), (b, y) = sorted(sorted(known, key=lambda pair: abs(pair[1] - law.inv_cdf(target)))[:2])
    return a + (b - a) * (law.inv_cdf(target) - x) / (y - x)


def draw_figure(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4), layout="constrained")
    snr = [row["snr_db"] for row in rows]
    for name, label in (("ours", "layered, 8 bits, 20 sweeps"), ("sionna", "Sionna, boxplus-phi, 20 iterations")):
        blocks = np.array([row[f"{name}_blocks"] for row in rows], float)
        if not blocks.any():
            continue
        rate = np.array([row[name] for row in rows]) / blocks
        spread = 1.96 * np.sqrt(rate * (1 - rate) / blocks)
        axes.errorbar(snr, rate, spread, marker="o", capsize=2, label=label)
    axes.set(yscale="log", xlabel="Es/N0 (dB)", ylabel="block error rate", title="k = 1024, n = 2048, 16QAM")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def compare_error_rates(options: argparse.Namespace, threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    print("block error rates, same noise for both")
    rows = error_rates(options.points, options.errors, options.most, not options.without_sionna)
    draw_figure(rows, options.out / "bler.png")
    result: dict[str, object] = {"error_rates": rows}
    if not options.without_sionna:
        mine, theirs = snr_at(rows, "ours", 1e-2), snr_at(rows, "sionna", 1e-2)
        result |= {"snr_db_at_bler_1e-2": {"ours": mine, "sionna": theirs}, "loss_db": mine - theirs}
        print(f"Es/N0 at BLER 1e-2: ours {mine:.3f} dB, Sionna {theirs:.3f} dB, loss {mine - theirs:+.3f} dB")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/ldpc"))
    parser.add_argument("--errors", type=int, default=100, help="block errors wanted at each point")
    parser.add_argument("--most", type=int, default=60_000, help="most blocks at each point")
    parser.add_argument("--points", type=float, nargs="+", default=[6.3, 6.5, 6.7, 6.8])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 100, 400])
    parser.add_argument("--without-sionna", action="store_true")
    parser.add_argument("--speed-only", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    threads = sorted({1, len(os.sched_getaffinity(0))})
    snr_db = 6.6
    result: dict[str, object] = {"ours": {count: speed_of_ours(count, snr_db, 4000) for count in threads}}
    print(
        f"Mbit/s of information at {snr_db} dB (k = {INFO_BITS}, n = {CODED_BITS}, 16QAM); one thread by processor time"
    )
    for count, speed in result["ours"].items():
        print(
            f"  ours, {count} threads: {speed['fixed']:.1f} with {ITERATIONS} sweeps forced, {speed['early']:.1f} with "
            f"early stop ({speed['mean_sweeps']:.1f} sweeps), {speed['early_with_rate_recovery']:.1f} with recovery",
            flush=True,
        )
    if not options.without_sionna:
        table = speed_of_sionna(threads, options.batches, snr_db)
        for row in table:
            print(f"  Sionna {row['rule']}, {row['threads']} threads, batch {row['batch']}: {row['megabits']:.4f}")
        fastest = max(table, key=lambda row: row["megabits"])
        phi = max((row for row in table if row["rule"] == "boxplus-phi"), key=lambda row: row["megabits"])
        best = max(result["ours"].values(), key=lambda speed: speed["early"])
        print(
            f"  ratio to Sionna's fastest ({fastest['rule']}): {best['fixed'] / fastest['megabits']:.0f} at equal "
            f"iterations, {best['early_with_rate_recovery'] / fastest['megabits']:.0f} with early stop; to its "
            f"boxplus-phi {best['early_with_rate_recovery'] / phi['megabits']:.0f}"
        )
        result |= {"sionna": table, "sionna_fastest": fastest, "sionna_boxplus_phi": phi}
    if not options.speed_only:
        result |= compare_error_rates(options, max(threads))
    (options.out / "ldpc.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

"""Our LDPC decoder beside Sionna's, in one run: bits per second, block error rates, loss in decibels.

    python benchmarks/ldpc.py                              writes runs/bench/ldpc.json and docs/ldpc_bler.png
    python benchmarks/ldpc.py --quick --figure quick.png   two points of many errors, one setting of Sionna's

k = 1024, n = 2048, 16QAM, base graph 2. Sionna's settings (check rule, batch size, threads) are tried, its fastest at
20 iterations is reported next to boxplus-phi, and both decode the same noise. Ours is timed with all 20 sweeps forced
(on noise alone, which never meets the checks) and with its early stop, where about one block in 200 fails; its error
rate is told with 20 sweeps, the number that it is compared at, and with the 50 that the link uses.
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
OUR_BATCH = 512  # fresh memory for the LLRs of thousands of blocks at once would cost as much as their decoding
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


def ours(llr: torch.Tensor, sweeps: int = ITERATIONS) -> torch.Tensor:
    return ldpc.decode(rate_matching.recover(llr, CODE, BITS_PER_SYMBOL, 0), CODE, ROWS, sweeps).bits


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
        "early_with_rate_recovery": megabits
        / best_seconds(lambda: [ours(part) for part in llr.split(OUR_BATCH)], 5, threads),
        "mean_sweeps": sweeps,
    }


def scaling(most: int, blocks: int) -> dict[str, float]:
    """How much faster our decoder is with `most` threads than with one: passes in turn, the best of each.

    Neighbours on the machine take from `wall_ratio`; `work_ratio`, processor time of one thread over that of all, they
    hardly touch: below 1 is what the threads themselves lose.
    """
    _, llr = draw(5.0, blocks, 0)  # nearly all blocks take all sweeps
    buffers = rate_matching.recover(llr, CODE, BITS_PER_SYMBOL, 0)
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
    """Block errors and blocks of each decoder; a decoder rests once it has errors enough."""
    decoders = {"ours": ours, "ours_50": lambda llr: ours(llr, ldpc.ITERATIONS)}
    if with_sionna:
        reference = sionna_decoder("boxplus-phi")
        decoders["sionna"] = lambda llr: reference(-llr).to(torch.uint8)
    rows = []
    for snr_db in points:
        row: dict[str, float] = {"snr_db": snr_db}
        row |= {key: 0 for name in decoders for key in (name, f"{name}_blocks")}
        drawn = 0
        while drawn < most and min(row[name] for name in decoders) < wanted:
            info, llr = draw(snr_db, 250, 1 + drawn + round(1e6 * (snr_db + 50)))
            drawn += len(info)
            for name, decode in decoders.items():
                if row[name] < wanted:
                    row[name] += int((decode(llr) != info).any(1).sum())
                    row[f"{name}_blocks"] += len(info)
        rows.append(row)
        told = ", ".join(f"{name} {row[name]} errors in {row[f'{name}_blocks']} blocks" for name in decoders)
        print(f"  {snr_db:.2f} dB: {told}", flush=True)
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

    figure, axes = pyplot.subplots(figsize=(5.6, 4.2), layout="constrained")
    # colours of Okabe and Ito, which the colour-blind tell apart; markers and dashes serve those who print in grey
    looks = {
        "sionna": ("Sionna, boxplus-phi, 20 iterations", {"color": "#D55E00", "marker": "s", "linestyle": "--"}),
        "ours": ("semcom, layered 8 bits, 20 sweeps", {"color": "#0072B2", "marker": "o", "linestyle": "-"}),
        "ours_50": ("semcom, as the link uses it, 50 sweeps", {"color": "#009E73", "marker": "^", "linestyle": ":"}),
    }
    for name, (label, look) in looks.items():
        known = [row for row in rows if row.get(name)]
        if not known:
            continue
        blocks = np.array([row[f"{name}_blocks"] for row in known], float)
        rate = np.array([row[name] for row in known]) / blocks
        spread = 1.96 * np.sqrt(rate * (1 - rate) / blocks)
        axes.errorbar([row["snr_db"] for row in known], rate, spread, capsize=3, markersize=5, label=label, **look)
    axes.set(yscale="log", xlabel="Es/N0 (dB)", ylabel="block error rate (95 % intervals)")
    axes.set_title(f"5G LDPC, k = {INFO_BITS}, n = {CODED_BITS}, 16QAM, AWGN")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def compare_error_rates(options: argparse.Namespace, threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    print("block error rates, same noise for both")
    rows = error_rates(options.points, options.errors, options.most, not options.without_sionna)
    draw_figure(rows, options.figure)
    result: dict[str, object] = {"error_rates": rows}
    if not options.without_sionna:
        needed = {name: snr_at(rows, name, 1e-2) for name in ("ours", "ours_50", "sionna")}
        loss_db = needed["ours"] - needed["sionna"]
        result |= {"snr_db_at_bler_1e-2": needed, "loss_db": loss_db}
        print(
            f"Es/N0 at BLER 1e-2: ours {needed['ours']:.3f} dB ({needed['ours_50']:.3f} with "
            f"{ldpc.ITERATIONS} sweeps), Sionna {needed['sionna']:.3f} dB, loss {loss_db:+.3f} dB"
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--errors", type=int, default=100, help="block errors wanted at each point")
    parser.add_argument("--most", type=int, default=1_000_000, help="most blocks at each point")
    parser.add_argument("--points", type=float, nargs="+", default=[5.9, 6.1, 6.3, 6.5, 6.65, 6.8], help="Es/N0 in dB")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 100, 400])
    parser.add_argument("--rules", nargs="+", default=["boxplus-phi", "boxplus", "minsum", "offset-minsum"])
    parser.add_argument("--figure", type=Path, default=Path("docs/ldpc_bler.png"))
    parser.add_argument("--quick", action="store_true", help="two points of many errors, one setting of Sionna's")
    parser.add_argument("--without-sionna", action="store_true")
    parser.add_argument("--speed-only", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.points, options.batches, options.rules = [6.1, 6.3], [100], ["boxplus-phi"]
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
    if len(threads) > 1:
        result["scaling"] = ratios = scaling(threads[-1], 2048)
        print(
            f"  ours, {ratios['threads']} threads against one: {ratios['wall_ratio']:.2f} times as fast by the clock; "
            f"the threads cost {1 / ratios['work_ratio']:.2f} times the processor time",
            flush=True,
        )
    if not options.without_sionna:
        table = speed_of_sionna(options.rules, threads, options.batches, snr_db)
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

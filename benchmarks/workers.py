"""Speed-up of a second worker on a sweep dominated by LDPC decoding, and equality of rows after killed runs.

python benchmarks/workers.py                # run times of 1 and 2 workers, and their ratio; eight minutes
python benchmarks/workers.py --kills 20     # kill -9 at 20 random times, with 1 worker, then with 2
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from argument_types import whole

DECODING = """
title: LDPC decoding near its threshold
systems: [{name: digital, codec: jpeg, adaptation: fixed, modulation: 16qam, code_rate: 0.5}]
channel: awgn
medium_cbr: 0.25
sweep: {snr_db: [6.0, 6.2, 6.4, 6.6]}
images: {source: photos, count: 8, size: SIZE}
metrics: [psnr, bler]
repetitions: REPETITIONS
"""

KILLED = """
systems: [analog]
channel: rayleigh
medium_cbr: 0.125
sweep: {snr_db: [0, 10, 20], users: [1, 2]}
images: {source: photos, count: 4, size: 64}
metrics: [psnr, ms_ssim, outage]
repetitions: 160
"""


def started(scenario: Path, out: Path, workers: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "semcom", "run", str(scenario), "--out", str(out), "--workers", str(workers)]
    # A new session, so that the command and its workers can be killed together.
    return subprocess.Popen([*command, "--quiet", "--no-report"], stdout=subprocess.DEVNULL, start_new_session=True)


def finished(scenario: Path, out: Path, workers: int) -> float:
    """Run a scenario to the end and return the run time in seconds."""
    start = time.perf_counter()
    if started(scenario, out, workers).wait():
        raise SystemExit("the run failed")
    return time.perf_counter() - start


def rows(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "rows").glob("[!.]*.parquet")}


def speed_up(folder: Path, repetitions: int, pairs: int, size: int) -> None:
    """Run 4 workers; then time pairs of runs with 1 and 2 workers, each in the other order than the pair before."""
    scenario = folder / "decoding.yaml"
    scenario.write_text(DECODING.replace("SIZE", str(size)).replace("REPETITIONS", str(repetitions)))
    finished(scenario, folder / "4-0", 4)  # fills the cache of image files for the timed runs
    ratios = []
    for pair in range(pairs):
        load = os.getloadavg()[0]  # above 1, other programs take processor time from 2 workers
        order = (1, 2) if pair % 2 == 0 else (2, 1)
        seconds = {workers: finished(scenario, folder / f"{workers}-{pair}", workers) for workers in order}
        ratios.append(seconds[1] / seconds[2])
        times = f"1 worker {seconds[1]:.1f} s, 2 workers {seconds[2]:.1f} s"
        print(f"{times}, ratio {ratios[-1]:.2f}; load before: {load:.1f}", flush=True)
    for out in folder.glob("[124]-*"):
        assert rows(out) == rows(folder / "1-0")
    count, median = len(rows(folder / "1-0")), sorted(ratios)[len(ratios) // 2]
    print(f"{count} points of 8 images, {os.cpu_count()} processors; rows of 1, 2 and 4 workers equal byte for byte")
    print(f"median ratio: {median:.2f}")


def kill(folder: Path, kills: int, seed: int) -> None:
    scenario = folder / "killed.yaml"
    scenario.write_text(KILLED)
    finished(scenario, folder / "uninterrupted", 1)
    for workers in (1, 2):
        length = finished(scenario, folder / f"length-{workers}", workers)
        kill_and_resume(scenario, rows(folder / "uninterrupted"), workers, kills, length, random.Random(seed))


def kill_and_resume(
    scenario: Path, expected: dict[str, bytes], workers: int, kills: int, length: float, draw: random.Random
) -> None:
    """Resume a run and kill it repeatedly; a run that finishes is compared, and a new one is started."""
    folder, in_mid_run, runs = scenario.parent, 0, 1
    out = folder / f"{workers}-{runs}"
    for _ in range(kills):
        process = started(scenario, out, workers)
        time.sleep(draw.uniform(0, length))
        if draw.random() < 0.5:
            os.kill(process.pid, signal.SIGKILL)  # its workers must end on their own
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while subprocess.run(["pgrep", "-s", str(process.pid)], stdout=subprocess.DEVNULL).returncode == 0:
            time.sleep(0.1)
        survivors = rows(out) if out.exists() else {}
        assert survivors.items() <= expected.items()
        in_mid_run += 0 < len(survivors) < len(expected)
        if len(survivors) == len(expected):
            runs += 1
            out = folder / f"{workers}-{runs}"
    finished(scenario, out, workers)
    assert rows(out) == expected
    print(
        f"{workers} worker(s): {kills} kills over {runs} runs of {len(expected)} points, {in_mid_run} of them "
        f"with some rows written; all rows equal to those of the uninterrupted run, no process left",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kills", type=whole(0), default=0, help="number of kills; 0 measures the speed-up (default: 0)"
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="seed of the random times (default: 0)")
    parser.add_argument(
        "--repetitions", type=whole(1), default=24, help="repetitions of the timed scenario (default: 24)"
    )
    parser.add_argument("--pairs", type=whole(1), default=3, help="number of timed pairs of runs (default: 3)")
    parser.add_argument(
        "--size", type=whole(16), default=512, help="side of the images of the timed scenario (default: 512)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            kill(Path(folder), options.kills, options.seed)
        else:
            speed_up(Path(folder), options.repetitions, options.pairs, options.size)

"""What a second worker gains on a sweep that mostly decodes, and whether runs that are killed come to the same bytes.

python benchmarks/workers.py                # times of 1 and 2 workers, and their ratio: four minutes
python benchmarks/workers.py --kills 20     # kill -9 at 20 random moments, with 1 worker, then with 2
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

DECODING = """
title: LDPC decoding near its threshold
systems: [{name: digital, codec: jpeg, adaptation: fixed, modulation: 16qam, code_rate: 0.5}]
channel: awgn
medium_cbr: 0.25
sweep: {snr_db: [6.0, 6.2, 6.4, 6.6]}
images: {source: photos, count: 8, size: 512}
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
    # Only the rows are of interest, and a session of its own makes it one thing to kill.
    return subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL, start_new_session=True)


def finished(scenario: Path, out: Path, workers: int) -> float:
    """Run to the end, and the seconds that took."""
    begun = time.perf_counter()
    if started(scenario, out, workers).wait():
        raise SystemExit("the run failed")
    return time.perf_counter() - begun


def rows(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "rows").glob("[!.]*.parquet")}


def speed_up(folder: Path, repetitions: int) -> None:
    scenario = folder / "decoding.yaml"
    scenario.write_text(DECODING.replace("REPETITIONS", "1"))
    start = finished(scenario, folder / "first", 1)  # fits the files, which the others find on disk
    start = finished(scenario, folder / "start", 1)
    scenario.write_text(DECODING.replace("REPETITIONS", str(repetitions)))
    seconds = {workers: finished(scenario, folder / str(workers), workers) for workers in (1, 2)}
    assert rows(folder / "1") == rows(folder / "2")
    print(f"{len(rows(folder / '1'))} points of 8 pictures, {os.cpu_count()} processors; the same bytes from both")
    print(f"4 points alone: {start:.1f} s, most of it to import torch and draw the figure")
    print(f"1 worker:  {seconds[1]:.1f} s\n2 workers: {seconds[2]:.1f} s\nratio:     {seconds[1] / seconds[2]:.2f}")


def kill(folder: Path, kills: int, seed: int) -> None:
    scenario = folder / "killed.yaml"
    scenario.write_text(KILLED)
    finished(scenario, folder / "undisturbed", 1)
    for workers in (1, 2):
        length = finished(scenario, folder / f"length-{workers}", workers)
        kill_and_go_on(scenario, rows(folder / "undisturbed"), workers, kills, length, random.Random(seed))


def kill_and_go_on(
    scenario: Path, expected: dict[str, bytes], workers: int, kills: int, length: float, draw: random.Random
) -> None:
    """Go on with a run and kill it, again and again; one that ends meanwhile is compared, and another begun."""
    folder, in_mid_run, runs = scenario.parent, 0, 1
    out = folder / f"{workers}-{runs}"
    for _ in range(kills):
        process = started(scenario, out, workers)
        time.sleep(draw.uniform(0, length))
        if draw.random() < 0.5:
            os.kill(process.pid, signal.SIGKILL)  # workers must end by themselves
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
        f"{workers} worker(s): {kills} kills over {runs} runs of {len(expected)} points, {in_mid_run} of them in the "
        f"midst of the rows; all rows equal to those of the undisturbed run, no process left",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="kill so often instead of measuring")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--repetitions", type=int, default=24, help="of the points that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            kill(Path(folder), options.kills, options.seed)
        else:
            speed_up(Path(folder), options.repetitions)

"""Run time of commands as the README prints them, against a set number of threads.

python benchmarks/threads.py                   # the other cores are idle; about 25 minutes on two cores
python benchmarks/threads.py --busy 1          # a program that computes all the time runs beside each command

A command decides itself how many threads its libraries use. Each is run without any variable in the environment and
with OMP_NUM_THREADS and NUMBA_NUM_THREADS set to 1 and to the number of cores, alternately. Printed are the shortest
times, and the ratio of the time as printed to the best of the others.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from argument_types import whole
from PIL import Image

from semcom import threads

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "users.yaml"
COMMANDS = {
    "send, digital": "send photo.png --system digital --channel rayleigh --snr 6 --out received.png --force",
    "send, DeepJSCC": "send photo.png --system deepjscc --snr 6 --out received.png --force",
    "run": f"run {SCENARIO} --set sweep.users=[1,4] --set repetitions=1 --out users --force --quiet",
    "budget": "budget digital deepjscc",
    "check": "check digital",
    "train": "train deepjscc --data folder:images --steps 20 --folder trained",
    "certify": "certify",
}
VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def seconds(command: str, folder: Path, count: int | None) -> float:
    """Elapsed time of a command; `count` is the number of threads, None for the choice of the command."""
    unset = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = unset | ({} if count is None else dict.fromkeys(VARIABLES, str(count)))
    for made in ("users", "trained"):
        subprocess.run(["rm", "-rf", made], cwd=folder, check=True)
    start = time.perf_counter()
    arguments = [sys.executable, "-m", "semcom", *command.split()]
    subprocess.run(arguments, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def images(folder: Path) -> None:
    """Draw the images that the commands transmit and train with."""
    (folder / "images").mkdir()
    draw = np.random.default_rng(1)
    for name in ("photo.png", *(f"images/{i}.png" for i in range(12))):
        coarse = Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=whole(0), default=0, help="programs that compute meanwhile (default: 0)")
    parser.add_argument("--repetitions", type=whole(1), default=2, help="runs of each, alternating (default: 2)")
    parser.add_argument(
        "--commands", nargs="+", choices=COMMANDS, default=[*COMMANDS], help="commands to run (default: all)"
    )
    options = parser.parse_args()
    counts = (None, 1, threads.cores())
    print(f"{'command':<16}{'as printed':>12}{'1 thread':>12}{f'{counts[-1]} threads':>12}{'ratio':>8}   (s)")
    with ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        images(Path(name))
        for _ in range(options.busy):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        for title in options.commands:
            times = [
                [seconds(COMMANDS[title], Path(name), count) for count in counts] for _ in range(options.repetitions)
            ]
            best = [min(column) for column in zip(*times, strict=True)]
            text = "".join(f"{value:>12.1f}" for value in best)
            print(f"{title:<16}{text}{best[0] / min(best[1:]):>8.2f}", flush=True)


if __name__ == "__main__":
    main()

"""From a slider of the demo to its picture: the median over 20 moves, in a browser, for each fast system.

    python benchmarks/app.py

The demo is served from an empty cache, so that a move at which the digital transmitter fits a new image file counts
with that; the moves go up and down over 20 dB, each SNR once.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browsing

SYSTEMS = ("digital", "analog", "deepjscc")


def moves(page, count):
    """Seconds of each move, one decibel each: up to 22 dB, and on from 10 dB down."""
    seconds = []
    for index in range(count):
        if index == 12:
            for _ in range(12):
                page.get_by_role("slider", name="SNR in dB").press("ArrowLeft")
            page.get_by_text("10 dB", exact=True).wait_for()
            page.wait_for_timeout(2000)
            browsing.rest(page)
        start = time.perf_counter()
        browsing.move(page, "SNR in dB", "ArrowRight" if index < 12 else "ArrowLeft")
        seconds.append(time.perf_counter() - start)
        browsing.rest(page)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    options = parser.parse_args()
    measured = {}
    with TemporaryDirectory() as folder, browsing.demo(Path(folder)) as address, browsing.chromium() as browser:
        for system in SYSTEMS:
            page = browsing.opened(browser, address)
            browsing.choose(page, "System", system)
            page.wait_for_timeout(1000)
            browsing.rest(page)
            measured[system] = moves(page, options.moves)
            seconds = measured[system]
            print(f"{system:9} median {median(seconds):.2f} s, longest {max(seconds):.2f} s, {len(seconds)} moves")
            page.context.close()
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()

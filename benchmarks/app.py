"""Time from a move of the SNR slider to the image in a browser: medians over 20 moves, for three systems.

    python benchmarks/app.py --out runs/app.json
    python benchmarks/app.py --before runs/app.json   # after a change, with the earlier medians in a column

Three times are measured, each move covering 1 dB:

* cold: to the exact image, right after the page was opened with an empty cache. It includes fitting a new image file
  for the digital system. Frames of the slider are computed meanwhile, and wait while a page runs.
* frame: to the first image, once the frames of all SNRs are computed. The frame appears before the slider is released.
* exact: to the image of the page's next run, with the same frames.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from argument_types import whole

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import demo_browser
import outputs

SYSTEMS = ("digital", "analog", "deepjscc")


def moves(page, count):
    """Seconds to the exact image of each move of 1 dB: from 10 dB up to 22 dB, then from 10 dB down."""
    seconds = []
    for index in range(count):
        if index == 12:
            demo_browser.release(page, "Actual SNR", 10)
        start = time.perf_counter()
        demo_browser.move(page, "Actual SNR", "ArrowRight" if index < 12 else "ArrowLeft")
        seconds.append(time.perf_counter() - start)
        demo_browser.wait_until_idle(page)
    return seconds


def moves_with_frames(page, count):
    """Seconds to the frame and to the exact image of each move of 1 dB, from 20 dB down."""
    frame, exact = [], []
    for index in range(count):
        level = 20 - index
        start = time.perf_counter()
        demo_browser.drag(page, "Actual SNR", level)
        page.wait_for_function(f"document.querySelectorAll('.semcom-stage img')[1].dataset.snr == {level}")
        frame.append(time.perf_counter() - start)
        start = time.perf_counter()
        demo_browser.slider(page).evaluate("input => input.dispatchEvent(new Event('change'))")
        page.wait_for_function("!document.querySelector('.semcom-stage .status').textContent")
        exact.append(time.perf_counter() - start)
        demo_browser.wait_until_idle(page)
    return frame, exact


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=whole(1), default=20, help="number of slider moves of each kind (default 20)")
    outputs.add_option(parser, "JSON file for the measured seconds")
    parser.add_argument("--before", type=Path, help="JSON file of an earlier --out, whose medians are printed too")
    options = parser.parse_args()
    outputs.check_file(parser, options)
    try:
        before = {} if options.before is None else json.loads(options.before.read_text())
    except (OSError, ValueError):
        parser.error(f"--before {options.before} cannot be read; give the JSON file of an earlier --out")
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(f"{'system':9} {'time':5} {'before (s)':>10} {'median (s)':>10} {'longest (s)':>11}")
    seconds_by_system = {}
    with TemporaryDirectory() as folder, demo_browser.demo(Path(folder)) as address, demo_browser.chromium() as browser:
        for system in SYSTEMS:
            page = demo_browser.open_page(browser, f"{address}/send_a_photo?system={system}")
            seconds = {"cold": moves(page, options.moves)}
            demo_browser.release(page, "Actual SNR", 10)
            demo_browser.frames_are_ready(page)
            seconds["frame"], seconds["exact"] = moves_with_frames(page, options.moves)
            seconds_by_system[system] = seconds
            for name, values in seconds.items():
                earlier = before.get(system, {}).get(name)
                old = "-" if earlier is None else f"{median(earlier):.3f}"
                print(f"{system:9} {name:5} {old:>10} {median(values):>10.3f} {max(values):>11.3f}", flush=True)
            page.context.close()
    outputs.write_json(options.out, seconds_by_system)


if __name__ == "__main__":
    outputs.run(main)

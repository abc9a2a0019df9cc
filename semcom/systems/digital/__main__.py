"""Find the best fixed scheme or SNR margin of `digital` for a channel by simulation, or measure its PSNR by rate."""

from __future__ import annotations

import argparse
import json
import sys

from channels.errors import UsageError
from semcom import threads


def main() -> int:
    """Print the five best settings as arguments for a scenario, or the content of `validation_psnr.json`."""
    parser = argparse.ArgumentParser(prog="python -m semcom.systems.digital", description=__doc__)
    parser.add_argument(
        "what",
        choices=("fixed", "margin", "quality"),
        help="fixed scheme or SNR margin to optimize, or quality: PSNR by rate as JSON",
    )
    parser.add_argument("--channel", default="rayleigh", help="channel name (default %(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="channel argument, for example rayleigh.coherence_uses=100",
    )
    parser.add_argument(
        "--snr",
        type=float,
        nargs="+",
        default=[0, 5, 10, 15, 20],
        metavar="DB",
        help="average SNRs (Es/N0), dB (default 0 5 10 15 20)",
    )
    parser.add_argument(
        "--cbr",
        type=float,
        default=1 / 16,
        help="channel bandwidth ratio, channel uses per real number of the image (default 1/16)",
    )
    parser.add_argument(
        "--codec",
        choices=("jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"),
        default="avif",
        help="image file format (default %(default)s)",
    )
    parser.add_argument("--images", default="natural:val", help="validation images, source as in a scenario")
    parser.add_argument("--count", type=int, default=8, help="number of images (default %(default)s)")
    parser.add_argument("--size", type=int, help="image size, pixels (default: original size)")
    parser.add_argument(
        "--repetitions",
        type=int,
        default=20,
        help="fading realizations per image and SNR (default %(default)s)",
    )
    options = parser.parse_args()
    threads.limit(1)

    from semcom import images, scenario
    from semcom.systems.digital import tuning

    try:
        variant = scenario.variant("channel", options.channel, options.set)
        channel = variant.entry.load()(**dict(variant.arguments))
        pixels = [image.pixels for image in images.load(options.images, options.count, options.size)]
        if options.what == "quality":
            print(json.dumps(tuning.psnr_by_rate(pixels)))
            return 0
        settings = tuning.fixed_schemes() if options.what == "fixed" else tuning.margins()
        trials = tuning.compare(settings, options.cbr, options.codec, channel, options.snr, pixels, options.repetitions)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'PSNR dB':>8} {'outage':>7}  arguments")
    for trial in trials[:5]:
        arguments = ", ".join(f"{name}: {value}" for name, value in trial.arguments.items())
        print(f"{trial.psnr_db:8.2f} {trial.outage:7.3f}  {{{arguments}}}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

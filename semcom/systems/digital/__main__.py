"""Find the best fixed scheme or the best margin of `digital` for a channel, on validation pictures."""

from __future__ import annotations

import argparse
import sys

from channels._errors import UsageError


def main() -> int:
    """Print the best settings, ready for a scenario."""
    parser = argparse.ArgumentParser(prog="python -m semcom.systems.digital", description=__doc__)
    parser.add_argument("what", choices=("fixed", "margin"))
    parser.add_argument("--channel", default="rayleigh")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="such as rayleigh.coherence_uses=100"
    )
    parser.add_argument("--snr", type=float, nargs="+", default=[0, 5, 10, 15, 20], metavar="DB")
    parser.add_argument("--cbr", type=float, default=1 / 16)
    parser.add_argument("--codec", choices=("jpeg", "webp", "avif", "jpeg2000"), default="avif")
    parser.add_argument("--images", default="natural:val", help="validation pictures, as in a scenario")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--size", type=int)
    parser.add_argument("--repetitions", type=int, default=20, help="fades of each picture at each SNR")
    options = parser.parse_args()

    from semcom import images, scenario
    from semcom.systems.digital import tuning

    try:
        variant = scenario.variant("channel", options.channel, options.set)
        channel = variant.entry.load()(**dict(variant.arguments))
        pictures = [picture.pixels for picture in images.load(options.images, options.count, options.size)]
        settings = tuning.fixed_schemes() if options.what == "fixed" else tuning.margins()
        trials = tuning.compare(
            settings, options.cbr, options.codec, channel, options.snr, pictures, options.repetitions
        )
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

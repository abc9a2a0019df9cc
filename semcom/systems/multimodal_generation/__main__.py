"""Measure image_scale and text_scale, the scales of the two errors in the score, on training images."""

from __future__ import annotations

import argparse
import sys

from channels.errors import UsageError
from semcom import threads


def main() -> int:
    """Print the scales in the form of scenario arguments."""
    parser = argparse.ArgumentParser(prog="python -m semcom.systems.multimodal_generation", description=__doc__)
    parser.add_argument("command", choices=("scales",), help="measure image_scale and text_scale")
    parser.add_argument(
        "--images", default="natural:train", help="source of training images, as in a scenario; default %(default)s"
    )
    parser.add_argument("--count", type=int, default=64, help="number of images; default %(default)s")
    parser.add_argument("--candidates", type=int, default=8, help="candidates per image, 2 to 256; default %(default)s")
    parser.add_argument(
        "--snr", type=float, nargs="+", default=[0.0, 10.0], metavar="DB", help="SNR values in dB; default 0 10"
    )
    parser.add_argument(
        "--cbr", type=float, default=1 / 64, help="channel uses per real number of the image; default 1/64"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="system argument, such as multimodal_generation.steps=4; may be repeated",
    )
    options = parser.parse_args()
    threads.limit(1)

    from semcom import images, scenario
    from semcom.systems.multimodal_generation import calibration

    try:
        variant = scenario.variant("system", "multimodal_generation", options.set)
        arguments = dict(variant.arguments) | {"candidates": options.candidates}
        system = variant.entry.load()(cbr=options.cbr, **arguments)
        scales = calibration.measure_scales(system, images.load(options.images, options.count, 128), options.snr)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"image_scale: {scales.image:.4g}, text_scale: {scales.text:.4g}")
    print(f"{options.count} images of {options.images} at {options.snr} dB, {system.weights}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

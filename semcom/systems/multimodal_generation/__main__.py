"""Measure the scales of the selection's score on training pictures."""

from __future__ import annotations

import argparse
import sys

from channels._errors import UsageError


def main() -> int:
    """Print how far the errors of candidates for one picture spread, ready for a scenario."""
    parser = argparse.ArgumentParser(prog="python -m semcom.systems.multimodal_generation", description=__doc__)
    parser.add_argument("what", choices=("scales",))
    parser.add_argument("--images", default="natural:train", help="training pictures, as in a scenario")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--snr", type=float, nargs="+", default=[0.0, 10.0], metavar="DB")
    parser.add_argument("--cbr", type=float, default=1 / 64)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="such as multimodal_generation.steps=4"
    )
    options = parser.parse_args()

    from semcom import images, scenario
    from semcom.systems.multimodal_generation import scales

    try:
        variant = scenario.variant("system", "multimodal_generation", options.set)
        arguments = dict(variant.arguments) | {"candidates": options.candidates}
        system = variant.entry.load()(cbr=options.cbr, **arguments)
        found = scales.spreads(system, images.load(options.images, options.count, 128), options.snr)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"image_scale: {found.image:.4g}, text_scale: {found.text:.4g}")
    print(f"{options.count} pictures of {options.images} at {options.snr} dB, {system.weights}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

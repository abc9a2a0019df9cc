"""What the scene link's files and delays come to, beside PNG and WebP, on the demonstration's packet link."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from statistics import median

from channels._errors import UsageError

_PARTS = ("segment_s", "air_s", "restore_s", "total_s")
_HEADS = ("raw / it", "PNG / it", "segment s", "air s", "restore s", "total s")


def main() -> int:
    """Print bytes and delays, medians over the pictures."""
    parser = argparse.ArgumentParser(prog="python -m semcom.systems.scene", description=__doc__)
    parser.add_argument("--images", default="streets:test", help="as in a scenario")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--weights", default="none", help="of the segmenter")
    parser.add_argument("--restorer", choices=("gan", "cyclegan", "palette"), default="palette")
    parser.add_argument("--restorer-weights", default="none")
    parser.add_argument("--quality", type=int, default=75, help="of WebP")
    parser.add_argument("--packet-error", type=float, default=0.0, help="probability that a packet is lost")
    options = parser.parse_args()
    try:
        print("\n".join(lines(options)))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def lines(options: argparse.Namespace) -> list[str]:
    """What `main` prints; options are its."""
    from semcom import images
    from semcom.systems import scene
    from semcom.systems.scene import delay

    sent = scene.build(
        cbr=1, restorer=options.restorer, weights=options.weights, restorer_weights=options.restorer_weights
    )
    restore = sent.receiver.restore  # type: ignore[attr-defined]
    segmenter = sent.transmitter.segmenter  # type: ignore[attr-defined]
    link, names = delay.PacketLink(), ("label map", "PNG", f"WebP {options.quality}")
    measured: dict[str, list[delay.Trip]] = {name: [] for name in names}
    raw = []
    for picture in images.load(options.images, options.count):
        over = partial(link.air_s, packet_error=options.packet_error)
        measured[names[0]].append(delay.of_map(picture.pixels, segmenter, restore, over))
        measured[names[1]].append(delay.of_photo(picture.pixels, over, "PNG"))
        measured[names[2]].append(delay.of_photo(picture.pixels, over, "WEBP", options.quality))
        raw.append(picture.pixels.numel())
    size = {name: median(trip.size_bytes for trip in trips) for name, trips in measured.items()}
    total = {name: median(trip.total_s for trip in trips) for name, trips in measured.items()}
    shown = [
        f"{'':10} {'bytes':>8} {'raw / it':>9} {'PNG / it':>9} {'segment':>9} {'air':>9} {'restore':>9} {'total s':>9}"
    ]
    for name, trips in measured.items():
        ratios = [f" {median(raw) / size[name]:9.1f}", f" {size['PNG'] / size[name]:9.1f}"]
        parts = [f" {median(getattr(trip, part) for trip in trips):9.4f}" for part in _PARTS]
        shown.append("".join([f"{name:10} {size[name]:8.0f}", *ratios, *parts]))
    for other in names[1:]:
        bytes_saved, delay_saved = 1 - size[names[0]] / size[other], 1 - total[names[0]] / total[other]
        shown.append(f"against {other}: {bytes_saved:.2%} fewer bytes, {delay_saved:.2%} less delay")
    return [*shown, f"segmented and restored on {delay.machine()}"]


if __name__ == "__main__":
    sys.exit(main())

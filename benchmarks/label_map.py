"""Sizes of coded label maps, lossless WebP and palette PNG; coding time; detection of damaged files.

python benchmarks/label_map.py --source camvid:test
python benchmarks/label_map.py --source streets:test --count 20 --fuzz 100000
"""

import argparse
import io
import math
import time

import numpy as np
import outputs
from argument_types import whole
from PIL import Image

from channels.errors import UsageError
from semcom import images
from semcom.codecs import label_map
from semcom.codecs.label_map import CorruptMap
from semcom.images.street_classes import IGNORED

HEAD = ("Quantity", "Value")
LABELS = IGNORED + 1  # the street classes, and one label for pixels without a class


def labeled(source, count):
    """Load images with label maps."""
    photos = images.load(source, count)
    if any(image.labels is None for image in photos):
        raise UsageError(f"{source} has no label maps; use camvid:test, streets:test or cityscapes:val")
    return photos


def lossless_webp(labels):
    """Bytes of the map as lossless WebP: the smaller of two files, with gray levels 1 and 20 apart."""
    sizes = []
    for spread in (1, 20):
        file = io.BytesIO()
        gray = Image.fromarray((labels * spread).astype(np.uint8))
        gray.convert("RGB").save(file, "WEBP", lossless=True, quality=100, method=6, exact=True)
        sizes.append(len(file.getvalue()))
    return min(sizes)


def palette_png(labels):
    """Bytes of the map as PNG with a palette, four bits per pixel."""
    file = io.BytesIO()
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette([level for label in range(LABELS) for level in (20 * label,) * 3])
    image.save(file, "PNG", optimize=True, bits=4)
    return len(file.getvalue())


def fuzz(files, count):
    """Decode random, truncated, bit-flipped and spliced files; return the number that decodes without an error."""
    rng, undetected = np.random.default_rng(0), 0
    for number in range(count):
        data = bytearray(files[number % len(files)])
        match number % 4:
            case 0:
                data = bytearray(rng.bytes(rng.integers(0, 400)))
            case 1:
                data = data[: rng.integers(0, len(data))]
            case 2:
                for bit in set(rng.integers(0, 8 * len(data), rng.integers(1, 9)).tolist()):
                    data[bit // 8] ^= 1 << bit % 8
            case _:
                cut, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
                data = data[:cut] + data[min(end + 1, len(data)) :]
        if bytes(data) == files[number % len(files)]:
            continue
        try:
            label_map.decode(bytes(data))
            undetected += 1
        except CorruptMap:
            pass
    return undetected


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="streets:test", help="image source; default %(default)s")
    parser.add_argument("--count", type=whole(1), help="number of images; default all")
    parser.add_argument("--fuzz", type=whole(0), default=0, help="number of damaged files; default %(default)s")
    outputs.add_option(parser, "CSV file for the table of run times and damaged files")
    options = parser.parse_args()
    outputs.check_file(parser, options, HEAD)
    try:
        maps = [image.labels.numpy() for image in labeled(options.source, options.count)]
    except UsageError as error:
        parser.error(str(error))
    label_map.decode(label_map.encode(maps[0], LABELS))  # compile before timing

    start = time.process_time()
    files = [label_map.encode(labels, LABELS) for labels in maps]
    encoded = time.process_time()
    decoded = [label_map.decode(file) for file in files]
    ended = time.process_time()
    assert all((a == b).all() for a, b in zip(maps, decoded, strict=True))

    sizes = np.array([len(file) for file in files])
    print(f"{len(maps)} maps of {options.source}, {maps[0].shape[1]}x{maps[0].shape[0]}")
    print(f"label_map     median {np.median(sizes):7.0f} bytes, mean {sizes.mean():8.1f}")
    for rows in (64, 32):
        sliced = np.array([len(label_map.encode(labels, LABELS, rows)) for labels in maps])
        print(f"in {math.ceil(len(maps[0]) / rows)} slices   median {np.median(sliced):7.0f}")
    for name, function in (("lossless WebP", lossless_webp), ("palette PNG", palette_png)):
        other = np.array([function(labels) for labels in maps])
        saving = 1 - sizes.sum() / other.sum()
        print(f"{name:13} median {np.median(other):7.0f}; label_map is {saving:.1%} smaller in total")
    encoding, decoding = (f"{1e3 * seconds / len(maps):.1f} ms" for seconds in (encoded - start, ended - encoded))
    print(f"encode {encoding}, decode {decoding}")
    rows = [HEAD, ("Encoding time", encoding), ("Decoding time", decoding)]
    if options.fuzz:
        start = time.monotonic()
        undetected = fuzz(files, options.fuzz)
        expected = options.fuzz / 2**32
        print(
            f"{options.fuzz} damaged files: {undetected} decoded without an error ({expected:.1e} expected)", end=", "
        )
        print(f"{time.monotonic() - start:.0f} s")
        rows.append(("Damaged files decoded without an error", f"{undetected} of {options.fuzz:,}"))
        rows.append(("Expected number of undetected damaged files", f"{expected:.1e}"))
    outputs.write_csv(options.out, rows)


if __name__ == "__main__":
    main()

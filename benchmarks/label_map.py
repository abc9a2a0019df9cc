"""Label maps in bytes: ours, lossless WebP and palette PNG on one source; seconds; and damaged files by the 100 000.

python benchmarks/label_map.py --source camvid:test
python benchmarks/label_map.py --source streets:test --count 20 --fuzz 100000
"""

import argparse
import io
import math
import time

import numpy as np
from PIL import Image

from channels._errors import UsageError
from semcom import images
from semcom.codecs import label_map
from semcom.codecs.label_map import CorruptMap

CLASSES = 12


def within(least, most=None):
    """What argparse makes of a whole number in a range."""

    def whole_number(text):
        number = int(text)
        if number < least or (most is not None and number > most):
            told = f"{least} or more" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {told}, not {number}")
        return number

    return whole_number


def labelled(source, count):
    """Pictures with their label maps."""
    pictures = images.load(source, count)
    if any(picture.labels is None for picture in pictures):
        raise UsageError(f"{source} has no label maps: take camvid:test, streets:test or cityscapes:val")
    return pictures


def webp(labels):
    """The smaller of two ways to hand the map to WebP: classes as grey levels, and spread apart."""
    sizes = []
    for spread in (1, 20):
        file = io.BytesIO()
        grey = Image.fromarray((labels * spread).astype(np.uint8))
        grey.convert("RGB").save(file, "WEBP", lossless=True, quality=100, method=6, exact=True)
        sizes.append(len(file.getvalue()))
    return min(sizes)


def palette_png(labels):
    """Four bits a pixel, zlib at its best."""
    file = io.BytesIO()
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette([level for label in range(CLASSES) for level in (20 * label,) * 3])
    picture.save(file, "PNG", optimize=True, bits=4)
    return len(file.getvalue())


def fuzz(files, count):
    """Random, cut, flipped and spliced files; returns how many of them were taken for maps."""
    rng, taken = np.random.default_rng(0), 0
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
                cut, on = sorted(rng.integers(0, len(data) + 1, 2).tolist())
                data = data[:cut] + data[min(on + 1, len(data)) :]
        if bytes(data) == files[number % len(files)]:
            continue
        try:
            label_map.decode(bytes(data))
            taken += 1
        except CorruptMap:
            pass
    return taken


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="streets:test")
    parser.add_argument("--count", type=within(1))
    parser.add_argument("--fuzz", type=within(0), default=0)
    options = parser.parse_args()
    try:
        maps = [picture.labels.numpy() for picture in labelled(options.source, options.count)]
    except UsageError as error:
        parser.error(str(error))
    label_map.decode(label_map.encode(maps[0], CLASSES))  # compiles

    began = time.process_time()
    files = [label_map.encode(labels, CLASSES) for labels in maps]
    encoded = time.process_time()
    decoded = [label_map.decode(file) for file in files]
    ended = time.process_time()
    assert all((a == b).all() for a, b in zip(maps, decoded, strict=True))

    ours = np.array([len(file) for file in files])
    print(f"{len(maps)} maps of {options.source}, {maps[0].shape[1]}x{maps[0].shape[0]}")
    print(f"ours          median {np.median(ours):7.0f} bytes, mean {ours.mean():8.1f}")
    for rows in (64, 32):
        sliced = np.array([len(label_map.encode(labels, CLASSES, rows)) for labels in maps])
        print(f"in {math.ceil(len(maps[0]) / rows)} slices   median {np.median(sliced):7.0f}")
    for name, function in (("lossless WebP", webp), ("palette PNG", palette_png)):
        other = np.array([function(labels) for labels in maps])
        print(f"{name:13} median {np.median(other):7.0f}; ours is {1 - ours.sum() / other.sum():.1%} smaller in all")
    print(f"encode {1e3 * (encoded - began) / len(maps):.1f} ms, decode {1e3 * (ended - encoded) / len(maps):.1f} ms")
    if options.fuzz:
        began = time.monotonic()
        taken = fuzz(files, options.fuzz)
        print(f"{options.fuzz} damaged files: {taken} taken for maps ({options.fuzz / 2**32:.1e} expected)", end=", ")
        print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

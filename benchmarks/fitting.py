"""Encoder calls, processor time and PSNR of fitting image files to a budget, before and after previews.

    SEMCOM_DATA=... python benchmarks/fitting.py --out results/fitting.csv       # 6 Kodak images, all photos at 256
    python benchmarks/fitting.py --kodak 0 --photos 3 --codecs webp jpeg --out runs/bench/fitting.csv
    SEMCOM_DATA=... python benchmarks/fitting.py --kodak 24 --photos 0           # about an hour of a core

The budgets are those of the digital system over AWGN at 1, 4, 7, 10 and 13 dB. Before: the search of version 0.1, which
looks for the highest quality that fits, for every variant of the codec and several scales, with the encoder itself.
Alone: `semcom.codecs.image_file`, each budget with an empty cache. Sweep: the budgets of both CBRs in turn, with the
cache that they share. Processor time of one thread; it includes resizing, decoding and the PSNR.
"""

import argparse
import csv
import math
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import outputs
from argument_types import whole

from channels.modem import link_adaptation
from semcom.cache import in_memory
from semcom.codecs import _streams, _writers
from semcom.codecs._trials import Trials
from semcom.codecs.image_file import SCALES, decode, fit
from semcom.images.files import to_bytes
from semcom.images.sources import load
from semcom.systems import digital
from semcom.systems.digital.agreement import END

CBRS = (1 / 16, 1 / 48)
SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0)
KODAK = (0, 4, 7, 12, 18, 22)  # first of the 24 images to be measured
HOPELESS = 1.26  # a variant that is 1 dB worse in its first trial is not tried at other scales
HEAD = (
    *("Images", "Codec", "CBR", "Encoder calls, before", "Encoder calls", "Previews", "CPU before (s)"),
    *("CPU alone (s)", "CPU in a sweep (s)", "Ratio, alone", "Ratio, in a sweep"),
    *("PSNR difference (dB)", "Lowest difference (dB)"),
)
FORMER = {  # variants of version 0.1, and how many of them were tried at several scales
    "avif": (({}, {"subsampling": "4:2:0"}, {"advanced": {"tune": "ssim"}}), 2),
    "hevc": (_writers.CODECS["hevc"].variants, 2),
    "jpeg": (_writers.CODECS["jpeg"].variants, 6),
}


@dataclass(frozen=True)
class Found:
    """Best file of a variant at a scale, and the index of its quality."""

    error: float = math.inf
    stream: bytes = b""
    place: int | None = None


class FormerSearch:
    """Search of version 0.1 for one image and budget."""

    def __init__(self, pixels, codec, budget, climbed):
        self.trials, self.budget, self.climbed_variants = Trials(pixels, codec, speed=6), budget, climbed
        self.codec = _writers.codec_named(codec)

    def best(self):
        """Best file of all variants; the first scale is that of 0.15 bits per pixel, later ones the best so far."""
        width, height = self.trials.image.size
        dense = [k for k, scale in enumerate(SCALES) if 8 * self.budget > 0.15 * width * height * scale**2]
        top = min(dense, default=len(SCALES) - 1)
        best, best_top = Found(), top
        for variant in range(len(self.codec.variants)):
            found = self.at(top, variant, best)
            if found.error <= best.error * HOPELESS and variant < self.climbed_variants:
                top, found = self.climbed(top, variant, found)
            if found.error < best.error:
                best, best_top = found, top
            top = best_top
        return best

    def climbed(self, top, variant, best):
        """Hill climbing over scales: smaller while better or nothing fits; otherwise larger while better."""
        start = top
        for step in (1, -1):
            while (top == start or step * (top - start) > 0) and 0 <= top + step < len(SCALES):
                other = self.at(top + step, variant, best)
                if other.error >= best.error and (best.stream or step == -1):
                    break
                top, best = top + step, other
        return top, best

    def at(self, scale, variant, rival):
        """Longest file that fits at a scale; the search starts at the quality of the best result so far."""
        image = _streams.reduced(self.trials.image, scale)
        lengths, fitting, exceeding, best = {}, -1, len(self.codec.qualities), None
        while exceeding - fitting > 1:
            probe = self.probe(lengths, fitting, exceeding, rival.place)
            quality = self.codec.qualities[probe]
            stream = _streams.stream(image, self.trials.codec, scale, variant, quality, self.trials.speed)
            lengths[probe] = len(stream)
            if len(stream) <= self.budget:
                best, fitting = stream, probe
            else:
                exceeding = probe
        if best is None:
            return Found()
        return Found(_streams.squared_error(best, self.trials.codec, self.trials.image), best, fitting)

    def probe(self, lengths, fitting, exceeding, guess):
        """Index of the next quality: the guess and its neighbors, then interpolation of the log length."""
        if not lengths and guess is not None:
            return guess
        if fitting in lengths and exceeding in lengths:
            rise = math.log(lengths[exceeding] / lengths[fitting])
            share = math.log(self.budget / lengths[fitting]) / rise if rise > 0 else 0.5
            return min(max(fitting + round(share * (exceeding - fitting)), fitting + 1), exceeding - 1)
        if lengths and guess is not None:
            step = 2 ** (len(lengths) - 1)
            return min(fitting + step, exceeding - 1) if fitting in lengths else max(exceeding - step, fitting + 1)
        return (fitting + exceeding) // 2


@contextmanager
def former_variants(codec):
    """The codec with its variants of version 0.1; yields how many of them are tried at several scales."""
    present = _writers.CODECS[codec]
    variants, climbed = FORMER.get(codec, (present.variants, 1))
    advanced = {"tune": "psnr"} if codec == "avif" else {}
    variants = tuple({"advanced": advanced} | variant if advanced else variant for variant in variants)
    _writers.CODECS[codec] = replace(present, variants=variants)
    _writers.blank.cache_clear()
    try:
        yield climbed
    finally:
        _writers.CODECS[codec] = present
        _writers.blank.cache_clear()


class Counter:
    """Calls of the encoder and of its previews, and processor seconds, of a block."""

    def __init__(self):
        self.calls = self.previews = 0
        self.seconds = 0.0

    @contextmanager
    def running(self):
        originals = _streams.stream, _streams.preview

        def stream(*arguments):
            self.calls += 1
            return originals[0](*arguments)

        def preview(*arguments):
            self.previews += 1
            return originals[1](*arguments)

        _streams.stream, _streams.preview = stream, preview
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - start
            _streams.stream, _streams.preview = originals


def budgets(cbr, size):
    """File lengths of the digital system at the SNRs, bytes."""
    agreement = digital.build(cbr=cbr).transmitter.agreement
    uses = agreement.rounds.first(agreement.budget(size))
    return [agreement.payload_bytes(size, link_adaptation.best(uses, snr)) - len(END) for snr in SNRS_DB]


def psnr(stream, codec, pixels):
    shown = decode(stream, codec, pixels.shape[:2])
    return -10 * math.log10(max(np.mean(np.square((shown.astype(float) - pixels) / 255)), 1e-9))


def measured(label, codec, images):
    """One row a CBR of the result table."""
    before, alone, sweep = ({cbr: Counter() for cbr in CBRS} for _ in range(3))
    gains = {cbr: [] for cbr in CBRS}
    for pixels in images:
        wanted = [(cbr, budget) for cbr in CBRS for budget in budgets(cbr, pixels.shape[:2])]
        with in_memory({}):
            for cbr, budget in wanted:
                with sweep[cbr].running():
                    fit(pixels, codec, budget)
        for cbr, budget in wanted:
            with in_memory({}), alone[cbr].running():
                stream = fit(pixels, codec, budget)
            assert len(stream) <= budget
            quality = psnr(stream, codec, pixels)
            with former_variants(codec) as climbed:
                with before[cbr].running():
                    former = FormerSearch(pixels, codec, budget, climbed).best()
                gains[cbr].append(quality - psnr(former.stream, codec, pixels))
    for cbr in CBRS:
        fits = len(gains[cbr])
        yield {
            "Images": f"{len(images)} {label}",
            "Codec": codec,
            "CBR": f"1/{1 / cbr:.0f}",
            "Encoder calls, before": f"{before[cbr].calls / fits:.1f}",
            "Encoder calls": f"{alone[cbr].calls / fits:.1f}",
            "Previews": f"{alone[cbr].previews / fits:.1f}",
            "CPU before (s)": f"{before[cbr].seconds / fits:.3f}",
            "CPU alone (s)": f"{alone[cbr].seconds / fits:.3f}",
            "CPU in a sweep (s)": f"{sweep[cbr].seconds / fits:.3f}",
            "Ratio, alone": f"{before[cbr].seconds / alone[cbr].seconds:.1f}",
            "Ratio, in a sweep": f"{before[cbr].seconds / sweep[cbr].seconds:.1f}",
            "PSNR difference (dB)": f"{np.mean(gains[cbr]):+.3f}",
            "Lowest difference (dB)": f"{min(gains[cbr]):+.2f}",
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codecs", nargs="+", default=["avif"], choices=list(_writers.CODECS), metavar="CODEC")
    parser.add_argument(
        "--kodak", type=whole(0), default=len(KODAK), help="number of Kodak images (default %(default)s)"
    )
    parser.add_argument("--photos", type=whole(0), help="number of photographs at 256 x 256 (default: all)")
    outputs.add_option(parser, "CSV file for the table")
    options = parser.parse_args()
    outputs.check_file(parser, options, HEAD)
    sets = []
    if options.kodak:
        images = load("kodak")
        order = [*KODAK, *(index for index in range(len(images)) if index not in KODAK)]
        sets.append(("Kodak images", [images[index] for index in order[: options.kodak]]))
    if options.photos != 0:
        sets.append(("photographs, 256x256", load("photos", options.photos, size=256)))
    rows = []
    for codec in options.codecs:
        for label, images in sets:
            rows += measured(label, codec, [np.ascontiguousarray(to_bytes(image.pixels)) for image in images])
            writer = csv.DictWriter(sys.stdout, HEAD)
            for row in rows[-len(CBRS) :]:
                writer.writerow(row)
            sys.stdout.flush()
    outputs.write_csv(options.out, [HEAD, *([row[name] for name in HEAD] for row in rows)])


if __name__ == "__main__":
    outputs.run(main)

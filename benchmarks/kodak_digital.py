"""Where the time of the digital Kodak sweep goes, and how much of it is channel decoding.

    SEMCOM_DATA=... python benchmarks/kodak_digital.py --out runs/bench/kodak_digital.json

24 pictures, AWGN at 5 SNRs, one channel use for 16 numbers, adaptive modulation and coding. A first pass fits the image
files, which a sweep does once in the life of its cache; the second pass is the one that counts. Public calls are
timed where the chain makes them; on one thread, so that processor time is what a neighbour cannot touch. Last come the
pictures a second of the link, at 10 dB, beside those of DeepJSCC.
"""

import argparse
import json
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from channels import awgn, ldpc, modem
from channels._rng import seed_for
from semcom.cache import kept_in
from semcom.codecs import image_file
from semcom.images import group_by_shape, load
from semcom.link import Link
from semcom.metrics import measure
from semcom.system import Sample
from semcom.systems import deepjscc, digital

SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0)
CBR = 1 / 16


@dataclass
class Stopwatch:
    """Seconds by the clock and of the processor, under the name of each call."""

    clock: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    processor: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def running(self, name):
        clock, processor = time.perf_counter(), time.process_time()
        yield
        self.clock[name] += time.perf_counter() - clock
        self.processor[name] += time.process_time() - processor

    @contextmanager
    def around(self, place, attribute, name):
        """Time every call of `place.attribute` while the context lasts."""
        original = getattr(place, attribute)

        def timed(*arguments, **named):
            with self.running(name):
                return original(*arguments, **named)

        setattr(place, attribute, timed)
        try:
            yield
        finally:
            setattr(place, attribute, original)


def sweep(codec, groups):
    """Mean PSNR, lost pictures and information bits of each SNR."""
    system = digital.build(cbr=CBR, codec=codec)
    link = Link(system, awgn.build())
    table = []
    for snr_db in SNRS_DB:
        psnr, lost, bits = [], 0, 0
        for group in groups:
            for start in range(0, len(group), 8):
                part = group[start : start + 8]
                sample = Sample(torch.stack([picture.pixels for picture in part]))
                delivery = link.deliver(sample, snr_db, [seed_for(0, 0, picture.name, 0) for picture in part])
                psnr += measure("psnr", delivery).tolist()
                lost += int(delivery.reception.outage.sum())
                bits += int((delivery.truth["bits"] <= 1).sum())
        table.append({"snr_db": snr_db, "psnr_db": sum(psnr) / len(psnr), "lost": lost, "megabits": bits / 1e6})
    return table


def pictures_a_second(system, pictures):
    """Over the whole link at 10 dB, one by one, by the processor's time."""
    link = Link(system, awgn.build())
    link.deliver(Sample(pictures[0].pixels[None]), 10.0, [0])
    begun = time.process_time()
    for picture in pictures:
        link.deliver(Sample(picture.pixels[None]), 10.0, [seed_for(0, 0, picture.name, 0)])
    return len(pictures) / (time.process_time() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", default="avif")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, watch = Stopwatch(), Stopwatch()
    groups = group_by_shape(load("kodak"))
    with torch.no_grad():
        with first.running("sweep"):
            sweep(options.codec, groups)
        with (
            watch.around(image_file, "fit", "image files from the cache"),
            watch.around(modem, "encode", "modem, sending"),
            watch.around(modem, "decode", "modem, receiving (LDPC included)"),
            watch.around(ldpc, "decode", "LDPC decoding"),
            watch.around(image_file, "decode", "image files shown"),
            watch.running("sweep"),
        ):
            table = sweep(options.codec, groups)
    for row in table:
        print("{snr_db:4.0f} dB: PSNR {psnr_db:.2f} dB, {lost} of 24 lost, {megabits:.2f} Mbit".format(**row))
    print(f"first pass, files fitted where the cache lacks them: {first.clock['sweep']:.1f} s by the clock")
    print("second pass                            clock s   processor s   share of processor time")
    for name, seconds in sorted(watch.processor.items(), key=lambda item: -item[1]):
        share = seconds / watch.processor["sweep"]
        print(f"  {name:36s} {watch.clock[name]:8.2f} {seconds:13.2f} {share:12.1%}")
    with torch.no_grad():
        pictures = [picture for group in groups for picture in group]
        fitted = pictures_a_second(digital.build(cbr=CBR, codec=options.codec), pictures)
        with kept_in({}):
            afresh = pictures_a_second(digital.build(cbr=CBR, codec=options.codec), pictures[:4])
        learned = pictures_a_second(deepjscc.build(cbr=CBR), pictures)
    print(f"pictures a second: digital {fitted:.2f}, fitting the files {afresh:.2f}; DeepJSCC {learned:.2f}")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        numbers = {"points": table, "first_pass_s": first.clock, "clock_s": watch.clock, "processor_s": watch.processor}
        options.out.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()

"""Run time of the digital Kodak sweep by step, and the share of channel decoding.

    SEMCOM_DATA=... python benchmarks/kodak_digital.py --out results/digital_run_time.csv

24 images, AWGN at 5 SNRs, CBR 1/16, adaptive modulation and coding, one thread. The first pass fits the image files,
which a sweep does once because of its cache; the second pass is measured. Processor time is reported beside elapsed
time, because other processes hardly change it. The last line is the throughput of the link at 10 dB, in images per
second, for the digital system and for DeepJSCC.
"""

import argparse
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

import outputs
import torch
from argument_types import whole

from channels import awgn, modem
from channels.modem import ldpc
from channels.rng import seed_for
from semcom.cache import in_memory
from semcom.codecs import image_file
from semcom.images.source_image import group_by_shape
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.metric import measure
from semcom.system import Sample
from semcom.systems import deepjscc, digital

SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0)
CBR = 1 / 16
HEAD = ("Quantity", "Value")


@dataclass
class Stopwatch:
    """Elapsed and processor seconds by name of the call."""

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
        """Time every call of `place.attribute` within the context."""
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
    """Mean PSNR, decoding failures and payload bits at each SNR."""
    system = digital.build(cbr=CBR, codec=codec)
    link = Link(system, awgn.build())
    table = []
    for snr_db in SNRS_DB:
        psnr, failures, bits = [], 0, 0
        for group in groups:
            for start in range(0, len(group), 8):
                part = group[start : start + 8]
                sample = Sample(torch.stack([image.pixels for image in part]))
                delivery = link.deliver(sample, snr_db, [seed_for(0, 0, image.name, 0) for image in part])
                psnr += measure("psnr", delivery).tolist()
                failures += int(delivery.reception.outage.sum())
                bits += int((delivery.truth["bits"] <= 1).sum())
        table.append({"snr_db": snr_db, "psnr_db": sum(psnr) / len(psnr), "failures": failures, "megabits": bits / 1e6})
    return table


def images_per_second(system, images):
    """Images per processor second over the link at 10 dB, one by one."""
    link = Link(system, awgn.build())
    link.deliver(Sample(images[0].pixels[None]), 10.0, [0])
    start = time.process_time()
    for image in images:
        link.deliver(Sample(image.pixels[None]), 10.0, [seed_for(0, 0, image.name, 0)])
    return len(images) / (time.process_time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", default="avif")
    parser.add_argument("--images", default="kodak", help="image source (default %(default)s)")
    parser.add_argument("--count", type=whole(1), help="number of images (default: all)")
    outputs.add_option(parser, "CSV file for the table")
    options = parser.parse_args()
    outputs.check_file(parser, options, HEAD)
    torch.set_num_threads(1)
    first, watch = Stopwatch(), Stopwatch()
    groups = group_by_shape(load(options.images, options.count))
    with torch.no_grad():
        with first.running("sweep"):
            sweep(options.codec, groups)
        with (
            watch.around(image_file, "fit", "image files read from the cache"),
            watch.around(modem, "encode", "modem, encoding"),
            watch.around(modem, "decode", "modem, decoding (LDPC included)"),
            watch.around(ldpc, "decode", "LDPC decoding"),
            watch.around(image_file, "decode", "image files decoded"),
            watch.running("sweep"),
        ):
            table = sweep(options.codec, groups)
    for row in table:
        print(
            "{snr_db:4.0f} dB: PSNR {psnr_db:.2f} dB, {failures} decoding failures, {megabits:.2f} Mbit".format(**row)
        )
    print(f"first pass, image files fitted where they are not in the cache: {first.clock['sweep']:.1f} s elapsed")
    print("second pass                          elapsed s   processor s   share of processor time")
    for name, seconds in sorted(watch.processor.items(), key=lambda item: -item[1]):
        share = seconds / watch.processor["sweep"]
        print(f"  {name:36s} {watch.clock[name]:8.2f} {seconds:13.2f} {share:12.1%}")
    with torch.no_grad():
        images = [image for group in groups for image in group]
        cached = images_per_second(digital.build(cbr=CBR, codec=options.codec), images)
        with in_memory({}):
            uncached = images_per_second(digital.build(cbr=CBR, codec=options.codec), images[:4])
        learned = images_per_second(deepjscc.build(cbr=CBR), images)
    print(f"images per second: digital {cached:.2f}, with fitting of the files {uncached:.2f}, DeepJSCC {learned:.2f}")
    codec, seconds = options.codec.upper(), watch.processor
    sweep_of = f"Digital sweep, fitting excluded, {len(images)} images, {len(SNRS_DB)} SNRs, one thread"
    rows = {
        sweep_of: f"{seconds['sweep']:.1f} s",
        "Share of the LDPC decoder": f"{seconds['LDPC decoding'] / seconds['sweep']:.0%}".replace("%", " %"),
        f"Throughput of {codec} + LDPC, fitting excluded": f"{cached:.1f} images/s",
        f"Throughput of {codec} + LDPC, fitting included": f"{uncached:.2f} images/s",
        "Throughput of DeepJSCC": f"{learned:.2f} images/s",
    }
    outputs.write_csv(options.out, [HEAD, *rows.items()])


if __name__ == "__main__":
    outputs.run(main)

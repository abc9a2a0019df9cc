"""Share of the energy that the latents of DeepJSCC get above CBR 1/8, where a refinement is transmitted beside them.

The table BASE_SHARES of semcom/systems/deepjscc/refined.py has, at each rate, the share of the highest PSNR, averaged
over SNRs and validation images.
"""

import argparse
from unittest import mock

import outputs
import torch
from argument_types import real, whole

from channels import awgn
from channels.rng import seed_for
from semcom import threads
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.fidelity import psnr
from semcom.system import Sample
from semcom.systems import deepjscc
from semcom.systems.deepjscc import refined

SHARES = (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="natural:val", help="validation images (default %(default)s)")
    parser.add_argument("--count", type=whole(1), default=16, help="number of images (default %(default)s)")
    parser.add_argument("--size", type=whole(1), help="image size, pixels (default: original size)")
    parser.add_argument("--snr", type=real(-100, 100), nargs="+", default=[1, 4, 7, 10, 13, 16, 20], metavar="DB")
    parser.add_argument("--cbr", type=real(), nargs="+", default=[0.126, 1 / 6, 1 / 4, 1 / 3, 1 / 2])
    options = parser.parse_args()
    threads.limit(1)

    sample = Sample(torch.stack([image.pixels for image in load(options.images, options.count, options.size)]))
    seeds = [seed_for("shares", row) for row in range(options.count)]
    print("   CBR  share  " + "".join(f"{snr:>6g} dB" for snr in options.snr) + "    mean")
    for cbr in options.cbr:
        for share in SHARES:
            link = Link(deepjscc.build(cbr), awgn.build())
            with torch.inference_mode(), mock.patch.object(refined, "BASE_SHARES", {cbr: share}):
                found = [psnr(link.deliver(sample, snr, seeds).reception.images, sample.images) for snr in options.snr]
            means = [float(values.mean()) for values in found]
            print(f"{cbr:6.3f} {share:6.2f}  " + "".join(f"{mean:9.2f}" for mean in means), end="")
            print(f"{sum(means) / len(means):8.2f}", flush=True)


if __name__ == "__main__":
    outputs.run(main)

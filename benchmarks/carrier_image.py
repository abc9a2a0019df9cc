"""Benchmarks of carrier images: capacity, mask codes, message loss, image quality and overhead.

python benchmarks/carrier_image.py capacity     message bits per image, 10^5 round trips per mask ratio, run time
                                                relative to the networks
python benchmarks/carrier_image.py mask_codes   length of the three mask codes at every mask ratio, with a figure
python benchmarks/carrier_image.py message      message loss, compared with the block errors of the modem and the
                                                finite-blocklength bound
python benchmarks/carrier_image.py quality      PSNR over AWGN, compared with harmonic inpainting of error-free patches
                                                and with AVIF and the same message multiplexed
python benchmarks/carrier_image.py mask_cost    PSNR difference between message masks and random or best-of-64 masks
python benchmarks/carrier_image.py overhead     channel uses with visible tokens and with all tokens

`--count` sets the number of images or messages. `--out results` writes the tables of the results page.
"""

import argparse
import math
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import outputs
import torch
from argument_types import real, whole

from channels import awgn
from channels.modem.transport_block import decode, encode
from channels.rng import Rng, seed_for
from semcom.codecs.mask_positions import MASK_CODES, ConstantWeight, mask_code_bits, shortest_mask_code
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.fidelity import psnr
from semcom.results.intervals import estimate, proportion
from semcom.system import Sample
from semcom.systems import carrier_image, harmonic_inpainting, multiplexed_message
from semcom.systems.carrier_image.agreement import visible_patches

VISIBLE_RATIOS = (0.75, 0.5, 0.25, 0.1, 0.05)
MASK_COST_SNR_DB = 10.0
TABLES = {  # tables of each measurement
    "capacity": {
        "carrier_capacity": (
            *("Patches", "Masked patches", "Message (bits)", "Messages", "Wrong messages", "Embedding (us)"),
            *("Extraction (us)", "Relative to the networks"),
        )
    },
    "message": {
        "carrier_message": (
            *("SNR (dB)", "Messages", "Decoding failures", "Rate", "Block error rate of the modem"),
            "Finite-blocklength bound",
        )
    },
    "quality": {
        "carrier_quality": (
            "SNR (dB)",
            *("Carrier image, visible ratio 1/2, CBR 1/8", "AVIF + multiplexed message, CBR 1/8"),
            *("Carrier image, visible ratio 1/4, CBR 1/16", "AVIF + multiplexed message, CBR 1/16"),
        ),
        "carrier_reference": ("Quantity", "Visible ratio 1/2", "Visible ratio 1/4"),
    },
    "mask_cost": {
        "carrier_mask_cost": (
            "Visible ratio",
            "Message mask minus random mask, PSNR (dB)",
            "Message mask minus best of 64 masks, PSNR (dB)",
        )
    },
    "overhead": {
        "carrier_overhead": (
            *("Visible ratio", "Message (bits)", "Channel uses, visible tokens", "Of these, header"),
            *("Channel uses, all tokens", "Saved", "Message bits per channel use"),
        )
    },
}
TARGET_DB = {0.5: 24.5, 0.25: 21.0}  # PSNR of the carrier image that its training aimed at
GRIDS = {196: (49, 98, 147, 176, 186), 256: (64, 128, 192, 230, 243)}


def capacity(options):
    system = carrier_image.build(cbr=1 / 8, weights=options.weights)
    transmitter, receiver = system.transmitter, system.receiver
    print(f"{options.count} random messages per row")
    print("patches masked  bits   embed us extract us   networks ms    ratio")
    rows = []
    for patches, ratios in GRIDS.items():
        for masked in ratios:
            code = ConstantWeight(patches, masked)
            messages = np.random.default_rng(0).integers(0, 2, (options.count, code.bits), dtype=np.uint8)
            times = [time.process_time()]
            masks = code.embed(messages)
            times.append(time.process_time())
            extracted = code.extract(masks)
            times.append(time.process_time())
            wrong = int(((extracted != messages).any(1) | (masks.sum(1) != masked)).sum())
            embed, extract = np.diff(times) / len(messages) * 1e6
            line = f"{patches:7} {masked:6} {code.bits:5} {embed:10.1f} {extract:10.1f}"
            row = [patches, masked, code.bits, options.count, wrong, f"{embed:.0f}", f"{extract:.0f}", ""]
            if patches == 256:
                visible = torch.stack([visible_patches(mask) for mask in masks[:8]])
                images = torch.rand(8, 3, 128, 128)
                with torch.inference_mode():
                    passes = []
                    for _ in range(options.passes):
                        start = time.process_time()
                        latents = transmitter.encoder(images, visible)
                        receiver.decoder(latents, torch.full_like(latents, 0.1), visible)
                        passes.append((time.process_time() - start) / 8)
                row[-1] = f"{(embed + extract) * 1e-6 / min(passes):.2%}"
                line += f" {1e3 * min(passes):13.1f} {row[-1]:>8}"
            print(line, flush=True)
            rows.append(row)
    print(f"{sum(row[4] for row in rows)} messages extracted with an error")
    return {"carrier_capacity": rows}


def mask_codes(options):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    masked = range(257)
    labels = {"bitmap": "Bitmap", "index_list": "Index list", "enumerative": "Enumerative"}
    for code in MASK_CODES:
        axes.plot([m / 256 for m in masked], [mask_code_bits(code, 256, m) for m in masked], label=labels[code])
    axes.plot([m / 256 for m in masked], [ConstantWeight(256, m).bits for m in masked], ":", label="Message")
    axes.set(xlabel="Mask ratio", ylabel="Bits per mask of 256 patches", ylim=(0, 400))
    axes.legend()
    outputs.write_figure(options.out, figure, dpi=100)
    print("patches masked" + "".join(f"{code:>13}" for code in MASK_CODES) + "   message  shortest")
    for patches, ratios in GRIDS.items():
        for m in ratios:
            bits = "".join(f"{mask_code_bits(code, patches, m):13}" for code in MASK_CODES)
            print(f"{patches:7} {m:6}{bits} {ConstantWeight(patches, m).bits:9}  {shortest_mask_code(patches, m)}")
    print(options.out)


def message(options):
    """Decoding failures of messages, simulated with the header symbols alone; no network is required."""
    agreement = carrier_image.build(cbr=1 / 8, weights=options.weights).transmitter.agreement
    bits, uses = agreement.digital_bits((128, 128)), agreement.digital_uses((128, 128))
    print(f"{options.count} messages per SNR over AWGN: {bits} bits and CRC-16 in {uses} channel uses of QPSK")
    print("SNR dB  failures    rate   95 % interval        BLER of the modem   finite-blocklength bound")
    rows = []
    for snr_db in options.snr or (-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, 0.0):
        failures, modem = (failed_messages(agreement, bits, uses, snr_db, options.count, own) for own in (True, False))
        share = proportion(np.arange(options.count) < failures, np.ones(options.count), range(options.count))
        bound = best_block_error(bits + 16, uses, snr_db)
        print(
            f"{snr_db:6.1f} {failures:8} {share.mean:9.2e}   [{share.low:.1e}, {share.high:.1e}]"
            f" {modem / options.count:16.2e} {bound:20.1e}",
            flush=True,
        )
        rate = f"{share.mean:.1e} [{share.low:.1e}, {share.high:.1e}]"
        rows.append([f"{snr_db:g}", options.count, failures, rate, f"{modem / options.count:.1e}", f"{bound:.0e}"])
    return {"carrier_message": rows}


def best_block_error(bits, uses, snr_db):
    """Normal approximation of the lowest block error rate: Q((n C - k + log2(n) / 2) / sqrt(n V)).

    n is twice the number of channel uses (binary input), C the capacity, V the dispersion.

    Source: Polyanskiy, Poor and Verdu, "Channel coding rate in the finite blocklength regime", IEEE Trans. Information
    Theory 56(5), 2010.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    energy = 10 ** (snr_db / 10)
    llr = (
        2 * energy + 2 * math.sqrt(energy) * nodes
    )  # log-likelihood ratio of a transmitted 1 at a real SNR of `energy`
    information = 1 - np.logaddexp(0, -llr) / math.log(2)
    capacity = weights @ information / weights.sum()
    dispersion = weights @ (information - capacity) ** 2 / weights.sum()
    n = 2 * uses
    margin = (n * capacity - bits + math.log2(n) / 2) / math.sqrt(n * dispersion)
    return math.erfc(margin / math.sqrt(2)) / 2


def failed_messages(agreement, bits, uses, snr_db, count, own):
    """Number of decoding failures of messages of carrier images (`own`) or of random bits of the same number."""
    from semcom.codecs.mask_positions import decode_masks, encode_masks
    from semcom.systems.carrier_image.symbols import scale_to_bits

    failures, generator = 0, np.random.default_rng(int(own))
    for start in range(0, count, 500):
        rows = min(500, count - start)
        if own:
            messages = generator.integers(0, 2, (rows, agreement.code.bits), dtype=np.uint8)
            masks = encode_masks(agreement.mask_code, agreement.code.embed(messages), agreement.masked)
            payload = np.concatenate([np.tile(np.uint8(scale_to_bits(0.5)), (rows, 1)), masks], 1)
        else:
            payload = generator.integers(0, 2, (rows, bits), dtype=np.uint8)
        symbols = encode(torch.from_numpy(payload), agreement.mcs, uses)[:, None]
        rng = Rng([seed_for("payload", snr_db, own, start + row) for row in range(rows)])
        received = awgn.build().carry(symbols, torch.full((rows, 1), uses), torch.full((rows, 1), snr_db), rng).fold()
        found = decode(received.symbols, received.noise_var, agreement.mcs, bits)
        if own:
            masks, valid = decode_masks(
                agreement.mask_code, found.bits.numpy()[:, 10:], agreement.patches, agreement.masked
            )
            correct = found.ok.numpy() & valid
            correct[correct] = (agreement.code.extract(masks[correct]) == messages[correct]).all(1)
            failures += int((~correct).sum())
        else:
            failures += int((~found.ok).sum())
    return failures


def quality(options):
    images = image_batch(options)
    print(f"PSNR in dB over AWGN, mean and 95 % interval of {len(images)} images of {options.images}")
    print("visible ratio    cbr  SNR dB    carrier image   harmonic inpainting   AVIF + multiplexed message")
    rows, references = {}, []
    for visible_ratio, cbr in ((0.5, 1 / 8), (0.25, 1 / 16)):
        inpainting = interval(scores(harmonic_inpainting.build(cbr=cbr, visible_ratio=visible_ratio), images, 0.0))
        references.append(inpainting)
        for snr_db in options.snr or (0.0, 5.0, 10.0, 20.0):
            system = carrier_image.build(cbr=cbr, visible_ratio=visible_ratio, weights=options.weights)
            bits = system.transmitter.message_bits((128, 128))
            multiplexed = interval(scores(multiplexed_message.build(cbr=cbr, bits=bits), images, snr_db))
            carrier = interval(scores(system, images, snr_db))
            print(
                f"{visible_ratio:13} {cbr:.4f} {snr_db:7} {carrier:>20} {inpainting:>21} {multiplexed:>28}", flush=True
            )
            rows.setdefault(snr_db, [f"{snr_db:g}"]).extend((carrier, multiplexed))
    return {
        "carrier_quality": list(rows.values()),
        "carrier_reference": [
            ["PSNR of harmonic inpainting, error-free visible patches (dB)", *references],
            ["Target PSNR of the carrier image (dB), not reached", *(f"{target:g}" for target in TARGET_DB.values())],
        ],
    }


def mask_cost(options):
    images = image_batch(options)
    print(
        f"PSNR difference in dB of message masks to masks without a message, AWGN, SNR {MASK_COST_SNR_DB:g} dB, "
        f"cbr 1/8, paired by image and noise, 95 % intervals;\n{len(images)} images of {options.images}, "
        f"{options.repetitions} repetitions; best of 64: {len(images[: options.best])} images, 1 repetition"
    )
    print("visible ratio    minus random mask   minus best of 64")
    rows = []
    for visible_ratio in options.visible_ratios:
        own, random = (
            torch.cat([psnr_of(mask, visible_ratio, images, time, options) for time in range(options.repetitions)])
            for mask in ("message", "random")
        )
        best = psnr_of("best_of_64", visible_ratio, images[: options.best], 0, options)
        rows.append([fraction(visible_ratio), interval(own - random), interval(own[: len(best)] - best)])
        print(f"{visible_ratio:13} {rows[-1][1]:>24} {rows[-1][2]:>24}", flush=True)
    return {"carrier_mask_cost": rows}


def fraction(ratio):
    return str(Fraction(ratio).limit_denominator(100))


def psnr_of(mask, visible_ratio, images, repetition, options):
    system = carrier_image.build(cbr=1 / 8, visible_ratio=visible_ratio, mask=mask, weights=options.weights)
    return scores(system, images, MASK_COST_SNR_DB, repetition)


def overhead(options):
    print("channel uses of an image of 128 x 128 pixels when all latents are sent")
    print("visible ratio  message bits  visible tokens  (header)  all tokens  saved  message bit/use")
    rows = []
    for visible_ratio in VISIBLE_RATIOS:
        visible, full = (
            carrier_image.build(
                cbr=1.0, visible_ratio=visible_ratio, sent_tokens=sent_tokens, weights=options.weights
            ).transmitter.agreement
            for sent_tokens in ("visible", "all")
        )
        size = (128, 128)
        header = visible.digital_uses(size)
        uses = header + visible.analog_uses(size, 256 - visible.masked)
        all_uses = full.digital_uses(size) + full.analog_uses(size, 256)
        bits = visible.message_bits(size)
        print(
            f"{visible_ratio:13} {bits:13} {uses:15} {header:9} {all_uses:11} {1 - uses / all_uses:6.1%}"
            f" {bits / uses:16.4f}"
        )
        saved = f"{1 - uses / all_uses:.1%}"
        rows.append([fraction(visible_ratio), bits, uses, header, all_uses, saved, f"{bits / uses:.4f}"])
    return {"carrier_overhead": rows}


def image_batch(options):
    return torch.stack([image.pixels for image in load(options.images, options.count, size=128)])


def scores(system, images, snr_db, repetition=0):
    link, values = Link(system, awgn.build()), []
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            batch = images[start : start + 16]
            seeds = [seed_for(repetition, start + row) for row in range(len(batch))]
            values.append(psnr(link.deliver(Sample(batch), snr_db, seeds).reception.images, batch))
    return torch.cat(values)


def interval(values):
    mean = estimate(values.double().numpy(), np.ones(len(values)), range(len(values)))
    return f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


MEASURES = {capacity: 100_000, mask_codes: None, message: 10_000, quality: 200, mask_cost: 500, overhead: None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="MEASURE")
    for measure, count in MEASURES.items():
        command = commands.add_parser(measure.__name__)
        command.set_defaults(measure=measure)
        if measure is mask_codes:
            outputs.add_option(command, "PNG, SVG or PDF file", default=Path("runs/figures/carrier_mask_codes.svg"))
            continue
        outputs.add_option(command, "folder for the tables")
        command.add_argument(
            "--weights", default="carrier_image", help='name or path of a weight file, or "none" (default %(default)s)'
        )
        if count:
            command.add_argument(
                "--count", type=whole(1), default=count, help="number of images or messages (default %(default)s)"
            )
        if measure is capacity:
            command.add_argument("--passes", type=whole(1), default=5, help="timed passes of the networks (default 5)")
        if measure in (message, quality):
            command.add_argument("--snr", type=real(-100, 100), nargs="+", metavar="DB", help="SNR (Es/N0), dB")
        if measure in (quality, mask_cost):
            command.add_argument("--images", default="natural:test", help="image source (default %(default)s)")
        if measure is mask_cost:
            command.add_argument(
                "--repetitions", type=whole(1), default=2, help="noise realizations per image (default 2)"
            )
            command.add_argument(
                "--visible-ratios",
                type=real(0, 1),
                nargs="+",
                default=VISIBLE_RATIOS,
                help="ratios of visible patches (default all)",
            )
            command.add_argument(
                "--best", type=whole(1), default=32, help="images for best_of_64 (default %(default)s)"
            )
    options = parser.parse_args()
    if options.measure is mask_codes:
        outputs.check_figure(parser, options)
        options.measure(options)
        return
    heads = TABLES[options.measure.__name__]
    outputs.check_tables(parser, options, heads)
    found = options.measure(options)
    outputs.write_tables(options.out, {name: [heads[name], *rows] for name, rows in found.items()})


if __name__ == "__main__":
    outputs.run(main)

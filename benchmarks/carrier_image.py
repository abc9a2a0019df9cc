"""What carrier images carry, lose and cost, measured.

python benchmarks/carrier_image.py capacity         bits a picture, 10^5 round trips a ratio, time beside the networks
python benchmarks/carrier_image.py wire             bits of the three wire forms at every mask ratio, with a figure
python benchmarks/carrier_image.py payload          lost messages against the modem's own block error rate
python benchmarks/carrier_image.py quality          PSNR over AWGN against harmonic inpainting of noiseless patches
python benchmarks/carrier_image.py price            what the message costs the picture, against random and best masks
python benchmarks/carrier_image.py overhead         channel uses with the sparse code and with all tokens
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from channels import awgn
from channels._rng import Rng, seed_for
from channels.modem import decode, encode
from semcom.codecs.mask_positions import WIRE_FORMS, ConstantWeight, smallest_wire_form, wire_bits
from semcom.images import load
from semcom.link import Link
from semcom.metrics import psnr
from semcom.system import Sample
from semcom.systems import carrier_image, harmonic_inpainting
from semcom.systems.carrier_image.agreement import kept_patches

KEPT = (0.75, 0.5, 0.25, 0.1, 0.05)
GRIDS = {196: (49, 98, 147, 176, 186), 256: (64, 128, 192, 230, 243)}


def capacity(options):
    system = carrier_image.build(cbr=1 / 8, weights=options.weights)
    transmitter, receiver = system.transmitter, system.receiver
    print("patches masked  bits   embed us extract us   networks ms    share")
    for patches, ratios in GRIDS.items():
        for masked in ratios:
            code = ConstantWeight(patches, masked)
            payloads = np.random.default_rng(0).integers(0, 2, (options.count or 100_000, code.bits), dtype=np.uint8)
            times = [time.process_time()]
            masks = code.embed(payloads)
            times.append(time.process_time())
            back = code.extract(masks)
            times.append(time.process_time())
            if not (back == payloads).all() or not (masks.sum(1) == masked).all():
                raise SystemExit(f"{patches} {masked}: a payload did not come back")
            embed, extract = np.diff(times) / len(payloads) * 1e6
            line = f"{patches:7} {masked:6} {code.bits:5} {embed:10.1f} {extract:10.1f}"
            if patches == 256:
                kept = torch.stack([kept_patches(mask) for mask in masks[:8]])
                images = torch.rand(8, 3, 128, 128)
                with torch.inference_mode():
                    passes = []
                    for _ in range(5):
                        start = time.process_time()
                        latents = transmitter.encoder(images, kept)
                        receiver.decoder(latents, torch.full_like(latents, 0.1), kept)
                        passes.append((time.process_time() - start) / 8)
                line += f" {1e3 * min(passes):13.1f} {(embed + extract) * 1e-6 / min(passes):8.2%}"
            print(line, flush=True)
    print(f"{options.count or 100_000} payloads a row came back")


def wire(options):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    masked = range(257)
    for form in WIRE_FORMS:
        axes.plot([m / 256 for m in masked], [wire_bits(form, 256, m) for m in masked], label=form)
    axes.plot([m / 256 for m in masked], [ConstantWeight(256, m).bits for m in masked], ":", label="payload")
    axes.set(xlabel="mask ratio", ylabel="bits a mask of 256 patches", ylim=(0, 400))
    axes.legend()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "carrier_wire_forms.svg")
    print("patches masked" + "".join(f"{form:>13}" for form in WIRE_FORMS) + "   payload  smallest")
    for patches, ratios in GRIDS.items():
        for m in ratios:
            bits = "".join(f"{wire_bits(form, patches, m):13}" for form in WIRE_FORMS)
            print(f"{patches:7} {m:6}{bits} {ConstantWeight(patches, m).bits:9}  {smallest_wire_form(patches, m)}")
    print(options.out / "carrier_wire_forms.svg")


def payload(options):
    """The payload path alone: the symbols of the digital part, whose receiver needs no network."""
    agreement = carrier_image.build(cbr=1 / 8, weights=options.weights).transmitter.agreement
    bits, uses = agreement.digital_bits((128, 128)), agreement.digital_uses((128, 128))
    print(f"{bits} bits in {uses} uses; SNR dB, messages, lost, share with 95 % interval; the modem alone; Shannon")
    for snr_db in options.snr or (-4.0, -3.5, -3.0, -2.5, -2.0, -1.0, 0.0):
        count = options.count or 10_000
        lost = [lost_messages(agreement, bits, uses, snr_db, count, own) for own in (True, False)]
        low, high = wilson(lost[0], count)
        limit = uses * math.log2(1 + 10 ** (snr_db / 10)) / bits
        print(
            f"{snr_db:5.1f} {count} {lost[0]:6} {lost[0] / count:.2e} [{low:.1e}, {high:.1e}]"
            f"  modem {lost[1] / count:.2e}  capacity / rate {limit:.2f}",
            flush=True,
        )


def lost_messages(agreement, bits, uses, snr_db, count, own):
    """Lost messages of carrier images, or blocks that the modem alone loses of as many random bits."""
    from semcom.codecs.mask_positions import from_wire, to_wire
    from semcom.systems.carrier_image.symbols import scale_to_bits

    lost, generator = 0, np.random.default_rng(int(own))
    for start in range(0, count, 500):
        rows = min(500, count - start)
        if own:
            message = generator.integers(0, 2, (rows, agreement.code.bits), dtype=np.uint8)
            masks = to_wire(agreement.wire, agreement.code.embed(message), agreement.masked)
            sent = np.concatenate([np.tile(np.uint8(scale_to_bits(0.5)), (rows, 1)), masks], 1)
        else:
            sent = generator.integers(0, 2, (rows, bits), dtype=np.uint8)
        symbols = encode(torch.from_numpy(sent), agreement.mcs, uses)[:, None]
        rng = Rng([seed_for("payload", snr_db, own, start + row) for row in range(rows)])
        heard = awgn.build().carry(symbols, torch.full((rows, 1), uses), torch.full((rows, 1), snr_db), rng).fold()
        found = decode(heard.symbols, heard.noise_var, agreement.mcs, bits)
        if own:
            masks, valid = from_wire(agreement.wire, found.bits.numpy()[:, 10:], agreement.patches, agreement.masked)
            good = found.ok.numpy() & valid
            good[good] = (agreement.code.extract(masks[good]) == message[good]).all(1)
            lost += int((~good).sum())
        else:
            lost += int((~found.ok).sum())
    return lost


def quality(options):
    images = pictures(options)
    print("  keep    cbr  SNR dB   PSNR dB   harmonic, noiseless")
    for keep, cbr in ((0.5, 1 / 8), (0.25, 1 / 16)):
        smooth = scores(harmonic_inpainting.build(cbr=cbr, keep=keep), images, 0.0)
        for snr_db in options.snr or (0.0, 5.0, 10.0, 20.0):
            system = carrier_image.build(cbr=cbr, keep=keep, weights=options.weights)
            print(
                f"{keep:6} {cbr:.4f} {snr_db:7} {interval(scores(system, images, snr_db))} {interval(smooth)}",
                flush=True,
            )


def price(options):
    images = pictures(options)
    print("PSNR of the message's mask over another of its weight, AWGN 10 dB, cbr 1/8, paired by picture and noise")
    for keep in KEPT:
        own, random, best = (
            torch.cat(
                [
                    scores(
                        carrier_image.build(cbr=1 / 8, keep=keep, mask=mask, weights=options.weights),
                        images,
                        10.0,
                        repetition,
                    )
                    for repetition in range(options.repetitions if mask != "best_of_64" else 1)
                ]
            )
            for mask in ("message", "random", "best_of_64")
        )
        print(
            f"keep {keep:5}: over a random mask {interval(own - random)}, over the best of 64 "
            f"{interval(own[: len(best)] - best)}",
            flush=True,
        )


def overhead(options):
    print("  keep  payload bits  sparse uses  (of these for scale and mask)  all tokens  saved   payload bit/use")
    for keep in KEPT:
        sparse, full = (
            carrier_image.build(cbr=1, keep=keep, sequence=sequence, weights=options.weights).transmitter.agreement
            for sequence in ("sparse", "full")
        )
        size, kept = (128, 128), 256 - sparse.masked
        digital = sparse.digital_uses(size)
        uses = digital + sparse.analog_uses(size, kept)
        every = full.digital_uses(size) + full.analog_uses(size, 256)
        bits = sparse.message_bits(size)
        print(f"{keep:6} {bits:13} {uses:12} {digital:30} {every:11} {1 - uses / every:6.1%} {bits / uses:17.4f}")


def pictures(options):
    return torch.stack([picture.pixels for picture in load(options.images, options.count, size=128)])


def scores(system, images, snr_db, repetition=0):
    link, found = Link(system, awgn.build()), []
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            batch = images[start : start + 16]
            seeds = [seed_for(repetition, start + row) for row in range(len(batch))]
            found.append(psnr(link.deliver(Sample(batch), snr_db, seeds).reception.images, batch))
    return torch.cat(found)


def interval(values):
    return f"{values.mean():7.2f} +- {1.96 * values.std() / math.sqrt(len(values)):.2f}"


def wilson(errors, count, z=1.96):
    share, spread = errors / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / 4 / count) / (1 + spread)
    return max(middle - half, 0.0), middle + half


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures = (capacity, wire, payload, quality, price, overhead)
    parser.add_argument("measure", choices=[measure.__name__ for measure in measures])
    parser.add_argument("--weights", default="carrier_image", help='a weight file, or "none"')
    parser.add_argument("--images", default="natural:test")
    parser.add_argument("--count", type=int, help="pictures, payloads or messages; default all, 100000, 10000")
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--snr", type=float, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    given = parser.parse_args()
    {measure.__name__: measure for measure in measures}[given.measure](given)

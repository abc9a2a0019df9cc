"""What carrier images carry, lose and cost, measured.

python benchmarks/carrier_image.py capacity         bits a picture, 10^5 round trips a ratio, time beside the networks
python benchmarks/carrier_image.py wire             bits of the three wire forms at every mask ratio, with a figure
python benchmarks/carrier_image.py payload          lost messages, against the modem's own block errors and theory
python benchmarks/carrier_image.py quality          PSNR over AWGN, against harmonic inpainting of noiseless patches and
                                                    against AVIF with the same message beside it
python benchmarks/carrier_image.py price            what the message costs the picture, against random and best masks
python benchmarks/carrier_image.py overhead         channel uses with the sparse code and with all tokens

Each takes --count (pictures, payloads or messages) and says what it was.
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
from semcom.systems import bits_beside, carrier_image, harmonic_inpainting
from semcom.systems.carrier_image.agreement import kept_patches

KEPT = (0.75, 0.5, 0.25, 0.1, 0.05)
PRICE_SNR_DB = 10.0
GRIDS = {196: (49, 98, 147, 176, 186), 256: (64, 128, 192, 230, 243)}


def capacity(options):
    system = carrier_image.build(cbr=1 / 8, weights=options.weights)
    transmitter, receiver = system.transmitter, system.receiver
    print(f"{options.count} random payloads a row")
    print("patches masked  bits   embed us extract us   networks ms    share")
    for patches, ratios in GRIDS.items():
        for masked in ratios:
            code = ConstantWeight(patches, masked)
            payloads = np.random.default_rng(0).integers(0, 2, (options.count, code.bits), dtype=np.uint8)
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
    print("every payload came back")


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
    print(f"{options.count} messages an SNR over AWGN: {bits} bits and a CRC-16 in {uses} uses of QPSK")
    print("SNR dB    lost     share   95 % interval         the modem alone   the best code there can be")
    for snr_db in options.snr or (-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, 0.0):
        own, modem = (lost_messages(agreement, bits, uses, snr_db, options.count, mine) for mine in (True, False))
        low, high = wilson(own, options.count)
        print(
            f"{snr_db:6.1f} {own:7} {own / options.count:9.2e}   [{low:.1e}, {high:.1e}] {modem / options.count:16.2e}"
            f" {best_block_error(bits + 16, uses, snr_db):20.1e}",
            flush=True,
        )


def best_block_error(bits, uses, snr_db):
    """Q((n C - k + log2(n) / 2) / sqrt(n V)) for n = 2 uses of a binary input: capacity C, dispersion V.

    Source: Polyanskiy, Poor and Verdu, "Channel coding rate in the finite blocklength regime", IEEE Trans. Information
    Theory 56(5), 2010.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    energy = 10 ** (snr_db / 10)
    llr = 2 * energy + 2 * math.sqrt(energy) * nodes  # of a one sent, at a real SNR of `energy`
    information = 1 - np.logaddexp(0, -llr) / math.log(2)
    capacity = weights @ information / weights.sum()
    dispersion = weights @ (information - capacity) ** 2 / weights.sum()
    n = 2 * uses
    margin = (n * capacity - bits + math.log2(n) / 2) / math.sqrt(n * dispersion)
    return math.erfc(margin / math.sqrt(2)) / 2


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
    print(f"PSNR in dB over AWGN, mean and 95 % interval of {len(images)} pictures of {options.images}")
    print("  keep    cbr  SNR dB    carrier image   harmonic, noiseless   AVIF and as many bits")
    for keep, cbr in ((0.5, 1 / 8), (0.25, 1 / 16)):
        smooth = scores(harmonic_inpainting.build(cbr=cbr, keep=keep), images, 0.0)
        for snr_db in options.snr or (0.0, 5.0, 10.0, 20.0):
            system = carrier_image.build(cbr=cbr, keep=keep, weights=options.weights)
            bits = system.transmitter.message_bits((128, 128))
            beside = scores(bits_beside.build(cbr=cbr, bits=bits), images, snr_db)
            print(
                f"{keep:6} {cbr:.4f} {snr_db:7} {interval(scores(system, images, snr_db)):>16} {interval(smooth):>21}"
                f" {interval(beside):>23}",
                flush=True,
            )


def price(options):
    images = pictures(options)
    print(
        f"PSNR in dB of the message's mask over others of its weight, AWGN {PRICE_SNR_DB:g} dB, cbr 1/8, paired by "
        f"picture and noise, 95 % intervals;\n{len(images)} pictures of {options.images}, {options.repetitions} times; "
        f"the best of 64 for the first {len(images[: options.best])} of them, once"
    )
    print("  keep   over a random mask   over the best of 64")
    for keep in KEPT:
        own, random = (
            torch.cat([masked(mask, keep, images, time, options) for time in range(options.repetitions)])
            for mask in ("message", "random")
        )
        best = masked("best_of_64", keep, images[: options.best], 0, options)
        print(f"{keep:6} {interval(own - random):>20} {interval(own[: len(best)] - best):>21}", flush=True)


def masked(mask, keep, images, repetition, options):
    system = carrier_image.build(cbr=1 / 8, keep=keep, mask=mask, weights=options.weights)
    return scores(system, images, PRICE_SNR_DB, repetition)


def overhead(options):
    print("uses of a picture of 128 x 128 pixels with all latents, none dropped")
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


MEASURES = {capacity: 100_000, wire: None, payload: 10_000, quality: 200, price: 500, overhead: None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="MEASURE")
    for measure, count in MEASURES.items():
        command = commands.add_parser(measure.__name__)
        command.set_defaults(measure=measure)
        if measure is wire:
            command.add_argument("--out", type=Path, default=Path("runs/figures"))
            continue
        command.add_argument("--weights", default="carrier_image", help='a weight file, or "none"')
        if count:
            command.add_argument("--count", type=int, default=count, help="default %(default)s")
        if measure in (payload, quality):
            command.add_argument("--snr", type=float, nargs="+", metavar="DB")
        if measure in (quality, price):
            command.add_argument("--images", default="natural:test")
        if measure is price:
            command.add_argument("--repetitions", type=int, default=2)
            command.add_argument(
                "--best", type=int, default=32, help="pictures for the best of 64; default %(default)s"
            )
    options = parser.parse_args()
    options.measure(options)


if __name__ == "__main__":
    main()

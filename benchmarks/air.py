"""Throughput beside Sionna, the price of estimated channels and of sharing them.

    python benchmarks/air.py --out runs/bench/air.json

Both sides run in one process on one thread: best of several passes in turn, processor time. Sionna's blocks
add noise, or fade and add noise; ours also equalise, tell the noise variance of every use and draw each row from
a seed of its own.
"""

import argparse
import json
import math
import time
from functools import partial
from pathlib import Path

import torch

from channels import _theory, awgn, cdl, rayleigh, tdl, uplink
from channels._rng import Rng, seed_for


def best_seconds(functions, passes):
    """The least time of each named function, their passes interleaved so that a busy machine slows all alike."""
    least = dict.fromkeys(functions, math.inf)
    for _ in range(passes):
        for name, function in functions.items():
            start = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - start)
    return least


def qpsk(rows, users, length, seed="symbols"):
    signs = Rng([seed_for(seed, row) for row in range(rows * users)]).uniform(length, 2) < 0.5
    return torch.view_as_complex(torch.where(signs, -1.0, 1.0) * math.sqrt(0.5)).unflatten(0, (rows, users))


SEEDS = [seed_for("benchmark", row) for row in range(4000)]


def carry(channel, sent, snr_db):
    rows, users, length = sent.shape
    rng = Rng(SEEDS[: rows * users])
    return channel.carry(sent, torch.full((rows, users), length), torch.full((rows, users), snr_db), rng)


def throughput(passes):
    from sionna.phy.channel import AWGN, FlatFadingChannel

    print(
        "Msymbols/s on one thread           AWGN: ours  Sionna  ratio   Rayleigh a symbol: ours  Sionna  ratio"
        "   one fade a row: ours"
    )
    noise, fading = AWGN(), FlatFadingChannel(1, 1, return_channel=True)
    ours = awgn.build(), rayleigh.build(coherence_uses=1), rayleigh.build()
    table = []
    for rows, length in ((128, 768), (1024, 768), (8, 73_728), (32, 73_728)):
        sent = qpsk(rows, 1, length)
        flat, n0 = sent[:, 0], torch.full((rows, 1), 0.1)
        seconds = best_seconds(
            {
                "awgn": partial(carry, ours[0], sent, 10.0),
                "awgn_sionna": partial(noise, flat, n0),
                "rayleigh_symbol": partial(carry, ours[1], sent, 10.0),
                "rayleigh_symbol_sionna": partial(fading, flat.reshape(-1, 1), 0.1),
                "rayleigh_row": partial(carry, ours[2], sent, 10.0),
            },
            passes,
        )
        speed = {name: rows * length / second / 1e6 for name, second in seconds.items()}
        table.append({"rows": rows, "symbols": length, "msymbols_per_s": speed})
        print(f"{rows:5d} rows of {length:6d} symbols   {compared(speed, 'awgn', 16)}", end="")
        print(f"{compared(speed, 'rayleigh_symbol', 27)} {speed['rayleigh_row']:22.1f}")
    return table


def compared(speed, name, width):
    ours, theirs = speed[name], speed[f"{name}_sionna"]
    return f"{ours:{width}.1f} {theirs:7.1f} {ours / theirs:6.2f}"


def grids(passes):
    print("\nOFDM frames of 24 x 14, Msymbols/s    perfect      ls   lmmse")
    table = []
    for name, module in (("tdl", tdl), ("cdl", cdl)):
        sent = qpsk(64, 1, 768)
        runs = {csi: partial(carry, module.build(csi=csi), sent, 10.0) for csi in ("perfect", "ls", "lmmse")}
        speed = {csi: sent.numel() / second / 1e6 for csi, second in best_seconds(runs, passes).items()}
        table.append({"channel": name, "rows": 64, "symbols": 768, "msymbols_per_s": speed})
        print(f"{name} A, 64 rows of 768               " + "".join(f"{value:9.2f}" for value in speed.values()))
    return table


def estimation():
    print("\ndB of mean SNR that estimates cost (TDL-A 100 ns, 3 m/s), SNR = |G|^2 / (N0 + var(H - G))")
    print("SNR   ls    lmmse   one pilot at the data's SNR (Hassibi and Hochwald)")
    table = []
    for snr_db in (0.0, 10.0, 20.0):
        sent, snr = qpsk(1500, 1, 312), 10 ** (snr_db / 10)
        mean = {}
        for csi in ("perfect", "ls", "lmmse"):
            heard = carry(tdl.build(csi=csi), sent, snr_db)
            mean[csi] = float((1 / heard.noise_var.double()).mean())
        loss = {csi: 10 * math.log10(mean["perfect"] / mean[csi]) for csi in ("ls", "lmmse")}
        theory = snr_db - 10 * math.log10(_theory.estimated_snr(snr, 1 / snr))
        table.append({"snr_db": snr_db, "loss_db": loss | {"one_pilot_theory": theory}})
        print(f"{snr_db:3.0f} {loss['ls']:6.2f} {loss['lmmse']:6.2f} {theory:8.2f}")
    return table


def sharing():
    print("\nbit/s/Hz of a user, mean log2(1 + SINR): 2 antennas, Rayleigh")
    print("SNR   alone (bound)   2 users superposed, sum   2 users in turn at equal energy, sum")
    table = []
    for snr_db in (0.0, 10.0, 20.0):
        channel = uplink.build(antennas=2)
        rate = {}
        # in turn, a user sends half of the time: at equal energy per user its symbols have twice the energy
        for label, users, snr in (("alone", 1, snr_db), ("both", 2, snr_db), ("turn", 1, snr_db + 10 * math.log10(2))):
            heard = carry(channel, qpsk(4000 // users, users, 4), snr)
            rate[label] = float(torch.log2(1 + 1 / heard.noise_var.double()).mean())
        sums = {"alone": rate["alone"], "superposed_sum": 2 * rate["both"], "in_turn_sum": rate["turn"]}
        table.append({"snr_db": snr_db, "bit_per_s_per_hz": sums})
        print(f"{snr_db:3.0f} {rate['alone']:10.3f} {2 * rate['both']:22.3f} {rate['turn']:27.3f}")
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    parser.add_argument("--passes", type=int, default=15, help="passes of which the fastest counts")
    parser.add_argument("--throughput-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        numbers = {"throughput": throughput(options.passes)}
        if not options.throughput_only:
            numbers |= {"ofdm": grids(options.passes), "estimation": estimation(), "sharing": sharing()}
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()

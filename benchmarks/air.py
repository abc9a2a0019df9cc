"""Throughput beside Sionna, the price of estimated channels and of sharing them: python benchmarks/air.py

Both sides run in one process on one thread: best of several passes in turn, processor time. Sionna's blocks
add noise, or fade and add noise; ours also equalise, tell the noise variance of every use and draw each row from
a seed of its own.
"""

import math
import time
from functools import partial

import torch

from channels import _theory, awgn, cdl, rayleigh, tdl, uplink
from channels._rng import Rng, seed_for

PASSES = 15


def best_seconds(functions):
    """The least time of each function, their passes interleaved so that a busy machine slows all alike."""
    least = [math.inf] * len(functions)
    for _ in range(PASSES):
        for index, function in enumerate(functions):
            start = time.process_time()
            function()
            least[index] = min(least[index], time.process_time() - start)
    return least


def qpsk(rows, users, length, seed="symbols"):
    signs = Rng([seed_for(seed, row) for row in range(rows * users)]).uniform(length, 2) < 0.5
    return torch.view_as_complex(torch.where(signs, -1.0, 1.0) * math.sqrt(0.5)).unflatten(0, (rows, users))


SEEDS = [seed_for("benchmark", row) for row in range(4000)]


def carry(channel, sent, snr_db):
    rows, users, length = sent.shape
    rng = Rng(SEEDS[: rows * users])
    return channel.carry(sent, torch.full((rows, users), length), torch.full((rows, users), snr_db), rng)


def throughput():
    from sionna.phy.channel import AWGN, FlatFadingChannel

    print(
        "Msymbols/s on one thread           AWGN: ours  Sionna   Rayleigh a symbol: ours  Sionna   one fade a row: ours"
    )
    noise, fading = AWGN(), FlatFadingChannel(1, 1, return_channel=True)
    ours = awgn.build(), rayleigh.build(coherence_uses=1), rayleigh.build()
    for rows, length in ((128, 768), (1024, 768), (8, 73_728), (32, 73_728)):
        sent = qpsk(rows, 1, length)
        flat, n0 = sent[:, 0], torch.full((rows, 1), 0.1)
        seconds = best_seconds(
            [
                partial(carry, ours[0], sent, 10.0),
                partial(noise, flat, n0),
                partial(carry, ours[1], sent, 10.0),
                partial(fading, flat.reshape(-1, 1), 0.1),
                partial(carry, ours[2], sent, 10.0),
            ]
        )
        a, b, c, d, e = (rows * length / second / 1e6 for second in seconds)
        print(f"{rows:5d} rows of {length:6d} symbols   {a:16.1f} {b:7.1f} {c:25.1f} {d:7.1f} {e:22.1f}")


def grids():
    print("\nOFDM frames of 24 x 14, Msymbols/s    perfect      ls   lmmse")
    for name, module in (("tdl", tdl), ("cdl", cdl)):
        sent = qpsk(64, 1, 768)
        runs = [partial(carry, module.build(csi=csi), sent, 10.0) for csi in ("perfect", "ls", "lmmse")]
        seconds = best_seconds(runs)
        print(f"{name} A, 64 rows of 768               " + "".join(f"{sent.numel() / s / 1e6:9.2f}" for s in seconds))


def estimation():
    print("\ndB of mean SNR that estimates cost (TDL-A 100 ns, 3 m/s), SNR = |G|^2 / (N0 + var(H - G))")
    print("SNR   ls    lmmse   one pilot at the data's SNR (Hassibi and Hochwald)")
    for snr_db in (0.0, 10.0, 20.0):
        sent, snr = qpsk(1500, 1, 312), 10 ** (snr_db / 10)
        mean = {}
        for csi in ("perfect", "ls", "lmmse"):
            heard = carry(tdl.build(csi=csi), sent, snr_db)
            mean[csi] = float((1 / heard.noise_var.double()).mean())
        loss = [10 * math.log10(mean["perfect"] / mean[csi]) for csi in ("ls", "lmmse")]
        theory = snr_db - 10 * math.log10(_theory.estimated_snr(snr, 1 / snr))
        print(f"{snr_db:3.0f} {loss[0]:6.2f} {loss[1]:6.2f} {theory:8.2f}")


def sharing():
    print("\nbit/s/Hz of a user, mean log2(1 + SINR): 2 antennas, Rayleigh")
    print("SNR   alone (bound)   2 users superposed, sum   2 users in turn at equal energy, sum")
    for snr_db in (0.0, 10.0, 20.0):
        channel = uplink.build(antennas=2)
        rate = {}
        # in turn, a user sends half of the time: at equal energy per user its symbols have twice the energy
        for label, users, snr in (("alone", 1, snr_db), ("both", 2, snr_db), ("turn", 1, snr_db + 10 * math.log10(2))):
            heard = carry(channel, qpsk(4000 // users, users, 4), snr)
            rate[label] = float(torch.log2(1 + 1 / heard.noise_var.double()).mean())
        print(f"{snr_db:3.0f} {rate['alone']:10.3f} {2 * rate['both']:22.3f} {rate['turn']:27.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        throughput()
        grids()
        estimation()
        sharing()

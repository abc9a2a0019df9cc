"""Channels compared with those of Sionna, the loss of channel estimation, and the rate of superposed users.

    python benchmarks/channel_models.py --out results

It writes channel_throughput.csv, estimation_loss.csv and uplink_sum_rate.csv.

Throughput: semcom and Sionna run in one process on one thread; the shortest processor time of several alternating
passes counts. The blocks of Sionna add fading and noise; those of semcom also equalize, return the noise variance of
every use, and use one random stream per row.
"""

import argparse
import math
import time
from functools import partial

import outputs
import torch
from argument_types import whole

from channels import awgn, cdl, rayleigh, tdl, uplink
from channels.certificate import theory
from channels.rng import Rng, seed_for

TABLES = {
    "channel_throughput": (
        *("Rows x symbols", "AWGN, semcom", "AWGN, Sionna"),
        *("Rayleigh fast fading, semcom", "Rayleigh fast fading, Sionna"),
    ),
    "estimation_loss": (
        *("SNR (dB)", "Least squares (dB)", "LMMSE (dB)"),
        "Theory, one pilot at the SNR of the data (dB)",
    ),
    "uplink_sum_rate": (
        *("SNR (dB)", "Two superposed users, sum", "Two orthogonal users at equal energy, sum"),
        "One user alone, bound of each user",
    ),
}


def best_seconds(functions, passes):
    """Shortest time of each function; the passes alternate, so that a busy machine slows all functions equally."""
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
        "Msymbols/s on one thread         AWGN: semcom  Sionna  ratio     fast fading: semcom  Sionna  ratio"
        "   block fading: semcom"
    )
    noise, fading = AWGN(), FlatFadingChannel(1, 1, return_channel=True)
    channels = awgn.build(), rayleigh.build(coherence_uses=1), rayleigh.build()
    table = [TABLES["channel_throughput"]]
    for rows, length in ((128, 768), (1024, 768), (8, 73_728), (32, 73_728)):
        sent = qpsk(rows, 1, length)
        flat, n0 = sent[:, 0], torch.full((rows, 1), 0.1)
        seconds = best_seconds(
            {
                "awgn": partial(carry, channels[0], sent, 10.0),
                "awgn_sionna": partial(noise, flat, n0),
                "rayleigh_symbol": partial(carry, channels[1], sent, 10.0),
                "rayleigh_symbol_sionna": partial(fading, flat.reshape(-1, 1), 0.1),
                "rayleigh_row": partial(carry, channels[2], sent, 10.0),
            },
            passes,
        )
        speed = {name: rows * length / second / 1e6 for name, second in seconds.items()}
        compared_speeds = (speed[name + of] for name in ("awgn", "rayleigh_symbol") for of in ("", "_sionna"))
        table.append([f"{rows} x {length:,}", *(f"{value:.1f}" for value in compared_speeds)])
        print(f"{rows:5d} rows of {length:6d} symbols   {compared(speed, 'awgn', 16)}", end="")
        print(f"{compared(speed, 'rayleigh_symbol', 27)} {speed['rayleigh_row']:22.1f}")
    return table


def compared(speed, name, width):
    semcom, sionna = speed[name], speed[f"{name}_sionna"]
    return f"{semcom:{width}.1f} {sionna:7.1f} {semcom / sionna:6.2f}"


def grids(passes):
    print("\nOFDM frames of 24 x 14, Msymbols/s    perfect      ls   lmmse")
    for name, module in (("tdl", tdl), ("cdl", cdl)):
        sent = qpsk(64, 1, 768)
        runs = {csi: partial(carry, module.build(csi=csi), sent, 10.0) for csi in ("perfect", "ls", "lmmse")}
        speed = {csi: sent.numel() / second / 1e6 for csi, second in best_seconds(runs, passes).items()}
        print(f"{name} A, 64 rows of 768               " + "".join(f"{value:9.2f}" for value in speed.values()))


def estimation():
    print("\nloss of channel estimation in mean SNR, dB (TDL-A 100 ns, 3 m/s), SNR = |G|^2 / (N0 + var(H - G))")
    print("SNR   ls    lmmse   theory for one pilot at the SNR of the data (Hassibi and Hochwald)")
    table = [TABLES["estimation_loss"]]
    for snr_db in (0.0, 10.0, 20.0):
        sent, snr = qpsk(1500, 1, 312), 10 ** (snr_db / 10)
        mean = {}
        for csi in ("perfect", "ls", "lmmse"):
            received = carry(tdl.build(csi=csi), sent, snr_db)
            mean[csi] = float((1 / received.noise_var.double()).mean())
        loss = {csi: 10 * math.log10(mean["perfect"] / mean[csi]) for csi in ("ls", "lmmse")}
        one_pilot = snr_db - 10 * math.log10(theory.estimated_snr(snr, 1 / snr))
        table.append([f"{snr_db:g}", *(f"{value:.2f}" for value in (*loss.values(), one_pilot))])
        print(f"{snr_db:3.0f} {loss['ls']:6.2f} {loss['lmmse']:6.2f} {one_pilot:8.2f}")
    return table


def sharing():
    print("\nrate in bit/s/Hz, mean log2(1 + SINR): 2 antennas, Rayleigh fading")
    print("SNR   one user (bound)   2 superposed users, sum   2 orthogonal users at equal energy, sum")
    table = [TABLES["uplink_sum_rate"]]
    for snr_db in (0.0, 10.0, 20.0):
        channel = uplink.build(antennas=2)
        rate = {}
        # an orthogonal user sends half of the time: at equal energy per user its symbols have twice the energy
        cases = ("one", 1, snr_db), ("superposed", 2, snr_db), ("orthogonal", 1, snr_db + 10 * math.log10(2))
        for label, users, snr in cases:
            received = carry(channel, qpsk(4000 // users, users, 4), snr)
            rate[label] = float(torch.log2(1 + 1 / received.noise_var.double()).mean())
        superposed = 2 * rate["superposed"]
        table.append([f"{snr_db:g}", *(f"{value:.2f}" for value in (superposed, rate["orthogonal"], rate["one"]))])
        print(f"{snr_db:3.0f} {rate['one']:13.3f} {superposed:22.3f} {rate['orthogonal']:27.3f}")
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "folder for the tables")
    parser.add_argument("--passes", type=whole(1), default=15, help="number of passes, of which the fastest counts")
    parser.add_argument("--throughput-only", action="store_true")
    options = parser.parse_args()
    outputs.check_tables(parser, options, TABLES)
    torch.set_num_threads(1)
    with torch.no_grad():
        tables = {"channel_throughput": throughput(options.passes)}
        if not options.throughput_only:
            grids(options.passes)
            tables |= {"estimation_loss": estimation(), "uplink_sum_rate": sharing()}
    outputs.write_tables(options.out, tables)


if __name__ == "__main__":
    outputs.run(main)

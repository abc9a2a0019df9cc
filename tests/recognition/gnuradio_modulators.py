"""Symbols of a modulation as samples of GNU Radio's modulator, through its channel model; runs in the system's Python.

python3 gnuradio_modulators.py FOLDER FREQUENCY_OFFSET CLOCK_RATIO SEED ES_N0_DB ...
"""

import sys
from pathlib import Path

import numpy as np
from gnuradio import blocks, channels, digital, gr

SYMBOLS, RATE, EXCESS_BANDWIDTH = 4096, 4, 0.35
CONSTELLATIONS = {
    "bpsk": digital.constellation_bpsk,
    "qpsk": digital.constellation_qpsk,
    "8psk": digital.constellation_8psk,
    "16qam": digital.constellation_16qam,
}


def main() -> None:
    folder, offset, ratio, seed = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    for name, constellation in CONSTELLATIONS.items():
        points = constellation().base()
        data = np.random.default_rng(seed).integers(0, 256, SYMBOLS).astype(np.uint8).tolist()
        for snr_db in map(float, sys.argv[5:]):
            modulator = digital.generic_mod(
                points, differential=False, samples_per_symbol=RATE, excess_bw=EXCESS_BANDWIDTH
            )
            clean, flowgraph = blocks.vector_sink_c(), gr.top_block()
            flowgraph.connect(blocks.vector_source_b(data), modulator, clean)
            flowgraph.run()
            power = float(np.mean(np.abs(np.array(clean.data())[1000:-1000]) ** 2))
            flowgraph, received = gr.top_block(), blocks.vector_sink_c()
            # a symbol has the energy RATE x power, and the noise of a sample the variance N0
            noise = (power * RATE * 10 ** (-snr_db / 10)) ** 0.5
            model = channels.channel_model(noise, offset, ratio, [1.0], seed)
            flowgraph.connect(blocks.vector_source_c(clean.data()), model, received)
            flowgraph.run()
            np.array(received.data(), np.complex64)[200:-200].tofile(folder / f"{name}_{snr_db:g}.cf32")


if __name__ == "__main__":
    main()

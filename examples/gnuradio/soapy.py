"""Send or record a file of samples with a radio that SoapySDR supports: USRP, Pluto, LimeSDR, HackRF and others.

    python3 soapy.py transmit sent.sigmf-data --device driver=plutosdr --frequency 433.92e6 --gain 10 --seconds 5
    python3 soapy.py receive received.sigmf-data --device driver=uhd --frequency 433.92e6 --gain 30 --seconds 1

Files hold complex samples of two float32 each (cf32_le); a recording gets a file of SigMF metadata beside it. The
script needs GNU Radio 3.10 with SoapySDR (Debian: apt-get install gnuradio soapysdr-module-all), which belong to the
Python of the system, and nothing of semcom.

NOT TESTED: no radio was available. Before transmitting over the air, read the rules of your country for power and
frequency bands.
"""

import argparse
import json
import time
from pathlib import Path

from gnuradio import blocks, gr, soapy


def flowgraph(options: argparse.Namespace) -> gr.top_block:
    """File to radio, repeated, or radio to file."""
    graph = gr.top_block()
    arguments = (options.device, "fc32", 1, "", "", [""], [""])
    radio = soapy.sink(*arguments) if options.direction == "transmit" else soapy.source(*arguments)
    radio.set_sample_rate(0, options.sample_rate)
    radio.set_frequency(0, options.frequency)
    radio.set_bandwidth(0, options.sample_rate)
    radio.set_gain(0, options.gain)
    if options.antenna:
        radio.set_antenna(0, options.antenna)
    if options.direction == "transmit":
        scale = blocks.multiply_const_cc(options.amplitude)
        graph.connect(blocks.file_source(gr.sizeof_gr_complex, options.file, True), scale, radio)
    else:
        count = round(options.seconds * options.sample_rate)
        graph.connect(
            radio,
            blocks.head(gr.sizeof_gr_complex, count),
            blocks.file_sink(gr.sizeof_gr_complex, str(partial_of(Path(options.file)))),
        )
    return graph


def partial_of(path: Path) -> Path:
    """File that replaces `path` when it is complete."""
    return path.with_name(f".{path.name}.partial")


def metadata(options: argparse.Namespace) -> dict:
    """SigMF metadata of a recording."""
    content = {"core:datatype": "cf32_le", "core:sample_rate": options.sample_rate, "core:version": "1.2.0"}
    captures = [{"core:sample_start": 0, "core:frequency": options.frequency}]
    return {"global": content, "captures": captures, "annotations": []}


def main() -> None:
    """Read the options and run the flowgraph."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("direction", choices=("transmit", "receive"))
    parser.add_argument("file", help="file of the samples")
    parser.add_argument("--device", required=True, help="SoapySDR device, as in driver=uhd or driver=plutosdr")
    parser.add_argument("--frequency", type=float, required=True, help="carrier frequency in Hz")
    parser.add_argument("--sample-rate", type=float, default=1e6, help="samples per second (default: 1e6)")
    parser.add_argument("--gain", type=float, default=0.0, help="gain of the radio in dB (default: 0, the least)")
    parser.add_argument("--antenna", default="", help="name of the antenna port (default: that of the driver)")
    parser.add_argument("--amplitude", type=float, default=0.5, help="factor on the sent samples (default: 0.5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="duration in seconds (default: 1)")
    parser.add_argument("--force", action="store_true", help="replace existing files (default: stop)")
    options = parser.parse_args()
    file = Path(options.file)
    if options.direction == "receive":
        for path in (file, file.with_suffix(".sigmf-meta")):
            if path.is_file() and not options.force:
                parser.error(f"{path} exists; choose another file, or add --force")
    graph = flowgraph(options)
    if options.direction == "receive":
        graph.run()
        meta = file.with_suffix(".sigmf-meta")
        partial_of(meta).write_text(json.dumps(metadata(options), indent=2))
        partial_of(meta).replace(meta)
        partial_of(file).replace(file)
        return
    graph.start()
    time.sleep(options.seconds)
    graph.stop()
    graph.wait()


if __name__ == "__main__":
    main()

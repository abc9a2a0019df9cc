"""Reduced transmitters beside the unchanged ones: scenarios/edge.yaml, and its table as CSV.

python benchmarks/edge.py --out results/edge.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import outputs

from channels.errors import UsageError
from semcom import sweep
from semcom.cli.outputs import guard_folder
from semcom.results import compare, means, table
from semcom.results.intervals import short
from semcom.scenario import load_scenario

_UNCHANGED = ("AVIF + LDPC", "DeepJSCC", "Carrier image")
_DIFFERENCE = "PSNR difference to the unreduced system (dB), 95 % interval"
_HEAD = ("Transmitter", "GFLOP", "Memory (kB)", "Processor time (ms)", "PSNR (dB)", _DIFFERENCE)


def lines(folder: Path) -> list[tuple[str, ...]]:
    """The table, head first; a difference is that to the unchanged transmitter of the same system."""
    rows = table.read(folder)
    found = {
        name: {line.system: line.estimate.mean for line in means.summarize(rows, name)}
        for name in ("psnr", "tx_gflop", "tx_bytes", "tx_cpu_s")
    }
    differences = {}
    for reference in filter(found["psnr"].get, _UNCHANGED):
        for one in compare.compare(rows, "psnr", reference):
            if one.system.startswith(f"{reference},"):
                gain = one.difference
                differences[one.system] = f"{short(gain.mean)} [{short(gain.low)}, {short(gain.high)}]"
    return [
        _HEAD,
        *(
            (
                system,
                f"{found['tx_gflop'][system]:.3f}" if system in found["tx_gflop"] else "not counted",
                f"{found['tx_bytes'][system] / 1e3:.0f}" if system in found["tx_bytes"] else "",
                f"{found['tx_cpu_s'][system] * 1e3:.1f}",
                f"{psnr:.2f}",
                differences.get(system, ""),
            )
            for system, psnr in found["psnr"].items()
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    outputs.add_option(parser, "CSV file for the table")
    parser.add_argument("--run", type=Path, default=Path("runs/edge"), help="folder of the run (default: runs/edge)")
    parser.add_argument("--set", action="append", default=[], help="setting of the scenario, as in images.count=4")
    options = parser.parse_args()
    outputs.check_file(parser, options, _HEAD)
    try:
        guard_folder("--run", options.run, [], options.force, ["rows"])
        scenario = load_scenario(Path(__file__).parents[1] / "scenarios" / "edge.yaml", options.set)
        sweep.run(scenario, options.run)
    except UsageError as error:
        parser.error(str(error))
    found = lines(options.run)
    print(*(" | ".join(row) for row in found), sep="\n")
    outputs.write_csv(options.out, found)

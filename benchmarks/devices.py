"""Speed of networks, decoder and sweeps on each device of this machine, and how far its rows are from the CPU's.

    python benchmarks/devices.py                        # the CPU, and the GPU if PyTorch finds one; minutes
    python benchmarks/devices.py --source kodak --out runs/bench/devices.json

Every number is the shortest wall-clock time of some passes, results moved to the CPU included. Run it on an idle
machine. Without a GPU the table has one column.
"""

import argparse
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import outputs
import torch
from argument_types import whole

from channels import awgn
from channels.modem import ldpc, ldpc_rate
from channels.modem.ldpc_code import LdpcCode
from channels.modem.qam import demap, map_bits
from channels.rng import Rng, seed_for
from semcom import Link, Sample, devices, images, sweep
from semcom.metrics.fidelity import psnr
from semcom.results import table
from semcom.scenario import scenario_from
from semcom.sweep import memory
from semcom.systems import deepjscc, multimodal_generation

SCENARIO = {
    "systems": ["deepjscc", {"name": "digital", "codec": "webp"}, "carrier_image"],
    "channel": {"name": "rayleigh", "coherence_uses": 64},
    "medium_cbr": 1 / 8,
    "sweep": {"snr_db": [0, 10, 20]},
    "metrics": ["psnr", "ms_ssim"],
}


def best_seconds(action: Callable[[], object], passes: int) -> float:
    action()
    least = math.inf
    for _ in range(passes):
        start = time.perf_counter()
        action()
        least = min(least, time.perf_counter() - start)
    return least


def delivered(link: Link, sample: Sample, device: str) -> torch.Tensor:
    seeds = [seed_for("benchmark", row) for row in range(len(sample.images))]
    with torch.no_grad():
        return link.deliver(devices.moved(sample, device), 10.0, seeds).reception.images.cpu()


def sample_of(source: str, count: int, size: int | None = None) -> Sample:
    found = images.load(source, count, size)
    return Sample(torch.stack([image.pixels for image in found if image.pixels.shape == found[0].pixels.shape]))


def images_per_second(device: str, source: str, count: int, passes: int) -> dict[str, float]:
    """DeepJSCC, encoder to decoder, with the batch that a run on this device uses, at most 3 * `count` images."""
    link, first = Link(deepjscc.build(1 / 16), awgn.build()), sample_of(source, 1)
    batch = min(memory.batch_of(device, first.images[0, 0].numel(), 1) or 8, 3 * count)
    sample = sample_of(source, batch)
    seconds = best_seconds(lambda: delivered(link, sample, device), passes)
    found, expected = (psnr(delivered(link, first, place), first.images).item() for place in (device, "cpu"))
    return {"images_per_s": len(sample.images) / seconds, "psnr_difference_db": abs(found - expected)}


def seconds_per_generated_image(device: str, count: int, passes: int) -> float:
    """Multimodal generation, best of 4 candidates, 128 x 128 pixels."""
    link = Link(multimodal_generation.build(1 / 16, candidates=4), awgn.build())
    sample = sample_of("photos", count, 128)
    return best_seconds(lambda: delivered(link, sample, device), passes) / len(sample.images)


def megabits_per_second(device: str, blocks: int, passes: int) -> dict[str, float]:
    """LDPC decoding with early stop about 0.5 dB above the threshold: rate 1/2, 16QAM, both base graphs."""
    speeds = {}
    for base_graph, info_bits in ((1, 8448), (2, 1024)):
        code, rng = LdpcCode(base_graph, info_bits), Rng([seed_for("blocks", block) for block in range(blocks)])
        info = (rng.uniform(info_bits) < 0.5).to(torch.uint8)
        coded = ldpc_rate.match(code.to_buffer(code.encode(info.numpy())), code, 2 * info_bits, 4, 0)
        symbols = map_bits(torch.from_numpy(coded), 4)
        received = awgn.build().carry(
            symbols[:, None], torch.full((blocks, 1), symbols.shape[1]), torch.full((blocks, 1), 6.8), rng
        )
        llr = demap(received.symbols[:, 0], received.noise_var[:, 0], 4)
        buffer = ldpc_rate.recover(llr, code, 4, 0).to(device)
        rows = code.rows_needed(ldpc_rate.last_position(code, 2 * info_bits, 0))
        seconds = best_seconds(
            lambda buffer=buffer, code=code, rows=rows: ldpc.decode(buffer, code, rows).bits.cpu(), passes
        )
        speeds[f"k = {info_bits}"] = blocks * info_bits / seconds / 1e6
    return speeds


def sweep_of(device: str, count: int, folder: Path) -> tuple[float, list[float]]:
    """Seconds of a small sweep, and the PSNR of its rows."""
    out = folder / device
    chosen = SCENARIO | {"images": {"source": "photos", "count": count, "size": 256}}
    start = time.perf_counter()
    sweep.run(scenario_from(chosen), out, device=device)
    return time.perf_counter() - start, table.read(out)["psnr"].to_pylist()


def measure(device: str, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    seconds, values = sweep_of(device, options.count, folder)
    return {
        "name": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "deepjscc": images_per_second(device, options.source, options.count, options.passes),
        "generation_s_per_image": seconds_per_generated_image(device, options.count, options.passes),
        "ldpc_megabits_per_s": megabits_per_second(device, options.blocks, options.passes),
        "sweep_s": seconds,
        "sweep_psnr_db": values,
    }


def shown(found: dict[str, dict]) -> str:
    """The table in Markdown, one column for each device."""
    lines = {
        "DeepJSCC, images/s": lambda one: f"{one['deepjscc']['images_per_s']:.2f}",
        "multimodal generation, s/image": lambda one: f"{one['generation_s_per_image']:.3f}",
        "LDPC, k = 8448, Mbit/s": lambda one: f"{one['ldpc_megabits_per_s']['k = 8448']:.1f}",
        "LDPC, k = 1024, Mbit/s": lambda one: f"{one['ldpc_megabits_per_s']['k = 1024']:.1f}",
        "sweep of 9 points, s": lambda one: f"{one['sweep_s']:.1f}",
        "largest difference of a row from the CPU, PSNR (dB)": lambda one: f"{difference(one, found['cpu']):.4f}",
    }
    head = ["quantity", *(f"{kind} ({one['name']})" for kind, one in found.items())]
    rows = [head, ["---"] * len(head), *([name, *map(text, found.values())] for name, text in lines.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def difference(one: dict, reference: dict) -> float:
    pairs = zip(one["sweep_psnr_db"], reference["sweep_psnr_db"], strict=True)
    return max(abs(first - second) for first, second in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="photos", help="image source of DeepJSCC, as in kodak (default: photos)")
    parser.add_argument("--passes", type=whole(1), default=3, help="timed passes of each measurement (default: 3)")
    parser.add_argument("--count", type=whole(1), default=8, help="images of generation and of the sweep (default: 8)")
    parser.add_argument(
        "--blocks", type=whole(1), default=512, help="code blocks that are decoded together (default: 512)"
    )
    outputs.add_option(parser, "JSON file for the numbers")
    options = parser.parse_args()
    outputs.check_file(parser, options)
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    kinds = [kind for kind in ("cpu", "cuda", "mps") if devices.is_available(kind)]
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure(kind, options, Path(folder)) for kind in kinds}
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, DeepJSCC on {options.source}\n\n{shown(found)}"
    )
    if len(kinds) == 1:
        print("\nPyTorch finds no GPU on this machine.")
    outputs.write_json(options.out, found)


if __name__ == "__main__":
    outputs.run(main)

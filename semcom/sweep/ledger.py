"""The ledger: what each end computes for one image, as columns of the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from channels import awgn
from semcom.budget.cost import Cost, measure_cost
from semcom.scenario.model import COSTS
from semcom.system import Bound, Sample, System

MEASURED = tuple(name for name in COSTS if name.endswith(("_cpu_s", "_peak_bytes")))  # stored with the run times
_SNR_DB = 10.0  # the same for all points, so that each configuration is measured once


@dataclass(frozen=True)
class Ledger:
    """What both ends compute for one image, by column; None where the counter does not see it.

    Args:
        counted: columns of the rows, equal in every run: operations, parameters, their memory, trial encodings.
        measured: columns that are stored with the run times: processor time and peak memory.
    """

    counted: dict[str, Any]
    measured: dict[str, Any]


def ledger(system: System | Bound, sample: Sample) -> Ledger:
    """Count and measure the transmission of a sample of one image over AWGN at 10 dB.

    The system must have transmitted before, so that networks are loaded and what they keep is computed.

    >>> import torch
    >>> from semcom.systems import analog
    >>> found = ledger(analog.build(cbr=1 / 8), Sample(torch.rand(1, 3, 32, 32)))
    >>> found.counted["tx_gflop"], found.counted["cost_note"]
    (None, 'not in GFLOP: tx no torch network, coding of bits; rx no torch network, coding of bits')
    """
    if isinstance(system, Bound):
        return _ledger(None)
    try:
        cost = measure_cost(system, awgn.build(), sample, _SNR_DB, repetitions=1)
    except (Exception, SystemExit) as error:  # a system that supports other conditions only; the note says so
        unknown = _ledger(None)
        return replace(
            unknown, counted=unknown.counted | {"cost_note": f"not measured: {type(error).__name__}: {error}"}
        )
    on_cpu = sample.images.device.type == "cpu"  # elsewhere the processor only waits
    return _ledger(cost, on_cpu)


def _ledger(cost: Cost | None, on_cpu: bool = True) -> Ledger:
    ends = {"tx": cost and cost.transmitter, "rx": cost and cost.receiver}
    counted: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    for name, end in ends.items():
        network = end if end and end.is_counted else None
        counted |= {
            f"{name}_gflop": network and network.flops / 1e9,
            f"{name}_parameters": network and network.parameters,
            f"{name}_bytes": network and network.parameter_bytes,
        }
        measured |= {
            f"{name}_cpu_s": end.cpu_s if end and on_cpu else None,
            f"{name}_peak_bytes": end and end.peak_bytes,
        }
    counted["tx_encodings"] = cost and cost.transmitter.encodings
    notes = [f"{name} {', '.join(end.uncounted)}" for name, end in ends.items() if end and end.uncounted]
    counted["cost_note"] = f"not in GFLOP: {'; '.join(notes)}" if notes else ""
    return Ledger(counted, measured)

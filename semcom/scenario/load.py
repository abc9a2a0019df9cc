"""Load a scenario from a file or a dictionary, and write one as YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semcom import discover
from semcom.scenario.model import Scenario, Variant


def load_scenario(path: str | Path, overrides: Sequence[str] = (), count: bool = True) -> Scenario:
    """Read and check a scenario file.

    Args:
        path: path of the YAML file.
        overrides: settings such as "sweep.snr_db=[0, 10]" or "digital.codec=webp" that replace values of the file.
        count: whether to check that image sources have as many images as are used, which imports torch.

    Raises:
        UsageError: anything in the file or the overrides is invalid; the message names file and line.
    """
    from semcom.scenario.document import read_document
    from semcom.scenario.parse import parse_scenario

    return parse_scenario(read_document(Path(path)), overrides, count)


def scenario_from(data: Mapping[str, Any], overrides: Sequence[str] = (), name: str = "scenario") -> Scenario:
    """Check a scenario given as a dictionary.

    Args:
        data: keys and values of a scenario file.
        overrides: settings such as "sweep.snr_db=[0, 10]" that replace values of the dictionary.
        name: name of the scenario in error messages.

    Raises:
        UsageError: anything in the dictionary or the overrides is invalid.

    >>> scenario = scenario_from({
    ...     "systems": ["analog"], "channel": "awgn", "medium_cbr": 0.0625, "sweep": {"snr_db": [0, 10]},
    ...     "images": {"source": "photos", "count": 2, "size": 64}, "metrics": ["psnr"],
    ... })
    >>> len(scenario.points())
    2
    """
    from semcom.scenario.document import Document
    from semcom.scenario.parse import parse_scenario

    return parse_scenario(Document(deepcopy(dict(data)), name), overrides)


def variant(kind: discover.Kind, text: str, overrides: Sequence[str] = ()) -> Variant:
    """A system or channel with its arguments, NAME or NAME:KEY=VALUE,..., without a scenario.

    >>> dict(variant("channel", "rician:k_factor_db=3").arguments)["k_factor_db"]
    3.0
    >>> dict(variant("channel", "rician", ["rician.k_factor_db=3"]).arguments)["k_factor_db"]
    3.0
    """
    from semcom.scenario.parse import parse_variant

    return parse_variant(kind, text, overrides)


def to_yaml(scenario: Scenario) -> str:
    """The scenario as a YAML file with every argument and default written out."""
    from semcom.scenario.document import dump

    def as_mapping(variant: Variant) -> dict[str, Any]:
        message = {} if variant.message is None else {"message": variant.message}
        arguments = {key: plain(value) for key, value in variant.arguments}
        return {"name": variant.name, "label": variant.label} | message | arguments

    def plain(value: object) -> object:
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    images = [
        {key: plain(value) for key, value in asdict(one).items() if value not in (None, False, "", ())}
        for one in scenario.images
    ]
    data = {
        "title": scenario.title,
        "systems": [as_mapping(system) for system in scenario.systems],
        "channel": [as_mapping(channel) for channel in scenario.channels],
        "medium_cbr": list(scenario.medium_cbr),
        "sweep": {"snr_db": list(scenario.snr_db), "users": list(scenario.users)}
        | {axis.name: plain(axis.values) for axis in scenario.axes},
        "user_snr_offsets_db": list(scenario.user_snr_offsets_db),
        "images": images if len(images) > 1 else images[0],
        "metrics": list(scenario.metrics),
        "repetitions": scenario.repetitions,
        "seed": scenario.seed,
        "batch": scenario.batch,
        "threads": scenario.threads,
    }
    if scenario.symbol_rate_hz is not None:
        data["symbol_rate_hz"] = scenario.symbol_rate_hz
    if scenario.stop is not None:
        data["stop"] = asdict(scenario.stop)
    return dump(data)

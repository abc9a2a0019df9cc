"""The registry, which reads source files, agrees with the imported modules."""

import importlib

import pytest

from channels.extras import is_installed
from semcom import discover
from semcom.images.sources import SOURCES
from semcom.metrics import fidelity, perceptual
from semcom.metrics.metric import metric


def first_line(function):
    """First docstring line of a function, or of the public function with the same name."""
    public = (getattr(module, function.__name__.lstrip("_"), None) for module in (fidelity, perceptual))
    return next(text for text in (function.__doc__, *(other.__doc__ for other in public if other)) if text).partition(
        "\n"
    )[0]


def test_metrics_have_the_description_unit_and_direction_of_their_definition():
    for name, entry in discover.metrics().items():
        defined = metric(name)
        assert (entry.summary, entry.unit, entry.higher_is_better) == (
            first_line(defined.function),
            defined.unit,
            defined.higher_is_better,
        )


def test_all_metrics_of_the_modules_are_found():
    modules = {entry.module for entry in discover.metrics().values()}
    defined = [name for module in sorted(modules) for name in importlib.import_module(module).METRICS]
    assert sorted(defined) == sorted(discover.metrics())


def test_sources_have_the_description_of_their_definition():
    assert discover.sources() == {name: first_line(source) for name, source in SOURCES.items()}


@pytest.mark.parametrize("kind", ["system", "channel"])
def test_every_entry_has_a_title_for_figures(kind):
    titles = [discover.title(kind, name) for name in discover.entries(kind)]
    assert not [title for title in titles if title in discover.entries(kind) or "_" in title]
    assert len(set(titles)) == len(titles)
    assert discover.title(kind, "A label") == "A label"


def test_the_description_of_a_system_begins_with_its_title():
    assert not [
        entry.name for entry in discover.entries("system").values() if not entry.summary.startswith(entry.title)
    ]


def test_bounds_are_the_systems_that_build_a_bound():
    for entry in discover.entries("system").values():
        if is_installed(entry.extra):
            built = entry.load().__annotations__["return"]
            assert entry.bound == (getattr(built, "__name__", built) != "System"), entry.name


@pytest.mark.parametrize(
    ("first", "second", "different"),
    [("cdl", "tdl", {"model"}), ("rician", "rayleigh", set()), ("awgn", "rayleigh", set())],
)
def test_arguments_that_channels_share_are_described_alike(first, second, different):
    """Each file states its arguments for itself, because they are read without an import; the copies do not diverge."""
    one, other = (discover.entries("channel")[name].arguments for name in (first, second))
    shared = one.keys() & other.keys()
    assert len(shared) >= 4
    assert {name for name in shared if one[name] != other[name]} == different

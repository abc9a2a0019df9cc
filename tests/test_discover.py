"""What is read from the source, without importing it, against what the imported source says of itself."""

from semcom import discover, images, metrics


def first_line(function, module):
    """Of its docstring, or of that of the public function whose name it bears."""
    told = function.__doc__ or getattr(module, function.__name__.lstrip("_")).__doc__
    return told.partition("\n")[0]


def test_metrics_are_described_by_their_functions():
    told = {name: first_line(metric.function, metrics) for name, metric in metrics.METRICS.items()}
    assert discover.metrics() == told


def test_sources_are_described_by_their_functions():
    assert discover.sources() == {name: first_line(source, images) for name, source in images.SOURCES.items()}

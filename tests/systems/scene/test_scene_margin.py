"""The SNR margin of the label map: the highest expected mIoU over the channel."""

import pytest
import torch

from channels import awgn, rayleigh, seed_for, uplink
from semcom.images import streets
from semcom.link import Link
from semcom.system import Sample
from semcom.systems import scene
from semcom.systems.scene import metrics
from semcom.systems.scene.agreement import map_miou

ROWS = 40
CBR = 1 / 48
SEEDS = [seed_for("scene margin", row) for row in range(ROWS)]


@pytest.fixture(scope="module")
def street():
    return streets.render_street(1, (96, 128))


class TrueLabels:
    """Segmentation network that returns a known map for every image."""

    def __init__(self, labels):
        self.known = labels

    def labels(self, images):
        return self.known.expand(len(images), -1, -1)


def link(street, channel, **arguments):
    system = scene.build(cbr=CBR, weights="none", restorer="class_colors", packets=1, **arguments)
    system.transmitter.segmenter = TrueLabels(torch.from_numpy(street.labels).long())
    return Link(system, channel)


def deliver(street, channel, rows=ROWS, users=1, **arguments):
    image, labels = torch.from_numpy(street.pixels).permute(2, 0, 1) / 255, torch.from_numpy(street.labels).long()
    sample = Sample(image.expand(rows, -1, -1, -1), labels=labels.expand(rows, -1, -1))
    return link(street, channel, **arguments).deliver(sample, 12.0, SEEDS[:rows], users)


def score(delivery):
    """mIoU of each row's label map by the metric, lost maps 0."""
    intersection, union = metrics.label_map_miou(delivery)
    return (intersection / union.clamp(min=1)).sum(1) / (union > 0).sum(1)


def mean_miou(street, **arguments):
    return score(deliver(street, rayleigh.build(), **arguments)).mean().item()


def test_the_default_is_the_best_of_all_margins_over_block_fading(street):
    chosen = mean_miou(street)
    others = {margin_db: mean_miou(street, margin_db=margin_db) for margin_db in (0.0, 6.0, 12.0)}
    assert chosen > others[0.0] + 0.1
    assert chosen > max(others.values()) - 0.03


def test_the_default_is_better_than_a_small_and_a_large_margin_for_superposed_users(street):
    chosen, none, large = (
        score(deliver(street, uplink.build(), 40, 2, **margin)).mean()
        for margin in ({}, {"margin_db": 0.0}, {"margin_db": 12.0})
    )
    assert chosen > none
    assert chosen > large + 0.1


def test_without_fading_the_margin_is_0_and_a_given_one_is_kept(street):
    default, zero = (deliver(street, awgn.build(), 1, **margin) for margin in ({}, {"margin_db": 0.0}))
    assert default.truth["scheme"] == zero.truth["scheme"]
    assert torch.equal(default.reception.labels, zero.reception.labels)
    built = link(street, rayleigh.build(), margin_db=0.0)
    assert built.transmitter is built.system.transmitter


def test_the_map_score_is_that_of_the_metric(street):
    delivery = deliver(street, awgn.build(), 1, downsampling=8, margin_db=0.0)
    assert map_miou(delivery.reception.labels[0], delivery.sample.labels[0]) == pytest.approx(score(delivery).item())

"""Transmission of images in tests, and rates over its rows."""

import torch

from channels import awgn
from semcom.link import Link
from semcom.metrics.metric import measure
from semcom.system import Sample


def deliver(system, images, snr_db=10.0, message=None, channel=None):
    with torch.inference_mode():
        sample = Sample(images, message=message)
        return Link(system, channel or awgn.build()).deliver(sample, snr_db, list(range(len(images))))


def rate(metric, delivery):
    numerator, denominator = measure(metric, delivery)
    return float(numerator.sum() / denominator.sum())

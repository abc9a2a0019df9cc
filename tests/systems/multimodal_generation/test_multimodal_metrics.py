"""Metrics of multimodal generation."""

from dataclasses import replace

import torch
from small_clip import small_clip
from torch.nn import functional

from channels import awgn
from semcom.link import Link
from semcom.metrics.metric import measure
from semcom.system import Sample
from semcom.systems import analog
from semcom.systems.multimodal_generation import metrics
from semcom.systems.multimodal_generation.networks.classifier import Classifier


class ColorClassifier(Classifier):
    """Classifier whose class is the brightest color and whose features are the mean color."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def features(self, images):
        return images.mean((2, 3))

    def forward(self, images):
        return self.features(images)


def test_metrics_of_generated_images(monkeypatch):
    clip = small_clip(monkeypatch).eval()
    images = torch.rand(5, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(metrics, "_clip", lambda name: clip)
    monkeypatch.setattr(metrics, "_classifier", lambda name: ColorClassifier())
    sent, received = images[:3], images[2:5]
    captions = ("a red wall", "tench", "a green wall")
    categories = torch.tensor([0, 1, 2])
    sample = Sample(sent, captions=captions, categories=categories)

    with torch.inference_mode():
        delivery = Link(analog.build(cbr=1 / 4), awgn.build()).deliver(sample, 10.0, [0, 1, 2])
        delivery = replace(delivery, reception=replace(delivery.reception, images=received))
        features = clip.image_features
        cosines = functional.cosine_similarity(features(sent), features(received))
        expected = functional.cosine_similarity(
            clip.text_features(["a red wall", "a photo of a tench", "a green wall"]), features(received)
        )
        assert torch.allclose(measure("clip_image_similarity", delivery), cosines, atol=1e-5)
        assert torch.allclose(measure("clip_text_similarity", delivery)[0], expected, atol=1e-5)
        assert measure("clip_text_similarity", delivery)[1].tolist() == [1, 1, 1]
        right = (received.mean((2, 3)).argmax(1) == categories).long()
        assert measure("class_accuracy", delivery)[0].tolist() == right.tolist()
        right = (sent.mean((2, 3)).argmax(1) == categories).long()
        assert measure("class_accuracy_ceiling", delivery)[0].tolist() == right.tolist()
        means = functional.cosine_similarity(sent.mean((2, 3)), received.mean((2, 3)))
        assert torch.allclose(measure("mobilenet_similarity", delivery), means, atol=1e-5)
        candidates = torch.stack([sent, received], 1)
        pair = replace(delivery, reception=replace(delivery.reception, candidates=candidates))
        assert torch.allclose(measure("candidate_diversity", pair)[0], 1 - means, atol=1e-5)
        assert measure("candidate_diversity", delivery)[1].tolist() == [0, 0, 0]
        bare = replace(delivery, sample=Sample(sent))
        for name in ("clip_text_similarity", "class_accuracy", "class_accuracy_ceiling"):
            assert [part.tolist() for part in measure(name, bare)] == [[0, 0, 0], [0, 0, 0]]

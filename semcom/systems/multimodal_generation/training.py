"""What the networks of multimodal generation optimise, by part."""

from __future__ import annotations

from channels._errors import UsageError
from semcom.training_task import Task


def training(
    part: str = "clip",
    trained: str = "heads",
    initial: str = "imagenet",
    sentences: str = "minilm",
    autoencoder: str = "multimodal_autoencoder",
    features: str = "multimodal_features",
    clip: str = "multimodal_clip",
) -> Task:
    """Train one of the networks.

    Args:
        part: "clip"; "classifier", the judge of classes; "autoencoder", "features" or "generator"; "drawing"
            goes on with a generator, by what it draws.
        trained: of the clip's picture tower: "heads", "deep" or "all".
        initial: where pretrained parts start: "imagenet", or "random" for nothing.
        sentences: the clip's text teacher, "minilm" or "none".
        autoencoder, features, clip: weight files of the networks that a part builds on; "none" is random ones.
    """
    from semcom.systems.multimodal_generation import classifier_training, clip_training, generator_training

    if part == "clip":
        return clip_training.contrasting(trained, initial, sentences)
    if part == "classifier":
        return classifier_training.classifying(initial)
    if part == "autoencoder":
        return generator_training.autoencoding(initial)
    if part == "features":
        return generator_training.featuring(autoencoder, initial)
    if part == "generator":
        return generator_training.generating(autoencoder, features, clip, initial)
    if part == "drawing":
        return generator_training.drawing(autoencoder, features, clip, initial)
    raise UsageError(f"part must be clip, classifier, autoencoder, features, generator or drawing, not {part!r}")

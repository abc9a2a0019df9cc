"""Training of the networks of multimodal generation."""

from __future__ import annotations

from channels.errors import UsageError
from semcom.training.task import Task


def training(
    part: str = "clip",
    trained: str = "heads",
    initial: str = "imagenet",
    sentences: str = "minilm",
    autoencoder: str = "multimodal_autoencoder",
    features: str = "multimodal_features",
    clip: str = "multimodal_clip",
) -> Task:
    """Return the training task of one network.

    Args:
        part: network to train: "clip"; "classifier", the evaluation network of `class_accuracy`; "autoencoder";
            "features"; "generator"; "fine_tuning", a trained generator by its generated images.
        trained: layers of CLIP's image encoder that are trained: "heads", the projection only; "deep", the last stages
            too; "all".
        initial: initial weights of pretrained networks: "imagenet", or "random" for tests.
        sentences: sentence-embedding network that supervises CLIP's text encoder: "minilm" or "none".
        autoencoder: weight file of the autoencoder that a part builds on; "none" is random weights.
        features: weight file of the image features that a part builds on; "none" is random weights.
        clip: weight file of the CLIP that a part builds on; "none" is random text features.

    Raises:
        UsageError: unknown part, or an unknown value of another argument.
    """
    from semcom.systems.multimodal_generation.training.classifier import classifier_task
    from semcom.systems.multimodal_generation.training.clip import clip_task
    from semcom.systems.multimodal_generation.training.encoders import autoencoder_task, features_task
    from semcom.systems.multimodal_generation.training.generator import fine_tuning_task, generator_task

    if part == "clip":
        return clip_task(trained, initial, sentences)
    if part == "classifier":
        return classifier_task(initial)
    if part == "autoencoder":
        return autoencoder_task(initial)
    if part == "features":
        return features_task(autoencoder, initial)
    if part == "generator":
        return generator_task(autoencoder, features, clip, initial)
    if part == "fine_tuning":
        return fine_tuning_task(autoencoder, features, clip, initial)
    raise UsageError(f"part must be clip, classifier, autoencoder, features, generator or fine_tuning, not {part!r}")

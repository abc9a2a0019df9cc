"""Arguments, presets and calibration of multimodal generation."""

from types import SimpleNamespace

import pytest
import torch
from small_system import CBR, FixedImages, build_small

from channels import awgn
from channels.errors import UsageError
from channels.rng import seed_for
from semcom.images.sources import load
from semcom.link import Link
from semcom.system import Sample
from semcom.systems import multimodal_generation
from semcom.systems.multimodal_generation.calibration import measure_scales
from semcom.systems.multimodal_generation.networks import presets, stable_diffusion
from semcom.systems.multimodal_generation.networks.features import ImageFeatures
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures


def test_preset_base_is_built_around_a_pipeline(networks, monkeypatch):
    def load_stable_diffusion(name, *arguments):
        return stable_diffusion.StableDiffusion(SimpleNamespace(name=name, components={}), *arguments)

    monkeypatch.setattr(stable_diffusion, "load_stable_diffusion", load_stable_diffusion)
    generator, identity = presets.load_generator("base", networks.clip, networks.features, networks.autoencoder, "")
    assert generator.pipeline.name == identity == stable_diffusion.TURBO
    assert generator.word_features.shape == (len(generator.words), 8)
    assert generator.coarse_image(NoisyFeatures.missing(1, 128)).shape == (1, 3, 128, 128)


def test_features_and_autoencoder_must_have_the_same_latent(networks, monkeypatch):
    weights = {"multimodal_features": ImageFeatures(2, 8, 8), "multimodal_autoencoder": networks.autoencoder}
    monkeypatch.setattr("semcom.weights.files.rebuild", lambda name, system, make: (weights[name], name))
    monkeypatch.setattr(presets, "load_clip", lambda preset, name: networks.clip)
    with pytest.raises(UsageError, match="8 latent channels, autoencoder_weights have 4"):
        presets.load_encoders("tiny", "", "", "")


def test_scales_are_standard_deviations_over_the_candidates(networks, photos):
    images, system = load("photos", 6, 128), build_small(networks, FixedImages(photos), candidates=4)
    scales = measure_scales(system, images, [0.0, 10.0])
    sample, link = Sample(torch.stack([photo.pixels for photo in images])), Link(system, awgn.build())
    image, text = [], []
    for snr in (0.0, 10.0):
        reception = link.deliver(sample, snr, [seed_for("scales", snr, photo.name) for photo in images]).reception
        image.append(reception.details.image_errors.std(1).mean().item())
        text.append(reception.details.text_errors.std(1).mean().item())
    assert scales.image == pytest.approx(sum(image) / 2, rel=1e-3)
    assert scales.text == pytest.approx(sum(text) / 2, rel=1e-3)
    with pytest.raises(UsageError, match="require 2 candidates or more"):
        measure_scales(build_small(networks, FixedImages(photos), candidates=1), images, [10.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"candidates": 0}, "candidates must be 1 to 256"),
        ({"candidates": 257}, "candidates must be 1 to 256, not 257"),
        ({"steps": 0}, "steps must be 1 to 500"),
        ({"steps": 501}, "not 501"),
        ({"cbr": -1.0}, "cbr must be"),
    ],
)
def test_arguments_out_of_range_are_refused_in_one_line(networks, wrong, message):
    with pytest.raises(UsageError, match=message) as caught:
        build_small(networks, **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "word", "choices"),
    [
        ("selection", "worst", "best, first, random"),
        ("image_stream", "analogue", "analog, digital, none"),
        ("text_stream", "captions", "analog, digital, caption, class, none"),
        ("description", "vocabulary", "caption, words"),
    ],
)
def test_unknown_words_are_refused_with_the_choices(networks, unchecked, argument, word, choices):
    with pytest.raises(UsageError, match=f"{argument} must be one of {choices}, not '{word}'"):
        build_small(networks, **{argument: word})


def test_bundled_files_of_other_parts_are_refused():
    with pytest.raises(UsageError, match=r"clip_weights: multimodal_generator .*: use multimodal_clip"):
        presets.load_encoders("tiny", "multimodal_generator", "", "")
    with pytest.raises(UsageError, match=r"autoencoder_weights: multimodal_features .*: use multimodal_autoencoder"):
        presets.load_encoders("tiny", "none", "none", "multimodal_features")


def test_build_refuses_before_it_loads_networks(unchecked):
    with pytest.raises(UsageError, match="generator must be one of diffusion, retrieval, not 'gan'"):
        multimodal_generation.build(cbr=CBR, generator="gan")
    with pytest.raises(UsageError, match="clip_guidance must be 0 to 1, not 7"):
        multimodal_generation.build(cbr=CBR, generator="retrieval", clip_guidance=7.0)
    with pytest.raises(UsageError, match="gallery_count requires generator: retrieval"):
        multimodal_generation.build(cbr=CBR, gallery_count=3)
    with pytest.raises(UsageError, match="image_weight"):
        multimodal_generation.build(cbr=CBR, image_weight=2.0)
    for guidance in ({"text_guidance": 9.0}, {"clip_guidance": 0.1}):
        with pytest.raises(UsageError, match="require preset: tiny"):
            multimodal_generation.build(cbr=CBR, preset="base", **guidance)
    with pytest.raises(UsageError, match="text_guidance must be 0 to 20, not -1"):
        multimodal_generation.build(cbr=CBR, text_guidance=-1.0)

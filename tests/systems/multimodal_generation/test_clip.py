"""CLIP: the small CLIP of this project and checkpoints in open_clip's format."""

import json

import numpy as np
import pytest
import their_models
import torch
from PIL import Image
from small_clip import TEXTS, small_clip
from torch.nn import functional

from semcom import UsageError, images, weights
from semcom.systems.multimodal_generation.networks import clip as clip_module
from semcom.systems.multimodal_generation.networks.clip import SYSTEM, load_clip
from semcom.systems.multimodal_generation.training import clip as clip_training
from semcom.systems.multimodal_generation.words import CLASSES, TEMPLATES, VOCABULARY


@pytest.fixture
def five_images():
    return torch.rand(5, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def test_tokens_are_those_of_open_clip_renumbered(monkeypatch):
    import open_clip

    clip, tokenizer = small_clip(monkeypatch), open_clip.SimpleTokenizer(context_length=32)
    texts = ["a red wall", "A Yellow, WALL", *TEMPLATES, "zyx " * 40]
    tokens, original = clip.tokens(texts), tokenizer(texts)
    known = torch.isin(original, clip.vocabulary) & (original > 0)
    assert torch.equal(clip.vocabulary[tokens[known] - 2], original[known])
    assert (tokens[(original > 0) & ~known] == 1).all()
    assert (tokens[original == 0] == 0).all()
    assert (~known & (original > 0)).any()
    assert torch.equal(tokens.argmax(1), original.argmax(1))  # position from which open_clip takes the text features
    assert tokens.max() == clip.model.vocab_size - 1


def test_a_text_that_is_cut_is_shown_as_cut(monkeypatch):
    clip = small_clip(monkeypatch)
    assert clip.cut("a red wall") == "a red wall"
    words = " ".join(["wall"] * 30)  # with start and end token all 32 of the context
    assert clip.cut(words) == words
    assert clip.cut(f"{words} and more") == f"{words} ..."


def test_tokens_of_few_captions_are_left_out_and_class_names_stay(monkeypatch):
    monkeypatch.setattr(clip_training, "_LEAST", 5)
    clip = small_clip(monkeypatch)
    assert (clip.tokens(["wall"])[0, 1:2] > 1).all()  # in all 16 captions
    assert (clip.tokens(["zebra"])[0, 1:2] == 1).all()
    for name in CLASSES:
        assert not (clip.tokens([TEMPLATES[0].format(name)]) == 1).any()


def test_features_are_unit_vectors_that_do_not_depend_on_the_batch(monkeypatch, five_images):
    clip = small_clip(monkeypatch).eval()
    texts = ["a red wall", "green", "", "a blue wall and a dog in front of it"]
    with torch.no_grad():
        for features, alone in (
            (clip.image_features(five_images), [clip.image_features(image[None]) for image in five_images]),
            (clip.text_features(texts), [clip.text_features([text]) for text in texts]),
        ):
            assert features.shape == (len(alone), clip.dimension)
            assert torch.allclose(features.norm(dim=1), torch.ones(len(alone)), atol=1e-5)
            assert torch.allclose(features, torch.cat(alone), atol=1e-5)
            assert (features[0] - features[1]).norm() > 1e-3


def test_best_words_are_the_closest_of_the_vocabulary(monkeypatch, five_images):
    clip = small_clip(monkeypatch).eval()
    similarity = (
        clip.image_features(five_images) @ clip.text_features([f"a photo of a {word}" for word in VOCABULARY]).T
    )
    for row, text in zip(similarity.tolist(), clip.best_words(five_images, 3), strict=True):
        best = sorted(range(len(VOCABULARY)), key=lambda index: -row[index])[:3]
        assert text == "a photo of a " + ", ".join(VOCABULARY[index] for index in best)
    with pytest.raises(UsageError, match="count must be 1 to"):
        clip.best_words(five_images, 0)


def test_a_weight_file_rebuilds_it(monkeypatch, tmp_path, five_images):
    clip = small_clip(monkeypatch).eval()
    saved = weights.save(tmp_path / "c.safetensors", clip, SYSTEM, clip.configuration, {})
    again = load_clip("tiny", str(tmp_path / "c.safetensors"))
    assert again.name == saved.id
    assert again.words == clip.words
    assert torch.equal(again.vocabulary, clip.vocabulary)
    assert torch.allclose(again.image_features(five_images), clip.image_features(five_images), atol=0.01)
    assert torch.allclose(again.text_features(TEXTS[:5]), clip.text_features(TEXTS[:5]), atol=0.01)
    assert not any(value.requires_grad for value in again.parameters())
    with pytest.raises(UsageError, match="preset must be one of tiny, base"):
        load_clip("large", "none")


@pytest.fixture
def checkpoint(tmp_path):
    return their_models.clip(tmp_path / "their_clip")


def test_a_folder_gives_the_features_of_open_clip(checkpoint):
    import open_clip

    clip = load_clip("base", str(checkpoint))
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{checkpoint}")
    noise = np.random.default_rng(0).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((60, 48), Image.Resampling.BICUBIC)
    texts = ["a dog runs", "two men on a bench"]
    with torch.no_grad():
        image_features = model.eval().encode_image(preprocess(image)[None], normalize=True)
        text_features = model.encode_text(open_clip.get_tokenizer(f"local-dir:{checkpoint}")(texts), normalize=True)
    assert (
        functional.cosine_similarity(clip.image_features(images.to_tensor(image)[None]), image_features).item() > 0.9999
    )
    assert torch.allclose(clip.text_features(texts), text_features, atol=1e-5)
    assert (clip.name, clip.dimension) == (str(checkpoint), 24)
    assert clip.best_words(images.to_tensor(image)[None], 2)[0].count(",") == 1


def test_a_file_of_weights_is_that_of_the_named_architecture(checkpoint, tmp_path, monkeypatch):
    import open_clip

    config = json.loads((checkpoint / "open_clip_config.json").read_text())["model_cfg"]
    (tmp_path / "ViT-tiny-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "ViT-tiny-test.json")
    monkeypatch.setattr(clip_module, "ARCHITECTURE", "ViT-tiny-test")
    file = checkpoint / "open_clip_model.safetensors"
    by_file, by_folder = load_clip("base", str(file)), load_clip("base", str(checkpoint))
    assert torch.equal(by_file.text_features(["a dog"]), by_folder.text_features(["a dog"]))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UsageError, match="or is damaged") as raised:
        load_clip("base", str(file))
    assert "\n" not in str(raised.value)


def test_offline_the_hub_is_not_contacted(monkeypatch, tmp_path):
    import socket

    from huggingface_hub import constants

    def refuse(*arguments, **named):
        raise AssertionError("a connection was opened")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("none", "somebody/clip-that-is-not-cached"):
        with pytest.raises(
            UsageError, match=r"neither a folder, .* on the hub.*; give the path of its folder"
        ) as raised:
            load_clip("base", name)
        assert "\n" not in str(raised.value)

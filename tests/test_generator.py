"""The diffusion half of multimodal generation: features, autoencoder, generator, and pipelines on disk."""

import inspect
from dataclasses import replace

import pytest
import their_models
import torch

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.crops import Crops
from semcom.images import load
from semcom.systems.multimodal_generation import clip as clips
from semcom.systems.multimodal_generation.air import Heard, from_symbols, to_symbols
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.clip_guidance import ClipGuidance
from semcom.systems.multimodal_generation.features import ImageFeatures
from semcom.systems.multimodal_generation.flow import integrate, normal_velocity
from semcom.systems.multimodal_generation.generator import Generator, Guidance, TinyGenerator, told
from semcom.systems.multimodal_generation.pretrained import load_stable_diffusion
from semcom.systems.multimodal_generation.selection import text_errors
from semcom.systems.multimodal_generation.teacher import Teacher, distance
from semcom.train import Run
from semcom.train_settings import Settings
from semcom.weights import seeded

TEXT = 6


@pytest.fixture(scope="module")
def tiny():
    with seeded(3):
        generator = Generator(latent=4, channels=2, text=TEXT, widths=(32, 32))
        torch.nn.init.normal_(generator.unet.conv_out.weight, std=0.1)  # it starts at zero, which hides everything
        networks = Autoencoder(4, 8), ImageFeatures(2, 8, 4), generator
    return TinyGenerator(*(network.eval().requires_grad_(False) for network in networks))


def features_of(rows, noise=0.3, first=0):
    """Features of picture and text as a channel might leave them."""
    rng = Rng([seed_for("features", first + row) for row in range(rows)])
    image, text = rng.normal(128), rng.normal(TEXT)
    return Heard(image, torch.full_like(image, noise)), Heard(text, torch.full_like(text, noise))


def seeds(rows, first=0):
    return Rng([seed_for("row", first + row) for row in range(rows)])


def test_features_have_unit_power_and_do_not_see_other_rows():
    with seeded(0):
        network = ImageFeatures(channels=4, width=8).eval()
    images = Rng([1, 2, 3]).uniform(3, 128, 128)
    with torch.no_grad():
        together, alone = network(images), network(images[1:2])
    torch.testing.assert_close(together.square().mean(1), torch.ones(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_features_name_the_size_they_take():
    with pytest.raises(UsageError, match="128x128, not 96x64: resize"):
        ImageFeatures(channels=2, width=8)(torch.zeros(1, 3, 64, 96))
    with pytest.raises(UsageError, match="multiples of 8"):
        Autoencoder(4, 8).encode(torch.zeros(1, 3, 20, 32))


@pytest.mark.parametrize("reals", [6, 7])
def test_numbers_travel_two_to_a_use_at_unit_energy(reals):
    values = Rng([1, 2]).normal(reals)
    values = values / values.square().mean(1, keepdim=True).sqrt()
    symbols = to_symbols(values)
    assert symbols.shape == (2, -(-reals // 2))
    torch.testing.assert_close(symbols.abs().square().sum(1), torch.full((2,), reals / 2))
    heard = from_symbols(symbols, torch.tensor([[0.5, 0.0, *[2.0] * (symbols.shape[1] - 2)]] * 2), reals)
    torch.testing.assert_close(heard.values, values)
    assert heard.noise[0, :5].tolist() == [0.5, 0.5, torch.inf, torch.inf, 2.0]


def test_noise_on_numbers_is_what_is_said():
    symbols = Rng([5]).complex_normal(20_000, variance=torch.tensor([0.4]))
    heard = from_symbols(symbols, torch.full((1, 20_000), 0.4), 40_000)
    assert heard.noise.unique().tolist() == [pytest.approx(0.4)]
    assert heard.values.var().item() == pytest.approx(0.4, abs=5 * 0.4 * (2 / 40_000) ** 0.5)


def test_velocity_is_the_conditional_expectation():
    """Regression of n - x on x_s over draws, against the closed form."""
    mean, variance, count = 0.7, 0.4, 200_000
    x, n = Rng([8]).normal(2, count)[0]
    x = mean + variance**0.5 * x
    for s in (0.15, 0.5, 0.9):
        noisy = (1 - s) * x + s * n
        slope = torch.cov(torch.stack([noisy, n - x]))[0, 1] / noisy.var()
        intercept = (n - x).mean() - slope * noisy.mean()
        at = torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)
        found = normal_velocity(at, torch.tensor([s]), torch.full_like(at, mean), variance)
        torch.testing.assert_close(found.flatten(), slope * at.flatten() + intercept, atol=0.03, rtol=0)


def test_sampler_reaches_a_normal_distribution_at_first_order():
    """The exact flow takes noise n to mean + deviation n; Euler's error halves with the step."""
    noise = Rng([4]).normal(2, 4, 4)
    mean, variance = Rng([5]).normal(2, 4, 4), 0.25

    def error(steps):
        drawn = integrate(lambda noisy, time: normal_velocity(noisy, time, mean, variance), noise, steps)
        return (drawn - (mean + variance**0.5 * noise)).abs().max().item()

    assert error(200) < 0.02
    assert error(50) / error(200) == pytest.approx(4, rel=0.15)


def test_untrained_generator_draws_around_the_estimate():
    with seeded(1):
        networks = Autoencoder(4, 8).eval(), ImageFeatures(2, 8, 4).eval(), Generator(4, 2, TEXT, (32, 32)).eval()
    condition = told(networks[1], *features_of(2))
    noise = seeds(2).normal(4, 16, 16)
    with torch.no_grad():
        drawn = integrate(lambda noisy, time: networks[2](noisy, time, condition), noise, 20)
    torch.testing.assert_close(drawn, condition.latents + 0.5**0.5 * noise, atol=0.2, rtol=0)


def test_candidates_are_nested_and_rows_do_not_see_each_other(tiny):
    four = tiny.generate(*features_of(2), seeds(2), 4, 3)
    assert four.shape == (2, 4, 3, 128, 128)
    assert 0 <= four.min() < four.max() <= 1
    two = tiny.generate(*features_of(2), seeds(2), 2, 3)
    torch.testing.assert_close(two, four[:, :2], atol=1e-5, rtol=0)
    alone = tiny.generate(*features_of(1, first=1), seeds(1, first=1), 4, 3)
    torch.testing.assert_close(alone[0], four[1], atol=1e-5, rtol=0)
    assert (four[0, 0] - four[0, 1]).abs().max() > 0.01


def test_generator_leaves_the_global_random_state_alone(tiny):
    before = torch.random.get_rng_state()
    tiny.generate(*features_of(1), seeds(1), 1, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_features_that_never_came_are_no_condition(tiny):
    lost = told(tiny.features, *features_of(2, torch.inf))
    nothing = told(tiny.features, *features_of(2)).kept(torch.zeros(2), torch.zeros(2))
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.2, 0.8])
    torch.testing.assert_close(tiny.generator(noisy, time, lost), tiny.generator(noisy, time, nothing))
    assert torch.isfinite(tiny.generate(*features_of(2, torch.inf), seeds(2), 1, 2)).all()


@pytest.mark.parametrize("part", ["image", "text"])
def test_each_condition_matters(tiny, part):
    condition = told(tiny.features, *features_of(1))
    has = {"image": torch.ones(1), "text": torch.ones(1)} | {part: torch.zeros(1)}
    noisy, time = seeds(1).normal(4, 16, 16), torch.tensor([0.5])
    with_both = tiny.generator(noisy, time, condition)
    assert (with_both - tiny.generator(noisy, time, condition.kept(**has))).abs().max() > 1e-4


@pytest.mark.parametrize(("image", "text"), [(1.0, 1.0), (2.0, 2.0), (1.0, 3.0), (2.0, 6.0), (0.0, 0.0)])
def test_guidance_adds_up_what_each_kind_of_features_changes(tiny, image, text):
    told_both = told(tiny.features, *features_of(2))
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.2, 0.8])

    def velocity(has_image, has_text):
        has = torch.full((2,), has_image), torch.full((2,), has_text)
        return tiny.generator(noisy, time, told_both.kept(*has))

    nothing, of_image, both = velocity(0.0, 0.0), velocity(1.0, 0.0), velocity(1.0, 1.0)
    expected = nothing + image * (of_image - nothing) + text * (both - of_image)
    guided = replace(tiny, guidance=Guidance(image, text))
    torch.testing.assert_close(guided.velocity(told_both)(noisy, time), expected, atol=1e-4, rtol=1e-4)


def test_guidance_calls_the_network_no_oftener_than_it_must(tiny):
    calls = []
    handle = tiny.generator.register_forward_hook(lambda *_: calls.append(1))
    for guidance, expected in (
        (Guidance(1.0, 1.0), 1),
        (Guidance(2.0, 2.0), 2),
        (Guidance(1.0, 3.0), 2),
        (Guidance(2.0, 6.0), 3),
    ):
        calls.clear()
        replace(tiny, guidance=guidance).generate(*features_of(1), seeds(1), 1, 1)
        assert len(calls) == expected
    handle.remove()


@pytest.mark.parametrize(
    ("part", "crop", "loss"),
    [
        ("autoencoder", 32, "absolute"),
        ("features", 128, "latent"),
        ("generator", 128, "velocity"),
        ("drawing", 128, "drawn"),
    ],
)
def test_training_lowers_what_it_should(tmp_path, monkeypatch, part, crop, loss):
    from semcom.systems.multimodal_generation import generator_training, training

    tasks = {
        "autoencoder": lambda: generator_training.autoencoding("random"),
        "features": lambda: generator_training.featuring("none", "random"),
        "generator": lambda: generator_training.generating("none", "none", "none", "random"),
        "drawing": lambda: replace(generator_training.drawing("none", "none", "none", "random"), continues=""),
    }
    monkeypatch.setattr(training, "training", tasks[part])
    settings = Settings(
        "multimodal_generation", rows=2, crop=crop, steps=1000, learning_rate=0.02, snr_db=(-10.0, 20.0)
    )
    run = Run(settings, tmp_path)
    sample = Crops(["photos"], 2, crop, 1.0, 0).sample(0)
    sample = type(sample)(sample.images, captions=("a dog", "a boat"))
    first = run.advance(sample)[loss]
    for _ in range(8):
        run.advance(sample)
    run.step = 0  # the same draws as at first
    assert run.advance(sample)[loss] < first


def test_training_builds_on_the_bundled_networks():
    from semcom.systems.multimodal_generation.networks import DEFAULTS
    from semcom.systems.multimodal_generation.training import training

    defaults = {name: parameter.default for name, parameter in inspect.signature(training).parameters.items()}
    around = ("autoencoder", "features", "clip")
    assert {name: defaults[name] for name in around} == {name: DEFAULTS[name] for name in around}


def test_validation_takes_pictures_of_any_size():
    from semcom.systems.multimodal_generation import generator_training

    pictures = load("photos", 2)
    assert pictures[0].pixels.shape != pictures[1].pixels.shape
    found = generator_training.autoencoding("random").measure(pictures)
    assert 0 < found["psnr_db"] < 40


@pytest.fixture(scope="module")
def by_clip(tiny):
    with seeded(6):
        clip = clips.tiny(words=["dog"], dimension=TEXT, width=16, trunk="test_efficientnet")
    return ClipGuidance(clip.eval().requires_grad_(False), tiny.autoencoder, 0.05)


def test_clip_guidance_goes_where_the_text_error_falls_fastest(tiny, by_clip):
    latents, text = seeds(3).normal(4, 16, 16), features_of(3)[1]

    def errors(moved):
        pictures = tiny.autoencoder.decode(moved).clamp(0, 1)
        return sum(text_errors(by_clip.clip.image_features(seen), text) for seen in (pictures, pictures.flip(3)))

    gradient = by_clip.gradient(latents, text)
    torch.testing.assert_close(gradient.square().mean((1, 2, 3)), torch.ones(3))
    with torch.no_grad():
        along = errors(latents + 0.02 * gradient) - errors(latents - 0.02 * gradient)
        for number in range(5):
            other = Rng([seed_for("other", number, row) for row in range(3)]).normal(4, 16, 16)
            other = other / other.square().mean((1, 2, 3), keepdim=True).sqrt()
            across = errors(latents + 0.02 * other) - errors(latents - 0.02 * other)
            assert (along > 3 * across.abs()).all()


def test_clip_guidance_moves_the_end_of_a_step_and_only_where_text_came_in(tiny, by_clip):
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.25, 0.5])
    of_text = features_of(2)[1]
    text = Heard(of_text.values, torch.stack([of_text.noise[0], torch.full((TEXT,), torch.inf)]))
    velocity = tiny.velocity(told(tiny.features, features_of(2)[0], text))
    with torch.no_grad():
        plain, steered = velocity(noisy, time), by_clip.guided(velocity, text)(noisy, time)
        moved = time[:, None, None, None] * (plain - steered)  # of the ends x - s v
        gradient = by_clip.gradient(noisy - time[:, None, None, None] * plain, text)
    torch.testing.assert_close(moved, -0.05 * gradient, atol=1e-5, rtol=1e-4)
    assert moved[0].abs().max() > 0.05
    assert not moved[1].any()
    assert torch.equal(by_clip.guided(velocity, text)(noisy, time + 0.3), velocity(noisy, time + 0.3))


def test_clip_guidance_changes_candidates_and_needs_no_gradients_around(tiny, by_clip):
    with torch.inference_mode():
        three = replace(tiny, clip_guidance=by_clip).generate(*features_of(7), seeds(7), 3, 2)
    assert 0 <= three.min() < three.max() <= 1
    assert ((three - tiny.generate(*features_of(7), seeds(7), 3, 2)).abs().amax((2, 3, 4)) > 1e-3).all()


def test_clip_guidance_says_what_it_cannot_do(by_clip):
    with pytest.raises(UsageError, match="clip_guidance must be 0 to 1, not 2"):
        replace(by_clip, strength=2.0)
    with torch.inference_mode():
        built = replace(by_clip, autoencoder=Autoencoder(4, 8))
    with pytest.raises(UsageError, match=r"build the system outside torch\.inference_mode"):
        built.guided(lambda noisy, time: noisy, features_of(1)[1])


def test_what_is_drawn_teaches_each_step_as_if_its_place_were_given(tiny):
    from semcom.systems.multimodal_generation.generator_training import _drawn

    network, condition, noise = tiny.generator, told(tiny.features, *features_of(2)), seeds(2).normal(4, 16, 16)
    places = []

    def velocity(noisy, time):
        places.append((noisy, time))
        return network(noisy, time, condition)

    parameter = network.image[0].weight.requires_grad_(True)
    with torch.no_grad():
        expected = integrate(velocity, noise, 8)
    drawn = _drawn(lambda noisy, time: network(noisy, time, condition), noise, (1, 6))
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-5)
    (found,) = torch.autograd.grad(drawn.square().sum(), parameter)
    share = sum(-network(*places[step], condition) / 8 for step in (1, 6))
    (wanted,) = torch.autograd.grad(share, parameter, grad_outputs=2 * expected)
    parameter.requires_grad_(False)
    assert wanted.abs().max() > 0
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return their_models.stable_diffusion(tmp_path_factory.mktemp("turbo"))


def turbo(folder):
    def coarse(image):
        return (0.5 + 0.2 * image.values[:, :3, None, None]).clamp(0, 1).expand(-1, -1, 16, 16)

    return load_stable_diffusion(str(folder), coarse, ["dog", "boat", "tree", "sky", "car"], torch.eye(5, TEXT))


def test_stable_diffusion_is_read_from_a_folder(folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    generator = turbo(folder)
    assert generator.side == 64
    three = generator.generate(*features_of(2), seeds(2), 3, 2)
    assert three.shape == (2, 3, 3, 64, 64)
    assert 0 <= three.min() < three.max() <= 1
    assert (three[0, 0] - three[0, 1]).abs().max() > 1e-3
    two = generator.generate(*features_of(1, first=1), seeds(1, first=1), 2, 2)
    torch.testing.assert_close(two[0], three[1, :2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_stable_diffusion_takes_the_steps_that_are_asked(folder, steps):
    generator, taken = turbo(folder), []
    generator.pipeline.unet.register_forward_hook(lambda *_: taken.append(1))
    for reliability in (0, 0.3, 0.5, 1):
        taken.clear()
        noise = 1 / reliability - 1 if reliability else torch.inf
        generator.generate(*features_of(1, noise), seeds(1), 1, steps)
        assert len(taken) == steps


def test_stable_diffusion_is_prompted_by_the_nearest_words(folder):
    values = torch.tensor([[0.0, 3, 1, 2, 0, 9], [1, 0, 0, 0, 0, 0]])
    text = Heard(values, torch.tensor([0.5, torch.inf])[:, None].expand(2, TEXT))
    assert turbo(folder).prompts(text) == ["a photo of a boat, sky, tree", ""]


def test_missing_stable_diffusion_says_what_to_do_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (str(tmp_path), "nobody/nothing"):
        with pytest.raises(UsageError, match="give a folder that holds it") as raised:
            load_stable_diffusion(name, lambda image: image.values, ["dog"], torch.eye(1))
        assert "\n" not in str(raised.value)


def test_the_teacher_says_what_its_whole_network_says_and_is_at_no_distance_from_itself():
    with seeded(1):
        teacher = Teacher("random")
    images, others = seeds(4).uniform(3, 64, 64).split(2)
    with torch.no_grad():
        stages = teacher.stages(images, 5)
        whole = teacher.network((images * 255 - 127) / 128).softmax(1)
        torch.testing.assert_close(teacher.verdict(stages[3]), whole)
        torch.testing.assert_close(teacher.logits(stages[4]).softmax(1), whole)
        torch.testing.assert_close(distance(teacher, images, images), torch.zeros(2))
        by_hand = sum(
            2 - 2 * torch.nn.functional.cosine_similarity(one, other, 1).mean((1, 2))
            for one, other in zip(stages[:3], teacher.stages(others, 3), strict=True)
        )
        torch.testing.assert_close(distance(teacher, images, others), by_hand, atol=1e-5, rtol=1e-4)

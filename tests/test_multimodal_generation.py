"""Multimodal generation as a system: what its streams carry, and the laws of choosing among candidates."""

from dataclasses import dataclass, field, replace
from functools import partial

import jaxtyping
import pytest
import torch
from PIL import Image

from channels import awgn, broadcast, rayleigh, tdl, uplink
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom import check
from semcom.images import Entry, load
from semcom.link import Link
from semcom.metrics import ms_ssim
from semcom.system import Sample, uses_for
from semcom.systems import multimodal_generation
from semcom.systems.digital import header
from semcom.systems.multimodal_generation import captions, networks, quantiser, retrieval, scales, wire
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.clip import tiny as tiny_clip
from semcom.systems.multimodal_generation.features import ImageFeatures
from semcom.systems.multimodal_generation.generator import Generator, TinyGenerator
from semcom.systems.multimodal_generation.selection import (
    Criterion,
    Understood,
    image_errors,
    kept,
    oracle,
    reselected,
    text_errors,
)
from semcom.systems.multimodal_generation.words import CLASSES, sentence
from semcom.weights import seeded

CBR = 1 / 64  # 768 uses of a picture of 128 x 128
TEXTS = ("two dogs run", "a red boat", "a girl climbs")
VOCABULARY = 49408


@dataclass
class Still:
    """In place of a generator: the same pictures for everyone; it keeps what it was told."""

    pictures: torch.Tensor
    told: list = field(default_factory=list)

    def generate(self, image, text, rng, candidates, steps):
        self.told.append((image, text))
        return self.pictures[:candidates].expand(len(rng), -1, -1, -1, -1)


@pytest.fixture(scope="module")
def small():
    """All networks, next to nothing inside, but for the words that CLIP knows."""
    with seeded(5):
        clip = tiny_clip(VOCABULARY, dimension=8, width=16, trunk="test_efficientnet")
        features, space = ImageFeatures(2, 8, 4), Autoencoder(4, 8)
        generator = Generator(latent=4, channels=2, text=8, widths=(32, 32))
    for network in (clip, features, space, generator):
        network.eval().requires_grad_(False)
    return networks.Networks(clip, features, space, TinyGenerator(space, features, generator))


@pytest.fixture(scope="module")
def photos():
    return torch.stack([picture.pixels for picture in load("photos", 4, 128)])


def around(small, draws=None, criterion=None, **arguments):
    arguments = {"cbr": CBR, "candidates": 2, "steps": 2} | arguments
    used = small if draws is None else replace(small, draws=draws)
    return multimodal_generation.system_around(used, criterion or Criterion(), **arguments)


@pytest.fixture
def unchecked(monkeypatch):
    """Arguments are not compared with their annotations, as outside the tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def deliver(system, images, snr_db=10.0, users=1, channel=None, categories=None, first=0):
    rows = slice(first, first + len(images))
    sample = Sample(images, captions=TEXTS[rows], categories=categories)
    return Link(system, channel or awgn.build()).deliver(sample, snr_db, list(range(rows.start, rows.stop)), users)


# --- streams -------------------------------------------------------------------------------------------------------


def unit(rows, reals):
    values = Rng([seed_for("unit", row) for row in range(rows)]).normal(reals)
    return values * values.square().mean(1, keepdim=True).rsqrt()


@pytest.mark.parametrize("times", [1, 4])
def test_repeats_are_combined_to_as_much_less_noise(times):
    values = unit(1, 20_000)
    sent = wire.to_air(values, 10_000 * times)
    assert sent.abs().square().mean().item() == pytest.approx(1, abs=1e-4)
    variance = (torch.arange(10_000 * times) % 3 + 1) * 0.2
    noise = Rng([9]).complex_normal(10_000 * times) * variance.sqrt()
    heard = wire.from_air(sent + noise, variance[None], 20_000)
    weights = (1 / variance).view(times, 10_000).sum(0).repeat_interleave(2)
    torch.testing.assert_close(heard.noise[0], 1 / weights)
    normal = (heard.values - values) / heard.noise.sqrt()
    assert normal.var().item() == pytest.approx(1, abs=5 * (2 / 20_000) ** 0.5)


def test_a_small_grant_carries_the_first_numbers():
    values = unit(2, 40)
    sent = wire.to_air(values, 6)
    torch.testing.assert_close(sent.abs().square().mean(1), torch.ones(2))
    heard = wire.from_air(sent, torch.full((2, 6), 0.1), 40)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(heard.values[:, :12], values[:, :12]), torch.ones(2)
    )
    assert heard.noise.isinf().sum(1).tolist() == [28, 28]
    assert not heard.values[:, 12:].any()


@pytest.mark.parametrize(
    ("bits", "least", "most"), [(1, 0.3633, 0.3635), (2, 0.1174, 0.1188), (3, 0.03454, 0.03744), (4, 0.0095, 0.01154)]
)
def test_the_quantiser_lies_between_those_of_max(bits, least, most):
    """His of unequal cells, and of equal ones that stand for their middles (1960); and the noise is what it says."""
    assert least < quantiser.quantiser(bits).distortion < most
    values = Rng([2]).normal(50_000)[0]
    heard = quantiser.from_bits(quantiser.to_bits(values, bits * 50_000 + 7)[None], 50_000)
    assert (heard.values[0] * values).mean().item() == pytest.approx(1, abs=0.03)
    assert (heard.values[0] - values).square().mean().item() == pytest.approx(heard.noise[0, 0].item(), rel=0.05)


def test_less_than_a_bit_a_number_tells_the_first_signs():
    heard = quantiser.from_bits(quantiser.to_bits(torch.tensor([1.0, -1.0, 1.0]), 2)[None], 3)
    assert (heard.values.sign().tolist(), heard.noise.isinf().tolist()) == ([[1, -1, 0]], [[False, False, True]])


def test_tokens_tell_the_whole_sentence(small):
    bits = captions.token_bits(small.clip)
    assert bits == 16
    tokens = captions.tokens_of(small.clip, TEXTS[0])
    payload = captions.to_bits(tokens, bits, 160)
    torch.testing.assert_close(
        captions.features_of(small.clip, payload[None], bits), small.clip.text_features([TEXTS[0]])
    )
    cut = captions.to_bits(tokens, bits, 32).view(2, 16)
    assert cut.tolist() == captions.to_bits(tokens[[0, -1]], bits, 32).view(2, 16).tolist()


@pytest.mark.parametrize("size", [(128, 128), (40, 56)])
@pytest.mark.parametrize("text", ["analogue", "digital", "caption", "class", "none"])
@pytest.mark.parametrize("image", ["analogue", "digital", "none"])
def test_shares_never_exceed_the_grant(image, text, size):
    if image == text == "none":
        with pytest.raises(UsageError, match="nothing to send"):
            wire.Wire(CBR, image, text, 512, 256, 12)
        return
    for cbr in (1 / 1000, 1 / 256, 1 / 64, 1 / 12):
        agreement = wire.Wire(cbr, image, text, 512, 256, 12)
        share = agreement.share(size)
        assert min(share.header, share.image, share.text) >= 0
        assert share.total <= uses_for(cbr, size)
        assert (share.image > 0) <= (image != "none")
        assert (share.text > 0) <= (text != "none")
    assert share.total > 0.7 * uses_for(cbr, size)
    assert (share.header > 0) == bool({image, text} & {"digital", "caption"})


def test_the_header_is_paid_for_by_those_that_need_it():
    def share(image, text):
        return wire.Wire(1 / 64, image, text, 512, 256, 12).share((128, 128))

    assert share("analogue", "analogue") == wire.Share(0, 512, 256)
    assert share("analogue", "caption") == wire.Share(header.USES, 512, 256 - header.USES)
    assert share("digital", "analogue") == wire.Share(header.USES, 512 - header.USES, 256)
    assert share("digital", "digital").text == 256 - header.USES // 2
    for granted in (20, 40, 66, 70, 90):  # where no coded stream fits there is no header, and the others have all
        found = wire.Wire(granted / (3 * 128 * 128), "analogue", "caption", 512, 256, 12).share((128, 128))
        assert found.header or found == wire.Share(0, granted, 0)


def test_a_class_has_what_it_needs_and_leaves_the_rest():
    needs = wire.class_uses()
    for granted, image, text in (
        (2 * needs - 1, 2 * needs - 1, 0),
        (2 * needs, needs, needs),
        (200, 200 - needs, needs),
        (768, 512, 256),
    ):
        found = wire.Wire(granted / (3 * 128 * 128), "analogue", "class", 512, 256, 12).share((128, 128))
        assert found == wire.Share(0, image, text)
    alone = wire.Wire(needs / (3 * 128 * 128), "none", "class", 512, 256, 12).share((128, 128))
    assert alone == wire.Share(0, 0, needs)


@pytest.mark.parametrize("streams", [("analogue", "analogue"), ("digital", "caption"), ("analogue", "digital")])
def test_a_clear_channel_brings_the_features_themselves(small, photos, streams):
    draws = Still(photos)
    system = around(small, draws, image_stream=streams[0], text_stream=streams[1])
    delivery = deliver(system, photos[:2], snr_db=40.0)
    wanted = small.features(photos[:2]), 8**0.5 * small.clip.text_features(TEXTS[:2])
    for heard, right in zip(draws.told[0], wanted, strict=True):
        least = 2 * heard.noise + 1e-4  # what is said of the noise is what there is
        assert ((heard.values - right).square().mean(1) < least.mean(1) + 0.02).all()
        assert (heard.noise < 0.02).all()
    share = system.transmitter.agreement.share((128, 128))
    assert delivery.uses.tolist() == [share.total] * 2
    coded = sum(stream != "analogue" for stream in streams)
    blocks = delivery.reception.blocks
    assert (blocks is None and not coded) or blocks.tolist() == [coded] * 2


def test_the_class_arrives_where_nothing_else_does(small, photos):
    draws = Still(photos)
    system = around(small, draws, image_stream="none", text_stream="class")
    delivery = deliver(system, photos[:2], snr_db=-10.0, categories=torch.tensor([3, 9]))
    image, text = draws.told[0]
    assert image.noise.isinf().all()
    assert not text.noise.any()
    names = small.clip.text_features([sentence(CLASSES[3]), sentence(CLASSES[9])])
    torch.testing.assert_close(text.values, names * 8**0.5)
    assert not delivery.reception.outage.any()
    with pytest.raises(UsageError, match="0 to 9, not 10"):
        deliver(system, photos[:1], categories=torch.tensor([10]))


def test_what_is_lost_is_known_to_be(small, photos):
    draws = Still(photos)
    delivery = deliver(around(small, draws, image_stream="digital", text_stream="caption"), photos[:2], snr_db=-30.0)
    for heard in draws.told[0]:
        assert heard.noise.isinf().all()
        assert not heard.values.any()
    assert delivery.reception.outage.all()
    assert delivery.reception.block_errors.tolist() == delivery.reception.blocks.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("image", "text", "cbr"),
    [
        ("digital", "caption", 0.0005),
        ("digital", "none", 0.0005),
        ("none", "caption", 0.0005),
        ("none", "class", 0.0005),
        ("analogue", "analogue", 1e-6),
    ],
)
def test_streams_that_do_not_fit_are_an_outage(small, photos, image, text, cbr):
    system = around(small, Still(photos), cbr=cbr, image_stream=image, text_stream=text)
    delivery = deliver(system, photos[:2], snr_db=40.0, categories=torch.tensor([3, 9]))
    assert not delivery.uses.any()
    assert delivery.reception.outage.all()
    assert delivery.reception.blocks is None


def test_a_stream_that_does_not_fit_is_no_outage_beside_one_that_does(small, photos):
    def received(image):
        system = around(small, Still(photos), cbr=0.002, image_stream=image, text_stream="class")
        assert not system.transmitter.agreement.share((128, 128)).text
        return deliver(system, photos[:2], snr_db=40.0, categories=torch.tensor([3, 9])).reception

    assert received("analogue").outage is None
    digital = received("digital")
    assert not digital.outage.any()
    assert (digital.blocks.tolist(), digital.block_errors.tolist()) == ([1, 1], [0, 0])


def test_a_picture_without_a_caption_is_told_in_words(small, photos):
    system = around(small)
    sample = Sample(photos[:1])
    said = system.transmitter.encode(sample, torch.tensor([5.0]), Rng([1])).truth["description"]
    assert said == small.clip.best_words(photos[:1])
    words = around(small, description="words").transmitter
    assert words.encode(replace(sample, captions=TEXTS[:1]), torch.tensor([5.0]), Rng([1])).truth["description"] == said


@pytest.mark.parametrize("law", ["batch", "air", "power", "spends"])
def test_coded_streams_keep_the_laws(small, law):
    laws = {found.__name__: found for found in check.SYSTEM_LAWS}
    named = {
        "batch": "system_draws_ignore_the_batch",
        "air": "the_receiver_needs_only_the_air",
        "power": "power_is_as_the_rule_says",
        "spends": "it_sends_what_it_is_granted",
    }
    build = partial(around, small, image_stream="digital", text_stream="caption")
    assert laws[named[law]](check.Trial(lambda cbr: build(cbr=cbr), 64, 1 / 16)) is None


# --- candidates ----------------------------------------------------------------------------------------------------


def test_more_candidates_never_score_worse_and_one_is_no_choice(small, photos):
    four = deliver(around(small, candidates=4), photos[:2], snr_db=0.0).reception
    assert four.scores.shape == (2, 4)
    assert (four.chosen == four.scores.argmin(1)).all()
    torch.testing.assert_close(four.images, four.candidates[torch.arange(2), four.chosen])
    best = torch.stack([reselected(four, Criterion(), candidates=count).scores.amin(1) for count in (1, 2, 3, 4)])
    assert (best.diff(dim=0) <= 0).all()
    assert (best[-1] <= four.scores.mean(1)).all()
    two = deliver(around(small, candidates=2), photos[:2], snr_db=0.0).reception
    torch.testing.assert_close(two.scores, four.scores[:, :2], atol=1e-4, rtol=1e-4)
    again = reselected(four, Criterion(), candidates=2)
    torch.testing.assert_close(two.images, again.images, atol=1e-5, rtol=0)
    one = reselected(four, Criterion(), candidates=1)
    for unchosen in (one, reselected(four, Criterion(), "first")):
        assert torch.equal(unchosen.images, four.candidates[:, 0])
    best_of_quality = oracle(four, torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0]]))
    assert best_of_quality.chosen.tolist() == [2, 0]
    assert torch.equal(best_of_quality.images[0], four.candidates[0, 2])


def test_a_random_choice_is_the_receivers_own(small, photos):
    rows = [seed_for("choice", row) for row in range(4000)]
    counts = torch.bincount(kept(torch.zeros(4000, 4), "random", Rng(rows)), minlength=4)
    assert ((counts - 1000).abs() < 5 * (4000 * 0.25 * 0.75) ** 0.5).all()
    draws = Still(photos)
    chosen = deliver(around(small, draws, keep="random", candidates=4), photos[:2]).reception
    again = reselected(chosen, Criterion(), "random", rng=Rng([0, 1]).derive("decode"))
    assert torch.equal(chosen.chosen, again.chosen)


def test_the_choice_becomes_the_noiseless_one(small):
    """Of eight candidates around the truth, chosen by features that come in with ever less noise."""
    features, reals = small.features, small.features.dimension
    truth = unit(300, reals)
    candidates = truth[:, None] + 0.5 * Rng([seed_for("around", row) for row in range(300)]).normal(8, reals)
    noise = Rng([seed_for("noise", row) for row in range(300)]).normal(reals)

    def of_image(found, heard):
        return image_errors(*(Understood.of_features(features, None, one) for one in (Heard.exact(found), heard)))

    @torch.no_grad()
    def chosen(error, variance):
        heard = Heard(truth + variance**0.5 * noise, torch.full((300, reals), variance))
        return torch.stack([error(candidates[row], heard[row : row + 1]) for row in range(300)]).argmin(1)

    for error in (of_image, text_errors):
        right = [(chosen(error, 10 ** (-snr / 10)) == chosen(error, 0.0)).float().mean() for snr in (-10, 5, 20, 60)]
        assert right == sorted(right)
        assert right[0] < 0.5
        assert right[-1] > 0.98  # some candidates are as good as equal


def test_the_receiver_chooses_among_pictures_as_without_noise(small, photos):
    """Of eight pictures drawn at 0 dB, by features that cross the air with ever less noise."""
    rows, text = 64, TEXTS[0]
    drawn = deliver(around(small, candidates=8), photos[:1], 0.0).reception.candidates[0]
    with torch.no_grad():
        truth = Heard.exact(small.features(photos[:1]))
        seen = Understood.of_pictures(small.features, drawn)
        of_image = image_errors(seen, Understood.of_features(small.features, small.autoencoder, truth))
        of_text = text_errors(small.clip.image_features(drawn), Heard.exact(small.clip.text_features([text])))
    noiseless = Criterion().scores(of_image[None], of_text[None]).argmin()
    link = Link(around(small, Still(drawn), candidates=8), awgn.build())
    sample = Sample(photos[:1].expand(rows, -1, -1, -1), captions=(text,) * rows)
    right = [
        (link.deliver(sample, snr_db, list(range(rows))).reception.chosen == noiseless).float().mean()
        for snr_db in (-20.0, 0.0, 20.0, 60.0)
    ]
    assert right == sorted(right)
    assert right[0] < 0.9
    assert right[-1] == 1


def test_errors_of_image_features_add_readings_and_structure(small, photos):
    features, space = small.features, small.autoencoder
    with torch.no_grad():
        heard = Heard(unit(1, features.dimension), torch.full((1, features.dimension), 0.1))
        seen = Understood.of_pictures(features, photos[:3])
        read = features.read(Heard.exact(features(photos[:3])))
        cosine = torch.nn.functional.cosine_similarity(read, features.read(heard), dim=1).mean((1, 2))
        alike = [ms_ssim(photo[None], space.decode(features.estimate(heard)).clamp(0, 1)) for photo in photos[:3]]
        found = image_errors(seen, Understood.of_features(features, space, heard))
        alone = image_errors(seen, Understood.of_features(features, None, heard))
    torch.testing.assert_close(found, 1 - cosine + 1.5 * (1 - torch.cat(alike)))
    torch.testing.assert_close(alone, 1 - cosine)


def test_lost_features_have_no_say(small):
    found, lost = unit(5, 16), Heard.nothing(1, 16)
    assert text_errors(found, lost).tolist() == [1] * 5
    came_in = torch.arange(16)[None] < 8
    half = Heard(torch.where(came_in, found[2], 0), torch.where(came_in, 0.1, torch.inf))
    assert int(text_errors(found, half).argmin()) == 2
    features = small.features
    with torch.no_grad():
        seen = Understood.of_features(features, small.autoencoder, Heard.exact(unit(5, features.dimension)))
        told = Understood.of_features(features, small.autoencoder, Heard.nothing(1, features.dimension))
        assert image_errors(seen, told).tolist() == [1] * 5


def test_each_weight_asks_its_own_network(small, photos):
    untrained = replace(small, autoencoder=None)  # it shows nothing like what its features tell
    reception = deliver(around(untrained, Still(photos), candidates=4), photos[:2], snr_db=20.0).reception
    image, text = (reselected(reception, Criterion(weight, 0.1, 0.1)) for weight in (1.0, 0.0))
    torch.testing.assert_close(image.scores, 10 * reception.image_errors)
    torch.testing.assert_close(text.scores, 10 * reception.text_errors)
    assert image.chosen.tolist() == [0, 1]  # what was sent is among the candidates


@pytest.mark.parametrize(
    "channel", [awgn.build(), rayleigh.build(), tdl.build(csi="ls")], ids=["awgn", "rayleigh", "tdl"]
)
def test_users_do_not_disturb_each_other(small, photos, channel):
    together = deliver(around(small), photos[:3], users=3, channel=channel)
    for user in range(3):
        alone = deliver(around(small), photos[user : user + 1], channel=channel, first=user)
        assert together.medium_uses.tolist() == [3 * int(alone.medium_uses[0])] * 3
        row = slice(user, user + 1)
        torch.testing.assert_close(together.reception.images[row], alone.reception.images, atol=1e-5, rtol=0)
        torch.testing.assert_close(together.reception.scores[row], alone.reception.scores, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("channel", "sent"),
    [(uplink.build(antennas=16), [0, 1, 2]), (broadcast.build(fading="rayleigh"), [0, 0, 0])],
    ids=["uplink", "broadcast"],
)
def test_each_user_is_told_what_was_sent_to_it_as_noisily_as_it_knows(small, photos, channel, sent):
    media, told = 10, Still(photos)
    sample = Sample(photos[:3].repeat(media, 1, 1, 1), captions=TEXTS * media)
    Link(around(small, told), channel).deliver(sample, 15.0, list(range(3 * media)), users=3)
    with torch.no_grad():
        images = small.features(photos[sent])
        texts = small.clip.text_features([sentence(TEXTS[row]) for row in sent]) * small.clip.dimension**0.5
    for heard, own in zip(told.told[0], (images, texts), strict=True):
        normal = (heard.values - own.repeat(media, 1)) / heard.noise.sqrt()
        spread = normal.square().unflatten(0, (media, 3)).mean((0, 2))
        within = 6 * (2 / (media * own.shape[1])) ** 0.5
        torch.testing.assert_close(spread, torch.ones(3), atol=within, rtol=0)


def test_pictures_of_other_sizes_come_back_in_theirs(small, photos):
    delivery = deliver(around(small), photos[:1, :, :72, :101])
    assert delivery.reception.images.shape == (1, 3, 72, 101)
    assert delivery.reception.candidates.shape == (1, 2, 3, 72, 101)


# --- baselines, presets and wrong inputs -----------------------------------------------------------------------------


def test_retrieval_finds_the_picture_that_was_sent(small, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path))
    eyes = small.clip, small.features
    for _ in range(2):  # computed, then read
        known = retrieval.gallery("photos", *eyes, "none", Criterion(1.0), 3)
        delivery = deliver(around(replace(small, autoencoder=None), known, Criterion(1.0)), photos[1:3], snr_db=20.0)
        torch.testing.assert_close(delivery.reception.images, photos[1:3])
        assert not delivery.reception.chosen.any()  # the nearest comes first
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    with pytest.raises(UsageError, match="fewer than 9 candidates"):
        deliver(around(small, known, candidates=9), photos[:1])
    with pytest.raises(UsageError, match="no image source 'nowhere'"):
        retrieval.gallery("photos + nowhere:train", *eyes, "none", Criterion())
    with pytest.raises(UsageError, match="gallery_count cannot be 99"):
        retrieval.gallery("photos", *eyes, "none", Criterion(), 99)


def test_a_replaced_picture_is_seen_anew(small, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "known").mkdir()

    def features_of(colour):
        Image.new("RGB", (128, 128), colour).save(tmp_path / "known" / "one.png")
        folder, eyes = f"folder:{tmp_path / 'known'}", (small.clip, small.features)
        return retrieval.gallery(folder, *eyes, "none", Criterion()).image

    red, blue = features_of("red"), features_of("blue")
    assert (red - blue).abs().max() > 0.1
    assert torch.equal(features_of("blue"), blue)


def test_pictures_without_files_are_told_apart_by_what_they_show():
    def entry(level):
        return Entry("one", lambda: Image.new("RGB", (4, 4), (level, 0, 0)))

    assert retrieval._content(entry(1)) == retrieval._content(entry(1))
    assert retrieval._content(entry(1)) != retrieval._content(entry(2))


def test_a_pipeline_is_told_in_its_own_words(small, monkeypatch):
    from semcom.systems.multimodal_generation import pretrained

    monkeypatch.setattr(pretrained, "load_stable_diffusion", pretrained.StableDiffusion)
    made, identity = networks.drawing("base", small.clip, small.features, small.autoencoder, "")
    assert made.pipeline == identity == pretrained.TURBO
    assert made.directions.shape == (len(made.words), 8)
    assert made.coarse(Heard.nothing(1, 128)).shape == (1, 3, 128, 128)


def test_features_and_latents_belong_together(small, monkeypatch):
    found = {"multimodal_features": ImageFeatures(2, 8, 8), "multimodal_autoencoder": small.autoencoder}
    monkeypatch.setattr("semcom.weights.rebuild", lambda name, system, make: (found[name], name))
    monkeypatch.setattr(networks.clips, "load", lambda preset, name: small.clip)
    with pytest.raises(UsageError, match="8 channels of a latent, autoencoder_weights have 4"):
        networks.seeing("tiny", "", "", "")


def test_scales_are_spreads_over_the_candidates(small, photos):
    pictures, system = load("photos", 6, 128), around(small, Still(photos), candidates=4)
    found = scales.spreads(system, pictures, [0.0, 10.0])
    sample, link = Sample(torch.stack([picture.pixels for picture in pictures])), Link(system, awgn.build())
    image, text = [], []
    for snr in (0.0, 10.0):
        reception = link.deliver(sample, snr, [seed_for("scales", snr, picture.name) for picture in pictures]).reception
        image.append(reception.image_errors.std(1).mean().item())
        text.append(reception.text_errors.std(1).mean().item())
    assert found.image == pytest.approx(sum(image) / 2, rel=1e-3)
    assert found.text == pytest.approx(sum(text) / 2, rel=1e-3)
    with pytest.raises(UsageError, match="take two or more"):
        scales.spreads(around(small, Still(photos), candidates=1), pictures, [10.0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"candidates": 0}, "candidates must be 1 to 256"),
        ({"candidates": 257}, "not 257 and 2"),
        ({"steps": 0}, "steps 1 to 500"),
        ({"steps": 501}, "not 2 and 501"),
        ({"cbr": -1.0}, "cbr must be"),
    ],
)
def test_wrong_arguments_are_named_in_a_line(small, wrong, said):
    with pytest.raises(UsageError, match=said) as caught:
        around(small, **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "word", "choices"),
    [
        ("keep", "worst", "best, first, random"),
        ("image_stream", "analog", "analogue, digital, none"),
        ("text_stream", "captions", "analogue, digital, caption, class, none"),
        ("description", "bank", "caption, words"),
    ],
)
def test_misspelt_words_are_answered_with_the_choices(small, unchecked, argument, word, choices):
    with pytest.raises(UsageError, match=f"{argument} must be one of {choices}, not '{word}'"):
        around(small, **{argument: word})


def test_wrong_scores_and_choices_are_named(small, photos):
    with pytest.raises(UsageError, match="image_weight must be 0 to 1"):
        Criterion(1.5)
    for wrong in (0.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="image_scale must be a number above 0"):
            Criterion(0.5, wrong)
        with pytest.raises(UsageError, match="text_scale must be a number above 0"):
            Criterion(0.5, 1.0, wrong)
    reception = deliver(around(small, Still(photos)), photos[:1]).reception
    with pytest.raises(UsageError, match="2 candidates were made, 3"):
        reselected(reception, Criterion(), candidates=3)
    with pytest.raises(UsageError, match="needs rng"):
        reselected(reception, Criterion(), "random")
    with pytest.raises(UsageError, match="has candidates to choose from"):
        reselected(replace(reception, candidates=None), Criterion())
    for shape in ((1, 3), (2, 2)):
        with pytest.raises(UsageError, match="1 rows of 2 candidates need as many qualities"):
            oracle(reception, torch.zeros(shape))


def test_a_misspelt_choice_is_not_any(small, photos, unchecked):
    reception = deliver(around(small, Still(photos)), photos[:1]).reception
    with pytest.raises(UsageError, match="keep must be one of best, first, random, not 'worst'"):
        reselected(reception, Criterion(), "worst")


def test_a_gallery_of_fewer_pictures_than_candidates_is_refused_before_it_is_seen():
    with pytest.raises(UsageError, match="the gallery has 3 pictures, fewer than 4 candidates"):
        multimodal_generation.build(
            CBR,
            4,
            generator="retrieval",
            gallery="photos",
            gallery_count=3,
            clip_weights="none",
            features_weights="none",
        )


def test_bundled_files_of_other_parts_are_recognised(small):
    with pytest.raises(UsageError, match=r"clip_weights: multimodal_generator .*: take multimodal_clip"):
        networks.seeing("tiny", "multimodal_generator", "", "")
    with pytest.raises(UsageError, match=r"autoencoder_weights: multimodal_features .*: take multimodal_autoencoder"):
        networks.seeing("tiny", "none", "none", "multimodal_features")


def test_build_refuses_before_it_loads_networks(unchecked):
    with pytest.raises(UsageError, match="generator must be one of diffusion, retrieval, not 'gan'"):
        multimodal_generation.build(cbr=CBR, generator="gan")
    with pytest.raises(UsageError, match="clip_guidance must be 0 to 1, not 7"):
        multimodal_generation.build(cbr=CBR, generator="retrieval", clip_guidance=7.0)
    with pytest.raises(UsageError, match="gallery_count is of generator: retrieval"):
        multimodal_generation.build(cbr=CBR, gallery_count=3)
    with pytest.raises(UsageError, match="image_weight"):
        multimodal_generation.build(cbr=CBR, image_weight=2.0)
    for guidance in ({"text_guidance": 9.0}, {"clip_guidance": 0.1}):
        with pytest.raises(UsageError, match="of preset: tiny alone"):
            multimodal_generation.build(cbr=CBR, preset="base", **guidance)
    with pytest.raises(UsageError, match="text_guidance must be 0 to 20, not -1"):
        multimodal_generation.build(cbr=CBR, text_guidance=-1.0)

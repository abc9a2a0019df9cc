"""Selection among candidates: scores, errors, nested candidates and the oracle."""

from dataclasses import replace

import pytest
import torch
from small_system import TEXTS, FixedImages, build_small, deliver, unit_rows

from channels import awgn
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom.link import Link
from semcom.metrics.fidelity import ms_ssim
from semcom.system import Sample
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.selection import (
    CandidateErrors,
    Criterion,
    ExtractedFeatures,
    image_errors,
    oracle,
    reselected,
    select,
    text_errors,
)


def test_more_candidates_never_score_worse_and_one_is_no_selection(networks, photos):
    four = deliver(build_small(networks, candidates=4), photos[:2], snr_db=0.0).reception
    assert four.scores.shape == (2, 4)
    assert (four.chosen == four.scores.argmin(1)).all()
    torch.testing.assert_close(four.images, four.candidates[torch.arange(2), four.chosen])
    best = torch.stack([reselected(four, Criterion(), candidates=count).scores.amin(1) for count in (1, 2, 3, 4)])
    assert (best.diff(dim=0) <= 0).all()
    assert (best[-1] <= four.scores.mean(1)).all()
    two = deliver(build_small(networks, candidates=2), photos[:2], snr_db=0.0).reception
    torch.testing.assert_close(two.scores, four.scores[:, :2], atol=1e-4, rtol=1e-4)
    again = reselected(four, Criterion(), candidates=2)
    torch.testing.assert_close(two.images, again.images, atol=1e-5, rtol=0)
    one = reselected(four, Criterion(), candidates=1)
    for first in (one, reselected(four, Criterion(), "first")):
        assert torch.equal(first.images, four.candidates[:, 0])
    best_quality = oracle(four, torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0]]))
    assert best_quality.chosen.tolist() == [2, 0]
    assert torch.equal(best_quality.images[0], four.candidates[0, 2])


def test_details_are_the_errors_of_the_candidates(networks, photos):
    reception = deliver(build_small(networks, candidates=3), photos[:2]).reception
    assert isinstance(reception.details, CandidateErrors)
    few = reselected(reception, Criterion(), candidates=2)
    assert torch.equal(few.details.image_errors, reception.details.image_errors[:, :2])
    scores = Criterion().scores(reception.details.image_errors, reception.details.text_errors)
    assert torch.equal(reception.scores, scores)


def test_random_selection_is_uniform_and_repeatable(networks, photos):
    rows = [seed_for("choice", row) for row in range(4000)]
    counts = torch.bincount(select(torch.zeros(4000, 4), "random", Rng(rows)), minlength=4)
    assert ((counts - 1000).abs() < 5 * (4000 * 0.25 * 0.75) ** 0.5).all()
    reception = deliver(
        build_small(networks, FixedImages(photos), selection="random", candidates=4), photos[:2]
    ).reception
    again = reselected(reception, Criterion(), "random", rng=Rng([0, 1]).derive("decode"))
    assert torch.equal(reception.chosen, again.chosen)


def test_selection_by_features_approaches_the_noiseless_one(networks):
    """Of eight candidates around the true features, selected by received features with less and less noise."""
    features, reals = networks.features, networks.features.dimension
    truth = unit_rows(300, reals)
    candidates = truth[:, None] + 0.5 * Rng([seed_for("around", row) for row in range(300)]).normal(8, reals)
    noise = Rng([seed_for("noise", row) for row in range(300)]).normal(reals)

    def feature_errors(candidates, received):
        both = (NoisyFeatures.exact(candidates), received)
        return image_errors(*(ExtractedFeatures.from_received(features, None, one) for one in both))

    @torch.no_grad()
    def chosen(error, variance):
        received = NoisyFeatures(truth + variance**0.5 * noise, torch.full((300, reals), variance))
        return torch.stack([error(candidates[row], received[row : row + 1]) for row in range(300)]).argmin(1)

    for error in (feature_errors, text_errors):
        right = [(chosen(error, 10 ** (-snr / 10)) == chosen(error, 0.0)).float().mean() for snr in (-10, 5, 20, 60)]
        assert right == sorted(right)
        assert right[0] < 0.5
        assert right[-1] > 0.98  # some candidates are almost equally good


def test_selection_of_the_receiver_approaches_the_noiseless_one(networks, photos):
    """Of eight images generated at 0 dB, selected by features received with less and less noise."""
    rows, text = 32, TEXTS[0]
    images = deliver(build_small(networks, candidates=8), photos[:1], 0.0).reception.candidates[0]
    with torch.no_grad():
        truth = NoisyFeatures.exact(networks.features(photos[:1]))
        errors_of_image = image_errors(
            ExtractedFeatures.from_images(networks.features, images),
            ExtractedFeatures.from_received(networks.features, networks.autoencoder, truth),
        )
        text_features = NoisyFeatures.exact(networks.clip.text_features([text]))
        errors_of_text = text_errors(networks.clip.image_features(images), text_features)
    noiseless = Criterion().scores(errors_of_image[None], errors_of_text[None]).argmin()
    link = Link(build_small(networks, FixedImages(images), candidates=8), awgn.build())
    sample = Sample(photos[:1].expand(rows, -1, -1, -1), captions=(text,) * rows)
    right = [
        (link.deliver(sample, snr_db, list(range(rows))).reception.chosen == noiseless).float().mean()
        for snr_db in (-20.0, 0.0, 20.0, 60.0)
    ]
    assert right == sorted(right)
    assert right[0] < 0.9
    assert right[-1] == 1


def test_image_errors_add_feature_maps_and_structure(networks, photos):
    features, autoencoder = networks.features, networks.autoencoder
    with torch.no_grad():
        received = NoisyFeatures(unit_rows(1, features.dimension), torch.full((1, features.dimension), 0.1))
        candidates = ExtractedFeatures.from_images(features, photos[:3])
        maps = features.feature_map(NoisyFeatures.exact(features(photos[:3])))
        cosine = torch.nn.functional.cosine_similarity(maps, features.feature_map(received), dim=1).mean((1, 2))
        coarse = autoencoder.decode(features.estimate(received)).clamp(0, 1)
        similarity = torch.cat([ms_ssim(photo[None], coarse) for photo in photos[:3]])
        both = image_errors(candidates, ExtractedFeatures.from_received(features, autoencoder, received))
        without = image_errors(candidates, ExtractedFeatures.from_received(features, None, received))
    torch.testing.assert_close(both, 1 - cosine + 1.5 * (1 - similarity))
    torch.testing.assert_close(without, 1 - cosine)


def test_missing_features_do_not_change_the_error(networks):
    candidates, missing = unit_rows(5, 16), NoisyFeatures.missing(1, 16)
    assert text_errors(candidates, missing).tolist() == [1] * 5
    is_received = torch.arange(16)[None] < 8
    half = NoisyFeatures(torch.where(is_received, candidates[2], 0), torch.where(is_received, 0.1, torch.inf))
    assert int(text_errors(candidates, half).argmin()) == 2
    features, autoencoder = networks.features, networks.autoencoder
    with torch.no_grad():
        exact = NoisyFeatures.exact(unit_rows(5, features.dimension))
        missing = NoisyFeatures.missing(1, features.dimension)
        extracted = (ExtractedFeatures.from_received(features, autoencoder, one) for one in (exact, missing))
        assert image_errors(*extracted).tolist() == [1] * 5


def test_image_weight_one_and_zero_use_one_error(networks, photos):
    system = build_small(
        replace(networks, autoencoder=None), FixedImages(photos), candidates=4
    )  # untrained: no structure
    reception = deliver(system, photos[:2], snr_db=20.0).reception
    image, text = (reselected(reception, Criterion(weight, 0.1, 0.1)) for weight in (1.0, 0.0))
    torch.testing.assert_close(image.scores, 10 * reception.details.image_errors)
    torch.testing.assert_close(text.scores, 10 * reception.details.text_errors)
    assert image.chosen.tolist() == [0, 1]  # the sent images are among the candidates


def test_wrong_criteria_are_refused():
    with pytest.raises(UsageError, match="image_weight must be 0 to 1"):
        Criterion(1.5)
    for wrong in (0.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="image_scale must be a number above 0"):
            Criterion(0.5, wrong)
        with pytest.raises(UsageError, match="text_scale must be a number above 0"):
            Criterion(0.5, 1.0, wrong)


def test_wrong_reselections_are_refused(networks, photos, unchecked):
    reception = deliver(build_small(networks, FixedImages(photos)), photos[:1]).reception
    with pytest.raises(UsageError, match="candidates must be 1 to 2, the number generated, not 3"):
        reselected(reception, Criterion(), candidates=3)
    with pytest.raises(UsageError, match="requires rng"):
        reselected(reception, Criterion(), "random")
    with pytest.raises(UsageError, match="selection must be one of best, first, random, not 'worst'"):
        reselected(reception, Criterion(), "worst")
    for other in (replace(reception, candidates=None), replace(reception, details=None)):
        with pytest.raises(UsageError, match="only receptions of multimodal_generation"):
            reselected(other, Criterion())
    for shape in ((1, 3), (2, 2)):
        with pytest.raises(UsageError, match=r"quality must have shape \[1, 2\]"):
            oracle(reception, torch.zeros(shape))

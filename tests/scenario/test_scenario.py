"""The contents of a scenario file, and the error messages about a wrong one."""

from dataclasses import asdict

import pytest
from toy import TOY

from channels import UsageError
from semcom import discover
from semcom.scenario.load import load_scenario, scenario_from, to_yaml, variant


def test_points_are_all_combinations_and_have_distinct_keys(scenario_data):
    points = scenario_from(scenario_data).points()
    assert len(points) == 2 * 2 * 2
    assert len({point.key for point in points}) == len(points)
    assert [point.key for point in points] == [point.key for point in scenario_from(scenario_data).points()]


def test_a_swept_argument_applies_only_to_its_system(scenario_data):
    scenario_data["systems"].append({"name": TOY, "label": "other"})
    scenario_data["sweep"]["other.block"] = [4, 8, 16]
    points = scenario_from(scenario_data).points()
    assert len(points) == 8 * (1 + 3)
    blocks = [dict(point.system.arguments)["block"] for point in points if point.system.label == "other"]
    assert sorted(blocks) == [4] * 8 + [8] * 8 + [16] * 8
    assert all(not point.settings for point in points if point.system.label == "toy")


def test_a_name_may_have_arguments_as_in_an_option(scenario_data, write_scenario):
    scenario_data |= {"systems": ["analog", "digital:codec=jpeg,margin_db=3"], "channel": "rayleigh:coherence_uses=64"}
    first, second = scenario_from(scenario_data).systems
    assert (first.label, second.label) == ("analog", "digital:codec=jpeg,margin_db=3")
    assert dict(second.arguments)["codec"] == "jpeg"
    assert dict(second.arguments)["margin_db"] == 3
    (channel,) = scenario_from(scenario_data, ["digital.codec=webp"]).channels
    assert dict(channel.arguments)["coherence_uses"] == 64
    assert load_scenario(write_scenario(to_yaml(scenario_from(scenario_data)))) == scenario_from(scenario_data)


def test_a_swept_argument_of_the_channel_applies_to_every_system(scenario_data):
    scenario_data["sweep"] |= {"channel.coherence_uses": [1, None]}
    points = scenario_from(scenario_data).points()
    assert {dict(point.channel.arguments)["coherence_uses"] for point in points} == {1, None}
    assert len(points) == 16


def test_the_given_dictionary_is_not_changed(scenario_data):
    before = repr(scenario_data)
    scenario_from(scenario_data, ["sweep.snr_db=[3]", "toy.block=4"])
    assert repr(scenario_data) == before


def test_a_written_scenario_loads_as_the_same_scenario(scenario_data, write_scenario):
    scenario_data["sweep"]["toy.block"] = [4, 8]
    scenario_data["stop"] = {"metric": "psnr", "half_width": 0.5, "max_repetitions": 20}
    scenario = scenario_from(scenario_data)
    assert asdict(load_scenario(write_scenario(to_yaml(scenario)))) == asdict(scenario)


def test_an_extended_scenario_keeps_the_keys_of_its_points(scenario_data):
    few = {point.key for point in scenario_from(scenario_data).points()}
    scenario_data["sweep"]["snr_db"] = [0, 5, 10]
    scenario_data["title"] = "another title"
    assert few < {point.key for point in scenario_from(scenario_data).points()}


def test_a_changed_user_file_changes_the_keys(scenario_data, tmp_path):
    copy = tmp_path / "mine.py"
    copy.write_text('def build(cbr: float):\n    """Mine."""\n')
    scenario_data["systems"] = [str(copy)]
    scenario = scenario_from(scenario_data)
    before = scenario.points()[0].key
    copy.write_text('def build(cbr: float):\n    """Mine, corrected."""\n')
    assert scenario.points()[0].key != before


@pytest.mark.parametrize(
    ("override", "attribute", "value"),
    [
        ("sweep.snr_db=[0,10]", "snr_db", (0.0, 10.0)),
        ("sweep.snr_db=-3", "snr_db", (-3.0,)),
        ("sweep.users=[4]", "users", (4,)),
        ("medium_cbr=[1e-1, 0.5]", "medium_cbr", (0.1, 0.5)),
        ("seed=7", "seed", 7),
        ("title=a: b", "title", None),
        ("images.count=1", None, None),
    ],
)
def test_overrides_replace_values_of_the_file(scenario_data, override, attribute, value):
    if override == "title=a: b":  # a value must be complete YAML
        with pytest.raises(UsageError, match="title must be text"):
            scenario_from(scenario_data, [override])
        return
    scenario = scenario_from(scenario_data, [override])
    if attribute:
        assert getattr(scenario, attribute) == value
    else:
        assert scenario.images[0].count == 1


def test_null_keeps_the_size_of_each_image(scenario_data):
    assert scenario_from(scenario_data, ["images.size=null"]).images[0].size is None


def test_overrides_set_arguments_by_label_by_name_and_by_the_word_channel(scenario_data):
    scenario = scenario_from(scenario_data, ["toy.block=4", "channel.coherence_uses=5"])
    assert dict(scenario.systems[0].arguments)["block"] == 4
    assert dict(scenario.channels[0].arguments)["coherence_uses"] == 5
    assert dict(variant("channel", "rician", ["rician.k_factor_db=1"]).arguments)["k_factor_db"] == 1
    assert len(scenario_from(scenario_data, ["sweep.toy.block=[4, 8]"]).axes) == 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("toy=4", "did you mean 'toy.block'?"),
        ("block=4", "did you mean 'toy.block'?"),
        ("snr_db=3", "did you mean 'sweep.snr_db'?"),
        ("repetition=3", "did you mean 'repetitions'?"),
        ("toi.block=4", "did you mean 'toy.block'?"),
        ("rayleigh.coherence=4", "rayleigh has no argument 'coherence'; did you mean 'coherence_uses'?"),
        (
            "rayleigh.fading=rician",
            "rayleigh has no argument 'fading'; channels with this argument: broadcast, waveform",
        ),
        ("image.count=2", "did you mean 'images.count'?"),
        ("stop.half_width=0.1", "'metric' is missing from stop"),
        ("zzz=1", "semcom show NAME lists those of a system"),
    ],
)
def test_the_error_of_a_wrong_override_names_a_valid_key(scenario_data, override, words):
    with pytest.raises(UsageError) as raised:
        scenario_from(scenario_data, [override])
    assert str(raised.value).startswith(f"--set {override}: ")
    assert words in str(raised.value)
    assert f"did you mean {override.partition('=')[0]!r}" not in str(raised.value)


def test_overrides_of_a_single_channel_are_its_arguments_only():
    with pytest.raises(UsageError, match="only arguments of rician can be set here"):
        variant("channel", "rician", ["seed=3"])


def test_one_value_of_the_stopping_rule_can_be_overridden(scenario_data):
    scenario_data["stop"] = {"metric": "psnr", "half_width": 0.5, "max_repetitions": 20}
    rule = scenario_from(scenario_data, ["stop.half_width=1"]).stop
    assert asdict(rule) == {"metric": "psnr", "half_width": 1.0, "max_repetitions": 20}


VALID = f"""\
title: toy
systems:
  - {{name: {TOY}, label: toy}}
channel: {{name: rayleigh}}
medium_cbr: 0.125
sweep:
  snr_db: [0, 10]
  users: [1, 2]
images: {{source: photos, count: 3, size: 32}}
metrics: [psnr]
"""

# (text to replace, its replacement, line in the error message, words in the error message)
WRONG = {
    "unknown system": (TOY, "digitall", 3, "no system 'digitall'"),
    "unknown channel": ("name: rayleigh", "name: raileigh", 4, "no channel 'raileigh'; did you mean 'rayleigh'?"),
    "unknown metric": ("[psnr]", "[psnr, pnsr]", 10, "no metric 'pnsr'; did you mean 'psnr'?"),
    "unknown source": ("source: photos", "source: fotos", 9, "no image source 'fotos'; did you mean 'photos'?"),
    "misspelt top key": ("medium_cbr:", "medium_crb:", 5, "'medium_crb'; did you mean 'medium_cbr'?"),
    "misspelt argument": ("label: toy", "label: toy, blocks: 8", 3, "no argument 'blocks'; did you mean 'block'?"),
    "misspelt sweep": ("  users:", "  user:", 8, "'user' cannot be swept; did you mean 'users'?"),
    "misspelt swept argument": ("  users:", "  toy.blok:", 8, "no argument 'blok'; did you mean 'block'?"),
    "misspelt image key": ("count: 3", "cuont: 3", 9, "'cuont'; did you mean 'count'?"),
    "argument of a wrong type": ("label: toy", "label: toy, block: 8.5", 3, "block must be a whole number, not 8.5"),
    "boolean for a number": ("label: toy", "label: toy, block: true", 3, "block must be a whole number, not true"),
    "channel argument of a wrong type": (
        "name: rayleigh",
        "name: rayleigh, coherence_uses: all",
        4,
        "a whole number or null, not 'all'",
    ),
    "misspelt argument after the name": (f"{{name: {TOY}, label: toy}}", f"{TOY}:blok=8", 3, "did you mean 'block'?"),
    "argument after the name without a value": (
        f"{{name: {TOY}, label: toy}}",
        f"{TOY}:block=",
        3,
        "block has no value",
    ),
    "channel-use budget": ("label: toy", "label: toy, cbr: 0.1", 3, "set medium_cbr instead"),
    "wrong type of seed": ("metrics:", "seed: one\nmetrics:", 10, "seed must be a whole number, not 'one'"),
    "no repetitions": ("metrics:", "repetitions: 0\nmetrics:", 10, "repetitions must be a whole number, 1 or more"),
    "too large a count": ("count: 3", "count: 99", 9, "photos has 10 images, fewer than count: 99"),
    "wrong type of count": ("count: 3", "count: three", 9, "count must be a whole number"),
    "zero size": ("size: 32", "size: 0", 9, "size must be a whole number, 1 or more"),
    "empty sweep of SNR": ("[0, 10]", "[]", 7, "snr_db is empty"),
    "empty sweep of users": ("users: [1, 2]", "users:", 8, "users is empty"),
    "empty sweep": ("sweep:\n  snr_db: [0, 10]\n  users: [1, 2]", "sweep: {}", 6, "'snr_db' is missing"),
    "sweep of nothing": (
        "sweep:\n  snr_db: [0, 10]\n  users: [1, 2]",
        "sweep:",
        6,
        "sweep must consist of keys and values",
    ),
    "NaN SNR": ("[0, 10]", "[0, .nan]", 7, "a number of dB from -100 to 100, not NaN"),
    "infinite SNR": ("[0, 10]", "[0, -.inf]", 7, "a number of dB from -100 to 100, not -infinity"),
    "SNR beyond all noise": ("[0, 10]", "[0, 101]", 7, "a number of dB from -100 to 100, not 101"),
    "SNR of a user beyond all noise": (
        "metrics:",
        "user_snr_offsets_db: [0, 95]\nmetrics:",
        10,
        "swept SNR plus offset must be a number of dB from -100 to 100, not 105",
    ),
    "too many threads": ("metrics:", "threads: 30000\nmetrics:", 10, "threads must be a whole number from 1 to 1024"),
    "stop at a metric that is not measured": (
        "metrics:",
        "stop: {metric: ssim, half_width: 1, max_repetitions: 9}\nmetrics:",
        10,
        "metric 'ssim' is not among the scenario's metrics; there are psnr",
    ),
    "misspelt stop": ("metrics:", "stop:\n  metrik: psnr\nmetrics:", 11, "no key 'metrik'; did you mean 'metric'?"),
    "stop without a width": (
        "metrics:",
        "stop: {metric: psnr, max_repetitions: 9}\nmetrics:",
        10,
        "'half_width' is missing from stop, as in {metric: psnr, half_width: 0.01, max_repetitions: 100}",
    ),
    "stop at a negative width": (
        "metrics:",
        "stop:\n  metric: psnr\n  half_width: -0.1\n  max_repetitions: 9\nmetrics:",
        12,
        "half_width must be one number above 0, not -0.1",
    ),
    "stop before the first batch ends": (
        "metrics:",
        "repetitions: 10\nstop:\n  metric: psnr\n  half_width: 0.1\n  max_repetitions: 9\nmetrics:",
        14,
        "max_repetitions must be a whole number, 10 (the value of repetitions) or more, not 9",
    ),
    "stop that is no rule": ("metrics:", "stop: 0.1\nmetrics:", 10, "stop must consist of keys and values"),
    "SNR in words": ("[0, 10]", "[0, ten]", 7, "a number of dB from -100 to 100, not 'ten'"),
    "zero users": ("[1, 2]", "[0]", 8, "users must be a whole number, 1 or more, not 0"),
    "negative users": ("[1, 2]", "[2, -1]", 8, "users must be a whole number, 1 or more, not -1"),
    "half a user": ("[1, 2]", "[1.5]", 8, "users must be a whole number, 1 or more, not 1.5"),
    "no budget": ("0.125", "0", 5, "medium_cbr must be a number above 0, at most 100, not 0"),
    "a system twice": ("channel:", f"  - {{name: {TOY}, label: toy}}\nchannel:", 4, "the label 'toy' occurs twice"),
    "no name": (f"name: {TOY}, ", "", 3, "a system requires a name"),
    "key twice": ("metrics:", "sweep: 1\nmetrics:", 10, "the key 'sweep' occurs twice"),
    "invalid YAML": ("[0, 10]", "[0, 10", 8, "invalid YAML"),
    "alias": ("[0, 10]", "&a [0, *a]", 7, "aliases (*a) are not supported"),
    "tag": ("[0, 10]", "[!!python/name:os.system x]", 7, "invalid YAML"),
    "missing own file": (TOY, "nowhere.py", 3, "nowhere.py does not exist; searched "),
    "missing image file": ("source: photos", "source: nowhere.png", 9, "no folder or image file nowhere.png; searched"),
    "missing folder": ("source: photos", "source: 'folder:nowhere'", 9, "no folder or image file nowhere; searched"),
    "missing file of a metric": ("[psnr]", "[psnr, 'nowhere.py:mae']", 10, "nowhere.py does not exist; searched "),
    "sexagesimal number": ("0.125", "1:16", 5, "medium_cbr must be a number above 0, at most 100, not '1:16'"),
    "number too long": ("[0, 10]", f"[0, {'9' * 301}]", 7, "too long for a number"),
    "nested lists": ("[0, 10]", "[" * 30 + "]" * 30, 7, "more than 20 nested levels"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_error_of_a_wrong_file_names_the_line_and_the_fix(wrong, write_scenario):
    old, new, line, words = WRONG[wrong]
    assert VALID.count(old) == 1, "the text to replace must occur exactly once"
    path = write_scenario(VALID.replace(old, new))
    with pytest.raises(UsageError) as raised:
        load_scenario(path)
    message = str(raised.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: the file is empty"),
        ("# only a comment\n", ":1: the file is empty"),
        ("- a\n- b\n", ":1: a scenario must consist of keys and values"),
        ("just words\n", ":1: a scenario must consist of keys and values"),
        ("title: [\n", "invalid YAML"),
        ("title: \x00\n", "invalid YAML"),
        ("title: x\n", "the key 'systems' is missing"),
    ],
)
def test_a_file_that_is_not_a_scenario_is_refused(text, words, write_scenario):
    with pytest.raises(UsageError, match=words.replace("[", r"\[")):
        load_scenario(write_scenario(text))


def test_the_unchanged_file_is_valid(write_scenario):
    assert len(load_scenario(write_scenario(VALID)).points()) == 4


@pytest.mark.parametrize(
    ("annotation", "accepted", "refused"),
    [
        ("float", [1, 1.5, -2], [True, "1", None, float("nan")]),
        ("int", [1, -2], [1.0, True, "1", None]),
        ("bool", [True, False], [0, 1, "true"]),
        ("str", ["a"], [1, None]),
        ("int | None", [1, None], [0.5, "none"]),
        ("Literal['avif', 'webp']", ["avif"], ["jpeg", 1, None]),
        ("Literal[4, 16] | Literal['auto']", [4, "auto"], [5, "4", 4.0]),
        ("tuple[float, ...]", [[1, 2.5], []], [1, ["a"]]),
        ("Path", ["anything", 3], []),
    ],
)
def test_annotations_decide_which_values_are_accepted(annotation, accepted, refused):
    argument = discover.Argument("x", annotation, None, True, "")
    assert all(argument.accepts(value) for value in accepted)
    assert not any(argument.accepts(value) for value in refused)

"""Numbers and text in scenario files and options: one reader, and what is written is read back the same."""

import random

import pytest

from channels import UsageError
from semcom.cli.common import Parser
from semcom.scenario.arguments import parse_part
from semcom.scenario.document import dump, parse_value
from semcom.scenario.load import load_scenario, scenario_from, to_yaml
from semcom.scenario.numbers import number

NUMBERS = {"010": 10, "0o10": 8, "0x10": 16, "-1e1": -10.0, "5.": 5.0, "-.5": -0.5, "1e1": 10.0, "1/16": 0.0625}
NO_NUMBERS = ["1:16", "1_000", "1/0", "0b1", "1e", "+", "yes", "2024-01-01", "10 dB"]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_the_same_in_files_and_in_options(text):
    parser = Parser(prog="test")
    parser.add_argument("--x", type=float)
    found = [number(text), parse_value(text), parse_part(f"a:x={text}", "--s")["x"]]
    assert found == [NUMBERS[text]] * 3
    assert {type(value) for value in found} == {type(NUMBERS[text])}
    option = parser.parse_args(["--x", text]).x
    assert option == NUMBERS[text]
    assert type(option) is float


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_yaml_1_2_does_not_read_as_a_number_is_text(text):
    assert parse_value(text) == text
    with pytest.raises(UsageError, match="is not a number"):
        number(text)


def test_what_is_written_is_read_back_the_same():
    draw = random.Random(0)
    characters = "0123456789.eE+-/:_xoanultr~ #'\"[]{},&*!|>%@`\\\t\n\r\x85\u2028\x1b\u00e9"
    for _ in range(300):
        text = "".join(draw.choice(characters) for _ in range(draw.randint(0, 6)))
        assert parse_value(dump({"title": text, "list": [text]})) == {"title": text, "list": [text]}


@pytest.mark.parametrize("title", ["1e-3", "010", "1/2", "1:16", "yes", "null", "2024-01-01", "a: b", "<<"])
def test_a_title_that_looks_like_another_type_is_written_as_text(title, scenario_data, write_scenario):
    scenario = scenario_from({**scenario_data, "title": title})
    assert load_scenario(write_scenario(to_yaml(scenario))).title == title


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("&a [0, *a]", "aliases"),
        ("[" * 3000 + "]" * 3000, "nested levels"),
        ("!!bool x", "tags"),
        ("9" * 400, "too long"),
    ],
)
def test_a_value_that_is_no_plain_value_is_one_line(value, words, scenario_data):
    with pytest.raises(UsageError) as raised:
        scenario_from(scenario_data, [f"sweep.snr_db={value}"])
    assert words in str(raised.value)
    assert len(str(raised.value)) < 200

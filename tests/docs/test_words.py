"""Texts use the standard terms of the field: words that were replaced once do not come back."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = {  # pattern: what to write instead
    r"\bpictures?\b": "image",
    r"\b(a|the|one) wave\b": "analog transmission",
    r"\bhonest\b": "the channel, the link",
    r"\b(heard|understood)\b": "received symbols, extracted features",
    r"\btold\b": "received, conveyed",
    r"\bgenie\b": "oracle",
    r"\bgrant(s|ed)?\b": "channel-use budget",
    r"\b(is|are|was|were) (charged|paid for)\b": "counted",
    r"\bat large\b": "natural image",
    r"\bjudges?\b": "evaluation network",
    r"\b(message|image|file|payload|header)s?( is| are| was| were)? lost\b": "outage, decoding failure",
    r"\b(by turns|(send|transmit)s? in turns)\b": "orthogonal access (TDMA)",
    r"\bof (its|their|one's|your|his|my) own\b": "separate, user-defined, or nothing",
    r"\bno more than chance\b": "not statistically significant",
    r"\b(goes|go) on from\b": "resume",
    r"\b[a-z]*(colour|greyscale|behaviour|neighbour)[a-z]*": "American spelling",
    r"\b[a-z]*(normal|equal|quant|optim|synchron|initial|modul)is(e|ed|es|ing|ation)\b": "American spelling",
    r"(?m)^\s+[a-z_, ]+: of\b": "an argument's text that begins with a noun",
}
NAMES = {  # names of version 0.1 in finished runs, columns of data sets, captions, the name of a seed, and a regulator
    "docs/how_to/radio.md": "grant",
    "semcom/images/hub_rows.py": "picture",
    "semcom/report/page.py": "pictures",
    "semcom/results/former_names.py": "picture|pictures|colour|normalise",
    "semcom/systems/multimodal_generation/words.py": "picture",
    "semcom/training/trainer.py": "initialise",
    "tests/docs/test_pages.py": "granted",
    "tests/recipes/test_recipes.py": "judge",
    "tests/results/test_former_runs.py": "picture|pictures|colour",
}
FOLDERS = ("apps", "benchmarks", "channels", "docs", "examples", "notebooks", "results", "scenarios", "semcom", "tests")
CAPTURED = {"capture_output": True, "text": True, "check": True}
KINDS = (".py", ".md", ".yaml", ".ipynb", ".js", ".cff", ".toml")


def texts():
    listed = subprocess.run(["git", "ls-files", "-z", *FOLDERS, "README.md", "CONTRIBUTING.md"], cwd=ROOT, **CAPTURED)
    for name in listed.stdout.split("\0"):
        # the cards of bundled weights have the words of the version that trained them
        if name.endswith(KINDS) and name != "tests/docs/test_words.py" and "/bundled/" not in name:
            yield name, (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_replaced_words_do_not_come_back():
    found = []
    for name, text in texts():
        for pattern, better in WORDS.items():
            for match in re.finditer(pattern, text, re.IGNORECASE):
                if not re.fullmatch(NAMES.get(name, ""), match[0].strip(), re.IGNORECASE):
                    line = text.count("\n", 0, match.start()) + 1
                    found.append(f"{name}:{line}: {match[0].strip()!r}: write {better}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["The message is lost.", "both spend 26 % of the grant", "a judge", "    x: of the model", "equalisation"]
)
def test_the_patterns_find_the_words(text):
    assert any(re.search(pattern, text, re.IGNORECASE) for pattern in WORDS)

"""docs/sweeps.md and docs/cluster.md do what they say, block by block."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from semcom import table
from semcom.__main__ import main
from semcom.scenario import load_scenario

DOCS = Path(__file__).parent.parent / "docs"
SWEEPS, CLUSTER = ((DOCS / name).read_text(encoding="utf-8") for name in ("sweeps.md", "cluster.md"))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the page's scenario has been run as the page runs it."""
    folder = tmp_path_factory.mktemp("sweeps")
    [scenario] = blocks(SWEEPS, "yaml")
    (folder / "fading.yaml").write_text(scenario, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SEMCOM_CACHE", str(folder / "cache"))
        commands = re.findall(r"^    semcom (.*)", SWEEPS, re.MULTILINE)
        assert [main([*shlex.split(command), "--quiet"]) for command in commands] == [0, 0]
    return folder


def test_the_scenario_runs_and_an_override_is_an_axis(folder):
    rows = table.read(folder / "runs" / "fading")
    assert rows.num_rows == 2 * 2 * 4 * 2  # systems, SNRs, pictures, repetitions
    assert (folder / "runs" / "fading" / "figure.png").exists()
    margins = table.read(folder / "runs" / "margins").to_pylist()
    assert {row["digital.margin_db"] for row in margins if row["system"] != "analog"} == {0, 6}


@pytest.mark.parametrize("code", blocks(SWEEPS, "python"), ids=lambda code: code.split("\n", 1)[0])
def test_python_runs(code, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(compile(code, "sweeps.md", "exec"), {"__name__": "__main__"})
    assert "dB" in capsys.readouterr().out


def test_commands_of_the_cluster_page_are_commands(capsys):
    """Their options are there and their scenarios load; the clusters are not."""
    commands = re.findall(r"^ *semcom (run .*?)(?:  +#.*)?$", CLUSTER, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        arguments = [word.replace("$1", "scenarios/users.yaml") for word in shlex.split(command)]
        assert load_scenario(DOCS.parent / arguments[1]).points()
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--help"])
        assert left.value.code == 0
        assert set(re.findall(r"--\w+", command)) <= set(re.findall(r"--\w+", capsys.readouterr().out))


def test_the_slurm_script_is_a_script():
    [script] = blocks(CLUSTER, "bash")
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=True).stderr == ""

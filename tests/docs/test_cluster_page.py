"""What of docs/cluster.md can be tested without a cluster; tests/sweep/test_ray.py has one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from semcom.cli.main import main
from semcom.scenario.load import load_scenario

DOCS = Path(__file__).parents[2] / "docs"
CLUSTER = (DOCS / "cluster.md").read_text(encoding="utf-8")


def test_commands_of_the_cluster_page_are_commands(capsys):
    """Their options are there and their scenarios load; the clusters are not."""
    commands = re.findall(r"^ *semcom (run .*?)(?:  +#.*)?$", CLUSTER, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        arguments = [word.replace("$1", "scenarios/users.yaml") for word in shlex.split(command)]
        assert load_scenario(DOCS.parent / arguments[1]).points()
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--help"])
        assert left.value.code == 0
        assert set(re.findall(r"--\w+", command)) <= set(re.findall(r"--\w+", capsys.readouterr().out))


def test_the_slurm_script_is_a_script():
    [script] = re.findall(r"```bash\n(.*?)```", CLUSTER, re.DOTALL)
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=True).stderr == ""

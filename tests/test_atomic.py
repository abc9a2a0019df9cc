"""Atomic writes: failures leave the former file and no temporary file; only files of ended processes are removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from semcom import atomic


def temporaries(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".partial")]


def test_write_creates_and_replaces_a_file(tmp_path):
    path = tmp_path / "rows.parquet"
    atomic.write(path, b"first")
    path.chmod(0o640)
    atomic.write(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["rows.parquet"]


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_failure_leaves_the_former_file_and_no_temporary_file(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "rows.parquet"
    path.write_bytes(b"former")
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    if call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"), atomic.replacing(path) as file:  # noqa: PT012
        file.write(b"half of the n")
        if call == "write":
            full()
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["rows.parquet"]


def test_failure_of_a_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic.replacing(tmp_path / "new") as file:  # noqa: PT012
        file.write(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic.write(tmp_path / "missing" / "file", b"")


def test_symbolic_link_keeps_pointing_to_the_replaced_file(tmp_path):
    (tmp_path / "data").mkdir()
    link = tmp_path / "link"
    link.symlink_to("data/file")
    atomic.write(link, b"1")
    atomic.write(link, b"2")
    assert link.is_symlink()
    assert (tmp_path / "data" / "file").read_bytes() == b"2"
    assert temporaries(tmp_path) == temporaries(tmp_path / "data") == []


def test_device_is_written_and_not_replaced():
    atomic.write(Path(os.devnull), b"text")
    assert not Path(os.devnull).is_file()


def test_long_file_names_are_supported(tmp_path):
    name = "n" * 255
    atomic.write(tmp_path / name, b"text")
    assert os.listdir(tmp_path) == [name]


def test_two_writers_of_one_file_use_two_temporary_files(tmp_path):
    path = tmp_path / "file"
    with atomic.replacing(path) as first, atomic.replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
        assert len(temporaries(tmp_path)) == 2
    assert path.read_bytes() == b"first"  # the last to finish


_KILLED = """
import os, sys
from pathlib import Path
from semcom import atomic
with atomic.replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


def test_temporary_file_of_a_killed_process_is_removed(tmp_path):
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "file")], check=False, timeout=60)
    assert len(temporaries(tmp_path)) == 1
    atomic.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == []


def test_temporary_file_of_a_reused_process_number_is_removed(tmp_path):
    process, start = os.getpid(), atomic._start(os.getpid())
    if start is None:
        pytest.skip("start times of processes are known on Linux only")
    (tmp_path / f".file.{atomic._host()}.{process}.{start - 1}.0.partial").touch()
    atomic.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == []


def test_temporary_file_of_a_running_process_is_kept(tmp_path):
    with atomic.replacing(tmp_path / "file") as file:
        file.write(b"text")
        atomic.remove_abandoned(tmp_path)
        assert len(temporaries(tmp_path)) == 1
    assert (tmp_path / "file").read_bytes() == b"text"


@pytest.mark.parametrize("host", ["elsewhere", "elsewhere-4026531836"])
def test_temporary_file_of_another_host_is_kept(tmp_path, host):
    name = f".file.{host}.4194305.1.0.partial"  # above the largest process number of Linux
    (tmp_path / name).touch()
    atomic.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_temporary_file_of_another_container_with_this_host_name_is_kept(tmp_path, monkeypatch):
    (tmp_path / f".file.{atomic._host()}.4194305.1.0.partial").touch()
    monkeypatch.setattr(atomic, "_host", lambda: "host-of-another-namespace")
    atomic.remove_abandoned(tmp_path)
    assert len(temporaries(tmp_path)) == 1


def test_files_of_other_programs_are_kept(tmp_path):
    for name in (".x.partial", "file.partial", ".rows.parquet.partial-12", ".a.b.c.d.e.partial"):
        (tmp_path / name).touch()
    before = sorted(os.listdir(tmp_path))
    atomic.remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before

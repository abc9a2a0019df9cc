"""Kodak and CIFAR-10 from a server on this computer, into image sources."""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from file_server import FileServer, serving
from PIL import Image

from channels.errors import UsageError
from semcom.cli.main import main
from semcom.images import cifar10, published
from semcom.images.sources import load

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def described(content, name):
    return published.PublishedFile(name, len(content), hashlib.sha256(content).hexdigest())


def png(number):
    pixels = np.random.default_rng(number).integers(0, 255, (48, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pickled(content, module):
    """Protocol 2, as Python 2 wrote it, with the names of NumPy 1 or of NumPy 2."""
    return pickle.dumps(content, 2).replace(b"numpy._core.multiarray", module)


def archive(module=b"numpy.core.multiarray", rows=3):
    draws = np.random.default_rng(0)
    files = {"batches.meta": pickle.dumps({"label_names": CLASSES}, 2), "readme.html": b"not needed"}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        data = draws.integers(0, 255, (rows, 3072), dtype=np.uint8)
        files[name] = pickled({"data": data, "labels": [6, 9, 9][:rows], "filenames": ["a.png"] * rows}, module)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as members:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{cifar10.FOLDER}/{name}")
            info.size = len(content)
            members.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def small(monkeypatch):
    """The two data sets with three small images each, on a server."""
    files = {f"kodim{number:02d}.png": png(number) for number in (1, 2, 3)} | {cifar10.ARCHIVE: archive()}
    with serving(FileServer(files), monkeypatch) as server:
        for name, published_set in published.SETS.items():
            content = [
                described(data, file) for file, data in files.items() if file.endswith("png") == (name == "kodak")
            ]
            small_set = replace(published_set, files=tuple(content), address=server.url)
            monkeypatch.setitem(published.SETS, name, small_set)
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_published_sets_are_complete():
    kodak, cifar = published.SETS["kodak"], published.SETS["cifar10"]
    assert [file.name for file in kodak.files] == [f"kodim{number:02d}.png" for number in range(1, 25)]
    assert kodak.size == 15394305
    assert [file.size for file in cifar.files] == [170498071]
    assert all(int(file.sha256, 16) and len(file.sha256) == 64 for file in (*kodak.files, *cifar.files))
    assert len({file.sha256 for file in kodak.files}) == 24


def test_one_command_makes_an_image_source(small, folder, capsys):
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.count("not downloaded") == 2
    assert main(["data", "get", "kodak", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["kodak", "source", "terms", "folder"]
    assert "unrestricted use" in lines[2]
    assert [image.name for image in load("kodak")] == ["kodim01", "kodim02", "kodim03"]
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.count("not downloaded") == 1


def test_terms_are_shown_before_anything_is_fetched(small, folder, capsys):
    small.status = 503
    assert main(["data", "get", "cifar10"]) == 2
    out, err = capsys.readouterr()
    assert "terms: no license is stated" in out
    assert err.splitlines()[-1].endswith("the server answers 503 Service Unavailable")


def test_without_settings_the_cache_folder_is_used(small, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("SEMCOM_DATA", raising=False)
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"no folder .*cache/data/kodak: run: semcom data get kodak .*SEMCOM_DATA"):
        load("kodak")
    assert main(["data", "get", "kodak", "--quiet"]) == 0
    assert "export" not in capsys.readouterr().out
    assert len(load("kodak")) == 3
    assert (tmp_path / "cache" / "data" / "kodak" / "kodim01.png").is_file()


def test_another_folder_and_another_server(small, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(published.SETS, "kodak", replace(published.SETS["kodak"], address="http://nowhere.invalid"))
    elsewhere = tmp_path / "else where"
    assert main(["data", "get", "kodak", "--to", str(elsewhere), "--from", f"{small.url}/", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert f"source: {small.url}/" in out
    assert f"export SEMCOM_DATA={elsewhere}" in out
    assert len(os.listdir(elsewhere / "kodak")) == 3
    assert main(["data", "get", "kodak", "--to", str(elsewhere)]) == 0  # nothing is missing


def test_an_interrupted_set_resumes(small, folder, capsys):
    small.cuts = [10**6, 100, 0, 0, 0, 0]
    assert main(["data", "get", "kodak", "--quiet"]) == 2
    assert "run the same command again to resume" in capsys.readouterr().err
    assert sorted(os.listdir(folder / "kodak")) == [".kodim02.png.part", "kodim01.png"]
    with pytest.raises(UsageError, match="count: 3"):
        load("kodak", count=3)
    del small.requests[:]
    assert main(["data", "get", "kodak", "--quiet"]) == 0
    assert small.requests == ["bytes=100-", ""]
    assert len(load("kodak")) == 3


def test_files_of_the_user_are_not_overwritten(small, folder, capsys):
    (folder / "kodak").mkdir(parents=True)
    (folder / "kodak" / "kodim02.png").write_bytes(b"mine")
    assert main(["data", "get", "kodak", "--quiet"]) == 2
    assert "kodim02.png is another file than the published one" in capsys.readouterr().err
    assert (folder / "kodak" / "kodim02.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist"], "no data set 'mnist' to download; there are kodak, cifar10 and hf:ORG/NAME:SPLIT"),
        (["kodak", "--to", ""], "argument --to: the value is empty"),
        (["kodak", "--count", "3"], "--count applies to the Hugging Face hub"),
        (["hf:a/b:train", "--to", "x"], "--to and --from do not apply to the Hugging Face hub"),
        (["kodak", "--to", "file"], "--to file is a file; name a folder"),
    ],
)
def test_wrong_arguments_are_one_line(small, folder, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["data", "get", "--quiet", *arguments]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


# --- CIFAR-10 --------------------------------------------------------------------------------------------------------


def test_cifar10_has_classes_as_captions(small, folder, capsys):
    with pytest.raises(UsageError, match="run: semcom data get cifar10"):
        load("cifar10")
    assert main(["data", "get", "cifar10", "--quiet"]) == 0
    assert sorted(os.listdir(folder / cifar10.FOLDER)) == sorted(cifar10._FILES)
    images = load("cifar10", count=2)
    assert [(image.name, image.caption, image.category) for image in images] == [
        ("test00000", "frog", 6),
        ("test00001", "truck", 9),
    ]
    assert len(load("cifar10:train")) == 15
    assert load("cifar10:train")[4].name == "train10001"
    data = np.random.default_rng(0).integers(0, 255, (3, 3072), dtype=np.uint8)
    first = load("cifar10:train", count=1)[0]
    assert np.array_equal((first.pixels * 255).round().numpy().astype(np.uint8).ravel(), data[0])
    with pytest.raises(UsageError, match="cifar10 has no split 'val'; there are train, test"):
        load("cifar10:val")
    del small.requests[:]
    assert main(["data", "get", "cifar10", "--quiet"]) == 0
    assert not small.requests


def test_files_that_numpy_2_wrote_are_read(tmp_path):
    path = tmp_path / cifar10.ARCHIVE
    path.write_bytes(archive(b"numpy._core.multiarray"))
    cifar10.unpack(path)
    assert not path.exists()
    assert len(cifar10.entries(tmp_path, "train")) == 15


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps(Harmful(), 2), "mkdir is not expected"),
        (pickle.dumps({"data": np.zeros((2, 9), np.uint8), "labels": [1, 2]}, 2), "is no file of CIFAR-10"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, 2), "is no file of CIFAR-10"),
        (pickle.dumps([1], 2), "is no file of CIFAR-10"),
        (b"", "cannot be read (Ran out of input)"),
    ],
)
def test_other_files_are_refused_and_run_nothing(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / cifar10.ARCHIVE
    path.write_bytes(archive())
    cifar10.unpack(path)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(UsageError) as raised:
        cifar10.entries(tmp_path, "test")
    assert words in str(raised.value)
    assert str(raised.value).endswith("run: semcom data get cifar10")
    assert not (tmp_path / "harm").exists()


def test_an_incomplete_archive_is_refused(tmp_path):
    path = tmp_path / cifar10.ARCHIVE
    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(UsageError, match="lacks the file cifar-10-batches-py/data_batch_1"):
        cifar10.unpack(path)

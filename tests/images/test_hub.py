"""Data sets of the Hugging Face hub as image sources: local folders in its formats, and a hub on this computer."""

import io
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hub_server import REVISION, HubServer
from PIL import Image

from channels.errors import UsageError
from semcom.cli.main import main
from semcom.images import hub
from semcom.images.sources import folders_of, load

datasets = pytest.importorskip("datasets", reason="an extra: pip install 'semcom[data]'")


def pixels(number):
    return np.random.default_rng(number).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def png(number):
    file = io.BytesIO()
    Image.fromarray(pixels(number)).save(file, "PNG")
    return file.getvalue()


def write_parquet(path, count, label=lambda number: number % 2):
    """Images with two captions and a class each, in columns that are not called image, caption and label."""
    features = {
        "file_name": datasets.Value("string"),
        "img": datasets.Image(),
        "fine_label": datasets.ClassLabel(names=["cat", "dog"]),
        "sentences": datasets.List(datasets.Value("string")),
    }
    content = {
        "file_name": [f"{number}.png" for number in range(count)],
        "img": [{"bytes": png(number), "path": None} for number in range(count)],
        "fine_label": [label(number) for number in range(count)],
        "sentences": [[f"image {number}", f"number {number}"] for number in range(count)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(content, features=datasets.Features(features)).to_parquet(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


@pytest.fixture
def parquet(tmp_path):
    folder = tmp_path / "parquet"
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", 5)
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", 2, label=lambda number: -1)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Image files in one folder a class, and a file of captions."""
    for number, name in enumerate(["cat", "dog", "dog"]):
        path = tmp_path / "folder" / "train" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return tmp_path / "folder"


def test_columns_are_found_by_their_types_and_names(parquet):
    images = load(f"hf:{parquet}:train", count=3)
    assert [image.name for image in images] == ["train000000", "train000001", "train000002"]
    assert [(image.caption, image.category) for image in images] == [("image 0", 0), ("image 1", 1), ("image 2", 0)]
    assert np.array_equal((images[2].pixels * 255).round().permute(1, 2, 0).numpy(), pixels(2))
    assert next(iter(hub.HubImages(f"{parquet}:train"))).captions == ("image 0", "number 0")
    assert load(f"hf:{parquet}:train", count=1, size=16)[0].pixels.shape == (3, 16, 16)
    assert [image.category for image in load(f"hf:{parquet}:test")] == [None, None]
    assert folders_of(f"hf:{parquet}:train") == [parquet]


def test_classes_are_captions_where_there_are_none(folder):
    images = load(f"hf:{folder}:train")
    assert [(image.caption, image.category) for image in images] == [("cat", 0), ("dog", 1), ("dog", 1)]
    assert list(hub.HubImages(f"{folder}:train"))[1].files == (
        folder / "train" / "dog" / "1.png",
    )  # no copy in the cache


def test_only_the_images_that_are_used_are_read_and_they_stay(parquet, monkeypatch):
    source = f"hf:{parquet}:train"
    assert len(load(source, count=2)) == 2
    stored = hub.HubImages(f"{parquet}:train").folder
    assert sorted(path.name for path in stored.glob("*.image")) == ["000000.image", "000001.image"]
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "datasets", None)  # as if it were not installed
        assert len(load(source, count=2)) == 2
        with pytest.raises(UsageError, match=r"^datasets is not installed: pip install 'semcom\[data\]'$"):
            load(source, count=3)
    assert len(load(source)) == 5
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "datasets", None)
        assert len(load(source)) == 5
        with pytest.raises(UsageError, match=r"has 5 images that can be read, fewer than count: 6"):
            load(source, count=6)


def test_a_changed_folder_is_read_again(folder):
    assert len(load(f"hf:{folder}:train")) == 3
    (folder / "train" / "cat" / "9.png").write_bytes(png(9))
    assert len(load(f"hf:{folder}:train")) == 4


def test_an_interrupted_row_is_read_again(parquet):
    load(f"hf:{parquet}:train", count=2)
    stored = hub.HubImages(f"{parquet}:train").folder
    (stored / "000001.json").write_text("{")
    assert [image.caption for image in load(f"hf:{parquet}:train", count=3)] == ["image 0", "image 1", "image 2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{parquet}:val", "has no split 'val'; there are train, test"),
        ("{parquet}:other:train", "has no configuration 'other'; there are default"),
        ("{table}:train", "has no image column; its columns are a, b"),
        ("{empty}:train", "cannot be read ("),
        ("./nowhere:train", "no data set './nowhere': there is no such file or folder"),
        ("org/set", "write hf:ORG/NAME:SPLIT, or hf:ORG/NAME:CONFIGURATION:SPLIT"),
        ("", "write hf:ORG/NAME:SPLIT"),
    ],
)
def test_refusals_are_one_line(parquet, tmp_path, text, words):
    table, empty = tmp_path / "table", tmp_path / "empty"
    for path in (table, empty):
        path.mkdir()
    (table / "train.csv").write_text("a,b\n1,x\n")
    with pytest.raises(UsageError) as raised:
        load(f"hf:{text.format(parquet=parquet, table=table, empty=empty)}", count=1)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_command_reads_ahead(parquet, capsys):
    assert main(["data", "get", f"hf:{parquet}:train", "--count", "4", "--quiet"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "terms: unknown (a local folder)"
    assert len(list(hub.HubImages(f"{parquet}:train").folder.glob("*.image"))) == 4
    assert main(["data", "get", f"hf:{parquet}:train", "--count", "6", "--quiet"]) == 2
    assert "has 5 images, fewer than --count 6" in capsys.readouterr().err
    assert main(["data", "get", f"hf:{parquet}:train", "--count", "0", "--quiet"]) == 2
    assert "--count must be 1 or more" in capsys.readouterr().err


# --- the hub, in another process: its client reads its address once ------------------------------------------------


SCRIPT = """
import json, sys
from channels.errors import UsageError
from semcom.images.sources import load
for source, count in json.loads(sys.argv[1]):
    try:
        print(json.dumps([[image.name, image.caption, list(image.pixels.shape)] for image in load(source, count)]))
    except UsageError as error:
        print(json.dumps(str(error)))
"""


def loaded(address, tmp_path, *wanted):
    """What a new process loads from the hub at an address: images, or the text of the error; and its stderr."""
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    environment = {name: value for name, value in os.environ.items() if name not in {*proxies, "HF_HUB_OFFLINE"}}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "SEMCOM_CACHE": str(tmp_path / "hub")}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def test_a_hub_is_read_once_and_not_needed_again(tmp_path):
    content = {
        "org/set": {"README.md": b"", "data/train.parquet": write_parquet(tmp_path / "train.parquet", 5)},
        "org/folder": {"train/cat/0.png": png(0), "train/dog/1.png": png(1), "README.md": b""},
        "org/table": {"train.csv": b"a,b\n1,x\n"},
    }
    with HubServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        results, messages = loaded(
            server.url,
            tmp_path,
            ["hf:org/set:train", 2],
            ["hf:org/folder:train", None],
            ["hf:org/table:train", 1],
            ["hf:org/set:val", 1],
            ["hf:org/other:train", 1],
        )
        server.shutdown()
        thread.join()
    images, files, table, split, other = results
    assert images == [["train000000", "image 0", [3, 20, 30]], ["train000001", "image 1", [3, 20, 30]]]
    assert files == [["train000000", "cat", [3, 20, 30]], ["train000001", "dog", [3, 20, 30]]]
    assert table == "hf:org/table has no image column; its columns are a, b"
    assert split == "hf:org/set has no split 'val'; there are train"
    assert other == "hf:org/other: the Hugging Face hub has no such data set, or you have no access to it"
    assert "reading hf:org/set:train from the Hugging Face hub; license: cc-by-4.0" in messages
    assert any(f"resolve/{REVISION}/data/train.parquet" in path for path in server.requests)

    again, more = loaded("http://127.0.0.1:9", tmp_path, ["hf:org/set:train", 2], ["hf:org/set:train", 3])[0]
    assert again == images
    assert more.startswith("hf:org/set is not in the cache as far as it is needed, and the Hugging Face hub cannot be")

"""Animated image files, maps of differences, and captions beside a folder of images."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from channels import UsageError
from semcom.images import animation, difference_map, load, save_png, to_bytes
from semcom.images.comparison import tile


def frames(count, side=64):
    generator = torch.Generator().manual_seed(0)
    return [
        [tile(torch.rand(3, side, side, generator=generator), [f"SNR {10 * number} dB"])] for number in range(count)
    ]


def read(content):
    image = Image.open(io.BytesIO(content))
    for number in range(image.n_frames):
        image.seek(number)
        yield image.info.get("duration"), np.asarray(image.convert("RGB"))


def test_webp_is_lossless_and_has_every_frame():
    shown = frames(3)
    found = list(read(animation(shown, "WEBP", 0.1)))
    assert len(found) == 3
    for (_, page), (one,) in zip(found, shown, strict=True):
        pixels = np.asarray(one.image)
        assert np.array_equal(page[8 : 8 + len(pixels), 8 : 8 + pixels.shape[1]], pixels)


def test_gif_has_every_frame_for_its_duration():
    found = list(read(animation(frames(4), "GIF", 0.25)))
    assert [duration for duration, _ in found] == [250] * 4
    assert len({page.tobytes() for _, page in found}) == 4


@pytest.mark.parametrize("shown", [[], [frames(1)[0], frames(1, 300)[0]]])
def test_frames_of_different_sizes_are_refused(shown):
    with pytest.raises(UsageError, match="all of the same size"):
        animation(shown, "GIF")


def test_the_difference_map_is_black_where_images_are_equal():
    first = torch.rand(3, 8, 8)
    assert not difference_map(first, first).any()
    second = first.clone()
    second[0, 0, 0] = (first[0, 0, 0] + 0.5) % 1
    shown = to_bytes(difference_map(first, second, gain=1.0))
    assert shown[0, 0].tolist() == [round(255 * abs(float(second[0, 0, 0] - first[0, 0, 0]))), 0, 0]
    assert shown.sum() == shown[0, 0, 0]


def test_a_folder_may_have_captions(tmp_path):
    for name in ("a.png", "b.png"):
        save_png(torch.rand(3, 16, 16), tmp_path / name)
    (tmp_path / "captions.jsonl").write_text(json.dumps({"file": "a.png", "captions": ["a red dog", "a dog"]}))
    assert [image.caption for image in load(f"folder:{tmp_path}")] == ["a red dog", None]
    assert [image.caption for image in load(f"folder:{tmp_path / 'a.png'}")] == ["a red dog"]

"""The examples that pack arrays and videos run, and their datasets have what they packed."""

import importlib.util
import pathlib
import subprocess
import sys

import clipshard as cs
import numpy as np
import pytest
from writing import Image, decoded, jpeg, listed, manifest, smooth, stored

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def load(name):
    """Imports an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_pack_arrays(tmp_path):
    folder = tmp_path / "gestures.shards"
    for clips in (3, 5):
        text = run("pack_arrays", "--out", folder, "--clips", clips)
        assert text == f"{folder}: {clips} clips of depth, poses, rgb\n"
    recordings = list(load("pack_arrays").recordings(5))
    assert sorted(listed(folder)) == [name for name, _, _ in recordings]
    assert [clip["subsets"] for _, clip in sorted(listed(folder).items())] == [["train"]] * 3 + [["test"], ["train"]]
    for name, label, arrays in recordings:
        assert manifest(folder)["classes"][listed(folder)[name]["label"]] == label
        assert np.array_equal(np.stack(stored(folder, "depth")[name])[..., 0], arrays["depth"])
        poses = stored(folder, "poses")[name]
        assert all(np.array_equal(a, b) for a, b in zip(poses, arrays["poses"], strict=True))
        rgb = np.stack([decoded(file) for file in stored(folder, "rgb")[name]])
        assert abs(rgb.astype(int) - arrays["rgb"]).mean() < 3


@pytest.fixture
def images(tmp_path):
    """A folder of images per clip: JPEG files, except for one clip of PNG files."""
    for number, name in enumerate(["jump/a", "jump/b", "wave/c", "wave/d", "wave/e"]):
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for frame, image in enumerate(smooth(3)):
            if name == "wave/d":
                Image.fromarray(image).save(folder / f"{frame}.png")
            else:
                (folder / f"{frame}.jpg").write_bytes(jpeg(image, quality=60 + number))
    return tmp_path / "videos"


def test_pack_videos(tmp_path, images):
    folder = tmp_path / "videos.shards"
    for _ in range(2):
        assert run("pack_videos", "--videos", images, "--out", folder) == f"{folder}: 5 clips\n"
    clips, files = listed(folder), stored(folder, "rgb")
    assert manifest(folder)["classes"] == ["jump", "wave"]
    assert {name: clip["label"] for name, clip in clips.items()} == {
        "jump/a": 0, "jump/b": 0, "wave/c": 1, "wave/d": 1, "wave/e": 1,
    }  # fmt: skip
    assert [clips[name]["subsets"] for name in sorted(clips)] == [["train"]] * 4 + [["test"]]
    assert files["wave/c"] == [(images / "wave" / "c" / f"{frame}.jpg").read_bytes() for frame in range(3)]
    assert abs(np.stack([decoded(file) for file in files["wave/d"]]).astype(int) - smooth(3)).mean() < 3


def test_pack_videos_with_another_decoder(tmp_path):
    """Decoders of videos are not installed everywhere, so a function makes the frames."""
    (tmp_path / "videos" / "wave").mkdir(parents=True)
    for name in ("one.mp4", "two.avi", "notes.txt"):
        (tmp_path / "videos" / "wave" / name).touch()
    decoded_paths = []

    def decode(path):
        decoded_paths.append(path.name)
        yield from smooth(4 if path.name == "one.mp4" else 2)

    assert load("pack_videos").pack(tmp_path / "videos", tmp_path / "out", decode) == 2
    assert decoded_paths == ["one.mp4", "two.avi"]
    data = cs.Dataset(tmp_path / "out")
    assert data["wave/one"].frames("rgb") == 4 and data["wave/two"].attrs == {"source": "two.avi"}
    assert abs(data["wave/one"].read("rgb").astype(int) - smooth(4)).mean() < 3

"""A dataset whose pixels say which clip, frame and place they are from."""

import sys

import numpy as np
from PIL import Image

import clipshard as cs

HEIGHT, WIDTH = 48, 64
"""Size of the frames of the stream rgb. Those of flow and depth are half as large."""

FRAMES = [12, 15, 18, 21, 24]
LABELS = [0, 1, 0, None, 1]
IDS = [f"c{number}" for number in range(len(FRAMES))]
TRAIN, TEST = IDS[:3], IDS[3:]


def rgb(clip):
    """The channels are the column, the row, and a number that belongs to one frame of one clip."""
    n, y, x = np.mgrid[: FRAMES[clip], :HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 5, n * 10 + clip], -1).astype(np.uint8)


def flow(clip):
    """The planes are 4 columns + frame, and 6 rows + 2 frames."""
    n, y, x = np.mgrid[: FRAMES[clip], : HEIGHT // 2, : WIDTH // 2]
    return np.stack([x * 4 + n, y * 6 + 2 * n], 1).astype(np.uint8)


def depth(clip):
    n, y, x = np.mgrid[: FRAMES[clip], : HEIGHT // 2, : WIDTH // 2]
    return (n * 2000 + y * 70 + x).astype(np.uint16)


STREAMS = {"rgb": rgb, "flow": flow, "depth": depth}


def write(folder):
    """Writes the dataset without loss, and returns its folder."""
    streams = {"rgb": cs.Zstd(1), "flow": cs.Zstd(1), "depth": cs.Zstd(1, dtype="uint16")}
    with cs.Writer(folder, streams=streams, classes=["wave", "jump"], splits=["1"]) as writer:
        for number, id in enumerate(IDS):
            subset = "train" if id in TRAIN else "test"
            frames = {name: make(number) for name, make in STREAMS.items()}
            writer.add(id, label=LABELS[number], subset=subset, **frames)
    return folder


def resized(image, window, size):
    """Resizes a window (x, y, width, height) of an image [H, W] or [H, W, C] to a square with Pillow."""
    x, y, width, height = window
    part = np.ascontiguousarray(image[y : y + height, x : x + width])
    return np.asarray(Image.fromarray(part).resize((size, size), Image.BILINEAR)).astype(int)


def clip_and_frame(image):
    """Returns the clip and the frame that an RGB image [H, W, 3] shows."""
    values = np.unique(image[..., 2])
    assert len(values) == 1, values
    frame, clip = divmod(int(values[0]), 10)
    return clip, frame


def side(profile, step, length):
    """Returns the start and the length of the window that a row or a column of an image shows.

    The stored value at place i is `step * i`. None fits if the image shows no window.
    """
    size = len(profile)
    gradient = (np.arange(length) * step).astype(np.uint8)
    slope = np.polyfit(np.arange(size), profile, 1)[0]
    around = round(slope * size / step)
    found = []
    for part in range(max(1, around - 4), min(length, around + 4) + 1):
        for start in range(length - part + 1):
            expected = resized(np.tile(gradient[start : start + part], (part, 1)), (0, 0, part, part), size)[0]
            found.append((np.abs(expected - profile).max(), np.abs(expected - profile).sum(), start, part))
    worst, _, start, part = min(found)
    return (start, part) if worst <= 1 else None


def locate(image):
    """Returns the window (x, y, width, height) that an RGB image [S, S, 3] shows, and whether it is mirrored."""
    image = image.astype(int)
    mirrored = image[0, 0, 0] > image[0, -1, 0]
    if mirrored:
        image = image[:, ::-1]
    assert (image[..., 0] == image[:1, :, 0]).all() and (image[..., 1] == image[:, :1, 1]).all()
    (x, width), (y, height) = side(image[0, :, 0], 4, WIDTH), side(image[:, 0, 1], 5, HEIGHT)
    return (x, y, width, height), bool(mirrored)


def named(argument):
    """Returns the pattern of an exception for a wrong type of an argument.

    A note of the exception has the name of the argument. Python 3.10 has no notes.
    """
    return argument if sys.version_info >= (3, 11) else "object"

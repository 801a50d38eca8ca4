"""Makes a small dataset that a network learns in seconds. The other examples use it if you pass no data.

    python synthetic.py synthetic.shards

A clip shows a pattern that moves. RGB frames show the pattern, and optical flow shows the motion.
Each class has its own pattern and its own motion, so each stream alone tells the classes apart.
"""

import argparse
import functools
import tempfile

import numpy as np

import clipshard as cs

CLASSES = ["rising stripes", "falling checks", "growing rings", "still waves"]
HEIGHT, WIDTH = 60, 80
FLOW_SCALE = 6.4  # stored value = 128 + 6.4 x pixels per frame, as ucfpack stores it


def motion(label, rows, columns, speed):
    """Returns how far each pixel moves from one frame to the next: x and y, in pixels.

    No motion is only to the left or to the right, so that mirrored clips keep their class.
    """
    still = np.zeros_like(rows)
    if label == 0:
        return still, still - speed
    if label == 1:
        return still, still + speed
    if label == 2:
        return columns * speed / 40, rows * speed / 40
    return still, still


def pattern(label, rows, columns, period):
    """Returns the brightness of each pixel, from -1 to 1."""
    wave = 2 * np.pi / period
    if label == 0:
        return np.sin(wave * rows)
    if label == 1:
        return np.sign(np.sin(wave * rows) * np.sin(wave * columns))
    if label == 2:
        return np.sin(wave * np.hypot(rows, columns))
    return np.sin(wave * columns + 2 * np.sin(wave * rows / 2))


def clip(label, frames, random):
    """Makes a clip: RGB frames [n, H, W, 3] and the flow between them [n - 1, 2, H, W], both uint8."""
    # Places are measured from the centre of the frame.
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT, WIDTH]).reshape(2, 1, 1) / 2
    speed, period, start = random.uniform(1, 2.5), random.uniform(10, 16), random.uniform(0, 16, 2)
    if label == 2:
        start[:] = 0
    dark, bright = random.uniform(0, 100, 3), random.uniform(150, 255, 3)
    x, y = motion(label, rows, columns, speed)
    rgb = np.empty((frames, HEIGHT, WIDTH, 3), np.uint8)
    for frame in range(frames):
        # A pixel shows what was elsewhere at the start of the clip.
        seen = pattern(label, rows - y * frame + start[0], columns - x * frame + start[1], period)
        colours = dark + (bright - dark) * (seen[..., None] + 1) / 2
        rgb[frame] = np.clip(colours + random.normal(0, 12, colours.shape), 0, 255)
    flow = np.stack([x, y]) * FLOW_SCALE + random.normal(0, 2, (frames - 1, 2, HEIGHT, WIDTH))
    return rgb, np.clip(128 + flow.round(), 0, 255).astype(np.uint8)


def make(path, clips=64, frames=20):
    """Writes the dataset. Every fourth clip is a test clip."""
    streams = {"rgb": cs.Jpeg(90), "flow": cs.Zstd(3)}
    with cs.Writer(path, streams, CLASSES, splits=["1"], name="synthetic") as writer:
        for number in range(clips):
            label = number % len(CLASSES)
            rgb, flow = clip(label, frames, np.random.default_rng(number))
            subset = "test" if number // len(CLASSES) % 4 == 3 else "train"
            writer.add(f"clip_{number:03}", rgb=rgb, flow=flow, label=label, subset=subset)


@functools.cache
def folder():
    """Makes the dataset in a temporary folder, which is deleted when the program ends."""
    place = tempfile.TemporaryDirectory(prefix="clipshard-")
    print("no --data: training on a small synthetic dataset", flush=True)
    make(f"{place.name}/synthetic.shards")
    return place


def path_of(data):
    """Returns the path of the dataset to use: `data`, or a new synthetic dataset if it is None."""
    return data or f"{folder().name}/synthetic.shards"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", metavar="DIR", help="folder of the new dataset")
    parser.add_argument("--clips", type=int, default=64, help="number of clips (default: %(default)s)")
    options = parser.parse_args()
    make(options.out, options.clips)
    print(f"{options.out}: {options.clips} clips of {len(CLASSES)} classes")


if __name__ == "__main__":
    main()

"""Packs arrays of your own: depth maps, poses and colour frames of a few clips.

    python pack_arrays.py --out gestures.shards

Replace `recordings` with your own data. Interrupt the program and run it again: it continues with
the clips that are missing.
"""

import argparse

import numpy as np

import clipshard

CLASSES = ["wave", "jump"]


def recordings(clips, frames=12):
    """Yields id, label and the streams of each clip, as arrays of numpy.

    The data is synthetic: a bright square moves over a plane, and two people of 17 joints follow it.
    """
    rows, columns = np.mgrid[:48, :64]
    for number in range(clips):
        random = np.random.default_rng(number)
        rgb = np.zeros((frames, 48, 64, 3), np.uint8)  # [n, H, W, 3]
        depth = np.zeros((frames, 48, 64), np.uint16)  # [n, H, W], in millimetres
        poses = []  # [people, 17, 3] for each frame: the number of people may change
        for frame in range(frames):
            left = 3 * frame + number
            square = (abs(columns - left) < 8) & (abs(rows - 24) < 8)
            rgb[frame] = np.where(square[..., None], (220, 180, 40), (30, 60, 90))
            depth[frame] = np.where(square, 900, 2000 + 10 * rows)
            people = 2 if frame % 3 else 1
            poses.append(random.normal((left, 24, 900), 5, (people, 17, 3)).astype(np.float32))
        yield f"clip_{number:03}", CLASSES[number % 2], {"rgb": rgb, "depth": depth, "poses": poses}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the new dataset")
    parser.add_argument("--clips", type=int, default=8, help="number of clips (default: %(default)s)")
    options = parser.parse_args()

    streams = {
        "rgb": clipshard.Jpeg(90),
        "depth": clipshard.Zstd(6),  # without loss; the first clip decides that it is uint16
        "poses": clipshard.Zstd(6, kind="array"),  # not images: the first dimension may change
    }
    # "resume" starts a new dataset, or continues an interrupted one.
    with clipshard.Writer(options.out, streams, CLASSES, splits=["1"], mode="resume") as writer:
        for number, (name, label, arrays) in enumerate(recordings(options.clips)):
            if name in writer:
                continue
            subset = "test" if number % 4 == 3 else "train"
            writer.add(name, label=label, subset=subset, attrs={"fps": 25}, **arrays)
        print(f"{options.out}: {len(writer)} clips of {', '.join(writer.streams)}")


if __name__ == "__main__":
    main()

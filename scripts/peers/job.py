"""The job that is measured: the training clips of a frame tree, and their samples."""

import dataclasses
import json
import math
import os
import pathlib
import random

SIDE, FRAMES = 224, 10
# Number of samples of a long pass. Passes through a small dataset are joined to a long pass, so
# that the loader does not stop between them. `ucftrain bench loader` does the same.
SAMPLES = 200_000


@dataclasses.dataclass
class Clip:
    name: str
    label: str
    rgb: int
    flow: int


@dataclasses.dataclass
class Job:
    stream: str
    batch: int
    threads: int
    seconds: float
    tree: str
    bin: str
    lists: str
    videos: str | None
    clips: list
    test_clip: Clip

    @classmethod
    def of(cls, args):
        """Makes a job from the options: finds the clips of the lists in the tree."""
        found = [clips_of(args, f"{part}list01.txt") for part in ("train", "test")]
        if not all(found):
            raise SystemExit(
                f"error: {args.tree} has no training clips or no test clips of split 1 in {args.lists}; both are needed"
            )
        # ucftrain requires a test clip. The shortest one adds the least data.
        test_clip = min(found[1], key=lambda clip: clip.rgb)
        tree, lists, programs = (os.path.abspath(path) for path in (args.tree, args.lists, args.bin))
        videos = args.videos and os.path.abspath(args.videos)
        fixed = (args.stream, args.batch, args.threads, args.seconds, tree, programs, lists, videos)
        return cls(*fixed, found[0], test_clip)

    def save(self, path):
        pathlib.Path(path).write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path):
        found = json.loads(pathlib.Path(path).read_text())
        return cls(
            **found | {"clips": [Clip(**clip) for clip in found["clips"]], "test_clip": Clip(**found["test_clip"])}
        )

    def frame(self, clip, i):
        """Returns the path of RGB frame i, counted from 0."""
        return f"{self.tree}/jpegs_256/{clip.name}/frame{i + 1:06}.jpg"

    def planes(self, clip, start):
        """Returns the paths of the 20 planes of a stack: x and y of the first frame, then of the next."""
        return [
            f"{self.tree}/tvl1_flow/{plane}/{clip.name}/frame{i + 1:06}.jpg"
            for i in range(start, start + FRAMES)
            for plane in "uv"
        ]

    def windows(self):
        """Returns stacks that do not overlap, in random order, for formats that cannot store overlapping stacks."""
        return shuffled((clip, start) for clip in self.clips for start in range(0, clip.flow - FRAMES + 1, FRAMES))

    def images(self):
        """Returns the RGB frames in random order."""
        return shuffled((clip, i) for clip in self.clips for i in range(clip.rgb))

    def samples(self):
        """Returns all samples that share no file, in random order. A sample is a list of paths."""
        if self.stream == "flow":
            return [self.planes(*window) for window in self.windows()]
        return [[self.frame(*image)] for image in self.images()]

    def count(self):
        """Returns the number of `samples`."""
        return sum(clip.flow // FRAMES if self.stream == "flow" else clip.rgb for clip in self.clips)

    def shapes(self):
        """Returns the allowed shapes of a batch. RGB may be [height, width, 3] or [3, height, width]."""
        if self.stream == "flow":
            return [(self.batch, 2 * FRAMES, SIDE, SIDE)]
        return [(self.batch, SIDE, SIDE, 3), (self.batch, 3, SIDE, SIDE)]

    def passes(self, samples):
        """Returns how many passes through this number of samples are joined to one long pass."""
        return math.ceil(SAMPLES / samples)


def shuffled(found):
    found = list(found)
    random.Random(0).shuffle(found)
    return found


def clips_of(args, name):
    """Returns the clips of a list that have enough frames in the tree."""
    wanted = set(args.classes.split(",")) if args.classes else None
    clips = []
    for line in (pathlib.Path(args.lists) / name).read_text().split("\n"):
        label, _, rest = line.partition("/")
        if not rest or (wanted and label not in wanted):
            continue
        clip = rest.split()[0].removesuffix(".avi")
        rgb, u, v = (
            count(os.path.join(args.tree, folder, clip)) for folder in ("jpegs_256", "tvl1_flow/u", "tvl1_flow/v")
        )
        if min(rgb, u, v) >= FRAMES:
            clips.append(Clip(clip, label, rgb, min(u, v)))
    return clips


def count(folder):
    return sum(name.endswith(".jpg") for name in os.listdir(folder)) if os.path.isdir(folder) else 0

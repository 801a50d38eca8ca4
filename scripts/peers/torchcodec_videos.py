"""torchcodec: decodes the original videos at random positions, with PyTorch's DataLoader.

People who keep their videos train in this way. There is no flow in a video, so the subject exists
for RGB only. A sample is a random frame of a video, scaled to a shorter side of 256 pixels like the
frames of the tree, then a random crop, mirrored half of the time. The decoder scales the frame,
with its own transform. Each worker keeps the decoder of each video open: a new decoder per sample
would scan the file each time. The seek mode is "exact", which the documentation recommends for short
videos.
"""

import functools
import os
import random

from . import pil_files
from .job import SIDE

SUBJECTS = {"flow": {}, "rgb": {"torchcodec": "from the videos"}}
SHORT_SIDE = 256


def prepare(job, name, folder):
    import torchcodec  # noqa: F401, fails early if the package or FFmpeg's libraries are missing

    if not job.videos:
        raise ValueError("needs --videos, the folder of the original videos")
    missing = [clip.name for clip in job.clips if clip.name not in videos(job)]
    if missing:
        raise ValueError(f"{job.videos} has no video of {missing[0]}, and {len(missing)} are missing in all")


def videos(job):
    """Returns {name of a clip: path of its video}."""
    found = ((folder, name) for folder, _, names in os.walk(job.videos) for name in names)
    return {os.path.splitext(name)[0]: os.path.join(folder, name) for folder, name in found}


def files(job):
    found = videos(job)
    return [found[clip.name] for clip in job.clips]


def scaled(width, height):
    """Returns the height and width of a frame with a shorter side of 256 pixels."""
    factor = SHORT_SIDE / min(width, height)
    return round(height * factor), round(width * factor)


class Videos:
    """A random crop of each video. Several passes are joined to one long pass."""

    def __init__(self, job):
        self.paths, self.length = files(job), len(job.clips) * job.passes(len(job.clips))

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        decoder = decoder_of(self.paths[i % len(self.paths)])
        frame = decoder[random.randrange(len(decoder))]
        top, left = (random.randint(0, side - SIDE) for side in frame.shape[1:])
        frame = frame[:, top : top + SIDE, left : left + SIDE]
        return frame.flip(2) if random.random() < 0.5 else frame.contiguous()


@functools.cache
def decoder_of(path):
    """Returns the decoder of a video, the same one each time in a process."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    found = VideoDecoder(path).metadata
    return VideoDecoder(path, transforms=[Resize(scaled(found.width, found.height))])


def batches(job, name, folder):
    data = pil_files.loader(Videos(job), job, shuffle=True, drop_last=True)
    while True:
        yield from data

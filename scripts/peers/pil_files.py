"""The JPEG files of the tree, read with PIL and PyTorch's DataLoader, as in the reference code."""

import random

from . import pixels
from .job import FRAMES

SUBJECTS = {"flow": {"PIL files": "every start"}, "rgb": {"PIL files": ""}}


def prepare(job, name, folder):
    import PIL.Image  # noqa: F401
    import torch  # noqa: F401, fails early if the package is missing


def files(job):
    if job.stream == "rgb":
        return [job.frame(clip, i) for clip in job.clips for i in range(clip.rgb)]
    return [
        path
        for clip in job.clips
        for start in range(0, clip.flow, FRAMES)
        for path in job.planes(clip, start)
        if exists(clip, path)
    ]


def exists(clip, path):
    return int(path[-10:-4]) <= clip.flow


class Clips:
    """A random frame or stack of each clip. Several passes are joined to one long pass."""

    def __init__(self, job):
        self.job, self.length = job, len(job.clips) * job.passes(len(job.clips))

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        job, clip = self.job, self.job.clips[i % len(self.job.clips)]
        if job.stream == "rgb":
            return pixels.sample(job, [job.frame(clip, random.randrange(clip.rgb))])
        return pixels.sample(job, job.planes(clip, random.randrange(clip.flow - FRAMES + 1)))


def loader(dataset, job, **more):
    """Returns a DataLoader of PyTorch.

    Its workers persist, prefetch two batches each (the default), and have one thread each.
    """
    import torch

    once = lambda worker: torch.set_num_threads(1)
    options = {"batch_size": job.batch, "num_workers": job.threads, "persistent_workers": True, "prefetch_factor": 2}
    return torch.utils.data.DataLoader(dataset, worker_init_fn=once, **(options | more))


def batches(job, name, folder):
    data = loader(Clips(job), job, shuffle=True, drop_last=True)
    while True:
        yield from data

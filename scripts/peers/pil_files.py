"""The JPEG files as they lie there, with PIL and PyTorch's DataLoader: the way of the seed of this project."""

import random

from . import pixels
from .job import FRAMES

SUBJECTS = {"flow": {"PIL files": "every start"}, "rgb": {"PIL files": ""}}


def prepare(job, name, folder):
    import PIL.Image  # noqa: F401
    import torch  # noqa: F401, to say at once that it is missing


def files(job):
    if job.stream == "rgb":
        return [job.frame(clip, i) for clip in job.clips for i in range(clip.rgb)]
    return [path for clip in job.clips for start in range(0, clip.flow, FRAMES) for path in job.planes(clip, start) if exists(clip, path)]


def exists(clip, path):
    return int(path[-10:-4]) <= clip.flow


class Clips:
    """A random frame or stack of each clip; as many passes as make one long one."""

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
    """PyTorch's DataLoader with workers that stay and prefetch (2 batches each, its default); one thread in each."""
    import torch

    once = lambda worker: torch.set_num_threads(1)
    options = {"batch_size": job.batch, "num_workers": job.threads, "persistent_workers": True, "prefetch_factor": 2}
    return torch.utils.data.DataLoader(dataset, worker_init_fn=once, **(options | more))


def batches(job, name, folder):
    data = loader(Clips(job), job, shuffle=True, drop_last=True)
    while True:
        yield from data

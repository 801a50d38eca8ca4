"""WebDataset: tar files of the original JPEGs, with the 20 planes of a stack in one sample.

The settings follow its documentation: samples in random order, several shards per worker,
resampled=True, shuffle(1000), and batches made in the workers. Batches are not shuffled again after
the loader, because that would cost a copy.
"""

import glob
import os

from . import pil_files, pixels
from .job import FRAMES

SUBJECTS = {"flow": {"WebDataset": "windows that do not overlap"}, "rgb": {"WebDataset": ""}}
GIGABYTE = 10**9


def names(job):
    return [f"{i:02}.jpg" for i in range(2 * FRAMES)] if job.stream == "flow" else ["jpg"]


def prepare(job, name, folder):
    import webdataset

    samples = job.samples()
    total = sum(os.path.getsize(path) for sample in samples for path in sample)
    shards = max(2 * job.threads, total // GIGABYTE + 1)
    for shard in range(shards):
        with webdataset.TarWriter(os.path.join(folder, f"{shard:06}.tar")) as tar:
            for i in range(shard, len(samples), shards):
                files = (open(path, "rb").read() for path in samples[i])
                tar.write({"__key__": f"{i:09}", **dict(zip(names(job), files))})


def batches(job, name, folder):
    import webdataset

    decode = lambda sample: (pixels.sample(job, [sample[name] for name in names(job)]),)
    shards = sorted(glob.glob(os.path.join(folder, "*.tar")))
    dataset = webdataset.WebDataset(shards, resampled=True).shuffle(1000).map(decode).batched(job.batch, partial=False)
    for (batch,) in pil_files.loader(dataset, job, batch_size=None):
        yield batch

"""Lance: a table with one original JPEG per row, read at random rows, and decoded with PIL.

`lance.torch.data.get_safe_loader` makes the DataLoader, which Lance's documentation recommends
because Lance is not safe after a fork. A batch is one call of `take`. A stack is 20 rows next to
each other, from any start.
"""

import os
import random

from . import pixels
from .job import FRAMES

SUBJECTS = {"flow": {"Lance": "every start"}, "rgb": {"Lance": ""}}
ROWS = 1000


def paths(job):
    """Returns the files in the order of the rows: clip by clip, and in each clip in the order of time."""
    for clip in job.clips:
        if job.stream == "rgb":
            yield from (job.frame(clip, i) for i in range(clip.rgb))
        else:
            yield from (path for start in range(clip.flow) for path in job.planes(clip, start)[:2])


def table(job):
    import pyarrow

    schema, rows = pyarrow.schema([("image", pyarrow.binary())]), []
    for path in paths(job):
        rows.append(open(path, "rb").read())
        if len(rows) == ROWS:
            yield pyarrow.record_batch([pyarrow.array(rows, pyarrow.binary())], schema=schema)
            rows = []
    yield pyarrow.record_batch([pyarrow.array(rows, pyarrow.binary())], schema=schema)


def prepare(job, name, folder):
    import lance
    import pyarrow

    schema = pyarrow.schema([("image", pyarrow.binary())])
    lance.write_dataset(table(job), os.path.join(folder, "images.lance"), schema=schema)


class Rows:
    """A random image or stack of each clip. Several passes are joined to one long pass."""

    def __init__(self, job, path):
        self.job, self.path, self.data = job, path, None
        self.length = len(job.clips) * job.passes(len(job.clips))
        self.first, row = [], 0
        for clip in job.clips:
            self.first.append(row)
            row += clip.rgb if job.stream == "rgb" else 2 * clip.flow

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return self.__getitems__([i])[0]

    def rows(self, i):
        clip, first = self.job.clips[i % len(self.first)], self.first[i % len(self.first)]
        if self.job.stream == "rgb":
            return [first + random.randrange(clip.rgb)]
        start = first + 2 * random.randrange(clip.flow - FRAMES + 1)
        return list(range(start, start + 2 * FRAMES))

    def __getitems__(self, wanted):
        if self.data is None:
            import lance

            self.data = lance.dataset(self.path)
        rows = [self.rows(i) for i in wanted]
        images = iter(self.data.take([row for sample in rows for row in sample], columns=["image"])["image"])
        return [pixels.sample(self.job, [next(images).as_py() for _ in sample]) for sample in rows]


def one_thread(worker):
    import torch

    torch.set_num_threads(1)


def batches(job, name, folder):
    from lance.torch.data import get_safe_loader

    rows = Rows(job, os.path.join(folder, "images.lance"))
    options = {"shuffle": True, "drop_last": True, "prefetch_factor": 2, "worker_init_fn": one_thread}
    data = get_safe_loader(rows, batch_size=job.batch, num_workers=job.threads, **options)
    while True:
        yield from data

"""Grain: ArrayRecord files of the original JPEGs, decoded with PIL.

The pipeline is the one of Grain's documentation: MapDataset from an ArrayRecordDataSource, a global
shuffle, random transformations with Grain's generator, batches, and worker processes. A record is
one JPEG (RGB), or the 20 planes of a stack (flow). Records form groups of one, because random access
decodes a whole group.
"""

import glob
import os
import pickle
import random

from . import pixels
from .job import SAMPLES

SUBJECTS = {"flow": {"Grain": "windows that do not overlap"}, "rgb": {"Grain": ""}}


def prepare(job, name, folder):
    import grain  # noqa: F401, fails early if the package is missing
    from array_record.python.array_record_module import ArrayRecordWriter

    samples, shards = job.samples(), 2 * job.threads
    for shard in range(shards):
        # JPEGs do not become smaller.
        path = os.path.join(folder, f"{shard:05}.array_record")
        writer = ArrayRecordWriter(path, "group_size:1,uncompressed")
        for paths in samples[shard::shards]:
            writer.write(pickle.dumps([open(path, "rb").read() for path in paths]))
        writer.close()


def decode(record, generator, job):
    """Decodes one record. Grain's generator decides the random crop, so that the order of workers does not matter."""
    random.seed(int(generator.integers(1 << 62)))
    return pixels.sample(job, pickle.loads(record))


class Decode:
    def __init__(self, job):
        self.job = job

    def __call__(self, record, generator):
        return decode(record, generator, self.job)


def batches(job, name, folder):
    import grain

    source = grain.sources.ArrayRecordDataSource(sorted(glob.glob(os.path.join(folder, "*.array_record"))))
    data = grain.MapDataset.source(source).seed(7).shuffle().repeat(job.passes(SAMPLES // 10))
    data = data.random_map(Decode(job)).batch(job.batch, drop_remainder=True)
    # PIL decodes one image at a time in each process. More threads only compete for the interpreter.
    data = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
    workers = grain.multiprocessing.MultiprocessingOptions(num_workers=job.threads, per_worker_buffer_size=2)
    while True:
        yield from data.mp_prefetch(workers)

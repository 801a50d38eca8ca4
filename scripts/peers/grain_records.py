"""Grain: ArrayRecord files of the original JPEGs, decoded with PIL.

The pipeline is the one of Grain's documentation: MapDataset from an ArrayRecordDataSource, a global
shuffle, random transformations with Grain's generator, and batches. For code that releases Python's
global lock, as PIL does in part, it recommends threads; for other code, processes. Both are measured.
A record is one JPEG (RGB), or the 20 planes of a stack (flow). Records form groups of one, because
random access decodes a whole group.
"""

import glob
import os
import pickle
import random

from . import pixels

SUBJECTS = {
    "flow": {f"Grain {kind}": "windows that do not overlap" for kind in ("threads", "processes")},
    "rgb": {"Grain threads": "", "Grain processes": ""},
}


def data_of(name):
    return "Grain"


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
    """Decodes one record. Grain's generator seeds the random crop."""
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
    data = grain.MapDataset.source(source).seed(7).shuffle().repeat(job.passes(job.count()))
    data = data.random_map(Decode(job)).batch(job.batch, drop_remainder=True)
    if name == "Grain threads":
        # Each thread makes whole batches.
        options = grain.ReadOptions(num_threads=job.threads, prefetch_buffer_size=2 * job.threads)
        data = data.to_iter_dataset(options)
    else:
        options = grain.multiprocessing.MultiprocessingOptions(num_workers=job.threads, per_worker_buffer_size=2)
        data = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)).mp_prefetch(options)
    while True:
        yield from data

"""MosaicML streaming: MDS shards of 64 MiB (default), a shuffled StreamingDataset, PyTorch's DataLoader.

RGB: JPEGs, decoded with PIL. Flow: arrays, raw or with zstd. At the first use, streaming unpacks
zstd shards next to the originals and keeps the unpacked files.
"""

import os

from . import pil_files, pixels
from .job import SIDE

SUBJECTS = {
    "flow": {
        "MosaicML raw": "windows that do not overlap",
        "MosaicML zstd": "windows that do not overlap; unpacks its shards to disk",
    },
    "rgb": {"MosaicML": ""},
}


def prepare(job, name, folder):
    import streaming

    flow = job.stream == "flow"
    columns = {"pixels": f"ndarray:uint8:20,{SIDE},{SIDE}" if flow else "jpeg"}
    with streaming.MDSWriter(out=folder, columns=columns, compression="zstd" if name.endswith("zstd") else None) as out:
        for files in job.samples():
            out.write({"pixels": pixels.stack(files) if flow else pixels.Image.open(files[0])})
    streaming.base.util.clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(local=folder, batch_size=job.batch)
    for shard in range(dataset.num_shards):
        dataset.prepare_shard(shard)
    packed = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(".zstd"))
    return f"{packed / 1e6:.0f} MB of the disk space are compressed shards" if packed else ""


def batches(job, name, folder):
    import streaming

    class Samples(streaming.StreamingDataset):
        def __getitem__(self, index):
            found = super().__getitem__(index)["pixels"]
            return found if job.stream == "flow" else pixels.crop(found)

    streaming.base.util.clean_stale_shared_memory()
    passes = job.passes(job.count())
    streams = [streaming.Stream(local=folder, repeat=passes)]
    dataset = Samples(streams=streams, batch_size=job.batch, shuffle=True)
    data = pil_files.loader(dataset, job, drop_last=True)
    while True:
        yield from data

"""The Python package `clipshard`, on the same shards as ours.py.

"Python" is clipshard.Loader, whose threads fill numpy arrays in this process. "DataLoader" is
PyTorch's DataLoader with worker processes, which asks the view for a whole batch at a time.
"""

from . import ours, pil_files

SUBJECTS = {
    "flow": {f"ours {codec}, Python": "" for codec in ("zstd", "lz4", "raw")} | {"ours zstd, DataLoader": ""},
    "rgb": {"ours jpeg, Python": "", "ours jpeg, DataLoader": ""},
}


def data_of(name):
    """Returns the subject whose data this one reads."""
    return name.split(",")[0]


def prepare(job, name, folder):
    import clipshard  # noqa: F401, fails early if the package is missing

    ours.prepare(job, data_of(name), folder)


def view(job, folder, clipshard):
    """Returns a random crop or stack of each training clip. Several passes are joined to one long pass."""
    if job.stream == "flow":
        streams = {"flow": clipshard.Stack(10, size=224)}
    else:
        streams = {"rgb": clipshard.Frames(1, size=224, crop="random", flip=True)}
    passes = job.passes(len(job.clips))
    return clipshard.Dataset(folder).samples(split="1", subset="train", streams=streams, repeat=passes)


def batches(job, name, folder):
    import clipshard

    samples = view(job, folder, clipshard)
    if name.endswith("DataLoader"):
        data = pil_files.loader(samples, job, shuffle=True, drop_last=True)
    else:
        data = clipshard.Loader(samples, batch_size=job.batch, threads=job.threads, seed=7, drop_last=True)
    while True:
        for batch in data:
            # A crop has an axis of one frame.
            yield batch["flow"] if job.stream == "flow" else batch["rgb"][:, 0]

"""LitData: chunks of 64 MB made by optimize(), read with a shuffled StreamingDataset.

RGB: JPEGs, which LitData decodes itself. Flow: the bytes of the JPEGs, decoded with PIL, or raw
arrays.
"""

import functools

from . import pixels
from .job import SIDE

SUBJECTS = {
    "flow": {"LitData JPEG": "windows that do not overlap", "LitData raw": "windows that do not overlap"},
    "rgb": {"LitData": ""},
}


def stored(files, raw, rgb):
    if rgb:
        return {"image": pixels.Image.open(files[0])}
    if raw:
        return {"stack": pixels.stack(files)}
    return {f"{i:02}": open(path, "rb").read() for i, path in enumerate(files)}


def prepare(job, name, folder):
    import litdata

    write = functools.partial(stored, raw=name.endswith("raw"), rgb=job.stream == "rgb")
    litdata.optimize(write, job.samples(), folder, chunk_bytes="64MB", num_workers=job.threads)


def batches(job, name, folder):
    import litdata
    import torch

    def random_crop(image):
        """[3, 224, 224] of the tensor that it decodes to."""
        top, left = (int(torch.randint(side - SIDE + 1, ())) for side in image.shape[1:])
        image = image[:, top : top + SIDE, left : left + SIDE]
        return image.flip(2) if torch.rand(()) < 0.5 else image.contiguous()

    class Samples(litdata.StreamingDataset):
        def __getitem__(self, index):
            found = super().__getitem__(index)
            if job.stream == "rgb":
                return random_crop(found["image"])
            return found["stack"] if "stack" in found else pixels.stack([found[key] for key in sorted(found)])

    torch.set_num_threads(1)
    passes = float(job.passes(job.count()))
    dataset = Samples(folder, shuffle=True, drop_last=True, subsample=passes)
    data = litdata.StreamingDataLoader(
        dataset, batch_size=job.batch, num_workers=job.threads, persistent_workers=True, prefetch_factor=2
    )
    while True:
        yield from data

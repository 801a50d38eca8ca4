"""FFCV, with RGB as JPEGs that FFCV encodes itself and flow as raw arrays.

JPEGs use the mode `jpg` and the default quality 90. The loader's settings follow its tuning guide
for data that fit in memory: os_cache, OrderOption.RANDOM. FFCV cannot store overlapping windows.
"""

import os

from . import pixels
from .job import SIDE

SUBJECTS = {"flow": {"FFCV raw": "windows that do not overlap"}, "rgb": {"FFCV jpg": "encoded again"}}


class Samples:
    def __init__(self, job):
        self.job, self.samples = job, job.samples()

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        files = self.samples[i]
        return (pixels.stack(files) if self.job.stream == "flow" else pixels.opened(files[0]).convert("RGB"),)


def prepare(job, name, folder):
    import numpy
    from ffcv.fields import NDArrayField, RGBImageField
    from ffcv.writer import DatasetWriter

    flow = lambda: NDArrayField(shape=(20, SIDE, SIDE), dtype=numpy.dtype("uint8"))
    field = flow() if job.stream == "flow" else RGBImageField(write_mode="jpg", jpeg_quality=90)
    DatasetWriter(os.path.join(folder, "data.beton"), {"pixels": field}, num_workers=job.threads).from_indexed_dataset(
        Samples(job)
    )


def batches(job, name, folder):
    import numpy
    from ffcv.fields.decoders import NDArrayDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor

    class RandomCrop(RandomResizedCropRGBImageDecoder):
        """FFCV's decoder with square crops of 224 pixels, which are not resized."""

        @property
        def get_crop_generator(self):
            return plain_crop

    def plain_crop(height, width, scale, ratio):
        return numpy.random.randint(0, height - 223), numpy.random.randint(0, width - 223), 224, 224

    if job.stream == "flow":
        pipeline = [NDArrayDecoder(), ToTensor()]
    else:
        pipeline = [RandomCrop((SIDE, SIDE)), RandomHorizontalFlip(), ToTensor()]
    samples = job.count()
    # Repeated indices make one long epoch.
    indices = numpy.tile(numpy.arange(samples, dtype="uint64"), job.passes(samples))
    options = {"num_workers": job.threads, "os_cache": True, "order": OrderOption.RANDOM, "drop_last": True}
    data = Loader(
        os.path.join(folder, "data.beton"), job.batch, indices=indices, pipelines={"pixels": pipeline}, **options
    )
    while True:
        for (batch,) in data:
            yield batch

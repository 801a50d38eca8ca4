"""NVIDIA DALI on the CPU.

RGB: DALI's file reader, decoder with random crop, and flip. Flow: its WebDataset reader on the tar
files of webdataset_tar.py.
"""

import glob
import os

from . import pil_files, webdataset_tar
from .job import SIDE

SUBJECTS = {"flow": {"DALI on CPU": "windows that do not overlap; WebDataset's tar files"}, "rgb": {"DALI on CPU": ""}}


def prepare(job, name, folder):
    import nvidia.dali  # noqa: F401, fails early if the package is missing

    if job.stream == "flow":
        webdataset_tar.prepare(job, name, folder)


def files(job):
    return pil_files.files(job) if job.stream == "rgb" else None


def batches(job, name, folder):
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=job.batch, num_threads=job.threads, device_id=None, seed=0)
    def crops():
        encoded, _ = fn.readers.file(files=pil_files.files(job), random_shuffle=True)
        position = {f"crop_pos_{axis}": fn.random.uniform(range=(0.0, 1.0)) for axis in "xy"}
        images = fn.decoders.image_crop(encoded, device="cpu", crop=(SIDE, SIDE), output_type=types.RGB, **position)
        return fn.flip(images, horizontal=fn.random.coin_flip())

    @pipeline_def(batch_size=job.batch, num_threads=job.threads, device_id=None, seed=0)
    def stacks():
        shards = sorted(glob.glob(os.path.join(folder, "*.tar")))
        names = webdataset_tar.names(job)
        encoded = fn.readers.webdataset(
            paths=shards, ext=names, random_shuffle=True, missing_component_behavior="error"
        )
        planes = fn.stack(
            *[fn.decoders.image(plane, device="cpu", output_type=types.GRAY) for plane in encoded], axis_name="F"
        )
        # Antialiasing averages the source pixels, as PIL's bilinear filter does.
        planes = fn.resize(planes, size=(SIDE, SIDE), interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.squeeze(planes, axes=3)

    pipeline = stacks() if job.stream == "flow" else crops()
    pipeline.build()
    while True:
        (batch,) = pipeline.run()
        yield batch.as_array()

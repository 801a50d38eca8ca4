"""SPDL: its threads read and decode the original JPEGs with FFmpeg. No worker processes.

As SPDL recommends when the images of a batch are known in advance, one task makes a whole batch: it
demuxes and decodes each image, and converts all frames at once. FFmpeg's filters crop, mirror and
scale. SPDL's documentation gives as many tasks as threads.
"""

import random

from . import pil_files
from .job import FRAMES, SIDE

SUBJECTS = {"flow": {"SPDL": "threads; every start"}, "rgb": {"SPDL": "threads"}}
# SPDL's name for "stretch the image", with PIL's filter.
PLANE = {"scale_width": SIDE, "scale_height": SIDE, "scale_mode": None, "scale_algo": "bilinear", "pix_fmt": "gray8"}


def prepare(job, name, folder):
    import spdl.io  # noqa: F401, fails early if the package is missing


def files(job):
    return pil_files.files(job)


def crop_filter(width, height):
    """Returns a filter that crops at a random place and mirrors half of the images."""
    left, top = random.randint(0, width - SIDE), random.randint(0, height - SIDE)
    mirror = "hflip," if random.random() < 0.5 else ""
    return f"crop={SIDE}:{SIDE}:{left}:{top},{mirror}format=pix_fmts=rgb24"


def crop(path):
    import spdl.io

    packets = spdl.io.demux_image(path)
    return spdl.io.decode_packets(packets, filter_desc=crop_filter(packets.codec.width, packets.codec.height))


def crops(paths):
    import spdl.io

    return spdl.io.to_numpy(spdl.io.convert_frames([crop(path) for path in paths]))


def stacks(paths):
    import spdl.io

    plane = spdl.io.get_video_filter_desc(**PLANE)
    buffer = spdl.io.load_image_batch(paths, width=None, height=None, pix_fmt=None, filter_desc=plane)
    return spdl.io.to_numpy(buffer).reshape(-1, 2 * FRAMES, SIDE, SIDE)


def sources(job):
    """Yields the paths of one batch after the other: a random frame or stack of each clip, without end."""
    batch = []
    while True:
        for clip in random.sample(job.clips, len(job.clips)):
            if job.stream == "rgb":
                batch.append(job.frame(clip, random.randrange(clip.rgb)))
            else:
                batch += job.planes(clip, random.randrange(clip.flow - FRAMES + 1))
            if len(batch) == job.batch * (2 * FRAMES if job.stream == "flow" else 1):
                yield batch
                batch = []


def batches(job, name, folder):
    from spdl.pipeline import PipelineBuilder

    make = stacks if job.stream == "flow" else crops
    builder = PipelineBuilder().add_source(sources(job)).pipe(make, concurrency=job.threads).add_sink(3)
    pipeline = builder.build(num_threads=job.threads)
    with pipeline.auto_stop():
        yield from pipeline.get_iterator()

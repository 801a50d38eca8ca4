"""A sample's pixels with PIL, as the seed of this project and most loaders in Python make them."""

import io
import random

from .job import SIDE

try:
    import numpy
    from PIL import Image
except ImportError:  # then every peer says so; ours needs neither
    numpy = Image = None


def opened(file):
    return Image.open(io.BytesIO(file) if isinstance(file, (bytes, memoryview)) else file)


def stack(files):
    """[20, 224, 224] of 20 JPEG files or their bytes."""
    planes = numpy.empty((len(files), SIDE, SIDE), numpy.uint8)
    for plane, file in zip(planes, files):
        image = opened(file).convert("L")
        if image.size != (SIDE, SIDE):
            image = image.resize((SIDE, SIDE), Image.BILINEAR)
        plane[:] = image
    return planes


def crop(image):
    """[224, 224, 3]: a random crop, mirrored half of the time."""
    image = image.convert("RGB")
    left, top = random.randint(0, image.width - SIDE), random.randint(0, image.height - SIDE)
    image = image.crop((left, top, left + SIDE, top + SIDE))
    if random.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return numpy.array(image)


def sample(job, files):
    return stack(files) if job.stream == "flow" else crop(opened(files[0]))

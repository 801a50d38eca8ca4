"""Makes the pixels of a sample with PIL, as the reference code and most Python loaders do."""

import io
import random

from .job import SIDE

try:
    import numpy
    from PIL import Image
except ImportError:  # All loaders except for ours need them, and report that they are missing.
    numpy = Image = None


def opened(file):
    return Image.open(io.BytesIO(file) if isinstance(file, (bytes, memoryview)) else file)


def stack(files):
    """Returns the pixels [20, 224, 224] of 20 JPEG files. A file is a path or its bytes."""
    planes = numpy.empty((len(files), SIDE, SIDE), numpy.uint8)
    for plane, file in zip(planes, files):
        image = opened(file).convert("L")
        if image.size != (SIDE, SIDE):
            image = image.resize((SIDE, SIDE), Image.BILINEAR)
        plane[:] = image
    return planes


def crop(image):
    """Returns a random crop [224, 224, 3], mirrored half of the time."""
    image = image.convert("RGB")
    left, top = random.randint(0, image.width - SIDE), random.randint(0, image.height - SIDE)
    image = image.crop((left, top, left + SIDE, top + SIDE))
    if random.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return numpy.array(image)


def sample(job, files):
    return stack(files) if job.stream == "flow" else crop(opened(files[0]))

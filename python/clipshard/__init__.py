"""Fast, verified, resumable batches of video clips and optical flow.

>>> import clipshard as cs
>>> ds = cs.Dataset("ucf101.shards")
>>> ds["v_Archery_g01_c01"].read("flow", 0, 10).shape
(10, 2, 240, 320)

Importing the package imports neither numpy nor torch. The first array imports numpy.
"""

from ._errors import (
    ClosedError,
    DamageError,
    Error,
    NotFoundError,
    OptionError,
    StateError,
    StreamTypeError,
)

# Reading.
from ._native import Clip, Dataset, Stream, __version__

# Samples and batches.
from ._native import Frames, Loader, Samples, Stack

# Writing.
from ._native import Codec, Jpeg, Lz4, Raw, Writer, Zstd

__all__ = [
    "Clip",
    "ClosedError",
    "Codec",
    "DamageError",
    "Dataset",
    "Error",
    "Frames",
    "Jpeg",
    "Loader",
    "Lz4",
    "NotFoundError",
    "OptionError",
    "Raw",
    "Samples",
    "Stack",
    "StateError",
    "Stream",
    "StreamTypeError",
    "Writer",
    "Zstd",
    "__version__",
]

"""What the package needs from JAX. It is imported only if a program uses JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy
import numpy


def arrays(batch: dict[str, Any]) -> None:
    """Replaces the numpy arrays of a batch by arrays of JAX.

    JAX copies them to its default device. Arrays of int64 become int32 unless JAX has 64-bit types.
    """
    for name, value in batch.items():
        if isinstance(value, numpy.ndarray):
            batch[name] = jax.numpy.array(value)

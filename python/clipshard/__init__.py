"""Fast, verified, resumable batches of video clips and optical flow."""

from ._native import __version__

__all__ = ["__version__"]

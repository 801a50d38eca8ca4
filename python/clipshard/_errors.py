"""The exceptions of the package."""


class Error(Exception):
    """Base class of the exceptions of this package.

    Files that cannot be opened raise the built-in ``FileNotFoundError``, ``PermissionError`` or
    ``OSError``. Arguments of a wrong type raise ``TypeError``, and numbers out of range
    ``IndexError``.
    """


class DamageError(Error):
    """A file is damaged: its bytes differ from their checksum, or break a rule of the format.

    >>> try:
    ...     frames = clip.read("rgb")
    ... except clipshard.DamageError as error:
    ...     print(error.clip, error.file)

    Attributes:
        clip (str or None): id of the damaged clip. ``None`` if more than one clip is damaged.
        file (str or None): path of the damaged file.
    """

    def __init__(self, *args, clip=None, file=None):
        super().__init__(*args)
        self.clip = clip
        self.file = file


class NotFoundError(Error, KeyError):
    """The dataset has no stream, clip, split, subset or group of this name."""

    # KeyError would print the text as a quoted string.
    __str__ = Exception.__str__


class OptionError(Error, ValueError):
    """An argument has a value that is not allowed. The text says which values are."""


class ClosedError(Error, ValueError):
    """The object was closed, or has stopped after an error."""


class StateError(Error, ValueError):
    """A saved state does not belong to this loader."""


class StreamTypeError(Error, TypeError):
    """The records of a stream have a form that this use does not support, such as arrays."""

"""Types of the extension module. Each section belongs to one module of python/src."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, SupportsIndex, TypeVar, final, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from typing_extensions import Self

from ._errors import Error

__version__: str

_Out = TypeVar("_Out")

# dataset.rs, clip.rs: reading

@final
class Dataset:
    """An open dataset: clips, and the streams of their frames."""

    def __new__(
        cls,
        path: str | os.PathLike[str],
        streams: Iterable[str] | None = None,
        access: Literal["map", "read"] = "map",
    ) -> Dataset: ...
    @property
    def path(self) -> str:
        """The folder, as it was given."""

    @property
    def name(self) -> str:
        """Name of the dataset, for people."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes. A label is an index into this tuple."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all clips, in the order of their numbers."""

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The streams by name: a read-only dict of :class:`Stream`."""

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the dataset, such as a licence or a citation: a new dict."""

    def __len__(self) -> int: ...
    def __getitem__(self, id: str, /) -> Clip: ...
    def __contains__(self, id: object, /) -> bool: ...
    def __iter__(self) -> Iterator[Clip]: ...
    def clip(self, number: SupportsIndex) -> Clip:
        """Returns the clip of a number, which is its index in `ids`."""

    def clips(self, split: str | None = None, subset: str | None = None) -> list[Clip]:
        """Returns a list of clips, in the order of their numbers."""

    def samples(
        self,
        streams: Mapping[str, Frames | Stack],
        *,
        split: str | None = None,
        subset: str | None = None,
        ids: Iterable[str] | None = None,
        sampling: Literal["random", "uniform"] | None = None,
        segments: int | None = None,
        per_clip: int | None = None,
        short: Literal["error", "omit", "loop", "hold"] = "error",
        seed: int | None = None,
        damage: Literal["error", "replace"] = "error",
        repeat: int = 1,
    ) -> Samples:
        """Chooses the clips, frames and crops that a model gets."""

    def samples(
        self,
        streams: dict[str, Frames | Stack],
        *,
        split: str | None = None,
        subset: str | None = None,
        ids: Iterable[str] | None = None,
        sampling: Literal["random", "uniform"] | None = None,
        segments: int | None = None,
        per_clip: int | None = None,
        short: Literal["error", "omit", "loop", "hold"] = "error",
        seed: int | None = None,
        damage: Literal["error", "replace"] = "error",
        repeat: int = 1,
    ) -> Samples:
        """Chooses the clips, frames and crops that a model gets."""

    def verify(self, depth: Literal["quick", "checksums", "deep"] = "checksums") -> list[Error | OSError]:
        """Checks the files of the dataset on all cores. Returns a list with an exception for each
        damaged part, which is empty if nothing is damaged.
        """

@final
class Clip:
    """A clip of a dataset."""

    @property
    def dataset(self) -> Dataset:
        """The dataset of the clip."""

    @property
    def id(self) -> str:
        """Id of the clip, unique in the dataset."""

    @property
    def number(self) -> int:
        """Number of the clip in the dataset, from 0."""

    @property
    def label(self) -> int | None:
        """Number of its class, an index into `Dataset.classes`; None for a clip without a label."""

    @property
    def class_name(self) -> str | None:
        """Name of its class; None for a clip without a label."""

    @property
    def group(self) -> str | None:
        """Name of its group, such as an actor; None without one."""

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the clip, such as {"fps": 25}: a new dict."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams in which the clip has frames."""

    def frames(self, stream: str) -> int:
        """Returns the number of frames in a stream, which is 0 if the clip has none."""

    def shape(self, stream: str, frame: SupportsIndex = 0) -> tuple[int, ...]:
        """Returns the shape of a frame, as `read` returns it without the axis of frames."""

    def subset(self, split: str) -> str:
        """Returns the subset of the clip in a split, such as "train"."""

    @overload
    def read(
        self,
        stream: str,
        start: SupportsIndex = 0,
        stop: SupportsIndex | None = None,
        step: SupportsIndex = 1,
        *,
        window: tuple[int, int, int, int] | None = None,
        out: None = None,
    ) -> NDArray[np.uint8 | np.uint16 | np.int16 | np.float16 | np.float32]:
        """Reads and decodes frames. Other Python threads run meanwhile."""

    @overload
    def read(
        self,
        stream: str,
        start: SupportsIndex = 0,
        stop: SupportsIndex | None = None,
        step: SupportsIndex = 1,
        *,
        window: tuple[int, int, int, int] | None = None,
        out: _Out,
    ) -> _Out: ...
    def __hash__(self) -> int: ...

@final
class Stream:
    """A stream of a dataset: one kind of records of every clip."""

    @property
    def name(self) -> str:
        """Name of the stream."""

    @property
    def planes(self) -> int:
        """Records per frame: 1 for RGB; 2 for flow, x then y."""

    @property
    def channels(self) -> int | None:
        """Channels of each image: 3 for RGB, 1 for a plane of flow; None for arrays."""

    @property
    def array(self) -> tuple[int, ...] | None:
        """Sizes of the dimensions after the first, if the records are arrays; None for images."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples: a numpy.dtype."""

    @property
    def clips(self) -> int:
        """Number of clips that have frames in this stream."""

    @property
    def frames(self) -> int:
        """Number of frames of all clips."""

    @property
    def is_open(self) -> bool:
        """Whether the dataset was opened with this stream."""

# samples, loader: samples and batches

_Crop = Literal["whole", "center", "random", "corners", "random-resized", "three", "ten"]

@final
class Frames:
    """Frames of a stream in a sample: one, several consecutive ones, or every `stride`-th frame."""

    def __new__(
        cls,
        frames: int = 1,
        *,
        stride: int = 1,
        offset: int = 0,
        size: int = 224,
        crop: _Crop = "whole",
        flip: bool = False,
        jitter: float = 0.0,
        trivial_augment: bool = False,
        frame_dropout: float = 0.0,
        layout: str | None = None,
        stream: str | None = None,
    ) -> Frames: ...

@final
class Stack:
    """Consecutive frames of one channel per plane, as the channels of one image."""

    def __new__(
        cls,
        frames: int,
        *,
        stride: int = 1,
        offset: int = 0,
        size: int = 224,
        crop: _Crop = "whole",
        flip: bool = False,
        frame_dropout: float = 0.0,
        layout: str | None = None,
        stream: str | None = None,
    ) -> Stack: ...

@final
class Samples:
    """The samples of a model: for each clip the arrays of one or more streams, and the label."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def ids(self) -> list[str]:
        """Ids of the clips that the samples show, one per sample."""

    @property
    def labels(self) -> list[int]:
        """Labels of the samples: a list of int, with -1 for clips without a label."""

    @property
    def sampling(self) -> Literal["random", "uniform"]:
        """How samples are chosen: "random" or "uniform"."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of a sample, by name."""

    @property
    def nbytes(self) -> dict[str, int]:
        """Number of bytes of each array of a sample, by name."""

    @property
    def epoch(self) -> int:
        """Epoch of the random choices of `view[i]`, if there is a seed."""

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the random choices of `view[i]`.

        Persistent workers of a DataLoader keep the epoch with which they started.
        """

    def __len__(self) -> int: ...
    def __getitem__(self, index: SupportsIndex, /) -> dict[str, Any]: ...
    def __getitems__(self, indices: Iterable[SupportsIndex]) -> list[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def batch(self, indices: Iterable[SupportsIndex], out: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Returns a batch of samples: a dict of arrays with one more axis."""

@final
class Loader:
    """Makes batches of samples with threads, ahead of the caller."""

    def __new__(
        cls,
        samples: Samples,
        batch_size: int = 32,
        *,
        threads: int | None = None,
        seed: int | None = None,
        shuffle: bool | None = None,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        to: Literal["numpy", "torch", "jax"] = "numpy",
        pin_memory: bool = False,
        buffers: int = 3,
    ) -> Loader: ...
    @property
    def samples(self) -> Samples:
        """The samples of the batches."""

    @property
    def batch_size(self) -> int:
        """Samples per batch."""

    @property
    def seed(self) -> int:
        """Seed of the order and of the random choices."""

    @property
    def epoch(self) -> int:
        """Epoch of the next pass, or of the one that runs."""

    @property
    def damaged(self) -> int:
        """Number of damaged samples that the last pass has replaced, with `damage="replace"`."""

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass, which starts at its first sample."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the progress, to continue later: a dict of numbers for `torch.save` or JSON."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where a loader was when `state_dict` returned this state."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...

# writer: writing

_Kind = Literal["image", "array"]
_Filter = Literal["none", "up", "shuffle", "up-shuffle"]

class Codec:
    """How a stream of a `Writer` is stored, and which frames it takes."""

    @property
    def kind(self) -> _Kind:
        """Kind of the frames: "image" or "array"."""

    @property
    def dtype(self) -> str | None:
        """Name of the type of the samples in numpy, or None if the first clip decides."""

    @property
    def planes(self) -> int | None:
        """Planes per frame, or None if the first clip decides."""

    @property
    def channels(self) -> int | None:
        """Channels per image, or None if the first clip decides."""

    def __hash__(self) -> int: ...

@final
class Jpeg(Codec):
    """Stores images as JPEG files, which loses some detail."""

    def __new__(
        cls,
        quality: SupportsIndex = 90,
        *,
        planes: SupportsIndex | None = None,
        channels: SupportsIndex | None = None,
    ) -> Jpeg: ...
    @property
    def quality(self) -> int:
        """Quality, 1 to 100."""

@final
class Zstd(Codec):
    """Stores frames without loss, compressed with zstd."""

    def __new__(
        cls,
        level: SupportsIndex = 9,
        filter: _Filter | None = None,
        *,
        kind: _Kind = "image",
        dtype: DTypeLike | None = None,
        planes: SupportsIndex | None = None,
        channels: SupportsIndex | None = None,
    ) -> Zstd: ...
    @property
    def level(self) -> int:
        """Compression level, 1 to 22."""

    @property
    def filter(self) -> _Filter | None:
        """Name of the filter, or None for the one that suits the dtype."""

@final
class Lz4(Codec):
    """Stores frames without loss, compressed with LZ4."""

    def __new__(
        cls,
        level: SupportsIndex = 9,
        filter: _Filter | None = None,
        *,
        kind: _Kind = "image",
        dtype: DTypeLike | None = None,
        planes: SupportsIndex | None = None,
        channels: SupportsIndex | None = None,
    ) -> Lz4: ...
    @property
    def level(self) -> int:
        """Compression level, 1 to 12."""

    @property
    def filter(self) -> _Filter | None:
        """Name of the filter, or None for the one that suits the dtype."""

@final
class Raw(Codec):
    """Stores frames without compression."""

    def __new__(
        cls,
        *,
        kind: _Kind = "image",
        dtype: DTypeLike | None = None,
        planes: SupportsIndex | None = None,
        channels: SupportsIndex | None = None,
    ) -> Raw: ...

@final
class Writer:
    """Writes a dataset of your own arrays: shards and manifest."""

    def __new__(
        cls,
        path: str | os.PathLike[str],
        streams: Mapping[str, Codec] | None = None,
        classes: Iterable[str] | None = None,
        *,
        splits: Iterable[str] | None = None,
        name: str | None = None,
        attrs: Mapping[str, Any] | None = None,
        mode: Literal["create", "resume", "append"] = "create",
        shard_bytes: SupportsIndex | None = None,
        threads: SupportsIndex | None = None,
    ) -> Writer: ...
    def add(
        self,
        id: str,
        /,
        *,
        label: SupportsIndex | str | None = None,
        subset: str | Mapping[str, str] | None = None,
        group: str | None = None,
        attrs: Mapping[str, Any] | None = None,
        **streams: ArrayLike | Iterable[ArrayLike] | Iterable[bytes] | Iterable[Sequence[bytes]] | None,
    ) -> None:
        """Adds a clip: encodes its frames and writes them."""

    def flush(self) -> None:
        """Stores all clips so far, so that `mode="resume"` has them after a crash."""

    def remove(self, ids: Iterable[str]) -> None:
        """Removes clips. Shards that hold them are written again without them."""

    def compact(self) -> None:
        """Merges small shards."""

    def finish(self) -> None:
        """Writes the manifest and closes the writer: the dataset is complete.

        A `with` block calls it at its end.
        """

    def close(self) -> None:
        """Stores all clips so far and closes the writer, without finishing the dataset."""

    def discard(self) -> None:
        """Removes everything that this writer and an interrupted writer before it have written, and
        closes the writer.
        """

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the clips that the dataset will have, as a frozenset."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams."""

    @property
    def path(self) -> str:
        """Folder of the dataset."""

    @property
    def closed(self) -> bool:
        """Whether the writer has finished or is closed."""

    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    def __contains__(self, id: str) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

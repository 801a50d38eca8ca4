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
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def streams(self) -> Mapping[str, Stream]: ...
    @property
    def attrs(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, id: str, /) -> Clip: ...
    def __contains__(self, id: object, /) -> bool: ...
    def __iter__(self) -> Iterator[Clip]: ...
    def clip(self, number: SupportsIndex) -> Clip: ...
    def clips(self, split: str | None = None, subset: str | None = None) -> list[Clip]: ...
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
    ) -> Samples: ...
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
    ) -> Samples: ...
    def verify(self, depth: Literal["quick", "checksums", "deep"] = "checksums") -> list[Error | OSError]: ...

@final
class Clip:
    """A clip of a dataset."""

    @property
    def dataset(self) -> Dataset: ...
    @property
    def id(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def label(self) -> int | None: ...
    @property
    def class_name(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...
    @property
    def attrs(self) -> dict[str, Any]: ...
    @property
    def streams(self) -> tuple[str, ...]: ...
    def frames(self, stream: str) -> int: ...
    def shape(self, stream: str, frame: SupportsIndex = 0) -> tuple[int, ...]: ...
    def subset(self, split: str) -> str: ...
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
    ) -> NDArray[np.uint8 | np.uint16 | np.int16 | np.float16 | np.float32]: ...
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
    def name(self) -> str: ...
    @property
    def planes(self) -> int: ...
    @property
    def channels(self) -> int | None: ...
    @property
    def array(self) -> tuple[int, ...] | None: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def clips(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def is_open(self) -> bool: ...

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
        layout: str | None = None,
        stream: str | None = None,
    ) -> Stack: ...

@final
class Samples:
    """What a model sees of each clip: arrays of one or more streams, with the label."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def ids(self) -> list[str]: ...
    @property
    def labels(self) -> list[int]: ...
    @property
    def sampling(self) -> Literal["random", "uniform"]: ...
    @property
    def shapes(self) -> dict[str, tuple[int, ...]]: ...
    @property
    def nbytes(self) -> dict[str, int]: ...
    @property
    def epoch(self) -> int: ...
    def set_epoch(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: SupportsIndex, /) -> dict[str, Any]: ...
    def __getitems__(self, indices: Iterable[SupportsIndex]) -> list[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def batch(self, indices: Iterable[SupportsIndex], out: Mapping[str, Any] | None = None) -> dict[str, Any]: ...

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
    def samples(self) -> Samples: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def damaged(self) -> int: ...
    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...

# writer: writing

_Kind = Literal["image", "array"]
_Filter = Literal["none", "up", "shuffle", "up-shuffle"]

class Codec:
    """How a stream of a `Writer` is stored, and which frames it takes."""

    @property
    def kind(self) -> _Kind: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def planes(self) -> int | None: ...
    @property
    def channels(self) -> int | None: ...
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
    def quality(self) -> int: ...

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
    def level(self) -> int: ...
    @property
    def filter(self) -> _Filter | None: ...

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
    def level(self) -> int: ...
    @property
    def filter(self) -> _Filter | None: ...

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
    ) -> None: ...
    def flush(self) -> None: ...
    def remove(self, ids: Iterable[str]) -> None: ...
    def compact(self) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...
    def discard(self) -> None: ...
    @property
    def ids(self) -> frozenset[str]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def streams(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> str: ...
    @property
    def closed(self) -> bool: ...
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

"""What the package needs from PyTorch. It is imported only if a program uses PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import default_collate, get_worker_info
from torch.utils.data._utils.collate import default_collate_fn_map

from . import _shared
from ._errors import OptionError


def check(pin_memory: bool) -> None:
    """Checks that tensors can be made in the way that a loader was asked for."""
    if pin_memory and not torch.cuda.is_available():
        raise OptionError("pin_memory needs CUDA, which torch does not find here; omit pin_memory")


def tensors(batch: dict[str, Any]) -> None:
    """Replaces the arrays of a batch by tensors over the same memory."""
    import numpy

    for name, value in batch.items():
        if isinstance(value, numpy.ndarray):
            batch[name] = torch.from_numpy(value)


def pinned(nbytes: int) -> torch.Tensor:
    """Allocates page-locked memory."""
    return torch.empty(nbytes, dtype=torch.uint8, device="cpu", pin_memory=True)


def view(memory: torch.Tensor, start: int, nbytes: int, dtype: str, shape: Any, strides: Any) -> torch.Tensor:
    """Returns a part of memory as a tensor. The strides are in elements."""
    return memory[start : start + nbytes].view(getattr(torch, dtype)).as_strided(shape, strides)


class Item(dict[str, Any]):
    """A sample that knows its place in a batch, so that `collate` need not copy it."""

    __slots__ = ("batch", "row", "values_of_row")

    def is_row(self, batch: Any, row: int) -> bool:
        """Returns whether this is row `row` of a batch, and none of its values was replaced."""
        found, kept = tuple(self.values()), self.values_of_row
        is_same = len(found) == len(kept) and all(one is other for one, other in zip(found, kept))
        return self.batch is batch and self.row == row and is_same


def items(samples: Any, indices: Any) -> list[Item] | None:
    """Decodes samples into shared memory if this is a worker of a DataLoader. Returns None otherwise.

    The values of an item are those of `samples[i]`. `collate` passes the memory of all of them on to
    the main process without a copy.
    """
    if get_worker_info() is None:
        return None
    _register()
    indices = list(indices)
    places, end = {}, 0
    for name, nbytes in samples.nbytes.items():
        places[name] = (end, len(indices) * nbytes)
        # Parts start at multiples of 64 bytes.
        end += -(-len(indices) * nbytes // 64) * 64
    if _shared.IS_AVAILABLE:
        batch: Any = _shared.Batch()
        batch.lease = _shared.Lease(end)
        memory = torch.frombuffer(batch.lease.content, dtype=torch.uint8)
    else:
        batch = {}
        memory = torch.empty(0, dtype=torch.uint8, device="cpu").set_(torch.UntypedStorage._new_shared(end))
    whole = memory.numpy()
    arrays = samples.batch(indices, out={name: whole[start : start + n] for name, (start, n) in places.items()})
    shared = {}
    for name, (start, nbytes) in places.items():
        array = arrays[name]
        strides = tuple(stride // array.itemsize for stride in array.strides)
        place = (start, nbytes, str(array.dtype), array.shape, strides)
        batch[name] = view(memory, *place)
        shared[name] = (batch[name], place)
    if _shared.IS_AVAILABLE:
        batch.places = shared
    for name in ("label", "id", "index"):
        batch[name] = arrays[name]
    labels, numbers = batch["label"].tolist(), batch["index"].tolist()
    found = []
    for row, (label, id, number) in enumerate(zip(labels, batch["id"], numbers)):
        item = Item({name: arrays[name][row] for name in places})
        item.update(label=label, id=id, index=number)
        item.batch, item.row, item.values_of_row = batch, row, tuple(item.values())
        found.append(item)
    return found


def collate(samples: list[Any], *, collate_fn_map: Any = None) -> dict[str, Any]:
    """Returns the batch of samples without a copy if they are a whole batch in order."""
    first = samples[0].batch if isinstance(samples[0], Item) else None
    if first is not None and len(samples) == len(first["id"]):
        if all(isinstance(sample, Item) and sample.is_row(first, row) for row, sample in enumerate(samples)):
            for name in ("label", "index"):
                first[name] = torch.as_tensor(first[name], device="cpu")
            return first
    return default_collate([dict(sample) for sample in samples])


def _register() -> None:
    """Tells the default `collate_fn` how to collate items."""
    default_collate_fn_map.setdefault(Item, collate)

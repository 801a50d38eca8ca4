"""Memory that the worker processes of a DataLoader share with the main process, and use again.

PyTorch sends each batch in new shared memory. The system fills it with zeros first, and both
processes map it, which takes longer than to decode the batch. Here, a worker keeps its segments of
shared memory. Each one crosses to the main process once. A byte behind its content says whether
the main process still has tensors over it.
"""

from __future__ import annotations

import itertools
import mmap
import os
import weakref
from collections.abc import Callable
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any

import torch

#: Whether the system has what segments need. Other systems use the shared memory of PyTorch.
IS_AVAILABLE = hasattr(os, "memfd_create")


class Segment:
    """Shared memory of this process. The byte after its capacity says whether it is in use."""

    _numbers = itertools.count()

    def __init__(self, nbytes: int) -> None:
        self.capacity = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.number = next(self._numbers)
        self.file = os.memfd_create("clipshard")
        os.ftruncate(self.file, self.capacity + mmap.PAGESIZE)
        self.map = mmap.mmap(self.file, self.capacity + mmap.PAGESIZE)
        self.was_sent = False


class Segments:
    """The segments of a worker process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.all: list[Segment] = []
        #: Numbers of closed segments, for the main process.
        self.closed: list[int] = []

    def take(self, nbytes: int) -> Segment:
        """Returns a segment that is not in use, and marks it as used."""
        free = [segment for segment in self.all if segment.map[segment.capacity] == 0]
        for segment in free:
            if segment.capacity >= nbytes:
                break
        else:
            # Smaller ones would never be used again.
            for segment in free:
                self.all.remove(segment)
                self.closed.append(segment.number)
                os.close(segment.file)
            segment = Segment(nbytes)
            self.all.append(segment)
        segment.map[segment.capacity] = 1
        return segment


_own = Segments()
#: The segments that this process has received, by process and number.
_received: dict[tuple[int, int], mmap.mmap] = {}


def _lend(memory: mmap.mmap, nbytes: int, give_back: Callable[[], None]) -> memoryview:
    """Returns the first bytes of memory. Calls `give_back` when no array or tensor of this process uses them."""
    content, process = memoryview(memory)[:nbytes], os.getpid()

    def finish() -> None:
        # The child of a fork has copies of the arrays, which may die earlier than those of its parent.
        if os.getpid() == process:
            give_back()

    weakref.finalize(content, finish).atexit = False
    return content


class Lease:
    """A segment that this process fills. It is free again when no array uses it, unless it was sent."""

    def __init__(self, nbytes: int) -> None:
        global _own
        if _own.process != os.getpid():
            # Those of the parent process belong to it.
            _own = Segments()
        self.segment = segment = _own.take(nbytes)
        self.sent = sent = [False]

        def give_back() -> None:
            if not sent[0]:
                segment.map[segment.capacity] = 0

        self.content = _lend(segment.map, nbytes, give_back)


class Batch(dict[str, Any]):
    """A batch with tensors in a leased segment. Another process that gets it shares the segment."""

    lease: Lease
    #: For each name the tensor in the segment, and the arguments of `_torch.view` that make it.
    places: dict[str, tuple[torch.Tensor, tuple[Any, ...]]]

    def __reduce__(self) -> tuple[Any, ...]:
        # For copies in this process, and for pickles that may never be read.
        return dict, (dict(self),)


def _send(batch: Batch) -> tuple[Any, ...]:
    """Pickles a batch for a queue to another process."""
    lease, segment = batch.lease, batch.lease.segment
    # The caller's `collate_fn` may have replaced some tensors.
    shared = {name: place for name, (tensor, place) in batch.places.items() if batch.get(name) is tensor}
    if lease.sent[0] or not shared:
        return batch.__reduce__()
    others = {name: value for name, value in batch.items() if name not in shared}
    lease.sent[0] = True
    file = None if segment.was_sent else DupFd(segment.file)
    segment.was_sent = True
    closed, _own.closed = _own.closed, []
    return _receive, (os.getpid(), (segment.number, segment.capacity, file), closed, shared, others)


ForkingPickler.register(Batch, _send)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _receive(
    process: int,
    segment: tuple[int, int, Any],
    closed: list[int],
    shared: dict[str, tuple[Any, ...]],
    others: dict[str, Any],
) -> dict[str, Any]:
    """Makes a batch in the process that receives it."""
    from ._torch import view

    number, capacity, file = segment
    for other in list(_received):
        if other[0] == process and other[1] in closed or not _is_alive(other[0]):
            del _received[other]
    if file is not None:
        descriptor = file.detach()
        _received[process, number] = mmap.mmap(descriptor, capacity + mmap.PAGESIZE)
        os.close(descriptor)
    memory = _received[process, number]

    def give_back() -> None:
        memory[capacity] = 0

    content = torch.frombuffer(_lend(memory, capacity, give_back), dtype=torch.uint8)
    return {name: view(content, *place) for name, place in shared.items()} | others

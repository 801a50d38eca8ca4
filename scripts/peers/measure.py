"""Time, memory and page cache: of this process, of another with its children."""

import contextlib
import ctypes
import mmap
import os
import pathlib
import signal
import subprocess
import tempfile
import time


def timed(batches, shapes, warm_up, least, seconds, most_samples=None, before=lambda: None):
    """Takes batches for so many seconds, but `least` of them. The first come while queues fill, and are not counted."""
    first = next(batches)
    if tuple(first.shape) not in shapes or "uint8" not in str(first.dtype):
        raise ValueError(f"a batch is {first.dtype} {tuple(first.shape)}, not u8 {shapes}")
    read = read_bytes(os.getpid())
    before()
    for _ in range(warm_up - 1):
        next(batches)
    start, samples, taken, elapsed = time.perf_counter(), 0, 0, 0.0
    while (elapsed < seconds or taken < least) and samples < (most_samples or float("inf")):
        samples += len(next(batches))
        taken += 1
        elapsed = time.perf_counter() - start
    return {"samples": samples, "seconds": elapsed, "disk_bytes": read_bytes(os.getpid()) - read}


def family(pid):
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        for tasks in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, quiet(tasks).split())
    return found


def quiet(path):
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""


def numbers(text):
    """Lines `Name: number` as a dictionary."""
    rows = (line.split() for line in text.split("\n"))
    return {row[0]: int(row[1]) for row in rows if len(row) in (2, 3) and row[1].isdigit()}


def read_bytes(pid):
    """Bytes that a process and its children had the disk read."""
    return sum(numbers(quiet(pathlib.Path(f"/proc/{one}/io"))).get("read_bytes:", 0) for one in family(pid))


def memory(pid):
    """Resident bytes of a process and its children: a page that n of them share counts 1/n in each (the kernel's Pss).

    `own` is without pages of files, which the kernel takes back when it needs them; `rss` counts shared pages in each.
    """
    total = {"memory": 0, "own": 0, "rss": 0}
    for one in family(pid):
        found = numbers(quiet(pathlib.Path(f"/proc/{one}/smaps_rollup")))
        total["memory"] += 1024 * found.get("Pss:", 0)
        total["own"] += 1024 * (found.get("Pss_Anon:", 0) + found.get("Pss_Shmem:", 0))
        total["rss"] += 1024 * found.get("Rss:", 0)
    return total


def watched(command, done=lambda: False, limit=1800):
    """Runs a program; what it printed, what went wrong, its peak memory (looked at five times a second) and what it read from disk.

    A program that has handed its result over (`done`) and does not end is ended.
    """
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    child = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err)
    peak, start, finished = {"memory": 0, "own": 0, "rss": 0}, time.monotonic(), None
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            break
        peak = {name: max(peak[name], now) for name, now in memory(child.pid).items()}
        finished = finished or (time.monotonic() if done() else None)
        if time.monotonic() - start > limit or (finished and time.monotonic() - finished > 20):
            for one in reversed(family(child.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
        time.sleep(0.2)
    for file in (out, err):
        file.seek(0)
    return {"code": child.returncode, "out": out.read(), "err": err.read(), "disk_bytes": 512 * usage.ru_inblock, **peak}


def warm(files):
    """Reads files into the page cache."""
    for file in files:
        with open(file, "rb") as data:
            while data.read(1 << 22):
                pass


def drop(files):
    """Takes files out of the page cache; how. Names and sizes of files stay known where it is not root that asks."""
    os.sync()
    unmap(files)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        return "drop_caches"
    except OSError:
        for file in files:
            with open(file, "rb") as data:
                os.posix_fadvise(data.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return "posix_fadvise"


def unmap(files):
    """Lets go of the pages of files that this process has mapped and seen, which would stay in the page cache. They come back when used."""
    files, madvise = set(files), ctypes.CDLL(None, use_errno=True).madvise
    for line in pathlib.Path("/proc/self/maps").read_text().split("\n"):
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] in files:
            start, end = (int(address, 16) for address in fields[0].split("-"))
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def sizes(files):
    """Bytes in files, and in the blocks that they take."""
    found = [os.stat(file) for file in files]
    return sum(one.st_size for one in found), 512 * sum(one.st_blocks for one in found)

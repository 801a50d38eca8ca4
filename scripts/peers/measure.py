"""Measures time, memory and page cache of this process, or of another process with its children."""

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
    """Takes batches for `seconds` seconds, but at least `least` batches.

    Returns the number of samples, the time, and the CPU time of this process and its descendants. The first `warm_up`
    batches do not count, because queues fill during this time.
    """
    first = next(batches)
    if tuple(first.shape) not in shapes or "uint8" not in str(first.dtype):
        raise ValueError(f"a batch has the type {first.dtype} and the shape {tuple(first.shape)}, not u8 and {shapes}")
    # A batch that is held would take memory from the loader.
    del first
    read = read_bytes(os.getpid())
    before()
    for _ in range(warm_up - 1):
        next(batches)
    cpu, start, samples, taken, elapsed = cpu_seconds(os.getpid()), time.perf_counter(), 0, 0, 0.0
    while (elapsed < seconds or taken < least) and samples < (most_samples or float("inf")):
        samples += len(next(batches))
        taken += 1
        elapsed = time.perf_counter() - start
    cpu = cpu_seconds(os.getpid()) - cpu
    return {"samples": samples, "seconds": elapsed, "cpu": cpu, "disk_bytes": read_bytes(os.getpid()) - read}


def family(pid):
    """Returns the ids of a process and all its descendants."""
    found = [pid]
    for parent in found:
        for tasks in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, quiet(tasks).split())
    return found


def quiet(path):
    try:
        return path.read_text()
    except OSError:  # The process has ended.
        return ""


def numbers(text):
    """Returns lines of the form `Name: number` as a dictionary."""
    rows = (line.split() for line in text.split("\n"))
    return {row[0]: int(row[1]) for row in rows if len(row) in (2, 3) and row[1].isdigit()}


def read_bytes(pid):
    """Returns the bytes that a process and its descendants have read from disk."""
    return sum(numbers(quiet(pathlib.Path(f"/proc/{one}/io"))).get("read_bytes:", 0) for one in family(pid))


def cpu_seconds(pid):
    """Returns the CPU time of a process and its descendants that run, in user and kernel mode."""
    ticks = 0
    for one in family(pid):
        # Fields 14 and 15; the name of the program, in parentheses, may have blanks.
        fields = quiet(pathlib.Path(f"/proc/{one}/stat")).rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Returns the resident bytes of a process and its descendants.

    `memory` counts a page that n processes share as 1/n in each of them (Pss). `own` is the same
    without pages of files, which the kernel can free. `rss` counts shared pages in each process.
    """
    total = {"memory": 0, "own": 0, "rss": 0}
    for one in family(pid):
        found = numbers(quiet(pathlib.Path(f"/proc/{one}/smaps_rollup")))
        total["memory"] += 1024 * found.get("Pss:", 0)
        total["own"] += 1024 * (found.get("Pss_Anon:", 0) + found.get("Pss_Shmem:", 0))
        total["rss"] += 1024 * found.get("Rss:", 0)
    return total


def watched(command, done=lambda: False, limit=1800):
    """Runs a program. Returns its output, exit code, peak memory (sampled every second) and bytes read from disk.

    The program is killed if it runs longer than `limit` seconds, or does not end within 20 s after `done` returns true.
    """
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    child = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err)
    peak, start, finished = {"memory": 0, "own": 0, "rss": 0}, time.monotonic(), None
    next_sample = start
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            break
        # The kernel walks all pages of the program for it, which slows the program down.
        if time.monotonic() > next_sample:
            peak = {name: max(peak[name], now) for name, now in memory(child.pid).items()}
            next_sample = time.monotonic() + 1
        finished = finished or (time.monotonic() if done() else None)
        if time.monotonic() - start > limit or (finished and time.monotonic() - finished > 20):
            for one in reversed(family(child.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
        time.sleep(0.2)
    for file in (out, err):
        file.seek(0)
    return {
        "code": child.returncode,
        "out": out.read(),
        "err": err.read(),
        "disk_bytes": 512 * usage.ru_inblock,
        **peak,
    }


def warm(files):
    """Reads files into the page cache."""
    for file in files:
        with open(file, "rb") as data:
            while data.read(1 << 22):
                pass


def drop(files):
    """Removes files from the page cache. Returns the method.

    Without root rights, the cache keeps the metadata of the files.
    """
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
    """Releases the pages of files that this process has mapped. Otherwise, they would stay in the page cache.

    The kernel reads the pages again when the process uses them.
    """
    files, madvise = set(files), ctypes.CDLL(None, use_errno=True).madvise
    for line in pathlib.Path("/proc/self/maps").read_text().split("\n"):
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] in files:
            start, end = (int(address, 16) for address in fields[0].split("-"))
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def sizes(files):
    """Returns the sizes of files in bytes: of their content, and of their blocks on disk."""
    found = [os.stat(file) for file in files]
    return sum(one.st_size for one in found), 512 * sum(one.st_blocks for one in found)

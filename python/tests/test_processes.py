"""Threads, forks, spawned processes, signals and imports."""

import concurrent.futures
import multiprocessing
import pickle
import sys
import threading

import numpy as np
import pytest

import clipshard as cs


def frames_of(ds):
    """Reads all frames. Returns their bytes by clip and stream."""
    return {(clip.id, stream): clip.read(stream).tobytes() for clip in ds for stream in clip.streams}


@pytest.mark.parametrize("access", ["map", "read"])
def test_threads_read_equal_bytes(golden, access):
    ds = cs.Dataset(golden, access=access)
    expected = frames_of(ds)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: [frames_of(ds) for _ in range(20)], range(16)):
            assert all(frames == expected for frames in found)


FORKS = """
import os, select, signal, sys, threading
import clipshard as cs

ds = cs.Dataset(sys.argv[1], access=sys.argv[2])
everything = lambda: [clip.read(stream).tobytes() for clip in ds for stream in clip.streams]
expected = everything()
is_done = threading.Event()

def loop():
    while not is_done.is_set():
        assert everything() == expected
        assert "v_Jump_g02_c01" in ds

threads = [threading.Thread(target=loop) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(50):
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        is_same = everything() == expected and ds["v_Jump_g02_c01"].number == 1
        os.write(done, b"y" if is_same else b"n")
        os._exit(0)
    os.close(done)
    # A child that hangs on a lock of its parent says nothing.
    answered, _, _ = select.select([ready], [], [], 20)
    answer = os.read(ready, 1) if answered else b"hang"
    if not answered:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    if answer != b"y":
        print("fork", number, answer)
        break
is_done.set()
for thread in threads:
    thread.join()
print("done", number)
"""


@pytest.mark.parametrize("access", ["map", "read"])
def test_children_of_a_fork_read_while_threads_of_the_parent_read(golden, access, python):
    # Python 3.12 and later warn about forks with threads; here they are the purpose.
    program = "import warnings; warnings.simplefilter('ignore')\n" + FORKS
    assert python(program, golden, access, timeout=120) == "done 49\n"


def test_a_dataset_of_the_parent_is_used_first_in_the_child(golden, python):
    program = """
import multiprocessing, sys
import clipshard as cs

ds = cs.Dataset(sys.argv[1])

def read(number):
    return ds.clip(number).read("flow").sum()

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print([int(x) for x in pool.map(read, [0, 1])])
"""
    expected = [int(clip.read("flow").sum()) for clip in cs.Dataset(golden)]
    assert python(program, golden) == f"{expected}\n"


def read_flow(clip):
    return clip.id, clip.read("flow")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_clips_go_to_other_processes(golden, method):
    clips = list(cs.Dataset(golden))
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map_async(read_flow, clips).get(timeout=60)
    assert [id for id, _ in found] == [clip.id for clip in clips]
    assert all(np.array_equal(frames, clip.read("flow")) for clip, (_, frames) in zip(clips, found))


def test_ctrl_c_is_raised_after_a_read_and_harms_nothing(golden, python):
    program = """
import _thread, sys, threading, time
import clipshard as cs

ds = cs.Dataset(sys.argv[1])
clip = ds.clip(0)
expected = clip.read("flow").tobytes()
for _ in range(20):
    try:
        # On a busy machine the interrupt can come before `start` returns.
        threading.Timer(0.01, _thread.interrupt_main).start()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert clip.read("flow").tobytes() == expected
        print("no KeyboardInterrupt")
    except KeyboardInterrupt:
        pass
    assert clip.read("flow").tobytes() == expected
print("done")
"""
    assert python(program, golden, timeout=120) == "done\n"


def test_a_signal_handler_may_read_in_the_middle_of_a_long_read(tmp_path, python):
    program = """
import signal, sys, time
import numpy as np
import clipshard as cs

with cs.Writer(sys.argv[1], streams={"rgb": cs.Raw()}) as writer:
    frames = np.arange(64, dtype="uint8")[:, None, None, None] + np.zeros((64, 32, 32, 3), "uint8")
    writer.add("c", rgb=frames)
clip = cs.Dataset(sys.argv[1]).clip(0)
sums = []

def handler(*_):
    sums.append(int(clip.read("rgb", 5, 6).sum()))
    # The next signal comes after this handler, however slow the machine is.
    signal.setitimer(signal.ITIMER_REAL, 0.001)

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
end = time.monotonic() + 2
while time.monotonic() < end:
    assert (clip.read("rgb") == frames).all()
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print(set(sums))
"""
    assert python(program, tmp_path / "out") == f"{ {5 * 32 * 32 * 3} }\n"


def test_an_import_imports_neither_numpy_nor_torch(golden, python):
    program = """
import sys
import clipshard as cs

heavy = lambda: [name for name in ("numpy", "torch", "jax", "json", "pathlib") if name in sys.modules]
ds = cs.Dataset(sys.argv[1])
clip = ds.clip(0)
clip.frames("flow"), clip.shape("flow"), ds.ids, ds.streams, repr(ds), ds.clips("1")
print(heavy())
clip.read("flow")
print(heavy()[0])
"""
    assert python(program, golden) == "[]\nnumpy\n"


def test_the_exit_of_the_interpreter_waits_for_no_thread_that_reads(golden, python):
    program = """
import sys, threading
import clipshard as cs

clip = cs.Dataset(sys.argv[1]).clip(0)

def loop():
    while True:
        clip.read("flow")

for _ in range(4):
    threading.Thread(target=loop, daemon=True).start()
clip.read("rgb")
print("done")
"""
    for _ in range(5):
        assert python(program, golden) == "done\n"


def test_reads_leak_neither_memory_nor_files(golden):
    resource = pytest.importorskip("resource")
    import os

    files = lambda: len(os.listdir("/proc/self/fd"))
    pickled = pickle.dumps(cs.Dataset(golden))
    for _ in range(200):
        frames_of(pickle.loads(pickled))
    before, used = files(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2000):
        frames_of(pickle.loads(pickled))
    assert files() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 8 << 10  # KiB


def long_clip(folder):
    """Writes a clip of 200 frames with 3 MB each, which take few bytes on the disk."""
    with cs.Writer(folder, streams={"rgb": cs.Zstd(1)}) as writer:
        writer.add("long", rgb=np.zeros((200, 1024, 1024, 3), "uint8"))
    return cs.Dataset(folder).clip(0)


def test_other_threads_run_while_a_clip_is_read(tmp_path):
    clip = long_clip(tmp_path / "long")
    ticks, is_done = [0], threading.Event()

    def tick():
        while not is_done.wait(0.0001):
            ticks[0] += 1

    interval = sys.getswitchinterval()
    # Python takes the lock from no thread now. A thread must give it away itself.
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=tick)
        thread.start()
        before = ticks[0]
        clip.read("rgb", 0, 50)
        assert ticks[0] > before
    finally:
        sys.setswitchinterval(interval)
        is_done.set()
        thread.join()


def test_memory_that_is_not_sufficient_raises_memory_error(tmp_path, python):
    long_clip(tmp_path / "long")
    program = """
import resource, sys
import numpy as np
import clipshard as cs

clip = cs.Dataset(sys.argv[1]).clip(0)
clip.read("rgb", 0, 2)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
try:
    clip.read("rgb")
except MemoryError as error:
    print(clip.read("rgb", 0, 2).shape)
"""
    assert python(program, tmp_path / "long") == "(2, 1024, 1024, 3)\n"

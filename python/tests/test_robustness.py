"""Loaders in other people's programs: forks, signals, exits, threads, damage, and long runs.

Most programs run in an interpreter of their own, with a time limit, so that a hang fails.
"""

import os
import subprocess
import sys

import pytest

import clipshard as cs
import marks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX signals")

START = """
import warnings; warnings.simplefilter("ignore")  # Python 3.12 and later warn about forks with threads.
import gc, os, signal, sys, threading, time
import numpy as np
import clipshard as cs

ds = cs.Dataset(sys.argv[1])
STREAMS = {"rgb": cs.Frames(1, size=32, crop="random", flip=True), "flow": cs.Stack(4, size=16)}

def make(batch_size=4, repeat=3, streams=STREAMS, **options):
    return cs.Loader(ds.samples(streams, repeat=repeat), batch_size, **{"threads": 2, "seed": 5, **options})

def content(batches):
    return [(batch["id"], batch["rgb"].tobytes(), batch["flow"].tobytes()) for batch in batches]

def child(task, patience=20):
    "Runs a task in a fork. Returns what it answered: y, n, e for an exception, or hang."
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = b"n" if task() is False else b"y"
        except BaseException as error:
            os.write(2, repr(error).encode())
            answer = b"e"
        os.write(done, answer)
        os._exit(0)
    os.close(done)
    import select
    answered = select.select([ready], [], [], patience)[0]
    answer = os.read(ready, 1).decode() if answered else "hang"
    if not answered:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ready)
    return answer
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return marks.write(tmp_path_factory.mktemp("robust") / "marks")


@pytest.fixture
def run(python, folder):
    """Returns a function that runs a program after the lines of START."""
    return lambda program, timeout=60: python(START + program, folder, timeout=timeout)


def test_a_fork_of_a_running_loader_may_do_anything_with_it(run):
    program = """
loader = make()
expected = content(loader)
loader.set_epoch(0)
batches = iter(loader)
held = next(batches)
before = held["rgb"].tobytes()

def goes_on():
    first = content(batches) == expected[1:]
    return first and loader.epoch == 1 and held["rgb"].tobytes() == before

def starts_again():
    return content(loader) == expected and content(make()) == expected

def exits_only():
    pass

def collects():
    global batches, held, loader
    del batches, held, loader
    gc.collect()

def closes():
    batches.close()
    return list(batches) == []

def asks():
    return loader.state_dict()["seen"] == 4 and batches.__length_hint__() == 3

def grandchild():
    next(batches)
    return child(lambda: content(batches) == expected[2:]) == "y" and content(batches) == expected[2:]

print(*[child(task) for task in (goes_on, starts_again, exits_only, collects, closes, asks, grandchild)])
print(content(batches) == expected[1:])
"""
    assert run(program) == "y y y y y y y\nTrue\n"


def test_the_child_of_a_fork_may_exit_as_a_program_does(run):
    program = """
loader = make()
batches = iter(loader)
held = next(batches)
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        sys.exit(0)  # With all destructors.
    print(os.waitpid(pid, 0)[1])
"""
    assert run(program) == "0\n" * 5


def test_forks_while_another_thread_waits_for_batches(run):
    program = """
loader = make(repeat=100_000)
batches, is_done, seen = iter(loader), threading.Event(), [0]
expected = content(make())

def consume():
    for batch in batches:
        seen[0] += 1
        if is_done.is_set():
            break

thread = threading.Thread(target=consume)
thread.start()
answers = set()
for number in range(200):
    def task():
        if number % 2:
            return len(next(batches)["id"]) == 4
        return content(make()) == expected
    answers.add(child(task))
is_done.set()
thread.join(20)
print(answers, thread.is_alive(), seen[0] > 200)
"""
    assert run(program, timeout=200) == "{'y'} False True\n"


SLOW = """
many = cs.Frames(60000, size=8, stream="rgb")
HUGE = {"rgb": many, "again": many, "more": many}  # More than a second to decode, and 35 MB.
"""


def test_ctrl_c_ends_the_wait_for_a_slow_batch_at_once(run):
    program = SLOW + """
view = ds.samples(HUGE, short="loop", repeat=1)
loader = cs.Loader(view, 1, threads=1, seed=5, buffers=1)
batches = iter(loader)
for _ in range(3):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        next(batches)
        print("too fast")
    except KeyboardInterrupt:
        print(time.monotonic() - start < 0.35)
batch = next(batches)
again = next(iter(cs.Loader(view, 1, seed=5, buffers=1)))
print(batch["index"] == again["index"], np.array_equal(batch["rgb"], again["rgb"]), loader.state_dict()["seen"])
"""
    assert run(program, timeout=120) == "True\nTrue\nTrue\n[ True] True 1\n"


def test_an_exception_of_a_signal_handler_loses_no_batch(run):
    pytest.importorskip("torch")
    program = """
expected = content(make(repeat=400))
batches = iter(make(repeat=400, to="torch"))  # Makes tensors with code of Python, which a signal interrupts.
armed, is_over, interrupts, found, count = False, False, 0, [], -1

class Interrupt(Exception):
    pass

def handler(*_):
    global armed, count
    # A batch takes longer than the timer on a slow machine, so each batch is interrupted at most once.
    if armed and not is_over and len(found) > count:
        armed, count = False, len(found)
        raise Interrupt

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0004, 0.0004)
while not is_over:
    try:
        armed = True
        found.extend(batches)  # No code of Python runs between two batches.
        is_over = True
    except Interrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
found = [{**batch, "rgb": batch["rgb"].numpy(), "flow": batch["flow"].numpy()} for batch in found]
print(content(found) == expected, interrupts > 3)
"""
    assert run(program, timeout=120) == "True True\n"


def test_damage_names_clip_and_file_and_the_loader_can_be_closed(tmp_path, python):
    folder = marks.write(tmp_path / "marks")
    file = folder / "depth-00000.clipshard"
    data = bytearray(file.read_bytes())
    data[64 + 40] ^= 0xFF  # In the first record, of clip c0.
    file.write_bytes(data)
    view = cs.Dataset(folder).samples({"depth": cs.Frames(12, size=24)})
    loader = cs.Loader(view, 1, threads=3, seed=5, shuffle=False)
    batches = iter(loader)
    with pytest.raises(cs.DamageError, match="c0.*") as caught:
        next(batches)
    assert caught.value.clip == "c0" and caught.value.file == str(file)
    assert next(batches, None) is None and loader.state_dict()["seen"] == 0
    batches.close()
    with pytest.raises(cs.DamageError):
        list(loader)
    with pytest.raises(cs.DamageError, match="c0"):
        list(cs.Loader(view, 5, seed=1))
    replacing = cs.Loader(cs.Dataset(folder).samples({"depth": cs.Frames(12, size=24)}, damage="replace"), 2, seed=5)
    seen = [id for batch in replacing for id in batch["id"]]
    assert len(seen) == 5 and "c0" not in seen and replacing.damaged == 1
    assert replacing.epoch == 1 and len(list(replacing)) == 3 and replacing.damaged == 1


def test_the_interpreter_exits_with_a_running_loader_and_held_arrays(run):
    # `python` fails if the exit code is not 0 or if something is on stderr.
    programs = [
        "it = iter(make(repeat=100_000)); held = next(it); view = held['rgb'][1:]; print('done')",
        "held = [next(iter(make(repeat=100_000))) for _ in range(3)]; print('done')",
        "import builtins; builtins.it = iter(make(repeat=100_000)); builtins.b = next(builtins.it); print('done')",
        "it = iter(make(repeat=100_000)); next(it); print('done'); sys.exit(0)",
        "it = iter(make(repeat=100_000)); it2 = [it]; it2.append(it2); del it; print('done')",
        "import atexit; it = iter(make(repeat=1000)); atexit.register(lambda: next(it)); print('done')",
        "it = iter(make(repeat=100_000))\ndef loop():\n    for batch in it: pass\n"
        "threading.Thread(target=loop, daemon=True).start(); time.sleep(0.1); print('done')",
    ]
    for program in programs:
        assert run(program) == "done\n"


def test_the_interpreter_exits_with_tensors(run):
    pytest.importorskip("torch")
    assert run("it = iter(make(repeat=100_000, to='torch')); held = next(it); print('done')") == "done\n"


def test_two_loaders_share_a_dataset(run):
    program = """
expected = content(make())
first, second = [], []
for a, b in zip(make(), make(threads=3, buffers=1)):
    first.append(a), second.append(b)
print(content(first) == content(second) == expected)
results = {}
def read(number):
    results[number] = content(make(threads=1 + number % 3)) == expected
threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(all(results.values()), len(results))
"""
    assert run(program) == "True\nTrue 8\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_100_000_batches_need_no_more_memory_files_or_threads(run):
    program = """
def numbers():
    gc.collect()
    time.sleep(0.2)  # The system needs a moment after the end of a thread.
    memory = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
    return memory, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

tiny = {"rgb": cs.Frames(1, size=8, crop="random"), "flow": cs.Stack(1, size=4, crop="random")}
loader = make(1, repeat=2000, streams=tiny, threads=1)
count = 0
def some(batches):
    global count
    while count < batches:
        for batch in loader:
            count += 1
some(10_000)
memory, files, threads = numbers()
some(110_000)
for _ in range(300):  # Passes that end early.
    next(iter(loader))
later = numbers()
print(count, later[0] - memory < 4 << 20, later[1] == files, later[2] == threads)
"""
    assert run(program, timeout=240) == "110000 True True True\n"


@pytest.mark.parametrize("access", ["map", "read"])
def test_a_dataset_that_is_removed_or_moved_while_open_is_read_to_the_end(tmp_path, access):
    folder = marks.write(tmp_path / "marks")
    loader = cs.Loader(cs.Dataset(folder, access=access).samples({"rgb": cs.Frames(1, size=16)}), 2, seed=1)
    expected = [batch["rgb"].copy() for batch in loader]
    folder.rename(tmp_path / "moved")
    loader.set_epoch(0)
    assert all((a["rgb"] == b).all() for a, b in zip(loader, expected, strict=True))
    for file in (tmp_path / "moved").iterdir():
        file.unlink()
    loader.set_epoch(0)
    assert all((a["rgb"] == b).all() for a, b in zip(loader, expected, strict=True))


def test_two_threads_that_take_batches_from_one_iterator_get_an_error_or_a_batch(run):
    program = SLOW + """
batches = iter(cs.Loader(ds.samples(HUGE, short="loop"), 1, threads=1, buffers=1))
texts, found = [], []
barrier = threading.Barrier(4)
def take():
    barrier.wait()
    try:
        found.append(next(batches))
    except cs.Error as error:
        texts.append(str(error))
threads = [threading.Thread(target=take) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(found), len(texts), set(texts))
print(len(next(batches)["id"]))
"""
    text = "another thread waits for a batch of this iterator; give each thread a loader of its own, "
    assert run(program, timeout=120) == f"1 3 { {text + 'or take the batches in one thread'} }\n1\n"


def test_nothing_is_printed_and_signal_handlers_stay(run):
    program = """
names = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]
def status():  # What the kernel says, without Python.
    return [line for line in open("/proc/self/status") if line.startswith("Sig") and "SigQ" not in line]
before = [signal.getsignal(s) for s in names], status()
loader = make()
list(loader), list(loader)
list(make(to="numpy", threads=3))
print(before == ([signal.getsignal(s) for s in names], status()))
"""
    assert run(program) == "True\n"


def test_an_event_loop_runs_while_a_thread_waits_for_batches(run):
    # As in Jupyter: the main thread has a running loop, and cells start and leave loaders.
    program = SLOW + """
import asyncio

async def main():
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1
    ticking = asyncio.create_task(tick())
    batches = iter(cs.Loader(ds.samples(HUGE, short="loop"), 1, threads=1, buffers=1))
    batch = await asyncio.to_thread(next, batches)
    print(batch["rgb"].shape, ticks > 10)
    for batch in make():  # In the loop's own thread.
        break
    print(len([batch for batch in make()]))
    ticking.cancel()

asyncio.run(main())
"""
    assert run(program, timeout=120) == "(1, 60000, 8, 8, 3) True\n4\n"


def test_a_pass_is_dropped_in_another_thread_than_its_own(run):
    program = """
before = len(os.listdir("/proc/self/task"))  # numpy has threads, too.
for _ in range(50):
    batches = [iter(make())]
    held = [next(batches[0])]
    threads = [threading.Thread(target=batches.clear), threading.Thread(target=held.clear)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
end = time.monotonic() + 10  # The system needs a moment after the end of a thread.
while len(os.listdir("/proc/self/task")) > before and time.monotonic() < end:
    time.sleep(0.01)
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert run(program) == "0\n"


def test_loaders_work_in_the_workers_of_pytest(tmp_path, folder):
    pytest.importorskip("xdist")
    (tmp_path / "test_loads.py").write_text(f"""
import pytest, clipshard as cs

VIEW = cs.Dataset({str(folder)!r}).samples({{"rgb": cs.Frames(1, size=16)}}, seed=1)

@pytest.mark.parametrize("number", range(8))
def test_batches(number):
    assert sum(len(batch["id"]) for batch in cs.Loader(VIEW, 2, threads=2)) == 5
""")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0 and "8 passed" in done.stdout, done.stdout + done.stderr

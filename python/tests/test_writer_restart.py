"""Interrupted writers, changed datasets, and forks."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import clipshard as cs
import numpy as np
import pytest
from writing import codecs_of, listed, manifest, noise, stored

STREAMS = {"x": cs.Zstd(3), "rgb": cs.Jpeg()}


def add(writer, number):
    writer.add(f"c{number}", x=noise((2, 30, 30), seed=number), rgb=noise((2, 16, 16, 3), seed=number), label=0)


def check(folder, numbers):
    """Checks that the dataset has exactly these clips."""
    read = stored(folder, "x")
    assert sorted(read) == sorted(listed(folder)) == [f"c{number}" for number in numbers]
    assert all(np.array_equal(np.stack(read[f"c{n}"])[..., 0], noise((2, 30, 30), seed=n)) for n in numbers)
    assert sorted(stored(folder, "rgb")) == sorted(read)
    assert not list(folder.glob(".*")), "no file of the writer is left"


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_resume_continues_after_an_exception(tmp_path, kind):
    folder = tmp_path / "d"
    with pytest.raises(kind, match="between clips"):
        with cs.Writer(folder, STREAMS, ["a"], name="mine", splits=["s"]) as writer:
            add(writer, 0)
            add(writer, 1)
            raise kind("between clips")
    assert writer.closed and not (folder / "manifest.json").exists()
    with pytest.raises(cs.ClosedError, match='this writer is closed; continue with mode="resume"'):
        add(writer, 2)
    with pytest.raises(FileExistsError, match='writing was interrupted here; continue with mode="resume"') as caught:
        cs.Writer(folder, STREAMS)
    assert caught.value.filename == str(folder)
    with pytest.raises(cs.OptionError, match='writing was interrupted here; continue with mode="resume"'):
        cs.Writer(folder, STREAMS, mode="append")
    with cs.Writer(folder, STREAMS, mode="resume") as writer:
        assert (writer.ids, writer.classes, writer.splits) == ({"c0", "c1"}, ("a",), ("s",))
        add(writer, 2)
    check(folder, [0, 1, 2])
    assert manifest(folder)["dataset"] == "mine"


def test_resume_starts_continues_and_adds(tmp_path):
    folder = tmp_path / "d"
    for numbers in ([0, 1], [0, 1, 2], [0, 1, 2]):
        with cs.Writer(folder, STREAMS, ["a"], mode="resume") as writer:
            for number in numbers:
                if f"c{number}" not in writer:
                    add(writer, number)
        check(folder, numbers)


PROGRAM = """
    import sys
    sys.path[:0] = {paths!r}
    import test_writer_restart as t
    import clipshard as cs

    writer = cs.Writer({folder!r}, t.STREAMS, ["a"], mode="resume", shard_bytes={shard_bytes})
    for number in range(1000):
        if f"c{{number}}" not in writer:
            t.add(writer, number)
            print(number, flush=True)
"""


def program(folder, shard_bytes):
    paths = [str(pathlib.Path(__file__).parent)]
    return textwrap.dedent(PROGRAM.format(paths=paths, folder=str(folder), shard_bytes=shard_bytes))


def test_a_killed_writer_is_resumed(tmp_path):
    folder = tmp_path / "d"
    added = -1
    for last in (7, 19):
        child = subprocess.Popen([sys.executable, "-c", program(folder, 9_000)], stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            added = int(line)
            if added >= last:
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not (folder / "manifest.json").exists()
    with cs.Writer(folder, STREAMS, mode="resume") as writer:
        kept = len(writer)
        # Shards have about 9,000 bytes, so only the clips of the last shards are lost.
        assert added - 6 < kept and writer.ids == {f"c{number}" for number in range(kept)}
        for number in range(kept, 30):
            add(writer, number)
    check(folder, sorted(range(30), key=lambda number: f"c{number}"))


INTERRUPTED = """
    import sys
    sys.path[:0] = {paths!r}
    import test_writer_restart as t
    import clipshard as cs

    with cs.Writer({folder!r}, t.STREAMS, ["a"]) as writer:
        for number in range(100_000):
            t.add(writer, number)
            print(number, flush=True)
"""


def test_an_interrupt_from_the_keyboard_loses_no_clip(tmp_path):
    paths = [str(pathlib.Path(__file__).parent)]
    code = textwrap.dedent(INTERRUPTED.format(paths=paths, folder=str(tmp_path / "d")))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(5):
        child.stdout.readline()
    child.send_signal(signal.SIGINT)
    printed, errors = child.communicate(timeout=60)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    added = 5 + len(printed.splitlines())
    with cs.Writer(tmp_path / "d", STREAMS, mode="resume") as writer:
        # The interrupt may come after a clip was added, and before its number was printed.
        assert len(writer) in (added, added + 1)
    assert len(listed(tmp_path / "d")) in (added, added + 1)


FULL = """
    import resource
    import sys
    sys.path[:0] = {paths!r}
    import test_writer_restart as t
    import clipshard as cs

    def refused(kind, text, call):
        try:
            call()
        except kind as error:
            assert text in str(error), error
        else:
            raise AssertionError("nothing was raised")

    writer = cs.Writer({folder!r}, t.STREAMS, ["a"])
    t.add(writer, 0)
    writer.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    refused(OSError, "File too large", lambda: [t.add(writer, number) for number in range(1, 2000)])
    refused(cs.OptionError, 'close this writer and continue with mode="resume"', lambda: t.add(writer, 3000))
    refused(cs.OptionError, 'close this writer and continue with mode="resume"', writer.flush)
    writer.close()
    refused(cs.ClosedError, 'continue with mode="resume"', writer.finish)
"""


def test_a_full_disk_is_an_oserror(tmp_path):
    paths = [str(pathlib.Path(__file__).parent)]
    code = textwrap.dedent(FULL.format(paths=paths, folder=str(tmp_path / "d")))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    with cs.Writer(tmp_path / "d", STREAMS, mode="resume") as writer:
        assert writer.ids == {"c0"}
    check(tmp_path / "d", [0])


def test_flush_keeps_clips_of_a_writer_that_is_not_closed(tmp_path):
    writer = cs.Writer(tmp_path / "d", STREAMS, ["a"])
    add(writer, 0)
    writer.flush()
    add(writer, 1)
    with pytest.raises(FileExistsError, match="another writer is using this folder; wait until it has finished"):
        cs.Writer(tmp_path / "d", STREAMS)
    del writer
    gc.collect()
    with pytest.raises(FileNotFoundError, match=r'a Writer has not finished this dataset; .*mode="resume".*finish\(\)'):
        cs.Dataset(tmp_path / "d")
    with cs.Writer(tmp_path / "d", STREAMS, mode="resume") as writer:
        assert writer.ids == {"c0"}
    check(tmp_path / "d", [0])


def test_append_adds_removes_and_compacts(tmp_path):
    folder = tmp_path / "d"
    with cs.Writer(folder, STREAMS, ["a"], attrs={"k": 1}) as writer:
        for number in range(3):
            add(writer, number)
    with pytest.raises(FileExistsError, match='there is a dataset here already; use mode="append" or another folder'):
        cs.Writer(folder, STREAMS)
    before = cs.Dataset(folder)
    with cs.Writer(folder, STREAMS | {"new": cs.Raw()}, ["a", "b"], mode="append") as writer:
        assert writer.ids == {"c0", "c1", "c2"} and writer.classes == ("a", "b")
        writer.add("c3", x=noise((2, 30, 30), seed=3), rgb=noise((1, 8, 8, 3)), new=noise((1, 4, 4)), label="b")
        writer.remove(["c0", "c2"])
        writer.compact()
    assert np.array_equal(before["c0"].read("x"), noise((2, 30, 30)[:3], seed=0)), "what was open stays readable"
    check(folder, [1, 3])
    assert manifest(folder)["classes"] == ["a", "b"] and manifest(folder)["attributes"] == {"k": 1}
    assert listed(folder)["c3"]["label"] == 1
    assert [len(stream["shards"]) for stream in manifest(folder)["streams"]] == [1, 1, 1]
    with cs.Writer(folder, mode="append") as writer:
        with pytest.raises(cs.OptionError, match="clip zz: it cannot be removed, because the dataset does not have it"):
            writer.remove(["zz"])
        with pytest.raises(cs.OptionError, match="no clip would remain"):
            writer.remove(["c1", "c3"])
        with pytest.raises(TypeError, match="ids: expected a list of texts"):
            writer.remove("c1")
        with pytest.raises(cs.OptionError, match='clip c4: stream x: it has no codec; open the writer with streams='):
            writer.add("c4", x=noise((2, 30, 30)))
    check(folder, [1, 3])


def test_append_checks_what_it_is_given(tmp_path):
    folder = tmp_path / "d"
    with cs.Writer(folder, STREAMS, ["a", "b"], name="n", splits=["1"], attrs={"k": 1}) as writer:
        add(writer, 0)
    refused = [
        ({"classes": ["b", "a"]}, 'number 0 is "a" there; append new classes at the end'),
        ({"classes": ["a"]}, 'number 1 is "b" there'),
        ({"classes": ["a", "b", "a"]}, "a class is named twice"),
        ({"splits": ["1", "2"]}, 'the dataset has splits ["1"]; omit splits, or give the same'),
        ({"name": "m"}, 'the dataset has name "n"'),
        ({"attrs": {"k": 2}}, 'the dataset has attrs {"k": 1}'),
        ({"streams": {"x": cs.Zstd(dtype="uint16")}}, "found frames of uint8 [H, W], expected those of Zstd(9, dtype"),
        ({"streams": {"x": cs.Zstd(kind="array")}}, "stream x: found frames of uint8 [H, W]"),
    ]
    for arguments, text in refused:
        with pytest.raises(cs.OptionError) as caught:
            cs.Writer(folder, mode="append", **arguments)
        assert text in str(caught.value) and str(folder) in str(caught.value)
    same = {"classes": ["a", "b"], "name": "n", "splits": ["1"], "attrs": {"k": 1}}
    with cs.Writer(folder, {"x": cs.Lz4()}, **same, mode="append") as writer:
        writer.add("c1", x=noise((2, 30, 30), seed=1))
        with pytest.raises(TypeError, match="found an array of uint16 .*, expected uint8"):
            writer.add("c2", x=noise((2, 30, 30), "uint16"))
    assert codecs_of(folder, "x") == {(2, 1), (3, 1)}


def test_discard_restores_the_folder(tmp_path):
    folder = tmp_path / "d"
    writer = cs.Writer(folder, STREAMS, ["a"])
    add(writer, 0)
    writer.discard()
    assert list(folder.iterdir()) == []
    with cs.Writer(folder, STREAMS, ["a"]) as writer:
        add(writer, 0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with cs.Writer(folder, STREAMS, mode="append") as writer:
        add(writer, 1)
        writer.flush()
        writer.discard()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def in_child(call):
    """Runs a function in a fork. Returns its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        call()
        status = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        status = 1
    os._exit(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_never_touches_the_files(tmp_path):
    folder = tmp_path / "d"
    writers = [cs.Writer(folder, STREAMS, ["a"])]
    add(writers[0], 0)

    def use():
        writer = writers[0]
        for call in (lambda: add(writer, 1), writer.finish, writer.flush, writer.discard, lambda: writer.ids):
            with pytest.raises(cs.ClosedError, match="this writer belongs to the parent process"):
                call()
        assert writer.closed
        writer.close()
        writer.__exit__(SystemExit, SystemExit(0), None)
        # The writer of the parent still has the lock.
        with pytest.raises(FileExistsError, match="another writer is using this folder"):
            cs.Writer(folder, STREAMS)
        # The child can write other datasets.
        with cs.Writer(tmp_path / "child", STREAMS, ["a"]) as own:
            add(own, 5)
        del writer
        writers.clear()
        gc.collect()
        with pytest.raises(FileExistsError, match="another writer is using this folder"):
            cs.Writer(folder, STREAMS)

    before = sorted(folder.iterdir())
    assert in_child(use) == 0
    assert sorted(folder.iterdir()) == before
    add(writers[0], 1)
    writers[0].finish()
    check(folder, [0, 1])
    check(tmp_path / "child", [5])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_that_exits_inside_the_block_changes_nothing(tmp_path):
    program = f"""
        import os, sys
        sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
        import test_writer_restart as t
        import clipshard as cs

        with cs.Writer({str(tmp_path / "d")!r}, t.STREAMS, ["a"]) as writer:
            t.add(writer, 0)
            if os.fork() == 0:
                sys.exit(7)
            print(os.waitstatus_to_exitcode(os.wait()[1]))
            t.add(writer, 1)
    """
    # Python warns of forks in programs with threads.
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("7\n", "")
    check(tmp_path / "d", [0, 1])


def test_a_fork_while_another_thread_writes_does_not_hang(tmp_path):
    program = f"""
        import os, signal, sys, threading, time
        sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
        from writing import noise
        import clipshard as cs

        writer = cs.Writer({str(tmp_path / "d")!r}, {{"x": cs.Zstd(19)}})
        frames = noise((8, 400, 400))
        thread = threading.Thread(target=lambda: writer.add("a", x=frames))
        thread.start()
        time.sleep(0.2)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            assert writer.closed
            del writer
            with cs.Writer({str(tmp_path / "child")!r}, {{"x": cs.Zstd(1), "rgb": cs.Jpeg()}}) as own:
                own.add("b", x=frames[:2], rgb=frames[:2])
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        thread.join()
        writer.finish()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "0\n"), run.stderr
    assert list(stored(tmp_path / "d", "x")) == ["a"] and list(stored(tmp_path / "child", "x")) == ["b"]


def test_interpreters_exit_with_an_open_writer(tmp_path):
    code = program(tmp_path / "d", 1 << 30).replace("range(1000)", "range(3)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert not (tmp_path / "d" / "manifest.json").exists()


def test_many_writers_leave_no_descriptors_and_threads(tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    if not os.path.exists("/proc/self/task"):
        pytest.skip("there is no /proc")
    before = count()
    for number in range(20):
        with cs.Writer(tmp_path / f"d{number}", STREAMS, ["a"]) as writer:
            add(writer, number)
    deadline = time.monotonic() + 10
    while count() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count() == before

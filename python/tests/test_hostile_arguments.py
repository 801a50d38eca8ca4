"""Arguments that lie, change while they are read, or have another meaning than they seem to have."""

import mmap
import os
import pickle
import pathlib
import shutil
import types

import numpy as np
import pytest

pytest.importorskip("PIL.Image", reason="the synthetic dataset needs Pillow")

import marks  # noqa: E402

import clipshard as cs  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return marks.write(tmp_path_factory.mktemp("marks") / "ds")


@pytest.fixture
def ds(folder):
    return cs.Dataset(folder)


def two_streams(ds):
    """Samples of 192 bytes in each of two arrays."""
    return ds.samples({name: cs.Frames(1, size=8, stream="rgb") for name in ("a", "b")})


class Liar(np.ndarray):
    """Says that it is writable."""

    flags = property(lambda self: types.SimpleNamespace(writeable=True, c_contiguous=True))


@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_subclass_cannot_make_memory_writable(ds, is_mapped, tmp_path):
    shape = ds.clip(0).read("rgb").shape
    memory = bytes(np.prod(shape))
    if is_mapped:
        file = tmp_path / "zeros"
        file.write_bytes(memory)
        with open(file, "rb") as opened:
            memory = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    array = np.frombuffer(memory, np.uint8).reshape(shape).view(Liar)
    with pytest.raises(cs.OptionError, match="read-only"):
        ds.clip(0).read("rgb", out=array)
    assert not any(memory[:])


def test_a_label_that_changes_the_shape_of_an_array_does_no_harm(tmp_path):
    array = np.arange(4 * 6 * 8 * 3, dtype=np.uint8).reshape(4, 6, 8, 3)
    before = array.copy()

    class Label:
        def __index__(self):
            array.shape = (2, 12, 8, 3)
            return 0

    with cs.Writer(tmp_path / "out", streams={"rgb": cs.Zstd(1)}, classes=["wave"]) as writer:
        writer.add("clip", rgb=array, label=Label())
    found = cs.Dataset(tmp_path / "out")["clip"].read("rgb")
    assert found.tobytes() == before.tobytes() and found.shape in [before.shape, array.shape]


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_an_array_whose_shape_changes_while_it_is_stored(tmp_path, python):
    print(python(f"""
import clipshard as cs, numpy as np, threading, warnings
warnings.simplefilter("ignore")  # numpy advises against a new shape.
array = np.zeros((8, 48, 64, 3), np.uint8)
done = False
def change():
    while not done:
        array.shape = (4, 2, 48, 64, 3)
        array.shape = (8, 48, 64, 3)
thread = threading.Thread(target=change)
thread.start()
refused = 0
with cs.Writer({str(tmp_path / "out")!r}, streams={{"rgb": cs.Zstd(1)}}) as writer:
    writer.add("first", rgb=np.zeros((8, 48, 64, 3), np.uint8))
    for number in range(500):
        try:
            writer.add(f"clip{{number}}", rgb=array)
        except cs.OptionError as error:
            assert "[4, 2, 48, 64, 3]" in str(error), error
            refused += 1
done = True
thread.join()
ds = cs.Dataset({str(tmp_path / "out")!r})
assert len(ds) == 501 - refused and ds.verify("deep") == []
assert {{clip.read("rgb").shape for clip in ds}} == {{(8, 48, 64, 3)}}
"""))


def test_a_buffer_that_shrinks_while_another_is_taken_is_refused(ds):
    first, second = np.empty(2 * 192, np.uint8), np.empty(2 * 192, np.uint8)

    class Shrinks:
        def __array__(self, *arguments, **options):
            first.resize(10, refcheck=False)
            return second

    with pytest.raises(cs.OptionError, match="changed its size"):
        two_streams(ds).batch([0, 1], out={"a": first, "b": Shrinks()})


@pytest.mark.parametrize("start", [0, 1, 191])
def test_two_streams_cannot_share_a_buffer(ds, start):
    memory = np.empty(400, np.uint8)
    with pytest.raises(cs.OptionError, match="\"b\" shares memory"):
        two_streams(ds).batch([0], out={"a": memory[:192], "b": memory[start:][:192]})
    batch = two_streams(ds).batch([0], out={"a": memory[:192], "b": memory[192:384]})
    assert batch["a"].base is not None and batch["b"].shape == (1, 1, 8, 8, 3)


def test_a_window_of_endless_numbers_is_refused(ds):
    import itertools

    with pytest.raises(TypeError, match="window is not a tuple of 4 numbers"):
        ds.clip(0).read("rgb", window=itertools.count())


@pytest.mark.parametrize("content", ["", "raise KeyError('nothing here')", "__version__ = '2.0'", "__version__ = 3"])
def test_a_file_with_the_name_of_numpy_is_named(folder, tmp_path, content, python):
    (tmp_path / "numpy.py").write_text(content)
    program = """
import sys
import clipshard as cs
ds = cs.Dataset(sys.argv[1])
samples = ds.samples({"rgb": cs.Frames(1, size=8)})
calls = [lambda: ds.clip(0).read("rgb"), lambda: ds.clip(0).read("rgb", out=bytearray(9)), lambda: samples[0],
         lambda: samples.batch([0]), lambda: next(iter(cs.Loader(samples))),
         lambda: cs.Writer(sys.argv[2], streams={"rgb": cs.Raw()}).add("clip", rgb=[[1]])]
for number, call in enumerate(calls):
    try:
        call()
        print(number, "no exception")
    except Exception as error:
        print(type(error).__name__, error)
"""
    lines = python(program, folder, tmp_path / "out").splitlines()
    assert len(lines) == 6
    for line in lines:
        assert "nothing here" in line if "raise" in content else str(tmp_path / "numpy.py") in line, line


NAMES = [b"caf\xe9", "\u00fc".encode(), b"a\nb", b"%s{}\"'"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_need_not_be_text(folder, tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    try:
        os.mkdir(path)
    except OSError:
        pytest.skip("this file system takes no such names")
    for file in pathlib.Path(folder).iterdir():
        shutil.copy(file, os.path.join(path, os.fsencode(file.name)))
    for given in (path, os.fsdecode(path), pathlib.Path(os.fsdecode(path))):
        ds = cs.Dataset(given)
        assert ds.path == os.fsdecode(path)
        assert pickle.loads(pickle.dumps(ds)).ids == tuple(marks.IDS)

    shard = pathlib.Path(os.fsdecode(path)) / "rgb-00000.clipshard"
    content = bytearray(shard.read_bytes())
    content[200:3000] = bytes(2800)
    shard.write_bytes(content)
    with pytest.raises(cs.DamageError) as caught:
        cs.Dataset(path).clip(0).read("rgb")
    assert caught.value.file == str(shard) and os.path.samefile(caught.value.file, shard)

    for given in (path + b"1", os.fsdecode(path) + "2"):
        with cs.Writer(given, streams={"rgb": cs.Raw()}) as writer:
            writer.add("clip", rgb=np.zeros((1, 4, 4), np.uint8))
        assert writer.path == os.fsdecode(given) and len(cs.Dataset(writer.path)) == 1


def test_texts_that_are_not_unicode_are_no_ids(tmp_path):
    with cs.Writer(tmp_path / "out", streams={"rgb": cs.Raw()}) as writer:
        writer.add("\ufffd", rgb=np.zeros((1, 4, 4), np.uint8))
    ds = cs.Dataset(tmp_path / "out")
    assert "\ufffd" in ds and "\udc80" not in ds
    with pytest.raises(cs.NotFoundError, match="no clip"):
        ds["\udc80"]


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", "x" * 5000, 3, None, [], "\ud800"])
def test_wrong_paths_say_what_is_wrong(path):
    with pytest.raises((OSError, TypeError, UnicodeEncodeError)) as caught:
        cs.Dataset(path)
    assert "None: " not in str(caught.value) and str(caught.value)


def test_a_shard_that_is_shortened_while_it_is_open_is_an_oserror(folder, tmp_path):
    target = tmp_path / "ds"
    shutil.copytree(folder, target)
    ds = cs.Dataset(target, access="read")
    samples = ds.samples({"rgb": cs.Frames(1, size=8)})
    shard = target / "rgb-00000.clipshard"
    os.truncate(shard, 128)
    whole = [lambda: samples[0], lambda: samples.batch([0, 1]), lambda: list(cs.Loader(samples, 2)),
             lambda: ds.clip(0).read("rgb")]
    for call in whole:
        with pytest.raises(OSError, match="ends too early") as caught:
            call()
        assert caught.value.filename == str(shard) and caught.value.errno == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_signal_handler_forks_while_a_loader_waits(folder, python):
    out = python("""
import os, signal, sys, time, warnings
import clipshard as cs
warnings.simplefilter("ignore")  # Python advises against forks of programs with threads.
samples = cs.Dataset(sys.argv[1]).samples({"rgb": cs.Frames(10, size=1024)}, repeat=20)
batches = iter(cs.Loader(samples, 20, threads=1))
child = None

def fork(*_):
    global child
    child = os.fork()

signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.02)
batch = next(batches)
assert child is not None, "the batch came too early"
ids = batch["id"]
if child == 0:
    os._exit(0 if len(ids) == 20 else 1)
end = time.time() + 40
while time.time() < end:
    found, status = os.waitpid(child, os.WNOHANG)
    if found:
        print("ended", status)
        break
    time.sleep(0.01)
else:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("hangs")
""", folder)
    assert out == "ended 0\n"


def test_interrupts_are_not_replaced_by_other_exceptions(ds, tmp_path):
    class Interrupts:
        def __index__(self):
            raise KeyboardInterrupt

        __iter__ = __index__

    samples = ds.samples({"rgb": cs.Frames(1, size=8)})
    writer = cs.Writer(tmp_path / "out", streams={"rgb": cs.Raw()}, classes=["wave"])
    calls = [lambda: samples[Interrupts()], lambda: samples.batch([Interrupts()]), lambda: samples.batch(Interrupts()),
             lambda: ds.samples({"rgb": cs.Frames(1)}, ids=Interrupts()), lambda: ds.clip(Interrupts()),
             lambda: ds.clip(0).read("rgb", window=Interrupts()), lambda: ds.clip(0).read("rgb", window=[Interrupts()]),
             lambda: writer.add("clip", rgb=np.zeros((1, 4, 4), np.uint8), label=Interrupts())]
    for call in calls:
        with pytest.raises(KeyboardInterrupt):
            call()
    writer.discard()


def test_memory_of_torch_that_is_too_small_is_refused(ds, monkeypatch):
    torch = pytest.importorskip("torch")
    import clipshard._torch as glue

    monkeypatch.setattr(glue, "check", lambda pin_memory: None)
    loader = cs.Loader(ds.samples({"rgb": cs.Frames(1, size=8)}), to="torch", pin_memory=True)
    wrong = [lambda nbytes: torch.empty(nbytes - 1, dtype=torch.uint8),
             lambda nbytes: torch.empty(nbytes, dtype=torch.uint8, device="meta")]
    for pinned in wrong:
        monkeypatch.setattr(glue, "pinned", pinned)
        with pytest.raises(MemoryError, match="torch allocated"):
            next(iter(loader))
    monkeypatch.setattr(glue, "pinned", lambda nbytes: torch.empty(nbytes, dtype=torch.uint8))
    assert next(iter(loader))["rgb"].shape == (5, 1, 8, 8, 3)


def test_ctrl_c_ends_a_long_batch_and_a_handler_may_read_samples(folder, python):
    assert python("""
import signal, sys
import clipshard as cs
samples = cs.Dataset(sys.argv[1]).samples({"rgb": cs.Frames(1, size=16)}, seed=1)
expected = samples[1]["rgb"].tobytes()
read = []

def handler(*_):
    read.append(samples[1]["rgb"].tobytes())
    if len(read) == 2:
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.15)
try:
    samples.batch([0] * 300_000)
    print("it took no second")
except KeyboardInterrupt:
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("interrupted", read == [expected, expected], samples[1]["rgb"].tobytes() == expected)
""", folder) == "interrupted True True\n"


def test_arrays_that_do_not_fit_into_memory_raise_memory_error(tmp_path):
    writer = cs.Writer(tmp_path / "out", streams={"rgb": cs.Raw()})
    with pytest.raises(MemoryError, match="clip huge: stream rgb: numpy cannot make an array"):
        writer.add("huge", rgb=np.broadcast_to(np.uint8(0), (2**40, 48, 64, 3)))
    assert len(writer) == 0
    writer.discard()


def test_workers_ignore_the_default_device_of_torch(folder, python):
    pytest.importorskip("torch")
    assert python("""
import sys, torch
import clipshard as cs

def change(_):
    torch.set_default_device("meta")

samples = cs.Dataset(sys.argv[1]).samples({"rgb": cs.Frames(1, size=8)}, seed=1)
loader = torch.utils.data.DataLoader(samples, batch_size=5, num_workers=1, multiprocessing_context="fork",
                                     worker_init_fn=change)
batch, = list(loader)
expected = samples.batch(range(5))
print(batch["rgb"].device, batch["label"].device, bytes(batch["rgb"].numpy()) == expected["rgb"].tobytes())
change(0)
batch, = list(cs.Loader(samples, 5, to="torch", shuffle=False))
print(batch["rgb"].device, batch["label"].device, batch["label"].tolist() == expected["label"].tolist())
""", folder) == "cpu cpu True\ncpu cpu True\n"


@pytest.mark.parametrize("number", [2**63, 10**40, -(10**40)])
def test_numbers_of_any_size_are_refused_by_name(ds, number):
    rgb = {"rgb": cs.Frames(1, size=8)}
    samples = ds.samples(rgb)
    calls = {
        "frames": lambda: ds.samples({"rgb": cs.Frames(number)}),
        "side|size": lambda: ds.samples({"rgb": cs.Frames(1, size=number)}),
        "stride": lambda: ds.samples({"rgb": cs.Frames(2, stride=number)}),
        "offset": lambda: ds.samples({"rgb": cs.Frames(1, offset=number)}),
        "segments": lambda: ds.samples(rgb, segments=number), "repeat": lambda: ds.samples(rgb, repeat=number),
        "samples|per_clip": lambda: ds.samples(rgb, sampling="uniform", per_clip=number),
        "rank": lambda: cs.Loader(samples, rank=number), "threads": lambda: list(cs.Loader(samples, threads=number)),
    }
    for name, call in calls.items():
        with pytest.raises(cs.OptionError, match=name):
            call()
    if number > 0:
        assert len(cs.Loader(samples, number)) == 1 and len(cs.Loader(samples, world_size=number)) == 0
    else:
        for name in ("batch_size", "world_size", "buffers"):
            with pytest.raises(cs.OptionError, match=name):
                cs.Loader(samples, **{name: number})

"""ucftrain's loader on shards that ucfpack makes. `ucftrain bench loader` measures itself."""

import json
import os
import pathlib
import subprocess

SUBJECTS = {
    "flow": {"ours zstd": "", "ours lz4": "", "ours raw": ""},
    "rgb": {"ours jpeg": ""},
}


def prepare(job, name, folder):
    """Packs the training clips, and one test clip, which ucftrain requires. The size includes the test clip."""
    lists = pathlib.Path(folder).parent / "lists"
    lists.mkdir(exist_ok=True)
    (lists / "classInd.txt").write_text((pathlib.Path(job.lists) / "classInd.txt").read_text())
    for split in "123":
        for part, clips in (("train", job.clips), ("test", [job.test_clip])):
            lines = [f"{clip.label}/{clip.name}.avi\n" for clip in clips] if split == "1" else []
            (lists / f"{part}list0{split}.txt").write_text("".join(lines))
    classes = ",".join(sorted({clip.label for clip in [*job.clips, job.test_clip]}))
    codec = name.split()[1]
    command = [os.path.join(job.bin, "ucfpack"), "build", f"--{job.stream}", job.tree, f"--{job.stream}-codec", codec]
    command += [
        "--lists",
        lists,
        "--classes",
        classes,
        "--jobs",
        str(job.threads),
        "--keep-going",
        "--overwrite",
        "--out",
        folder,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def command(job, folder, seconds):
    options = [
        f"--stream={job.stream}",
        f"--batch-size={job.batch}",
        f"--threads={job.threads}",
        f"--seconds={seconds}",
    ]
    return [os.path.join(job.bin, "ucftrain"), "bench", "loader", "--data", folder, *options, "--json"]


def result(out):
    found = json.loads(out)
    return {name: found[name] for name in ("samples", "seconds")}


def bytes_per_sample(folder, stream):
    """Returns the mean number of stored bytes per sample."""
    manifest = json.loads((pathlib.Path(folder) / "manifest.json").read_text())
    found = next(found for found in manifest["streams"] if found["name"] == stream)
    stored = sum(shard["bytes"] for shard in found["shards"])
    records = sum(shard["records"] for shard in found["shards"])
    return stored / records * {"flow": 20, "rgb": 1}[stream]

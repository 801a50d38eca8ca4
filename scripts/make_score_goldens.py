#!/usr/bin/env python
"""Makes score files for the tests of train/src/scores and pickle, with the results of numpy.

    scripts/make_score_goldens.py pickles TAG
    scripts/make_score_goldens.py fusion|lists|torch

* pickles: dictionaries, in each pickle protocol of this Python. Runs under Python 2.7, too.
* fusion: score files and fusion.json.
* lists: dumps of mmaction and mmaction2, and an array without names.
* torch: files with tensors: dumps of mmaction2, and a checkpoint in the form of before PyTorch 1.6.

Needs numpy; `torch` also needs PyTorch. The files in train/tests/goldens and pickle/tests/scores
were made with these versions:

* TAG python2-numpy1: Python 2.7.18, numpy 1.13.3.
* TAG numpy1: Python 3.11, numpy 1.26.4.
* TAG numpy2: Python 3.11, numpy 2.4.6.
"""
from __future__ import print_function

import collections
import json
import os
import pickle
import sys

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
GOLDENS = os.path.join(ROOT, "train", "tests", "goldens")
PICKLES = os.path.join(ROOT, "pickle", "tests", "scores")
# The tests of both crates read these; tests/tests/goldens.rs compares the copies.
SHARED = [
    "python2-numpy1-protocol0.pickle",
    "numpy2-protocol4.pickle",
    "numpy2-protocol5.pickle",
    "mmaction2-tensors-protocol2.pickle",
]


def write(name, content, folder=GOLDENS):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def write_pickle(name, content):
    write(name, content, PICKLES)
    if name in SHARED:
        write(name, content)


def plain():
    """Returns rows as the reference code pickles them.

    Their bytes include line feeds, quotes, backslashes and bytes above 127.
    """
    rows = [
        [0.1, -0.0, 1e30, -1.5],
        list(np.frombuffer(b"\n'\\\"" b"\r\x1a\x7f@" b"\x80\xff\xfeB" b"\x00\x00\x80\xc0", "<f4")),
        [1e-45, 1e38, -1e38, 7.0],
    ]
    names = ["ApplyEyeMakeup_g01_c01", "HandstandPushups_g07_c02", "YoYo_g25_c05"]
    return collections.OrderedDict((name, np.array([row, row], np.float32)[1]) for name, row in zip(names, rows))


def kinds():
    """Returns the row (1, -2.5, 0.125) in all forms that the reader supports."""
    row = [1.0, -2.5, 0.125]
    forms = [
        ("half", np.array(row, np.float16)),
        ("double", np.array(row, np.float64)),
        ("big_endian", np.array(row, ">f4")),
        ("floats", row),
        ("tuple", tuple(row)),
        ("scalars", [np.float32(x) for x in row]),
        ("strided", np.array(row * 2, np.float32).reshape(2, 3).T[:, 0]),
        ("one_row", np.array([row], np.float32)),
        ("one_column", np.array([row], np.float32).T),
        ("integers", [1, -2.5, 0.125]),
    ]
    return collections.OrderedDict(forms)


def pickles(tag):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        write_pickle("{}-protocol{}.pickle".format(tag, protocol), pickle.dumps(dict(plain()), protocol))
        write_pickle("{}-kinds-protocol{}.pickle".format(tag, protocol), pickle.dumps(kinds(), protocol))
    if tag == "numpy2":
        np.save(os.path.join(GOLDENS, "dictionary.npy"), dict(plain()))


def lists():
    rows = list(plain().values())
    write("mmaction-list.pickle", pickle.dumps(rows, 4))
    samples = [{"pred_label": np.array([0]), "pred_score": row, "num_classes": 4} for row in rows]
    write("mmaction2-samples.pickle", pickle.dumps(samples, 4))
    np.save(os.path.join(GOLDENS, "rows.npy"), np.stack(rows))


def torch_files():
    import torch

    tensors = [torch.from_numpy(row.copy()) for row in plain().values()]
    # mmengine writes protocol 2. mmaction2 before 1.2 has `pred_scores`.
    samples = [{"pred_label": torch.tensor([0]), "pred_score": row, "img_shape": (224, 224)} for row in tensors]
    write_pickle("mmaction2-tensors-protocol2.pickle", pickle.dumps(samples, 2))
    samples = [{"gt_labels": {"item": torch.tensor([0])}, "pred_scores": {"item": row}} for row in tensors]
    write_pickle("mmaction2-tensors-protocol4.pickle", pickle.dumps(samples, 4))
    net = torch.nn.Sequential(collections.OrderedDict(conv1=torch.nn.Conv2d(2, 3, 2), bn1=torch.nn.BatchNorm2d(3)))
    state = torch.nn.DataParallel(net).state_dict()
    ramp = torch.arange(24, dtype=torch.float32)
    state["module.conv1.weight"] = ramp.reshape(3, 2, 2, 2)
    # Views of one storage: transposed, and a part from its middle.
    state["module.turned"] = ramp.reshape(4, 6).t()
    state["module.middle"] = ramp[10:13]
    state["module.parameter"] = torch.nn.Parameter(ramp[:2].clone())
    state["module.double"] = torch.tensor([0.5, -1e-300], dtype=torch.float64)
    state["module.half"] = torch.tensor([0.5, -2.0], dtype=torch.float16)
    state["module.bn1.running_var"] = torch.tensor([1.0, 2.0, 3.0])
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    checkpoint = {"epoch": 3, "arch": "resnet18", "state_dict": state, "best_prec1": torch.tensor(71.25)}
    checkpoint["optimizer"] = sgd.state_dict()
    path = os.path.join(PICKLES, "old-checkpoint.pth.tar")
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)


def combine(strategy, ratio, streams):
    """Combines the scores of the streams in float32, as the reference code does with numpy."""
    if strategy == "max":
        return np.maximum.reduce(streams)
    weights = [float(part) for part in ratio.split(":")]
    if strategy == "single":
        return streams[weights.index(1)]
    if strategy == "average":
        return sum(streams[1:], streams[0])
    return sum((w * s for w, s in zip(weights[1:], streams[1:])), weights[0] * streams[0])


def softmax(logits, samples):
    mean = logits.astype(np.float64) / samples[:, None]
    power = np.exp(mean - mean.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


def percent_right(scores, labels, k):
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return 100.0 * int((best == labels[:, None]).any(axis=1).sum()) / len(labels)


def mean_class(scores, labels):
    right = scores.argmax(axis=1) == labels
    return float(np.mean([100.0 * right[labels == label].mean() for label in np.unique(labels)]))


def case(name, clips, classes, streams, ratios, seed, ties):
    rng = np.random.default_rng(seed)
    names = np.array(["v_Clip_g{:02d}_c{:02d}".format(i // 7, i % 7) for i in range(clips)])
    labels = rng.integers(0, classes, clips)
    samples = rng.integers(1, 26, clips).astype(np.uint32)
    tables = []
    for stream in range(streams):
        if ties:
            table = rng.integers(-2, 3, (clips, classes)).astype(np.float32)
        else:
            table = rng.normal(0, 1 + 2 * stream, (clips, classes)) * samples[:, None]
            table[np.arange(clips), labels] += 1.5 * samples * (1 + 2 * stream)
            table = table.astype(np.float32)
        tables.append(table)
        # Each file has another order. The second file has the names of the reference code.
        order = np.arange(clips) if stream == 0 else rng.permutation(clips)
        spelt = names if stream != 1 else np.char.replace(names, "v_", "")
        arrays = {"names": spelt[order], "logits": table[order], "samples": samples[order]}
        if stream == 0:
            arrays["labels"] = labels
        if stream == 1:
            arrays["logits"] = np.asfortranarray(arrays["logits"])
        save = np.savez_compressed if stream == 2 else np.savez
        save(os.path.join(GOLDENS, "{}-{}.npz".format(name, "abc"[stream])), **arrays)

    unit = [":".join("1" if i == j else "0" for j in range(streams)) for i in range(streams)]
    strategies = [("single", ratio) for ratio in unit]
    strategies += [("average", ":".join(["1"] * streams)), ("max", None)] + [("weighted", ratio) for ratio in ratios]
    answers = []
    for space in ("logits", "softmax"):
        inputs = [softmax(t, samples) if space == "softmax" else t for t in tables]
        results = []
        for strategy, ratio in strategies:
            scores = combine(strategy, ratio, inputs)
            assert scores.dtype == np.float32
            top1, top5 = (percent_right(scores, labels, min(k, classes)) for k in (1, 5))
            results.append({"strategy": strategy, "ratio": ratio, "top1": top1, "top5": top5,
                            "mean_class": mean_class(scores, labels)})
            if space == "logits" and name == "random1":
                write("random1-{}.f32".format((ratio or strategy).replace(":", "-")), scores.astype("<f4").tobytes())
        answers.append({"space": space, "results": results})
    return {"name": name, "streams": streams, "ratios": ratios, "clips": clips, "answers": answers}


def fusion():
    cases = [
        case("random1", 40, 12, 2, ["1:2", "2:1", "1:1.5", "0.1:0.7"], 1, False),
        case("random2", 61, 9, 2, ["1:2", "2:1"], 2, False),
        case("three", 30, 8, 3, ["1:2:3", "2:0.5:1"], 3, False),
        case("ties", 50, 10, 2, ["1:2", "2:1"], 4, True),
        case("few", 20, 3, 2, ["1:2", "2:1"], 5, False),
    ]
    text = json.dumps(cases, indent=1) + "\n"
    write("fusion.json", text.encode())


if __name__ == "__main__":
    if not os.path.isdir(GOLDENS):
        os.makedirs(GOLDENS)
    if sys.argv[1:2] == ["pickles"] and len(sys.argv) == 3:
        pickles(sys.argv[2])
    elif sys.argv[1:] == ["fusion"]:
        fusion()
    elif sys.argv[1:] == ["lists"]:
        lists()
    elif sys.argv[1:] == ["torch"]:
        torch_files()
    else:
        sys.exit(__doc__)

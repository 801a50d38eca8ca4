#!/usr/bin/env python3
"""Makes convnet/tests/goldens/*.safetensors and tiny.pth with PyTorch, for candle-convnet's tests.

    scripts/make_goldens.py [--out convnet/tests/goldens] [NAME ..]

NAME is the name of a file without its ending, such as layers; without names, it makes all files.

Needs torch and torchvision:

    python3 -m venv venv && venv/bin/pip install torch torchvision
    venv/bin/python scripts/make_goldens.py

PyTorch computes in float64 with one thread. The files do not store weights and inputs: `values`
below computes them from a name and an index, and convnet/tests/convnet/values.rs uses the same
formula. Of large results, the files store only a few numbers (`digest`).

The script also prints the error of PyTorch's float32 against its float64. A float32 implementation
must be allowed an error of this size.
"""

import argparse
import functools
import json
import math
import pathlib
import struct

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.ops import stochastic_depth

GOLDEN = 0x9E3779B97F4A7C15
SAMPLES = 48
PROJECTIONS = 4


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def values(name, count):
    """Returns `count` float64 numbers in [-1, 1): SplitMix64 of the FNV-1a hash of the name and of the index."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        counters = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN) + np.uint64(key)
        return (mix(counters) >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def tensor(name, shape, scale=1.0, offset=0.0):
    """Returns a float64 tensor. Each number is exact in float32."""
    numbers = (values(name, math.prod(shape)) * scale + offset).astype(np.float32)
    return torch.from_numpy(numbers.astype(np.float64)).reshape(shape)


def digest(name, x):
    """Returns max|x|, projections on known vectors, and evenly spaced elements."""
    flat = x.detach().double().reshape(-1).numpy()
    projections = [flat @ values(f"projection/{k}/{name}", flat.size) for k in range(PROJECTIONS)]
    stride = max(1, -(-flat.size // SAMPLES))
    return np.array([np.abs(flat).max(), *projections, *flat[::stride]])


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def save(path, tensors):
    """Writes a safetensors file, with its names in alphabetical order."""
    header, data = {}, b""
    for name, x in sorted(tensors.items()):
        x = np.ascontiguousarray(x, dtype=np.float64)
        header[name] = {"dtype": "F64", "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(f"{path}: {path.stat().st_size} bytes")


# Convolutions: name, N, H, W, C, O, kernel, stride, padding.
CONVS = [
    ("stem-rgb", 2, 17, 15, 3, 8, 7, 2, 3),
    ("stem-flow", 1, 14, 19, 20, 5, 7, 2, 3),
    ("same", 3, 9, 7, 6, 10, 3, 1, 1),
    ("half", 2, 9, 8, 5, 7, 3, 2, 1),
    ("point", 2, 5, 6, 12, 9, 1, 1, 0),
    ("point-half", 2, 7, 6, 4, 11, 1, 2, 0),
    ("one-pixel", 1, 1, 1, 3, 2, 3, 1, 1),
    ("third", 1, 11, 13, 2, 3, 5, 3, 1),
]
# Max poolings: name, N, H, W, C, kernel, stride, padding.
POOLS = [("resnet", 2, 11, 8, 5, 3, 2, 1), ("plain", 1, 6, 7, 3, 2, 2, 0), ("overlap", 1, 5, 5, 4, 3, 1, 1)]


def ops():
    out = {}
    for name, n, h, w, c, o, kernel, stride, padding in CONVS:
        x = tensor(f"conv/{name}/x", (n, h, w, c)).requires_grad_()
        weight = tensor(f"conv/{name}/w", (o, c, kernel, kernel)).requires_grad_()
        y = nhwc(F.conv2d(nchw(x), weight, stride=stride, padding=padding))
        (y * tensor(f"conv/{name}/g", y.shape)).sum().backward()
        out |= {f"conv/{name}/y": y, f"conv/{name}/dx": x.grad, f"conv/{name}/dw": weight.grad}
    for name, n, h, w, c, kernel, stride, padding in POOLS:
        # Rounded values make ties within windows.
        x = (tensor(f"pool/{name}/x", (n, h, w, c)) * 4).round().requires_grad_()
        y = nhwc(F.max_pool2d(nchw(x), kernel, stride, padding))
        (y * tensor(f"pool/{name}/g", y.shape)).sum().backward()
        out |= {f"pool/{name}/y": y, f"pool/{name}/dx": x.grad}
    for train in (True, False):
        name = f"norm/{'train' if train else 'eval'}"
        x = tensor(f"{name}/x", (3, 4, 5, 6), 2, 3).requires_grad_()
        norm = nn.BatchNorm2d(6).double().train(train)
        set_norm(norm, name)
        y = nhwc(norm(nchw(x)))
        (y * tensor(f"{name}/g", y.shape)).sum().backward()
        out |= {f"{name}/y": y, f"{name}/dx": x.grad, f"{name}/dw": norm.weight.grad, f"{name}/db": norm.bias.grad}
        out |= {f"{name}/mean": norm.running_mean, f"{name}/var": norm.running_var}
    for smoothing in (0.0, 0.1):
        logits = tensor("loss/logits", (7, 11), 5).requires_grad_()
        labels = torch.arange(7) * 3 % 11
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        loss.backward()
        out |= {f"loss/{smoothing}/loss": loss, f"loss/{smoothing}/dx": logits.grad}
    for name, options in SGDS.items():
        p = nn.Parameter(tensor("sgd/p", (37,)))
        optimiser = torch.optim.SGD([p], lr=0.1, **options)
        for step in range(4):
            p.grad = tensor(f"sgd/g{step}", (37,))
            optimiser.param_groups[0]["lr"] = 0.1 if step < 2 else 0.03
            optimiser.step()
            out[f"sgd/{name}/{step}"] = p.detach().clone()
    return {name: x.detach().numpy() for name, x in out.items()}


# Convolutions of all sizes: name, (N, H, W, C), O, kernel, stride, padding, dilation, groups, bias.
SIZED_CONVS = [
    ("tall", (2, 8, 20, 12), 20, (3, 1), (2, 1), (1, 0), (1, 1), 1, False),
    ("wide", (1, 7, 11, 6), 9, (2, 5), (1, 3), (0, 4), (2, 1), 1, True),
    ("dilated", (2, 12, 10, 8), 16, (3, 3), (1, 1), (2, 2), (2, 2), 1, False),
    ("groups", (2, 9, 8, 12), 18, (3, 3), (2, 2), (1, 1), (1, 1), 3, True),
    ("depthwise", (2, 10, 9, 20), 20, (3, 3), (1, 1), (1, 1), (1, 1), 20, False),
    ("depthwise-half", (2, 11, 14, 24), 24, (5, 5), (2, 2), (2, 2), (1, 1), 24, True),
    ("multiplied", (1, 6, 7, 5), 10, (3, 3), (1, 1), (1, 1), (1, 1), 5, False),
]
# Convolutions over clips: name, (N, T, H, W, C), O, kernel, stride, padding.
CLIP_CONVS = [
    ("space", (2, 3, 9, 8, 5), 7, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
    ("time", (2, 6, 4, 5, 7), 8, (3, 1, 1), (2, 1, 1), (1, 0, 0)),
    ("point", (2, 5, 6, 7, 3), 6, (1, 1, 1), (2, 2, 2), (0, 0, 0)),
]
# Average poolings: name, (N, H, W, C), kernel, stride, padding, whether the padding counts.
AVG_POOLS = [
    ("plain", (2, 8, 6, 5), (2, 2), (2, 2), (0, 0), True),
    ("counted", (1, 9, 7, 3), (3, 3), (2, 2), (1, 1), True),
    ("uncounted", (1, 9, 7, 3), (3, 3), (2, 2), (1, 1), False),
    ("wide", (2, 5, 8, 4), (1, 4), (1, 3), (0, 2), False),
]
# Adaptive poolings: name, (N, H, W, C), size.
ADAPTIVE_POOLS = [
    ("divided", (2, 8, 6, 5), (4, 3)),
    ("overlapping", (1, 7, 10, 3), (3, 4)),
    ("larger", (1, 3, 4, 2), (5, 4)),
]


def layers():
    out = {}

    def record(name, y, **inputs):
        """Adds the result `y` and the gradients of the inputs."""
        (y * tensor(f"{name}/g", y.shape)).sum().backward()
        out.update({f"{name}/y": y} | {f"{name}/d{key}": x.grad for key, x in inputs.items()})

    def learned(name, shape, scale=1.0):
        return tensor(name, shape, scale).requires_grad_()

    for name, shape, o, kernel, stride, padding, dilation, groups, bias in SIZED_CONVS:
        name = f"conv/{name}"
        inputs = {"x": learned(f"{name}/x", shape), "w": learned(f"{name}/w", (o, shape[3] // groups, *kernel))}
        inputs |= {"b": learned(f"{name}/b", (o,))} if bias else {}
        y = F.conv2d(nchw(inputs["x"]), inputs["w"], inputs.get("b"), stride, padding, dilation, groups)
        record(name, nhwc(y), **inputs)
    for name, shape, o, kernel, stride, padding in CLIP_CONVS:
        name = f"conv3d/{name}"
        x, w = learned(f"{name}/x", shape), learned(f"{name}/w", (o, shape[4], *kernel))
        y = F.conv3d(x.permute(0, 4, 1, 2, 3), w, None, stride, padding)
        record(name, y.permute(0, 2, 3, 4, 1), x=x, w=w)
    for name, shape, kernel, stride, padding, counted in AVG_POOLS:
        x = learned(f"avg/{name}/x", shape)
        y = F.avg_pool2d(nchw(x), kernel, stride, padding, count_include_pad=counted)
        record(f"avg/{name}", nhwc(y), x=x)
    for name, shape, size in ADAPTIVE_POOLS:
        x = learned(f"adaptive/{name}/x", shape)
        record(f"adaptive/{name}", nhwc(F.adaptive_avg_pool2d(nchw(x), size)), x=x)
    for name, f in ("relu", F.relu), ("silu", F.silu), ("hard-swish", F.hardswish), ("hard-sigmoid", F.hardsigmoid):
        x = learned(f"activation/{name}/x", (7, 13), 6)
        record(f"activation/{name}", f(x), x=x)
    block = torchvision.ops.SqueezeExcitation(10, 4, scale_activation=nn.Hardsigmoid).double()
    known(block, "squeeze.")
    x = learned("squeeze/x", (3, 4, 5, 10), 3)
    record("squeeze", nhwc(block(nchw(x))), x=x)
    out |= {f"squeeze/d{name}": p.grad for name, p in block.named_parameters()}
    return {name: x.detach().numpy() for name, x in out.items()}


def known(net, prefix=""):
    """Sets all parameters and statistics to known values. Batch norms keep the inputs of ReLUs away from zero."""
    tensors = dict(net.named_parameters()) | {name: b for name, b in net.named_buffers() if "running" in name}
    with torch.no_grad():
        for name, x in tensors.items():
            layer, _, kind = name.rpartition(".")
            if x.dim() > 1:
                scale, offset = math.sqrt(6 / x[0].numel()), 0
            else:
                scale, offset = {"weight": (0.05, 0.3), "running_var": (0.5, 1)}.get(kind, (0.1, 0))
            x.copy_(tensor(prefix + name, x.shape, scale, offset))
            if kind == "bias" and f"{layer}.running_mean" in tensors:
                up = "conv2.1" in name or "downsample" in name
                x += torch.tensor([1.6 if up or c % 3 else -1.6 for c in range(x.numel())])
    return net


# Networks of other kinds: the module of torchvision, and the shape of the input, with channels last.
OTHERS = {
    "mobilenet_v3_small": (torchvision.models, (8, 64, 64, 3)),
    "r2plus1d_18": (torchvision.models.video, (2, 4, 32, 32, 3)),
}


def other(kind, dtype):
    module, shape = OTHERS[kind]
    net = known(getattr(module, kind)(num_classes=10).double()).to(dtype)
    for dropout in net.modules():
        if isinstance(dropout, nn.Dropout):
            dropout.p = 0.0
    x = tensor(f"{kind}/x", shape, 2).to(dtype).movedim(-1, 1)
    with torch.no_grad():
        out = {"eval": net.eval()(x)}
    logits = net.train()(x)
    loss = F.cross_entropy(logits, torch.arange(shape[0]) * 3 % 10)
    loss.backward()
    out |= {"logits": logits, "loss": loss}
    out |= {f"grad/{name}": digest(name, p.grad) for name, p in net.named_parameters()}
    out |= {f"running/{name}": digest(name, b) for name, b in net.named_buffers() if "running" in name}
    return plain(out)


def bf16_step(kind, ordinary, enabled):
    """Returns logits in evaluation and training, and the gradients of a step, with or without bf16 autocast."""
    net = network(kind, 3, ordinary=ordinary).float()
    x = nchw(tensor("bf16/images", (8, 64, 64, 3), 2)).float()
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)
    with torch.no_grad(), autocast:
        out = {"eval": net.eval()(x).float()}
    with autocast:
        out["logits"] = net.train()(x).float()
    F.cross_entropy(out["logits"], torch.arange(8) * 3 % 10).backward()
    return out | {f"grad/{name}": p.grad for name, p in net.named_parameters()}


def bf16():
    """Returns the errors of bf16 autocast: root mean squares, relative to those of float32.

    Gradients that are 0 except for rounding have large errors, and -1 here.
    """
    out = {}
    nets = ("r18", "resnet18", False), ("r18-ordinary", "resnet18", True), ("r50", "resnet50", False)
    for name, kind, ordinary in nets:
        single, half = (bf16_step(kind, ordinary, enabled) for enabled in (False, True))
        for key, x in single.items():
            error = (half[key] - x).norm() / x.norm()
            out[f"{name}/{key}"] = error if error < 1 else torch.tensor(-1.0)
    return {name: x.detach().double().numpy() for name, x in out.items()}


SGDS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "decay": {"momentum": 0.9, "weight_decay": 0.05},
    "nesterov": {"momentum": 0.9, "weight_decay": 0.05, "nesterov": True},
}


def set_norm(norm, name):
    with torch.no_grad():
        norm.weight.copy_(tensor(f"{name}.weight", norm.weight.shape, 0.2, 1))
        norm.bias.copy_(tensor(f"{name}.bias", norm.bias.shape, 0.1))
        norm.running_mean.copy_(tensor(f"{name}.running_mean", norm.bias.shape, 0.1))
        norm.running_var.copy_(tensor(f"{name}.running_var", norm.bias.shape, 0.5, 1))


# The gradient of a ReLU jumps at zero, and float32 moves inputs within 1e-6 of zero to the other
# side. The batch norms of whole networks therefore have small scales and large offsets, so that few
# inputs are near zero. The offsets are positive for some channels and negative for others, so that
# both sides of the ReLU occur. Norms before a sum with the input of the block have positive offsets
# only, to keep the sum away from zero.
def keep_from_zero(norm, name):
    up = ("bn2" in name and "layer" in name) or "bn3" in name or "downsample" in name
    norm.weight.copy_(tensor(f"{name}.weight", norm.weight.shape, 0.05, 0.3))
    norm.bias += torch.tensor([1.6 if up or c % 3 else -1.6 for c in range(norm.bias.numel())])


def network(kind, channels, ordinary=False, classes=10):
    net = getattr(torchvision.models, kind)(num_classes=classes)
    if channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    net = net.double()
    for name, module in net.named_modules():
        with torch.no_grad():
            if isinstance(module, nn.Conv2d):
                o, _, kh, kw = module.weight.shape
                module.weight.copy_(tensor(f"{name}.weight", module.weight.shape, math.sqrt(6 / (o * kh * kw))))
            elif isinstance(module, nn.BatchNorm2d):
                set_norm(module, name)
                if not ordinary:
                    keep_from_zero(module, name)
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.in_features)
                module.weight.copy_(tensor(f"{name}.weight", module.weight.shape, bound))
                module.bias.copy_(tensor(f"{name}.bias", module.bias.shape, bound))
    return net


# Training runs: channels, images, size, forward passes whose logits are summed, label smoothing,
# SGD.
RUNS = {
    "resnet18-rgb": (3, 8, 64, 3, 0.0, {"lr": 5e-4, "momentum": 0.9}),
    "resnet18-flow": (20, 8, 64, 1, 0.1, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}),
    # Ordinary batch norms: some inputs of ReLUs are near zero and some gradients jump, so the test
    # compares root mean squares.
    "resnet18-ordinary": (20, 8, 64, 1, 0.0, {"lr": 1e-3, "momentum": 0.9}),
    # Partial batch norm: all norms except for the first are in evaluation mode, and their weights
    # and biases are not trained.
    "resnet18-partial": (3, 8, 64, 3, 0.0, {"lr": 5e-4, "momentum": 0.9}),
    # Stochastic depth with torchvision's factors, and dropout.
    "resnet18-depth": (3, 8, 64, 1, 0.0, {"lr": 5e-4, "momentum": 0.9}),
    # Temporal shift: two clips of four frames.
    "resnet18-shift": (3, 8, 64, 1, 0.0, {"lr": 5e-4, "momentum": 0.9}),
}
DEPTH_RATE = 0.3
SHIFT_FRAMES = 4


def freeze_norms(net):
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d) and name != "bn1":
            module.eval().requires_grad_(False)


def blocks(net):
    return [block for layer in (net.layer1, net.layer2, net.layer3, net.layer4) for block in layer]


def temporal_shift(x, frames):
    """Shifts channels of images [N, C, H, W] between the frames of a clip (TSM, shift_div 8)."""
    clips = x.unflatten(0, (-1, frames))
    fold = x.shape[1] // 8
    later = F.pad(clips[:, 1:, :fold], (0, 0) * 3 + (0, 1))
    earlier = F.pad(clips[:, :-1, fold : 2 * fold], (0, 0) * 3 + (1, 0))
    return torch.cat([later, earlier, clips[:, :, 2 * fold :]], 2).flatten(0, 1)


def shift_branches(net, frames):
    for block in blocks(net):
        block.conv1.register_forward_pre_hook(lambda _, inputs: (temporal_shift(inputs[0], frames),))


class Factors:
    """Multiplies the branch of each block and the features by the factors of the current step."""

    def __init__(self, net, run, images):
        self.run, self.shape = run, (len(blocks(net)), images)
        torch.manual_seed(1)
        for at, block in enumerate(blocks(net)):
            block.bn2.register_forward_hook(lambda _, __, y, at=at: y * self.depth[at].reshape(-1, 1, 1, 1).to(y))
        net.fc.register_forward_pre_hook(lambda _, inputs: (inputs[0] * self.mask.to(inputs[0]),))

    def draw(self, step):
        """Returns the factors of stochastic depth. Half of the features are dropped."""
        self.depth = stochastic_depth(torch.ones(self.shape).double().reshape(-1), DEPTH_RATE, "row")
        self.depth = self.depth.reshape(self.shape).float().double()
        self.mask = 2 * (tensor(f"{self.run}/mask/{step}", (self.shape[1], 512)) >= 0).double()
        return self.depth


def training(run, dtype):
    channels, images, size, passes, smoothing, options = RUNS[run]
    net = network("resnet18", channels, ordinary=run.endswith("ordinary")).to(dtype).train()
    if run.endswith("partial"):
        freeze_norms(net)
    if run.endswith("shift"):
        shift_branches(net, SHIFT_FRAMES)
    factors = Factors(net, run, images) if run.endswith("depth") else None
    optimiser = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), **options)
    labels = torch.arange(images) * 3 % 10
    out = {}
    for step in range(5):
        total = 0
        if factors:
            out[f"factors/{step}"] = factors.draw(step)
        for k in range(passes):
            x = nchw(tensor(f"{run}/x/{step}/{k}", (images, size, size, channels), 2)).to(dtype)
            logits = net(x)
            out |= {f"logits/{k}": logits} if step == 0 else {}
            total = total + logits
        loss = F.cross_entropy(total, labels, label_smoothing=smoothing)
        out[f"loss/{step}"] = loss
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            out |= {f"grad/{name}": digest(name, p.grad) for name, p in net.named_parameters() if p.grad is not None}
            out |= {f"running/{name}": digest(name, b) for name, b in net.named_buffers() if "running" in name}
        optimiser.step()
    out |= {f"after/{name}": digest(name, p) for name, p in net.named_parameters()}
    if run.endswith("shift"):
        with torch.no_grad():
            out["eval"] = net.eval()(x)
    return plain(out)


def resnet50(dtype):
    net = network("resnet50", 3).to(dtype)
    x = nchw(tensor("resnet50/x", (4, 64, 64, 3), 2)).to(dtype)
    with torch.no_grad():
        out = {"eval": net.eval()(x), "train": net.train()(x)}
    net = network("resnet50", 3).to(dtype)
    shift_branches(net, 2)
    with torch.no_grad():
        return plain(out | {"shift-eval": net.eval()(x), "shift-train": net.train()(x)})


def plain(tensors):
    return {k: v.detach().double().numpy() if isinstance(v, torch.Tensor) else v for k, v in tensors.items()}


# Gradients below this size are 0 except for rounding.
ZERO = 1e-12


def report(name, single, double):
    """Prints the largest error of float32 in each group of results, relative to the largest number of the result."""
    worst = {}
    for key, reference in double.items():
        group = key.split("/")[0]
        # Of a digest, only the evenly spaced elements are compared.
        skip = 1 + PROJECTIONS if group in ("grad", "running", "after") else 0
        size = np.abs(reference).reshape(-1)[skip:].max()
        if size < ZERO:
            continue
        error = np.abs(single[key] - reference).reshape(-1)[skip:].max() / size
        worst[group] = max(worst.get(group, 0), float(error))
    print(f"{name}: float32 against float64:", ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))


def tiny(path):
    """Writes a small file like those of `DataParallel`, with several types of numbers."""
    weights = {
        "module.half": tensor("tiny/half", (2, 3)).half(),
        "module.brain": tensor("tiny/brain", (4,)).bfloat16(),
        "module.single": tensor("tiny/single", (2, 2, 1)).float(),
        "module.bn1.num_batches_tracked": torch.tensor(7),
    }
    torch.save({"epoch": 3, "state_dict": weights}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=pathlib.Path, default=root / "convnet/tests/goldens")
    # Each file, and how a type of numbers makes it. Files of operations have only float64.
    nets = {name: functools.partial(training, name) for name in RUNS} | {"resnet50": resnet50}
    nets |= {name: functools.partial(other, name) for name in OTHERS}
    single = {"ops": ops, "layers": layers, "bf16": bf16}
    parser.add_argument("names", nargs="*", metavar="NAME", help="files to make; default: all")
    args = parser.parse_args()
    known_names = ["tiny", *single, *nets]
    if unknown := set(args.names) - set(known_names):
        parser.error(f"unknown names: {', '.join(sorted(unknown))}; choose from {', '.join(known_names)}")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in args.names or known_names:
        if name == "tiny":
            tiny(args.out / "tiny.pth")
        elif name in single:
            save(args.out / f"{name}.safetensors", single[name]())
        else:
            double = nets[name](torch.float64)
            save(args.out / f"{name}.safetensors", double)
            report(name, nets[name](torch.float32), double)


if __name__ == "__main__":
    main()

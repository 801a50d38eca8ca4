"""Trains with DistributedDataParallel in several processes, and resumes exactly in the middle of an epoch.

    python train_ddp.py --data ucf101.shards --processes 2
    torchrun --nproc-per-node 2 train_ddp.py --data ucf101.shards
    torchrun --nproc-per-node 4 train_ddp.py --data ucf101.shards --resume

The number of processes may change when it resumes. Without --data, it trains on a small synthetic
dataset: see synthetic.py. Needs torch.
"""

import argparse
import os
import pathlib
import tempfile

import torch
import torch.distributed as dist
from synthetic import path_of
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import clipshard as cs


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="dataset (default: a synthetic one)")
    parser.add_argument("--split", default="1", help="name of the split (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="without torchrun (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--max-steps", type=int, metavar="N", help="save a checkpoint and stop after N steps")
    parser.add_argument("--batch-size", type=int, default=8, help="in each process (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.002, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument("--checkpoint", type=pathlib.Path, default="ddp.pt", help="(default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    parser.add_argument("--ids", type=pathlib.Path, metavar="DIR", help="write the ids of each process to a file")
    return parser.parse_args()


def network(classes):
    """A small network for images of 48 x 48 pixels. Replace it with your own."""
    layers, channels = [], 3
    for outputs in (16, 32, 64):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU(), nn.MaxPool2d(2)]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def train(options, rank, world_size, device):
    """Trains in one of the processes. The process group exists."""
    torch.manual_seed(options.seed)
    data = cs.Dataset(options.data)
    view = cs.Frames(1, size=48, crop="random-resized", flip=True, layout="CHW")
    view = data.samples(split=options.split, subset="train", streams={"rgb": view}, repeat=2)
    # All processes make the same view and pass the same seed. Process 0 of 2 gets the samples 0, 2,
    # 4, ... of the order that a single process would see, and process 1 gets the others.
    threads = max(1, (os.cpu_count() or 1) // world_size)
    loader = cs.Loader(
        view,
        options.batch_size,
        threads=threads,
        seed=options.seed,
        rank=rank,
        world_size=world_size,
        to="torch",
        pin_memory=device.type == "cuda",
    )
    model = network(len(data.classes)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr)
    if options.resume:
        saved = torch.load(options.checkpoint, map_location=device)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        # The state is one place in the order of all samples, and the same in every process.
        loader.load_state_dict(saved["loader"])
    parallel = DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)

    def save():
        if rank == 0:
            saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "loader": loader.state_dict()}
            torch.save(saved, options.checkpoint)

    steps = 0
    for epoch in range(loader.epoch, options.epochs):
        losses = []
        for batch in loader:
            images = (batch["rgb"].to(device, non_blocking=True) - 128.0) / 64
            loss = cross_entropy(parallel(images), batch["label"].to(device, non_blocking=True))
            optimizer.zero_grad()
            loss.backward()  # averages the gradients of all processes
            optimizer.step()
            losses.append(loss.detach())
            if options.ids:
                with open(options.ids / f"{rank}.txt", "a") as file:
                    print(epoch, *batch["id"], file=file)
            steps += 1
            if steps == options.max_steps:
                save()
                return
        if rank == 0 and losses:  # a run that stopped at the end of an epoch has no steps left in it
            print(f"epoch {epoch}: loss {torch.stack(losses).mean():.3f}", flush=True)
        save()


def run(rank, world_size, options, rendezvous=None):
    """Joins the process group and trains."""
    is_cuda = torch.cuda.is_available() and torch.cuda.device_count() >= world_size
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", rank))) if is_cuda else torch.device("cpu")
    if is_cuda:
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world_size))
    dist.init_process_group("nccl" if is_cuda else "gloo", rendezvous, rank=rank, world_size=world_size)
    try:
        train(options, rank, world_size, device)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def main():
    options = parse_arguments()
    options.data = path_of(options.data)
    if options.ids:
        options.ids.mkdir(parents=True, exist_ok=True)
    if "RANK" in os.environ:  # torchrun has started this process
        run(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), options)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The processes find each other with this file.
        arguments = (options.processes, options, f"file://{folder}/rendezvous")
        torch.multiprocessing.spawn(run, arguments, nprocs=options.processes)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes train/tests/goldens/events.tfevents with TensorBoard's own writer.

    scripts/make_event_golden.py
    scripts/make_event_golden.py RUN     prints the events of a run, read with TensorBoard's reader

Needs TensorBoard: python3 -m venv venv && venv/bin/pip install tensorboard
"""

import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "train/tests/goldens/events.tfevents"


if len(sys.argv) > 1:
    events = EventAccumulator(sys.argv[1])
    events.Reload()
    for tag in events.Tags()["scalars"]:
        print(tag, [(event.step, round(event.value, 5)) for event in events.Scalars(tag)])
else:
    with open(GOLDEN, "wb") as file:
        writer = RecordWriter(file)
        first = Summary(
            value=[
                Summary.Value(tag="loss/train", simple_value=1.25),
                Summary.Value(tag="learning_rate", simple_value=5e-4),
            ]
        )
        second = Summary(value=[Summary.Value(tag="top1/test", simple_value=73.883)])
        for event in (
            Event(wall_time=1700000000.25, file_version="brain.Event:2"),
            Event(wall_time=1700000001.5, step=0, summary=first),
            Event(wall_time=1700000002.75, step=300, summary=second),
        ):
            writer.write(event.SerializeToString())
        writer.flush()

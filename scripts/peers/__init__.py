"""The loaders that bench_peers.py compares, one per file.

Each module defines these names:

* SUBJECTS: the variants of the loader, {stream: {name: note}}.
* prepare(job, name, folder): makes the data of the loader in the empty folder, once.
* batches(job, name, folder): yields batches without end. They are u8 in host memory, 32 x 20 x 224 x 224
  or 25 crops of 224 x 224 x 3.
* files(job): returns the files that the loader reads, if they are not in the folder. Optional.
* data_of(name): returns the name of the subject whose data this one reads. Optional.

The functions import the loader's package themselves, so that a missing package is no error here.
"""

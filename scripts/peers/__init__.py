"""The loaders that bench_peers.py measures, a file each.

Each says which subjects it has in SUBJECTS (stream -> {name: what is particular about it}), and has

    prepare(job, name, folder)   makes its data in the empty folder, once
    batches(job, name, folder)   batches without end: u8 on the host, 32 x 20 x 224 x 224, or 25 crops of 224 x 224 x 3

and, where its data are not in the folder, files(job): the files that it reads. Imports of the peers are inside the functions.
"""

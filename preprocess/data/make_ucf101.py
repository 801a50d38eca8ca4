#!/usr/bin/env python3
"""Makes ucf101.txt from the official lists and a table of flow frames.

    make_ucf101.py LISTS FRAME_COUNT.tsv > ucf101.txt

Writes one line per class, in the order of classInd.txt: the class, its name in clip ids (HandstandPushups differs), and
the numbers of flow frames of its clips. `;` separates the groups 1 to 25, and `,` separates the clips of a group. This
suffices, because clips are numbered without holes and split N tests the groups 7N-6 to 7N. The script checks both.
"""
import collections, os, sys

lists, counts = sys.argv[1], sys.argv[2]
frames = {name[:-4].lower(): int(n) for name, n in (line.split() for line in open(counts))}
clips = collections.defaultdict(lambda: collections.defaultdict(dict))
names = {}
for split in (1, 2, 3):
    seen = 0
    for part in ('train', 'test'):
        for line in open(os.path.join(lists, f'{part}list0{split}.txt')):
            cls, file = line.split()[0].split('/')
            _, name, group, number = file[:-4].split('_')
            group, number = int(group[1:]), int(number[1:])
            assert ((group - 1) // 7 == split - 1) == (part == 'test'), line
            names[cls] = name
            clips[cls][group][number] = frames[file[:-4].lower()]
            seen += 1
    assert seen == len(frames) == 13320
for line in open(os.path.join(lists, 'classInd.txt')):
    cls = line.split()[1]
    groups = []
    for group in range(1, 26):
        numbers = clips[cls][group]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        groups.append(','.join(str(numbers[n]) for n in sorted(numbers)))
    print(cls, names[cls], ';'.join(groups))

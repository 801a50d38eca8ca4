//! Examples at the end of each command's help. A test parses every one.

pub const BUILD: &str = "\
Examples:
  The usual UCF101, layout recognised, damaged clips left out and listed:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out ucf101.shards --keep-going
  Straight from the videos, flow computed on the way:
    ucfpack build --videos UCF-101 --lists ucfTrainTestlist --out ucf101.shards
  The same in a tenth of the time, by a faster method:
    ucfpack build --videos UCF-101 --lists ucfTrainTestlist --flow-method dis --out ucf101.shards
  What it would take:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out ucf101.shards --dry-run
  From a spinning disk, going on after an interruption:
    ucfpack build --tree /mnt/old/UCF101 --lists lists --out ucf101.shards --readers 1 --resume
  Part 3 of 8 on one of eight machines, to be merged:
    ucfpack build --tree UCF101 --lists lists --out part3 --part 3/8
  Source files untouched, both streams, every file decoded once:
    ucfpack build --tree UCF101 --lists lists --out ucf101.shards --flow-codec jpeg --check decode
  HMDB51, RGB only:
    ucfpack build --rgb hmdb51/frames --dataset hmdb51 --lists testTrainMulti_7030_splits --out hmdb51.shards
  Your own data, by a file with rows path,label,split:
    ucfpack build --tree frames --dataset custom --lists clips.csv --out mine.shards";

pub const EXTRACT: &str = "\
Examples:
  A tree as the published one, from the archive's videos:
    ucfpack extract --videos UCF-101 --lists ucfTrainTestlist --out UCF101
  Frames of one class, without flow:
    ucfpack extract --videos UCF-101 --lists ucfTrainTestlist --classes Archery --flow-method none --out archery";

pub const MERGE: &str = "\
Examples:
  Eight parts, in any order:
    ucfpack merge --out ucf101.shards part1 part2 part3 part4 part5 part6 part7 part8";

pub const VERIFY: &str = "\
Examples:
  Everything, to the last pixel:
    ucfpack verify ucf101.shards
  After a copy, at the speed of the disk:
    ucfpack verify ucf101.shards --checksums
  That everything is there, in seconds:
    ucfpack verify ucf101.shards --quick
  The manifest was lost:
    ucfpack verify ucf101.shards --rebuild-manifest";

pub const INSPECT: &str = "\
Examples:
  What is inside, with a picture to judge it by:
    ucfpack inspect ucf101.shards --sheet sheet.png
  One clip:
    ucfpack inspect ucf101.shards --clip v_Archery_g01_c01 --sheet archery.png";

pub const EXPORT: &str = "\
Examples:
  All of it, as a frame tree with lists:
    ucfpack export ucf101.shards --out UCF101
  Two clips, pixels exactly:
    ucfpack export ucf101.shards --out some --clip v_Archery_g01_c01 --clip v_Rowing_g08_c02 --pixels png";

pub const SYNTH: &str = "\
Examples:
  A small tree whose classes need both streams:
    ucfpack synth --out tree --classes 9 --clips 24
  A packed set with UCF101's 13,320 clips and 7.4 million records, for trials of scale:
    ucfpack synth --like ucf101 --out like-ucf101 --size 8x8";

pub const COMPLETIONS: &str = "\
Examples:
    ucfpack completions bash
  To have them in every shell: redirect that to ~/.local/share/bash-completion/completions/ucfpack";

pub const MAN: &str = "\
Examples:
    ucfpack man ~/.local/share/man/man1";

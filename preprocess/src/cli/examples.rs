//! Examples at the end of each command's help.
//!
//! A test in `tests/ucfpack/examples.rs` runs every command that is shown here.

pub const ALL: &str = "\
Examples:
  Pack the videos of UCF101, check the result, and describe it:
    ucfpack build --videos UCF-101 --lists ucfTrainTestlist --out packed
    ucfpack verify packed
    ucfpack inspect packed";

pub const BUILD: &str = "\
Examples:
  Pack the published frames of UCF101; skip damaged clips and list them:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out packed \\
        --keep-going
  Pack the videos, and compute optical flow:
    ucfpack build --videos UCF-101 --lists ucfTrainTestlist --out packed
  The same with a faster flow method:
    ucfpack build --videos UCF-101 --lists ucfTrainTestlist --out packed \\
        --flow-method dis
  Print the plan, the size and the time, and write nothing:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out packed --dry-run
  Read from a spinning disk, and continue after an interruption:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out packed \\
        --readers 1 --resume
  Pack part 1 of 2; another machine packs part 2:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out half --part 1/2
  Keep the source files byte for byte, and decode each one as a check:
    ucfpack build --tree UCF101 --lists ucfTrainTestlist --out packed \\
        --flow-codec jpeg --check decode
  Pack only the RGB frames of HMDB51:
    ucfpack build --rgb hmdb51 --dataset hmdb51 \\
        --lists testTrainMulti_7030_splits --out packed
  Pack your own frames; clips.csv has the columns path,label,split:
    ucfpack build --tree frames --dataset custom --lists clips.csv \\
        --out packed";

pub const EXTRACT: &str = "\
Examples:
  Make the frame tree of UCF101 from its videos:
    ucfpack extract --videos UCF-101 --lists ucfTrainTestlist \\
        --out frames-of-ucf101
  Extract the frames of one class, without flow:
    ucfpack extract --videos UCF-101 --lists ucfTrainTestlist \\
        --classes Archery --flow-method none --out archery";

pub const MERGE: &str = "\
Examples:
  Join two parts:
    ucfpack merge --out packed part1 part2";

pub const ADD: &str = "\
Examples:
  Add the clips of a CSV file with the columns path,label,split:
    ucfpack add own.shards --tree more-frames --lists more.csv
  Add new videos of the official lists, and skip those that are there:
    ucfpack add videos.shards --videos UCF-101 --lists ucfTrainTestlist \\
        --skip-existing";

pub const SUBSET: &str = "\
Examples:
  Copy two classes; their labels become 0 and 1:
    ucfpack subset ucf101.shards --out two.shards --classes Archery,Rowing
  Copy only the RGB frames of the training clips of split 1:
    ucfpack subset ucf101.shards --out rgb.shards --streams rgb \\
        --split 1 --subset train
  Make a small dataset with at most 5 clips of each class:
    ucfpack subset ucf101.shards --out small.shards --limit 5
  Copy the clips that a file lists:
    ucfpack subset ucf101.shards --out some.shards --clips some.txt";

pub const RECODE: &str = "\
Examples:
  Store flow with a codec that decodes faster:
    ucfpack recode ucf101.shards --out fast.shards --stream flow --codec lz4
  Decode the JPEG files of RGB frames once, and make them smaller:
    ucfpack recode ucf101.shards --out small.shards --stream rgb \\
        --codec zstd --short-side 128";

pub const VERIFY: &str = "\
Examples:
  Decode every record:
    ucfpack verify ucf101.shards
  Check a copy at the speed of the disk:
    ucfpack verify ucf101.shards --checksums
  Check in seconds that all files are there:
    ucfpack verify ucf101.shards --quick
  Rebuild a lost manifest:
    ucfpack verify ucf101.shards --rebuild-manifest";

pub const INSPECT: &str = "\
Examples:
  Describe the dataset, and draw a contact sheet:
    ucfpack inspect ucf101.shards --sheet sheet.png
  Describe one clip:
    ucfpack inspect ucf101.shards --clip v_Archery_g01_c01 \\
        --sheet archery.png";

pub const EXPORT: &str = "\
Examples:
  Export the whole dataset with its lists:
    ucfpack export ucf101.shards --out exported
  Export two clips as PNG, without losses:
    ucfpack export ucf101.shards --out two --clip v_Archery_g01_c01 \\
        --clip v_Rowing_g01_c01 --pixels png";

pub const SYNTH: &str = "\
Examples:
  Make a small frame tree, and pack it:
    ucfpack synth --out tree --classes 4 --clips 6
    ucfpack build --tree tree --lists tree/lists --out packed
  Make a packed dataset with 13,320 clips and 7.4 million tiny images, to test speed:
    ucfpack synth --like ucf101 --out like-ucf101 --size 8x8";

pub const COMPLETIONS: &str = "\
Examples:
  Complete commands and options in every new bash shell:
    mkdir -p ~/.local/share/bash-completion/completions
    ucfpack completions bash \\
        > ~/.local/share/bash-completion/completions/ucfpack";

pub const MAN: &str = "\
Examples:
  Write the pages to a folder that man searches:
    ucfpack man ~/.local/share/man/man1";

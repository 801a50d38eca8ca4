//! Tests of all layouts of frame trees: each is recognised, and gives the same records as the same
//! images in another layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::pack::{files, pack};
use crate::tree::{CLIPS, RGB_FRAMES, Tree, write_jpeg};
use clipshard::{Codec, Dataset, Subset};
use ucfpack::Error;
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind};
use ucfpack::source::{Layout, Location};
use ucfpack::stored::Geometry;

struct Packed {
    report: BuildReport,
    layout: String,
    shards: BTreeMap<PathBuf, Vec<u8>>,
    _place: tempfile::TempDir,
    data: Dataset,
}

fn build(root: &Path, lists: &Path, change: impl Fn(BuildOptions) -> BuildOptions) -> Result<Packed, Error> {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let report = pack(&change(crate::pack::options(root, lists, &out)))?;
    let data = Dataset::open(&out).unwrap();
    let layout = data.manifest().build["layout"].as_str().unwrap().to_owned();
    let mut shards = files(&out);
    shards.remove(Path::new("manifest.json"));
    Ok(Packed { report, layout, shards, _place: place, data })
}

/// Returns the stored bytes of all records of a stream, which do not depend on the layout.
fn records(packed: &Packed, stream: &str) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for clip in 0..packed.data.manifest().clips.len() {
        let clip = packed.data.clip(stream, clip).unwrap();
        for frame in 0..clip.frame_count() {
            for plane in 0..clip.planes() {
                records.push(clip.record(frame, plane).unwrap().bytes.to_vec());
            }
        }
    }
    records
}

/// Returns `change`. It helps type inference.
fn same(change: impl Fn(BuildOptions) -> BuildOptions) -> impl Fn(BuildOptions) -> BuildOptions {
    change
}

type Numbering = Box<dyn Fn(u32) -> String>;

#[test]
fn every_layout_is_recognised_and_gives_the_same_records() {
    let original = Tree::new();
    let expected = build(original.root(), &original.lists(), same(|o| o)).unwrap();
    assert_eq!(expected.layout, "feichtenhofer");
    let padded = |width: usize, base: u32| move |n: u32| format!("{:0width$}", n - 1 + base);
    let together = |place: &str, x: &str, y: &str| {
        [format!("{place}/img_{{n}}.jpg"), format!("{place}/{x}_{{n}}.jpg"), format!("{place}/{y}_{{n}}.jpg")]
    };
    let cases: [(&str, [String; 3], Numbering, &str); 7] = [
        (
            "gpu-flow",
            ["rgb", "x", "y"].map(|p| format!("{p}/{{clip}}/frame{{n}}.jpg")),
            Box::new(padded(6, 1)),
            "rgb/ and x/ and y/",
        ),
        (
            "tsn",
            together("{clip}", "flow_x", "flow_y"),
            Box::new(padded(5, 1)),
            "v_X/img_%05d.jpg and v_X/flow_x_%05d.jpg",
        ),
        ("tsn", together("{clip}", "x", "y"), Box::new(padded(4, 0)), "v_X/x_%05d.jpg"),
        (
            "mmaction2",
            together("{class}/{clip}", "flow_x", "flow_y"),
            Box::new(padded(5, 0)),
            "<Class>/v_X/flow_x_%05d.jpg",
        ),
        ("mmaction2", together("{class}/{clip}", "x", "y"), Box::new(padded(5, 1)), "<Class>/v_X/x_%05d.jpg"),
        (
            "mmaction2",
            together("{class}/{clip}", "flow_x", "flow_y"),
            Box::new(|n| n.to_string()),
            "<Class>/v_X/img_%05d.jpg",
        ),
        (
            "feichtenhofer",
            ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"].map(|p| format!("new/{p}/{{clip}}/frame{{n}}.jpg")),
            Box::new(padded(6, 0)),
            "jpegs_256/ and tvl1_flow/",
        ),
    ];
    for (layout, places, number, why) in cases {
        let tree = Tree::new();
        tree.rearrange(places.each_ref().map(String::as_str), &*number);
        let root = if places[0].starts_with("new/") { tree.path("new") } else { tree.root().to_owned() };
        let packed = build(&root, &tree.lists(), same(|o| o)).unwrap_or_else(|e| panic!("{layout}: {e}"));
        assert_eq!(packed.layout, layout);
        for stream in ["rgb", "flow"] {
            assert!(records(&packed, stream) == records(&expected, stream), "{layout} {stream}");
        }
        let notes = packed.report.notes.join("\n");
        assert!(notes.contains(&format!("layout {layout}, recognised by ")) && notes.contains(why), "{notes}");
        assert_eq!(notes.contains("rgb and flow frames are numbered from 0"), number(1).ends_with('0'), "{notes}");
    }
}

#[test]
fn jeffreyyihuangs_frames_are_rgb_alone() {
    let original = Tree::new();
    let expected = build(original.root(), &original.lists(), same(|o| o)).unwrap();
    let tree = Tree::new();
    tree.rearrange(["{class}/separated_images/{clip}/{clip}_{n}.jpg", "", ""], |n| n.to_string());
    let packed = build(tree.root(), &tree.lists(), same(|o| o)).unwrap();
    assert_eq!((packed.layout.as_str(), packed.report.records.len()), ("jeffreyyihuang", 1));
    assert!(records(&packed, "rgb") == records(&expected, "rgb"));
    assert!(packed.report.notes.iter().any(|note| note.ends_with("only rgb is packed")), "{:?}", packed.report.notes);
    let rgb = Location::Apart { rgb: Some(tree.root().into()), flow: None };
    let apart = build(tree.root(), &tree.lists(), same(move |o| BuildOptions { location: rgb.clone(), ..o })).unwrap();
    assert!(apart.shards == packed.shards);
    let flow = Location::Apart { rgb: None, flow: Some(tree.root().into()) };
    let error = build(tree.root(), &tree.lists(), same(move |o| BuildOptions { location: flow.clone(), ..o })).err();
    assert!(error.unwrap().to_string().contains("have no flow"));
}

#[test]
fn streams_may_lie_in_two_layouts() {
    let (frames, flow) = (Tree::new(), Tree::new());
    let expected = build(flow.root(), &flow.lists(), same(|o| o)).unwrap();
    frames.rearrange(["{class}/separated_images/{clip}/{clip}_{n}.jpg", "", ""], |n| n.to_string());
    let location = Location::Apart { rgb: Some(frames.root().into()), flow: Some(flow.path("tvl1_flow")) };
    let packed =
        build(flow.root(), &flow.lists(), same(move |o| BuildOptions { location: location.clone(), ..o })).unwrap();
    assert_eq!(packed.layout, "rgb jeffreyyihuang, flow feichtenhofer");
    assert!(["rgb", "flow"].iter().all(|stream| records(&packed, stream) == records(&expected, stream)));
}

#[test]
fn one_stream_of_a_shared_folder_can_be_packed_alone() {
    let tree = Tree::new();
    tree.rearrange(["{clip}/img_{n}.jpg", "{clip}/flow_x_{n}.jpg", "{clip}/flow_y_{n}.jpg"], |n| format!("{n:05}"));
    let root = || Some(tree.root().to_owned());
    for (location, streams) in [
        (Location::Apart { rgb: root(), flow: None }, vec!["rgb"]),
        (Location::Apart { rgb: None, flow: root() }, vec!["flow"]),
        (Location::Apart { rgb: root(), flow: root() }, vec!["flow", "rgb"]),
    ] {
        let packed = build(tree.root(), &tree.lists(), |o| BuildOptions { location: location.clone(), ..o }).unwrap();
        assert_eq!(packed.report.records.keys().collect::<Vec<_>>(), streams);
    }
}

#[test]
fn as_many_flow_frames_as_rgb_frames_are_a_rule_where_most_clips_keep_it() {
    let tree = Tree::new();
    for clip in CLIPS {
        fs::remove_file(tree.path(&format!("jpegs_256/{clip}/frame{RGB_FRAMES:06}.jpg"))).unwrap();
    }
    tree.rearrange(["{clip}/img_{n}.jpg", "{clip}/flow_x_{n}.jpg", "{clip}/flow_y_{n}.jpg"], |n| format!("{n:05}"));
    let packed = build(tree.root(), &tree.lists(), same(|o| o)).unwrap();
    assert_eq!((packed.report.records["rgb"], packed.report.records["flow"]), (6 * 13, 6 * 13 * 2));
    assert!(!packed.report.notes.join("\n").contains("so all clips must"), "{:?}", packed.report.notes);
    for plane in ["x", "y"] {
        fs::remove_file(tree.path(&format!("{}/flow_{plane}_00013.jpg", CLIPS[2]))).unwrap();
    }
    let error = build(tree.root(), &tree.lists(), same(|o| o)).err().unwrap().to_string();
    let expected =
        "12 flow frames for 13 RGB frames, but 13 expected: most clips have as many flow frames as RGB frames";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_clip_that_is_numbered_unlike_the_others_is_explained() {
    let tree = Tree::new();
    let clip = CLIPS[1];
    for (folder, last) in [("jpegs_256", 14), ("tvl1_flow/u", 13), ("tvl1_flow/v", 13)] {
        for number in 1..=last {
            let file = |n: u32| tree.path(&format!("{folder}/{clip}/frame{n:06}.jpg"));
            fs::rename(file(number), file(number - 1)).unwrap();
        }
    }
    let error = build(tree.root(), &tree.lists(), same(|o| o)).err().unwrap().to_string();
    assert!(error.contains("1 of 6 clips") && error.contains("start at 0, but in the other clips at 1"), "{error}");
}

#[test]
fn trees_of_no_or_of_two_layouts_are_refused_with_what_was_seen() {
    let tree = Tree::new();
    let empty = tempfile::tempdir().unwrap();
    let error = build(empty.path(), &tree.lists(), same(|o| o)).err().unwrap().to_string();
    for words in
        ["feichtenhofer: no jpegs_256/ or tvl1_flow/", "gpu-flow: no rgb/ or x/ and y/", "tsn: no v_X/img_%05d.jpg"]
    {
        assert!(error.contains(words), "{error}");
    }
    for (from, to) in [("jpegs_256", "rgb"), ("tvl1_flow/u", "x"), ("tvl1_flow/v", "y")] {
        let copied =
            std::process::Command::new("cp").arg("-r").args([tree.path(from), tree.path(to)]).status().unwrap();
        assert!(copied.success());
    }
    let error = build(tree.root(), &tree.lists(), same(|o| o)).err().unwrap();
    assert!(
        error.is_usage()
            && error.to_string().contains("has the layouts feichtenhofer (jpegs_256/ and tvl1_flow/) and gpu-flow"),
        "{error}"
    );
    let packed =
        build(tree.root(), &tree.lists(), same(|o| BuildOptions { layout: Some(Layout::GpuFlow), ..o })).unwrap();
    assert_eq!(packed.layout, "gpu-flow");
    assert!(packed.report.notes.iter().all(|note| !note.contains("recognised")), "{:?}", packed.report.notes);
    let error =
        build(tree.root(), &tree.lists(), same(|o| BuildOptions { layout: Some(Layout::Tsn), ..o })).err().unwrap();
    assert!(error.to_string().contains("tsn: no v_X/img_%05d.jpg"), "{error}");
    // If flow is missing, the error explains how to pack RGB alone.
    fs::remove_dir_all(tree.path("x")).unwrap();
    fs::remove_dir_all(tree.path("y")).unwrap();
    let error =
        build(tree.root(), &tree.lists(), same(|o| BuildOptions { layout: Some(Layout::GpuFlow), ..o })).err().unwrap();
    assert!(
        error.to_string().contains("has rgb/ but no x/ and y/") && error.to_string().contains("`location.rgb`"),
        "{error}"
    );
}

#[test]
fn stray_folders_hide_no_layout() {
    let tree = Tree::new();
    tree.rearrange(["{class}/{clip}/img_{n}.jpg", "{class}/{clip}/x_{n}.jpg", "{class}/{clip}/y_{n}.jpg"], |n| {
        format!("{n:05}")
    });
    for stray in 0..30 {
        fs::create_dir_all(tree.path(&format!("00_stray{stray}/notes"))).unwrap();
        fs::create_dir_all(tree.path(&format!("Archery/00_stray{stray}"))).unwrap();
    }
    fs::create_dir_all(tree.path("__MACOSX/jpegs")).unwrap();
    let packed = build(tree.root(), &tree.lists(), same(|o| o)).unwrap();
    assert_eq!((packed.layout.as_str(), packed.report.clips), ("mmaction2", 6));
}

#[test]
fn each_clip_has_a_frame_size_of_its_own() {
    let tree = Tree::new();
    let clip = CLIPS[4];
    for number in 1..=RGB_FRAMES {
        write_jpeg(&tree.path(&format!("jpegs_256/{clip}/frame{number:06}.jpg")), (50, 28), true, number);
        for plane in ["u", "v"].iter().filter(|_| number < RGB_FRAMES) {
            // Colour images of grey content, as in some published flow.
            write_jpeg(&tree.path(&format!("tvl1_flow/{plane}/{clip}/frame{number:06}.jpg")), (50, 28), true, number);
        }
    }
    let native = same(|mut o: BuildOptions| {
        (o.flow.codec, o.flow.geometry) = (Codec::Jpeg, Geometry::Source);
        o
    });
    let packed = build(tree.root(), &tree.lists(), native).unwrap();
    let width = |stream: &str, clip: usize| packed.data.clip(stream, clip).unwrap().size(3, 0).unwrap();
    assert_eq!((width("rgb", 4).width, width("rgb", 3).width, width("rgb", 4).channels), (50, 42, 3));
    assert_eq!((width("flow", 4).width, width("flow", 3).width, width("flow", 4).channels), (50, 42, 1));
    let source = fs::read(tree.path(&format!("tvl1_flow/v/{clip}/frame000004.jpg"))).unwrap();
    assert_eq!(packed.data.clip("flow", 4).unwrap().record(3, 1).unwrap().bytes, source);
}

#[test]
fn hmdb51_lists_are_read() {
    let tree = Tree::new();
    tree.rearrange(
        ["{class}/{clip}/img_{n}.jpg", "{class}/{clip}/flow_x_{n}.jpg", "{class}/{clip}/flow_y_{n}.jpg"],
        |n| format!("{n:05}"),
    );
    let lists = tempfile::tempdir().unwrap();
    for (split, numbers) in [(1, [1, 2]), (2, [2, 0])] {
        for (i, class) in ["Archery", "HandStandPushups", "Rowing"].into_iter().enumerate() {
            let lines: Vec<String> =
                CLIPS[2 * i..2 * i + 2].iter().zip(numbers).map(|(clip, n)| format!("{clip}.avi {n} \r\n")).collect();
            fs::write(lists.path().join(format!("{class}_test_split{split}.txt")), lines.concat()).unwrap();
        }
    }
    let hmdb51 = same(|o| BuildOptions { dataset: DatasetKind::Hmdb51, ..o });
    let packed = build(tree.root(), lists.path(), hmdb51).unwrap();
    let manifest = packed.data.manifest();
    assert_eq!((manifest.dataset.as_str(), manifest.classes.len(), manifest.clips.len()), ("hmdb51", 3, 6));
    assert_eq!(manifest.clips[0].subsets, [Subset::Train, Subset::Test]);
    assert_eq!(manifest.clips[1].subsets, [Subset::Test, Subset::Unused]);
}

#[test]
fn custom_data_take_classes_from_folders_or_from_a_csv_file() {
    let tree = Tree::new();
    tree.rearrange(["data/{class}/{clip}/img_{n}.jpg", "", ""], |n| format!("{n:05}"));
    let rgb = |root: PathBuf| Location::Apart { rgb: Some(root), flow: None };
    let custom = |lists: Option<PathBuf>| {
        let location = rgb(tree.path("data"));
        same(move |o: BuildOptions| BuildOptions {
            dataset: DatasetKind::Custom,
            lists: lists.clone(),
            location: location.clone(),
            ..o
        })
    };
    let packed = build(tree.root(), tree.root(), custom(None)).unwrap();
    let manifest = packed.data.manifest();
    assert_eq!(
        (manifest.dataset.as_str(), &manifest.classes[..]),
        ("custom", &["Archery".into(), "HandstandPushups".into(), "Rowing".into()][..])
    );
    assert!(manifest.clips.iter().all(|clip| clip.subsets == [Subset::Train]));
    let csv = tree.path("mine.csv");
    let rows = CLIPS
        .iter()
        .enumerate()
        .map(|(i, clip)| format!("some/where/{clip}.mp4,{},{}\n", 9 + i / 2, ["test", "train"][i % 2]));
    fs::write(&csv, rows.collect::<String>()).unwrap();
    let packed = build(tree.root(), tree.root(), custom(Some(csv.clone()))).unwrap();
    let got: Vec<_> = packed.data.manifest().clips.iter().map(|c| (c.label.unwrap(), c.subsets[0].clone())).collect();
    assert_eq!(packed.data.manifest().classes, ["9", "10", "11"]);
    assert_eq!(got[..2], [(0, Subset::Test), (0, Subset::Train)]);
    assert_eq!(got[5], (2, Subset::Train));
    let is_note = |note: &&String| note.starts_with("6 rows of the list name a folder without the clip: where/v_");
    let note = packed.report.notes.iter().find(is_note).unwrap();
    assert!(note.contains(" (line 5) is packed from ") && note.ends_with(", ... and 1 more"), "{note}");
    // Class folders distinguish two clips of the same name.
    for class in ["Archery", "Rowing"] {
        let from = tree.path(&format!("data/{class}/v_{class}_g01_c01"));
        fs::rename(from, tree.path(&format!("data/{class}/clip"))).unwrap();
    }
    fs::write(&csv, "Archery/clip,arch,train\nRowing/clip,row,test\n").unwrap();
    let packed = build(tree.root(), tree.root(), custom(Some(csv))).unwrap();
    let ids: Vec<_> = packed.data.manifest().clips.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["arch__clip", "row__clip"]);
    assert!(!packed.report.notes.iter().any(|note| note.contains("of the list")), "{:?}", packed.report.notes);
    let source = fs::read(tree.path("data/Rowing/clip/img_00004.jpg")).unwrap();
    assert_eq!(packed.data.clip("rgb", 1).unwrap().record(3, 0).unwrap().bytes, source);
}

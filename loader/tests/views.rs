//! Tests of views: several streams in step, strides, short clips, samples of other types.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use clip_loader::{
    Crop, Error, Loader, Result, Samples, Short, Split, SplitClip, TestCrop, TestOptions, TestSamples, TrainOptions,
    TrainSamples, View, Worker,
};
use clipshard::{
    Dataset, DatasetInfo, DatasetWriter, Decoder, EncodeOptions, ImageSize, Images, NewClip, SampleType, Shape,
    StreamSpec, Subset,
};
use std::sync::Arc;

/// Width and height of the images of stream `rgb`. Those of the other streams are half as large.
const WIDTH: usize = 32;
const HEIGHT: usize = 24;

/// Makes a dataset of four clips of 9, 10, 11 and 12 frames.
///
/// The samples of an image are `frame * 10 + x` in the upper and `frame * 10 + y` in the lower half,
/// so that frame and place can be read from them.
fn dataset() -> (tempfile::TempDir, Arc<Dataset>) {
    let folder = tempfile::tempdir().unwrap();
    let info = DatasetInfo::new("marks", ["all"], ["1"]);
    let mut writer = DatasetWriter::create(folder.path(), info).unwrap();
    writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(1)).unwrap();
    writer.add_stream(StreamSpec::flow(), EncodeOptions::zstd(1)).unwrap();
    let depth = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
    writer.add_stream(depth, EncodeOptions::zstd(1).for_samples(SampleType::U16)).unwrap();
    for number in 0..4_usize {
        let image = |frame: usize, width: usize, height: usize, channels: usize| {
            let value = move |i: usize| {
                let (x, y) = (i / channels % width, i / channels / width);
                (frame * 10 + if y < height / 2 { x } else { y }) as u16
            };
            (0..width * height * channels).map(value).collect::<Vec<u16>>()
        };
        let bytes = |samples: Vec<u16>| samples.into_iter().map(|v| v as u8).collect::<Vec<u8>>();
        let frames = 9 + number;
        let rgb: Vec<_> = (0..frames).map(|frame| bytes(image(frame, WIDTH, HEIGHT, 3))).collect();
        let flow: Vec<_> = (0..2 * frames).map(|plane| bytes(image(plane / 2, WIDTH / 2, HEIGHT / 2, 1))).collect();
        let depth: Vec<_> = (0..frames).map(|frame| image(frame, WIDTH / 2, HEIGHT / 2, 1)).collect();
        let size = |part: usize, channels| ImageSize {
            width: (WIDTH / part) as u16,
            height: (HEIGHT / part) as u16,
            channels,
        };
        let clip = NewClip::new(format!("clip{number}"), 0, vec![Subset::Train]);
        let images = [
            ("rgb", Images::new(size(1, 3), &rgb)),
            ("flow", Images::new(size(2, 1), &flow)),
            ("depth", Images::of_samples(Shape::image(size(2, 1), SampleType::U16), &depth).unwrap()),
        ];
        writer.add_images(&clip, &images).unwrap();
    }
    writer.finish().unwrap();
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    (folder, data)
}

fn clips(data: &Dataset, stream: &str) -> Vec<SplitClip> {
    SplitClip::of_subset(data, "1", &Subset::Train, stream).unwrap()
}

/// Returns the parts of all samples.
fn parts(samples: &dyn Samples) -> Vec<Vec<Vec<u8>>> {
    let (mut worker, bytes) = (Worker::default(), samples.part_bytes());
    (0..samples.len())
        .map(|i| {
            let mut parts: Vec<Vec<u8>> = bytes.iter().map(|&bytes| vec![0; bytes]).collect();
            let mut out: Vec<&mut [u8]> = parts.iter_mut().map(Vec::as_mut_slice).collect();
            samples.fill(i, &mut worker, None, &mut out).unwrap();
            parts
        })
        .collect()
}

#[test]
fn streams_of_a_sample_show_the_same_frames_the_same_place_and_the_same_mirror() {
    let (_folder, data) = dataset();
    let view = |stream, side| View::frame(stream).side(side).crop(Crop::Random).flip(true);
    let views = [view("rgb", 16), view("depth", 8), view("flow", 8)];
    let options = TrainOptions::new().segments(2).seed(5).repeat(40);
    let samples = Arc::new(TrainSamples::of_views(&data, clips(&data, "rgb"), &views, options).unwrap());
    assert_eq!(samples.shapes(), [[2, 1, 1, 16, 16, 3], [2, 1, 1, 8, 8, 1], [2, 1, 2, 8, 8, 1]]);
    let (mut mirrored, mut places) = (0, std::collections::BTreeSet::new());
    for parts in parts(&*samples) {
        for segment in 0..2 {
            let rgb = &parts[0][segment * 16 * 16 * 3..];
            let depth: Vec<i32> = parts[1][segment * 128..(segment + 1) * 128]
                .as_chunks::<2>()
                .0
                .iter()
                .map(|v| u16::from_le_bytes(*v).into())
                .collect();
            let flow = &parts[2][segment * 128..];
            // In the upper row the values grow by one per column, and in a mirrored one they shrink.
            let step = depth[1] - depth[0];
            assert!(step == 1 || step == -1);
            assert_eq!(i32::from(rgb[3]) - i32::from(rgb[0]), step);
            mirrored += usize::from(step == -1);
            // Displacements in x are reversed in a mirrored view, those in y are not.
            assert_eq!(i32::from(if step == -1 { 255 - flow[0] } else { flow[0] }), depth[0]);
            assert_eq!(i32::from(flow[64]), depth[0]);
            // The leftmost column of the window, in the stored frame, at twice the scale in RGB.
            let left = |first: i32, last: i32| first.min(last);
            let (small, large) = (left(depth[0], depth[7]), left(rgb[0].into(), rgb[45].into()));
            let frame = (0..12).find(|frame| {
                (0..=8).contains(&(small - frame * 10)) && {
                    let (x, wide) = (small - frame * 10, large - frame * 10);
                    (wide - 2 * x).abs() <= 2
                }
            });
            assert!(frame.is_some(), "depth starts at {small}, rgb at {large}");
            places.insert(small);
        }
    }
    assert!((110..210).contains(&mirrored), "{mirrored} of 320");
    assert!(places.len() > 30, "{}", places.len());
}

#[test]
fn batches_hold_the_parts_of_their_samples_one_after_the_other() {
    let (_folder, data) = dataset();
    let views = [View::frame("rgb").side(10), View::stack("flow", 3).side(12)];
    let samples =
        Arc::new(TrainSamples::of_views(&data, clips(&data, "rgb"), &views, TrainOptions::new().seed(2)).unwrap());
    let expected = parts(&*samples);
    for threads in [1, 3] {
        let loader = Loader::builder(samples.clone()).batch_size(3).threads(threads).start().unwrap();
        let mut sizes = Vec::new();
        for batch in loader {
            let batch = batch.unwrap();
            let of_samples = |part: usize| batch.samples().flat_map(|i| expected[i][part].clone()).collect::<Vec<u8>>();
            assert_eq!((batch.part(0), batch.part(1)), (&*of_samples(0), &*of_samples(1)));
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [3, 1]);
    }
    let full = Loader::builder(samples).batch_size(3).drop_last(true).start().unwrap();
    assert_eq!((full.batches(), full.map(|batch| batch.unwrap().len()).sum::<usize>()), (1, 3));
}

/// Returns the frames that a part of whole depth images shows. The first sample of frame `n` is
/// `10 * n`.
fn frames_of(part: &[u8]) -> Vec<u16> {
    let images = part.chunks_exact(2 * 16 * 12);
    images.map(|image| u16::from_le_bytes([image[0], image[1]]) / 10).collect()
}

/// Returns a view of whole frames of a stream that has square records, without resizing.
fn whole(frames: usize) -> View {
    View::stack("square", frames).side(12)
}

/// Adds to the clips of `dataset` a stream of squares, so that whole frames need no resizing.
fn squares() -> (tempfile::TempDir, Arc<Dataset>) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = DatasetWriter::create(folder.path(), DatasetInfo::new("marks", ["all"], ["1"])).unwrap();
    let spec = StreamSpec::new("square", 1, 1).with_samples(SampleType::I16);
    writer.add_stream(spec, EncodeOptions::zstd(1).for_samples(SampleType::I16)).unwrap();
    let shape = Shape::image(ImageSize { width: 12, height: 12, channels: 1 }, SampleType::I16);
    for number in 0..4_usize {
        let frames: Vec<Vec<i16>> = (0..9 + number as i16).map(|frame| vec![10 * frame; 144]).collect();
        let clip = NewClip::new(format!("clip{number}"), 0, vec![Subset::Train]);
        writer.add_images(&clip, &[("square", Images::of_samples(shape, &frames).unwrap())]).unwrap();
    }
    writer.finish().unwrap();
    let data = Arc::new(Dataset::open(folder.path()).unwrap());
    (folder, data)
}

fn square_frames(part: &[u8]) -> Vec<i16> {
    part.chunks_exact(2 * 144).map(|image| i16::from_le_bytes([image[0], image[1]]) / 10).collect()
}

#[test]
fn strides_and_offsets_choose_the_frames_and_starts_keep_them_inside() {
    let (_folder, data) = squares();
    let views = [whole(3).stride(3), whole(1).offset(4)];
    assert_eq!(views.clone().map(|view| view.span()), [7, 5]);
    let options = TrainOptions::new().seed(1).repeat(60).shuffle(false);
    let samples = TrainSamples::of_views(&data, clips(&data, "square"), &views, options).unwrap();
    let mut seen = [const { std::collections::BTreeSet::new() }; 4];
    for (i, parts) in parts(&samples).into_iter().enumerate() {
        let frames = square_frames(&parts[0]);
        let start = frames[0];
        assert_eq!((frames, square_frames(&parts[1])), (vec![start, start + 3, start + 6], vec![start + 4]));
        assert_eq!(samples.clip(i).clip, i % 4);
        seen[i % 4].insert(start);
    }
    // A clip of 9 frames has three starts, one of 12 frames has six.
    assert_eq!(seen.map(|starts| starts.into_iter().collect::<Vec<_>>().len()), [3, 4, 5, 6]);
}

#[test]
fn test_samples_with_a_stride_share_frames_with_their_neighbours_and_have_the_same_pixels() {
    let (_folder, data) = dataset();
    let views = [View::stack("rgb", 3).stride(2).side(12), View::stack("flow", 4).side(10)];
    let of = |shares| {
        let options = TestOptions::new().samples(7).crop(TestCrop::Three).shares_frames(shares);
        Arc::new(TestSamples::of_views(&data, clips(&data, "rgb"), &views, options).unwrap())
    };
    let bytes = |samples: Arc<TestSamples>| -> Vec<Vec<u8>> {
        let loader = Loader::builder(samples).batch_size(5).threads(2).start().unwrap();
        loader.flat_map(|batch| [0, 1].map(|part| batch.as_ref().unwrap().part(part).to_vec())).collect()
    };
    assert!(bytes(of(true)) == bytes(of(false)));
    assert_eq!(of(true).shapes(), [[3, 3, 1, 12, 12, 3], [3, 4, 2, 10, 10, 1]]);
}

#[test]
fn short_clips_are_refused_looped_or_held() {
    let (_folder, data) = squares();
    let frames = |short, view: View| -> Result<Vec<Vec<i16>>> {
        let options = TestOptions::new().samples(1).short(short);
        let samples = TestSamples::new(&data, clips(&data, "square"), &view, options)?;
        Ok(parts(&samples).iter().map(|parts| square_frames(&parts[0])).collect())
    };
    let long = || whole(4).stride(4); // 13 frames
    assert!(matches!(frames(Short::Error, long()), Err(Error::TooShort { frames: 9, needed: 13, .. })));
    assert_eq!(frames(Short::Loop, long()).unwrap(), [[0, 4, 8, 3], [0, 4, 8, 2], [0, 4, 8, 1], [0, 4, 8, 0]]);
    assert_eq!(frames(Short::Hold, long()).unwrap(), [[0, 4, 8, 8], [0, 4, 8, 9], [0, 4, 8, 10], [0, 4, 8, 11]]);
    // Clips that are long enough are as without the option.
    assert_eq!(frames(Short::Loop, whole(9)).unwrap()[0], (0..9).collect::<Vec<i16>>());
    let split = Split::of(&data, "1", &whole(3).stride(5)).unwrap();
    assert_eq!(split.train.iter().map(|clip| clip.frames).collect::<Vec<_>>(), [11, 12]);
    assert_eq!(split.omitted.len(), 2);
}

#[test]
fn samples_of_16_bits_are_cropped_and_mirrored_as_they_are_stored() {
    let (_folder, data) = dataset();
    let view = View::stack("depth", 2).side(12).crop(Crop::Random);
    let samples = TrainSamples::new(&data, clips(&data, "depth"), &view, TrainOptions::new().seed(9)).unwrap();
    let (mut decoder, mut image) = (Decoder::new().unwrap(), vec![0; 2 * 16 * 12]);
    for (i, parts) in parts(&samples).iter().enumerate() {
        let records = data.clip("depth", samples.clip(i).clip).unwrap();
        let found: Vec<&[u8]> = parts[0].chunks_exact(12 * 12 * 2).collect();
        let is_shown = (0..records.frame_count() - 1).any(|frame| {
            (0..5).any(|x| {
                [frame, frame + 1].iter().zip(&found).all(|(&frame, found)| {
                    records.decode(frame, 0, &mut decoder, &mut image).unwrap();
                    let rows = image.chunks_exact(32).map(|row| &row[2 * x..2 * x + 24]);
                    rows.flatten().eq(found.iter())
                })
            })
        });
        assert!(is_shown, "sample {i}");
    }
    assert_eq!(frames_of(&[50, 0].repeat(16 * 12)), [5]);
}

#[test]
fn views_that_do_not_fit_are_refused_by_name() {
    let (_folder, data) = dataset();
    let of = |views: &[View], options| {
        TrainSamples::of_views(&data, clips(&data, "rgb"), views, options).unwrap_err().to_string()
    };
    let new = TrainOptions::new;
    assert_eq!(of(&[], new()), "views 0 is not between 1 and 16");
    assert_eq!(of(&vec![View::frame("rgb"); 17], new()), "views 17 is not between 1 and 16");
    assert_eq!(of(&[View::frame("rgb").stride(0)], new()), "stride 0 is not between 1 and 65536");
    let far = View::stack("rgb", 65_536).stride(65_536);
    assert_eq!(of(&[far], new()), "span 4294901761 is not at most 1073741824 frames");
    let seed = new().sampling(clip_loader::Sampling::Seed);
    let two = [View::frame("rgb"), View::frame("flow")];
    assert_eq!(of(&two, seed), "sampling seed is not allowed for several views, strides or offsets");
    assert_eq!(of(&[View::frame("flow").jitter(0.5)], new()), "jitter 0.5 is not allowed for a stream that is not RGB");
    assert_eq!(of(&[View::frame("rgb")], new().repeat(0)), "repeat 0 is not between 1 and 2147483648 samples");
    let test = |view: View| {
        TestSamples::new(&data, clips(&data, "rgb"), &view, TestOptions::new().samples(1)).unwrap_err().to_string()
    };
    let random = test(View::frame("rgb").crop(Crop::Random));
    assert_eq!(random, "crop random is not allowed in a test view; set the crop of the options");
    assert_eq!(test(View::frame("rgb").flip(true)), "flip of a view is not allowed in a test");
}

#[test]
fn a_sample_of_one_clip_is_that_of_the_epoch() {
    let (_folder, data) = dataset();
    let view = View::stack("flow", 3).side(8).crop(Crop::Random).flip(true);
    let of = |epoch| TrainSamples::new(&data, clips(&data, "flow"), &view, TrainOptions::new().seed(4).epoch(epoch));
    let (first, third) = (of(0).unwrap(), of(2).unwrap());
    let expected = parts(&third);
    let mut out = vec![0; 3 * 2 * 64];
    for (i, expected) in expected.iter().enumerate() {
        let number = clips(&data, "flow").iter().position(|clip| clip == third.clip(i)).unwrap();
        let shown = first.fill_clip(number, 2, &mut Worker::default(), &mut [&mut out]).unwrap();
        assert_eq!((shown, &out), (third.clip(i), &expected[0]));
    }
    let error = first.fill_clip(4, 0, &mut Worker::default(), &mut [&mut out]).unwrap_err();
    assert_eq!(error.to_string(), "clip 4 is not below the number of clips, 4");
}

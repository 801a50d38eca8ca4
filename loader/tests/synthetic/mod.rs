/// Makes a dataset of seven clips in a temporary folder. RGB frames have 44 x 36 pixels, optical
/// flow has 32 x 32.
pub fn synthetic_dataset() -> tempfile::TempDir {
    use clipshard::{
        Clip, EncodeOptions, Encoder, ImageSize, Manifest, ShardClip, ShardMetadata, ShardWriter, Stream, StreamSpec,
        Subset,
    };
    let folder = tempfile::tempdir().unwrap();
    let (classes, splits) = (vec!["Left".to_owned(), "Right".to_owned()], vec!["1".to_owned()]);
    let clip = |i: u32| {
        let subset = if i < 5 { Subset::Train } else { Subset::Test };
        let clip = Clip::new(format!("v_Wave_g0{}_c0{}", 1 + i / 2, 1 + i % 2), i % 2, vec![subset]);
        clip.with_frames("flow", 11 + 3 * i).with_frames("rgb", 12 + 3 * i)
    };
    let mut manifest = Manifest::new("waves", classes.clone(), splits.clone());
    manifest.clips = (0..7).map(clip).collect();
    let mut encoder = Encoder::new(EncodeOptions::zstd(1)).unwrap();
    for (spec, size) in [
        (StreamSpec::flow(), ImageSize { width: 32, height: 32, channels: 1 }),
        (StreamSpec::rgb(), ImageSize { width: 44, height: 36, channels: 3 }),
    ] {
        let path = folder.path().join(format!("{}-00000.clipshard", spec.name));
        let mut writer = ShardWriter::create(path, &spec).unwrap();
        for (number, clip) in manifest.clips.iter().enumerate() {
            let images = clip.frames[&spec.name] * u32::from(spec.planes);
            let mut encode = |image: u32| {
                let value = |i: usize| (i * (3 + number) + i * i % 29 + 11 * image as usize) as u8;
                encoder.encode(&(0..size.bytes()).map(value).collect::<Vec<u8>>(), size).unwrap()
            };
            writer.add_clip(&clip.id, &(0..images).map(&mut encode).collect::<Vec<_>>()).unwrap();
        }
        let metadata = ShardMetadata::new("waves", classes.clone(), splits.clone());
        let clips = manifest.clips.iter().map(ShardClip::from).collect();
        let shard = writer.finish(&metadata.with_clips(clips)).unwrap();
        manifest.streams.push(Stream::new(spec, vec![shard]));
    }
    manifest.write(folder.path()).unwrap();
    folder
}

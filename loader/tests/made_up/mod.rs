/// A data set of five clips with RGB frames of 44 x 36 pixels and optical flow of 32 x 32, in a temporary folder.
#[allow(dead_code, clippy::unwrap_used)]
fn made_up_dataset() -> tempfile::TempDir {
    use clipshard::{
        Clip, Codec, Encoder, EncodeOptions, Filter, ImageSize, Manifest, ShardClip, ShardMetadata, ShardWriter, Stream,
        StreamSpec, Subset,
    };
    let folder = tempfile::tempdir().unwrap();
    let streams = [
        (StreamSpec { name: "flow".into(), planes: 2, channels: 1 }, ImageSize { width: 32, height: 32, channels: 1 }),
        (StreamSpec { name: "rgb".into(), planes: 1, channels: 3 }, ImageSize { width: 44, height: 36, channels: 3 }),
    ];
    let clips: Vec<Clip> = (0..7_u32)
        .map(|i| Clip {
            id: format!("v_Wave_g0{}_c0{}", 1 + i / 2, 1 + i % 2),
            label: i % 2,
            subsets: vec![if i < 5 { Subset::Train } else { Subset::Test }],
            frames: [("flow".to_owned(), 11 + 3 * i), ("rgb".to_owned(), 12 + 3 * i)].into(),
        })
        .collect();
    let mut encoder =
        Encoder::new(EncodeOptions { codec: Codec::Zstd, filter: Filter::Up, level: 1 }).unwrap();
    let mut written = Vec::new();
    for (spec, size) in streams {
        let path = folder.path().join(format!("{}-00000.clipshard", spec.name));
        let mut writer = ShardWriter::create(&path, &spec).unwrap();
        for (number, clip) in clips.iter().enumerate() {
            let images = clip.frames[&spec.name] * u32::from(spec.planes);
            let mut pixels = |image: u32| {
                let value = |i: usize| (i * (3 + number) + i * i % 29 + 11 * image as usize) as u8;
                encoder.encode(&(0..size.bytes()).map(value).collect::<Vec<u8>>(), size).unwrap()
            };
            writer.add_clip(&clip.id, &(0..images).map(&mut pixels).collect::<Vec<_>>()).unwrap();
        }
        let labels = clips.iter().map(|clip| ShardClip { label: clip.label, subsets: clip.subsets.clone() });
        let metadata = ShardMetadata {
            dataset: "waves".into(),
            classes: vec!["Left".into(), "Right".into()],
            splits: vec!["1".into()],
            clips: labels.collect(),
            ..ShardMetadata::default()
        };
        let shard = writer.finish(&metadata).unwrap();
        written.push(Stream { spec, shards: vec![shard] });
    }
    let manifest = Manifest {
        dataset: "waves".into(),
        classes: vec!["Left".into(), "Right".into()],
        splits: vec!["1".into()],
        streams: written,
        clips,
        ..Manifest::default()
    };
    manifest.write(folder.path()).unwrap();
    folder
}

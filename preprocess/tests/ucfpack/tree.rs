//! Small synthetic trees in the Feichtenhofer layout.

use std::fs;
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use tempfile::TempDir;

pub const RGB_FRAMES: u32 = 14;
pub const CLIPS: [&str; 6] = [
    "v_Archery_g01_c01",
    "v_Archery_g08_c01",
    "v_HandStandPushups_g01_c01",
    "v_HandStandPushups_g08_c01",
    "v_Rowing_g01_c01",
    "v_Rowing_g08_c01",
];

/// A tree and its lists. It is removed when dropped.
pub struct Tree {
    dir: TempDir,
}

impl Tree {
    /// Creates three classes of two clips, one for training and one for testing. The lists have
    /// CRLF line ends.
    pub fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for (i, clip) in CLIPS.into_iter().enumerate() {
            tree.add_clip(clip, RGB_FRAMES, i as u32);
        }
        let lists = tree.lists();
        fs::create_dir(&lists).unwrap();
        fs::write(lists.join("classInd.txt"), "1 Archery\r\n2 HandstandPushups\r\n3 Rowing\r\n").unwrap();
        let list = |group: &str, with_label: bool| -> String {
            let classes = ["Archery", "HandstandPushups", "Rowing"];
            let chosen = CLIPS.iter().enumerate().filter(|(_, clip)| clip.contains(group));
            let line = |(i, clip): (usize, &&str)| {
                let label = if with_label { format!(" {}", i / 2 + 1) } else { String::new() };
                format!("{}/{clip}.avi{label}\r\n", classes[i / 2])
            };
            chosen.map(line).collect()
        };
        fs::write(lists.join("trainlist01.txt"), list("_g08_", true)).unwrap();
        fs::write(lists.join("testlist01.txt"), list("_g01_", false)).unwrap();
        tree
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn lists(&self) -> PathBuf {
        self.root().join("lists")
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Moves the images of every clip. `places` are the new paths of RGB, x and y under the root,
    /// with placeholders `{class}`, `{clip}` and `{n}`; `format` formats the number `{n}`.
    pub fn rearrange(&self, places: [&str; 3], format: impl Fn(u32) -> String) {
        let old = ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"];
        for clip in CLIPS {
            let class = clip.split('_').nth(1).unwrap().replace("HandStand", "Handstand");
            for (old, new) in old.iter().zip(places).filter(|(_, new)| !new.is_empty()) {
                for number in 1..=RGB_FRAMES {
                    let from = self.path(&format!("{old}/{clip}/frame{number:06}.jpg"));
                    let to = new.replace("{class}", &class).replace("{clip}", clip).replace("{n}", &format(number));
                    if from.exists() {
                        let to = self.path(&to);
                        fs::create_dir_all(to.parent().unwrap()).unwrap();
                        fs::rename(from, to).unwrap();
                    }
                }
            }
        }
        fs::remove_dir_all(self.path("jpegs_256")).unwrap();
        fs::remove_dir_all(self.path("tvl1_flow")).unwrap();
    }

    /// Adds a clip. Images depend on `salt`.
    pub fn add_clip(&self, clip: &str, rgb_frames: u32, salt: u32) {
        for frame in 1..=rgb_frames {
            write_jpeg(
                &self.path(&format!("jpegs_256/{clip}/frame{frame:06}.jpg")),
                (42, 32),
                true,
                salt * 100 + frame,
            );
            if frame < rgb_frames {
                for plane in ["u", "v"] {
                    let path = self.path(&format!("tvl1_flow/{plane}/{clip}/frame{frame:06}.jpg"));
                    write_jpeg(&path, (42, 32), false, salt * 100 + frame + u32::from(plane == "v") * 50);
                }
            }
        }
    }
}

/// Writes a JPEG file of smooth synthetic pixels.
pub fn write_jpeg(path: &Path, (width, height): (u32, u32), colour: bool, salt: u32) {
    let channels = if colour { 3 } else { 1 };
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                let wave = ((x + salt) as f32 * 0.3).sin() + (y as f32 * (0.2 + 0.01 * c as f32)).cos();
                pixels.push((128.0 + wave * 50.0) as u8);
            }
        }
    }
    let kind = if colour { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode(&pixels, width, height, kind).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

//! Runs the built programs, as a user does. Build them first with `cargo build --workspace --bins`,
//! or run `scripts/test.sh`.

pub mod synthetic_weights;

use clipshard::ImageSize;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns the path of program `name` from the same build as the running test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let profile = test.ancestors().nth(2).expect("tests run in target/<profile>/deps");
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not built; run scripts/test.sh, or cargo build --workspace --bins", path.display());
    path
}

/// The outcome of a program.
#[derive(Debug)]
pub struct Done {
    /// Exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program until it ends.
pub fn run<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Done {
    let mut command = Command::new(program(name));
    command.args(args);
    Done::of(command)
}

impl Done {
    /// Runs a command until it ends.
    pub fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints text");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Returns standard output. Panics if the program failed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self.stdout
    }

    /// Returns standard output as JSON. Panics if the program failed or printed anything else.
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Returns standard error. Panics if the exit code differs from `code` or the program panicked.
    pub fn error(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {} stderr: {}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self.stderr
    }
}

/// Splits a command line at spaces and replaces `{}` by `dir`.
pub fn args(dir: &Path, line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.replace("{}", &dir.display().to_string())).collect()
}

/// Copies the packed dataset `packed` into `temp`, and changes a byte at every `step`th position of the records of its
/// RGB shard. Returns the path of the copy.
///
/// # Panics
/// Panics if a file cannot be read or written.
pub fn damaged_copy(packed: &Path, temp: &Path, step: usize) -> PathBuf {
    let copy = temp.join("damaged");
    fs::create_dir(&copy).expect("a new folder");
    for entry in fs::read_dir(packed).expect("the dataset") {
        let entry = entry.expect("a file of the dataset");
        fs::copy(entry.path(), copy.join(entry.file_name())).expect("a copy");
    }
    let shard = copy.join("rgb-00000.clipshard");
    let mut bytes = fs::read(&shard).expect("the RGB shard");
    let records_end = bytes.len() * 9 / 10;
    for at in (200..records_end).step_by(step) {
        bytes[at] ^= 4;
    }
    fs::write(&shard, bytes).expect("the damaged shard");
    copy
}

/// Resizes images to a square with a triangle filter, as the loader does.
#[derive(Debug, Default)]
pub struct Squash(Resizer);

impl Squash {
    /// Resizes `pixels` of an image of `size` into `out`, which is `side` pixels high and wide.
    pub fn apply(&mut self, pixels: &[u8], size: ImageSize, side: usize, out: &mut [u8]) {
        let kind = if size.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let source =
            ImageRef::new(size.width.into(), size.height.into(), pixels, kind).expect("pixels of the right size");
        let mut target = Image::from_slice_u8(side as u32, side as u32, out, kind).expect("a buffer of the right size");
        self.0.resize(&source, &mut target, &options).expect("images of one kind");
    }
}

/// Compiles the Rust examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/using-shards.md")]
pub struct UsingShards;

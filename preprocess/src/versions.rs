//! Versions of the libraries that decide the bytes of a shard. A test compares them with the lock file.

/// Version of the zstd library (zstd-sys).
pub const ZSTD: &str = "1.5.7";
/// Version of the LZ4 library (lz4-sys).
pub const LZ4: &str = "1.10.0";
/// Version of the JPEG decoder.
pub const ZUNE_JPEG: &str = "0.5.15";
/// Version of the JPEG encoder.
pub const JPEG_ENCODER: &str = "0.7.1";
/// Version of the optical flow library.
pub const CLIP_FLOW: &str = "0.1.0";

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_those_of_the_lock_file() {
        // Of the workspace, or of the package.
        let lock =
            ["../Cargo.lock", "Cargo.lock"].into_iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap();
        let version = |package: &str| {
            let at = lock.find(&format!("name = \"{package}\"\n")).unwrap();
            lock[at..].split('"').nth(3).unwrap()
        };
        assert!(version("zstd-sys").ends_with(&format!("zstd.{}", super::ZSTD)), "{}", version("zstd-sys"));
        assert!(version("lz4-sys").ends_with(&format!("lz4-{}", super::LZ4)), "{}", version("lz4-sys"));
        assert_eq!(version("zune-jpeg"), super::ZUNE_JPEG);
        assert_eq!(version("jpeg-encoder"), super::JPEG_ENCODER);
        assert_eq!(version("clip-flow"), super::CLIP_FLOW);
    }
}

//! Numbered image files in a folder.

use std::fs;
use std::path::Path;

/// How the images of a plane are called: a prefix, a number padded with zeros, an ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameName {
    /// E.g. `frame`.
    pub prefix: String,
    /// Digits at least, e.g. 6.
    pub digits: usize,
    /// E.g. `.jpg`.
    pub ending: String,
}

impl FrameName {
    /// The file name of a number.
    pub fn file(&self, number: u32) -> String {
        format!("{}{number:0digits$}{}", self.prefix, self.ending, digits = self.digits)
    }

    /// The number of a file name, if it is one of these.
    pub fn number(&self, file: &str) -> Option<u32> {
        let digits = file.strip_prefix(&self.prefix)?.strip_suffix(&self.ending)?;
        let padded = digits.len() == self.digits || digits.len() > self.digits && !digits.starts_with('0');
        (padded && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
    }

    /// As in documents: `frame%06d.jpg`.
    pub fn pattern(&self) -> String {
        format!("{}%0{}d{}", self.prefix, self.digits, self.ending)
    }
}

/// Which numbers a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Files found.
    pub count: u32,
    /// The highest number.
    pub highest: u32,
    /// What is wrong with the numbering, in words.
    pub fault: Option<String>,
}

/// Lists the numbered files of `folder`, which should run from `first` without holes. Other files are ignored.
/// A folder that cannot be listed or holds no such file is a fault in words.
pub(super) fn list(folder: &Path, name: &FrameName, first: u32) -> Result<Numbers, String> {
    let unreadable = |e: std::io::Error| format!("{}: cannot list it: {e}", folder.display());
    let mut numbers = Vec::new();
    let mut other = None;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.file_name();
        match file.to_str().and_then(|file| name.number(file)) {
            Some(number) => numbers.push(number),
            None => other = other.or(Some(file)),
        }
    }
    numbers.sort_unstable();
    let (Some(&lowest), Some(&highest)) = (numbers.first(), numbers.last()) else {
        let holds = other.map_or("it is empty".into(), |file| format!("it holds e.g. {}", file.to_string_lossy()));
        return Err(format!("{}: no {} in it; {holds}", folder.display(), name.pattern()));
    };
    let count = numbers.len() as u32;
    let fault = if lowest < first {
        Some(format!("{}: numbering starts at {lowest}, this layout starts at {first}", folder.display()))
    } else if highest - first + 1 > count {
        let missing = numbers.iter().zip(first..).find(|&(&n, expected)| n != expected).map_or(first, |(_, n)| n);
        let holes = highest - first + 1 - count;
        let more = if holes > 1 { format!(" and {} more", holes - 1) } else { String::new() };
        Some(format!("{}: {}{more} missing (the highest is {highest})", folder.display(), name.file(missing)))
    } else {
        None
    };
    Ok(Numbers { count, highest, fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> FrameName {
        FrameName { prefix: "frame".into(), digits: 6, ending: ".jpg".into() }
    }

    #[test]
    fn only_padded_numbers_are_frames() {
        assert_eq!(frame().number("frame000012.jpg"), Some(12));
        assert_eq!(frame().number("frame1234567.jpg"), Some(1_234_567));
        for stray in
            ["frame12.jpg", "frame0000012.jpg", "frame000012.png", "._frame000012.jpg", "frame00001x.jpg", "Thumbs.db"]
        {
            assert_eq!(frame().number(stray), None, "{stray}");
        }
        assert_eq!(frame().file(12), "frame000012.jpg");
        assert_eq!(frame().pattern(), "frame%06d.jpg");
    }

    #[test]
    fn holes_and_wrong_starts_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let make = |names: &[&str]| {
            for entry in fs::read_dir(dir.path()).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
            for name in names {
                fs::write(dir.path().join(name), "").unwrap();
            }
            list(dir.path(), &frame(), 1)
        };
        let whole = make(&["frame000001.jpg", "frame000002.jpg", "notes.txt"]).unwrap();
        assert_eq!((whole.count, whole.fault), (2, None));
        let holes = make(&["frame000002.jpg", "frame000003.jpg", "frame000006.jpg"]).unwrap();
        assert!(holes.fault.unwrap().contains("frame000001.jpg and 2 more missing (the highest is 6)"));
        let zero = make(&["frame000000.jpg", "frame000001.jpg"]).unwrap();
        assert!(zero.fault.unwrap().contains("starts at 0, this layout starts at 1"));
        assert!(make(&["img_00001.jpg"]).unwrap_err().contains("no frame%06d.jpg in it; it holds e.g. img_00001.jpg"));
        assert!(make(&[]).unwrap_err().contains("it is empty"));
    }
}

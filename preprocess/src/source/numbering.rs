//! Numbered image files in a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// The pattern of the image names of a plane: a prefix, a zero-padded number, an ending.
///
/// ```
/// use ucfpack::source::FrameName;
///
/// let name = FrameName { prefix: "frame".into(), digits: 6, ending: ".jpg".into() };
/// assert_eq!(name.file(12), "frame000012.jpg");
/// assert_eq!(name.pattern(), "frame%06d.jpg");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameName {
    /// Text before the number, for example `frame`.
    pub prefix: String,
    /// Minimum number of digits, for example 6.
    pub digits: usize,
    /// Text after the number, for example `.jpg`.
    pub ending: String,
}

impl FrameName {
    /// Returns a pattern that ends in `.jpg`.
    pub(super) fn jpg(prefix: &str, digits: usize) -> Arc<Self> {
        Arc::new(Self { prefix: prefix.into(), digits, ending: ".jpg".into() })
    }

    /// Returns the file name of a number.
    pub fn file(&self, number: u32) -> String {
        format!("{}{number:0digits$}{}", self.prefix, self.ending, digits = self.digits)
    }

    /// Returns the pattern as documents spell it: `frame%06d.jpg`.
    pub fn pattern(&self) -> String {
        let digits = if self.digits > 1 { format!("0{}", self.digits) } else { String::new() };
        format!("{}%{digits}d{}", self.prefix, self.ending)
    }
}

/// The rule for the image names of a plane.
#[derive(Debug, Clone)]
pub(super) enum NameRule {
    /// The same prefix in all folders. The number of digits may differ from this pattern.
    Fixed(Arc<FrameName>),
    /// The name of the folder, `_`, and a number without padding. Case is ignored.
    Folder,
}

impl NameRule {
    /// Returns the pattern as documents spell it.
    pub fn pattern(&self) -> String {
        match self {
            Self::Fixed(name) => name.pattern(),
            Self::Folder => "v_X_%d.jpg".into(),
        }
    }

    /// Splits a file name that follows the rule into its prefix and its digits.
    fn split<'f>(&self, folder: &str, file: &'f str) -> Option<(&'f str, &'f str)> {
        let (prefix, ending) = match self {
            Self::Fixed(name) => (name.prefix.as_str(), name.ending.as_str()),
            Self::Folder => (folder, ".jpg"),
        };
        let (found, mut rest) = file.split_at_checked(prefix.len())?;
        let mut length = prefix.len();
        match self {
            Self::Fixed(_) if found == prefix => {}
            Self::Folder if found.eq_ignore_ascii_case(prefix) && rest.starts_with('_') => {
                rest = &rest[1..];
                length += 1;
            }
            _ => return None,
        }
        let digits = rest.strip_suffix(ending)?;
        let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        numeric.then(|| (&file[..length], digits))
    }
}

/// Frame numbers from here on are treated as unrelated files.
const MOST_FRAMES: u32 = 1 << 30;

/// The frame numbers of one plane in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Pattern of the file names.
    pub name: Arc<FrameName>,
    /// Number of files, at least one.
    pub count: u32,
    /// The lowest number.
    pub lowest: u32,
    /// The highest number.
    pub highest: u32,
    /// The first missing number between the lowest and the highest.
    pub hole: Option<u32>,
}

impl Numbers {
    /// Returns a message about the first gap or wrong start in the numbering, which should start at
    /// `first`.
    pub fn fault(&self, folder: &Path, first: u32) -> Option<String> {
        let folder = folder.display();
        if self.lowest < first {
            let (lowest, pattern) = (self.lowest, self.name.pattern());
            return Some(format!(
                "{folder}: the numbers of {pattern} start at {lowest}, but in the other clips at {first}"
            ));
        }
        let span = self.highest - first + 1;
        if span == self.count {
            return None;
        }
        let missing = if self.lowest > first { first } else { self.hole.unwrap_or(first) };
        let holes = span - self.count;
        let are = if holes > 1 { format!("and {} more are", holes - 1) } else { "is".to_owned() };
        Some(format!("{folder}: {} {are} missing (the highest number is {})", self.name.file(missing), self.highest))
    }
}

/// Lists the numbered files of `folder`. Returns one entry per rule, which is a message if no file
/// follows the rule. Other files are ignored.
pub(super) fn list(folder: &Path, rules: &[NameRule]) -> io::Result<Vec<Result<Numbers, String>>> {
    let own = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut found: Vec<Vec<(u32, u8)>> = vec![Vec::new(); rules.len()];
    let mut prefixes: Vec<Option<String>> = vec![None; rules.len()];
    let mut other = None;
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let Some(text) = file.to_str() else { continue };
        let matched = rules.iter().enumerate().find_map(|(i, rule)| Some((i, rule.split(&own, text)?)));
        match matched.and_then(|(i, (prefix, digits))| {
            Some((i, prefix, digits, digits.parse().ok().filter(|n| *n < MOST_FRAMES)?))
        }) {
            Some((i, prefix, digits, number)) => {
                if *prefixes[i].get_or_insert_with(|| prefix.to_owned()) == prefix {
                    found[i].push((number, padded_width(digits)));
                }
            }
            None => other = other.or(Some(text.to_owned())),
        }
    }
    let holds = other.map_or("it is empty".into(), |file| format!("it contains {file}, for example"));
    let describe = |rule: &NameRule, numbers: Vec<(u32, u8)>, prefix: Option<String>| {
        let none = || format!("{} has no {}; {holds}", folder.display(), rule.pattern());
        numbers_of(rule, &prefix.ok_or_else(none)?, numbers)
    };
    let planes = rules.iter().zip(found).zip(prefixes);
    Ok(planes.map(|((rule, numbers), prefix)| describe(rule, numbers, prefix)).collect())
}

/// Returns the width of a number with leading zeros, or 0 for a number without.
fn padded_width(digits: &str) -> u8 {
    if digits.len() > 1 && digits.starts_with('0') { digits.len().min(255) as u8 } else { 0 }
}

fn numbers_of(rule: &NameRule, prefix: &str, found: Vec<(u32, u8)>) -> Result<Numbers, String> {
    // The most frequent padding counts. Files with another padding are unrelated.
    let mut widths: BTreeMap<u8, u32> = BTreeMap::new();
    for &(_, width) in found.iter().filter(|(_, width)| *width > 0) {
        *widths.entry(width).or_default() += 1;
    }
    let usual = match rule {
        NameRule::Fixed(name) => name.digits,
        NameRule::Folder => 1,
    };
    let unpadded = found.iter().filter(|(n, _)| *n > 0).map(|(n, _)| n.ilog10() as usize + 1).min().unwrap_or(1);
    let digits = match widths.iter().max_by_key(|&(&width, &count)| (count, width)) {
        Some((&width, _)) => width.into(),
        // No number has leading zeros: either all have at least the padded number of digits, or
        // none are padded.
        None => unpadded.min(usual),
    };
    let belongs = |number: u32, width: u8| {
        let shown = if width > 0 { width.into() } else { number.checked_ilog10().unwrap_or(0) as usize + 1 };
        if width > 0 { shown == digits } else { shown >= digits }
    };
    let mut numbers: Vec<u32> = found.into_iter().filter(|&(n, width)| belongs(n, width)).map(|(n, _)| n).collect();
    numbers.sort_unstable();
    let (Some(&lowest), Some(&highest)) = (numbers.first(), numbers.last()) else {
        return Err(format!("no {} among the files", rule.pattern()));
    };
    let hole = numbers.iter().zip(lowest..).find(|&(&n, expected)| n != expected).map(|(_, expected)| expected);
    let name = match rule {
        NameRule::Fixed(name) if name.digits == digits => Arc::clone(name),
        _ => FrameName::jpg(prefix, digits),
    };
    Ok(Numbers { name, count: numbers.len() as u32, lowest, highest, hole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "").unwrap();
        }
        (dir, folder)
    }

    fn fixed(prefix: &str, digits: usize) -> NameRule {
        NameRule::Fixed(FrameName::jpg(prefix, digits))
    }

    fn one(rule: NameRule, name: &str, files: &[&str]) -> Result<Numbers, String> {
        let (_dir, folder) = folder(name, files);
        list(&folder, &[rule]).unwrap().remove(0)
    }

    #[test]
    fn only_numbers_padded_as_most_are_frames() {
        let strays =
            ["frame12.jpg", "frame0000012.jpg", "frame000012.png", "._frame000012.jpg", "frame00001x.jpg", "Thumbs.db"];
        let frames = ["frame000001.jpg", "frame000002.jpg", "frame1234567.jpg"];
        let found = one(fixed("frame", 6), "v", &[&strays[..], &frames].concat()).unwrap();
        assert_eq!((found.count, found.lowest, found.highest, found.hole), (3, 1, 1_234_567, Some(3)));
        assert_eq!((found.name.file(12), found.name.pattern()), ("frame000012.jpg".into(), "frame%06d.jpg".into()));
    }

    #[test]
    fn numbers_that_no_frame_has_are_strays() {
        let found = one(fixed("frame", 6), "v", &["frame000001.jpg", "frame4294967295.jpg", "frame99999999999.jpg"]);
        assert_eq!(found.map(|n| (n.count, n.highest)), Ok((1, 1)));
    }

    #[test]
    fn the_padding_is_that_of_the_files() {
        let digits = |files: &[&str]| one(fixed("img_", 5), "v", files).unwrap().name.digits;
        assert_eq!(digits(&["img_00001.jpg", "img_00002.jpg"]), 5);
        assert_eq!(digits(&["img_0001.jpg", "img_0002.jpg"]), 4);
        assert_eq!(digits(&["img_1.jpg", "img_10.jpg"]), 1);
        assert_eq!(digits(&["img_0.jpg", "img_1.jpg"]), 1);
        assert_eq!(digits(&["img_12345.jpg", "img_100000.jpg"]), 5);
    }

    #[test]
    fn files_named_after_their_folder_are_found_in_either_case() {
        let files = ["v_Handstandpushups_g01_1.jpg", "v_Handstandpushups_g01_2.jpg", "v_Other_3.jpg"];
        let found = one(NameRule::Folder, "v_HandStandPushups_g01", &files).unwrap();
        assert_eq!((found.count, found.name.file(10)), (2, "v_Handstandpushups_g01_10.jpg".into()));
    }

    #[test]
    fn planes_of_one_folder_are_told_apart() {
        let (_dir, folder) = folder("v", &["img_00001.jpg", "img_00002.jpg", "flow_x_00001.jpg", "flow_z_00001.jpg"]);
        let found = list(&folder, &[fixed("img_", 5), fixed("flow_x_", 5), fixed("flow_y_", 5)]).unwrap();
        let counts: Vec<_> = found.iter().map(|n| n.as_ref().map_or(0, |n| n.count)).collect();
        assert_eq!(counts, [2, 1, 0]);
        assert!(
            found[2]
                .as_ref()
                .unwrap_err()
                .contains(" has no flow_y_%05d.jpg; it contains flow_z_00001.jpg, for example")
        );
    }

    #[test]
    fn holes_and_wrong_starts_are_named() {
        let faults = |files: &[&str], first| {
            let (_dir, folder) = folder("v", files);
            list(&folder, &[fixed("frame", 6)]).unwrap().remove(0).unwrap().fault(&folder, first)
        };
        assert_eq!(faults(&["frame000001.jpg", "frame000002.jpg", "notes.txt"], 1), None);
        assert_eq!(faults(&["frame000000.jpg", "frame000001.jpg"], 0), None);
        let holes = faults(&["frame000002.jpg", "frame000003.jpg", "frame000006.jpg"], 1).unwrap();
        assert!(holes.contains("frame000001.jpg and 2 more are missing (the highest number is 6)"), "{holes}");
        let hole = faults(&["frame000001.jpg", "frame000003.jpg"], 1).unwrap();
        assert!(hole.contains("frame000002.jpg is missing (the highest number is 3)"), "{hole}");
        let zero = faults(&["frame000000.jpg", "frame000001.jpg"], 1).unwrap();
        assert!(zero.contains("start at 0, but in the other clips at 1"), "{zero}");
        let none = one(fixed("frame", 6), "v", &["img_00001.jpg"]).unwrap_err();
        assert!(none.contains(" has no frame%06d.jpg; it contains img_00001.jpg, for example"), "{none}");
        assert!(one(fixed("frame", 6), "v", &[]).unwrap_err().contains("it is empty"));
    }
}

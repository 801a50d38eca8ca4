//! Class names, and the label of each.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::text::{lines, name_of};
use crate::error::{Error, Result};

/// Largest label of lists that give numbers instead of class names.
const MAX_LABEL: u32 = 65_535;
/// File with the class names of your own lists, in the order of the labels.
pub(crate) const CLASSES_FILE: &str = "classes.txt";

/// Class names, and the label of each.
#[derive(Clone, Debug, Default)]
pub(in crate::lists) struct Classes {
    pub names: Vec<String>,
    labels: HashMap<String, u32>,
    /// The file with the names, if there is one.
    file: Option<PathBuf>,
}

impl Classes {
    /// Takes class names in the order of their labels. The error is the first name that occurs
    /// twice.
    pub fn of_names(names: Vec<String>) -> Result<Self, String> {
        let mut labels = HashMap::with_capacity(names.len());
        for (label, name) in names.iter().enumerate() {
            if labels.insert(name.clone(), label as u32).is_some() {
                return Err(name.clone());
            }
        }
        Ok(Self { names, labels, file: None })
    }

    /// Sets the file that the names come from.
    pub fn in_file(self, path: &Path) -> Self {
        Self { file: Some(path.to_owned()), ..self }
    }

    /// Collects the distinct names, in byte order, or in numeric order if all are whole numbers.
    pub fn of_labels<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = names.collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if let Some(numbers) = names.iter().map(|name| name.parse().ok()).collect::<Option<Vec<u64>>>() {
            let mut numbered: Vec<_> = numbers.into_iter().zip(names).collect();
            numbered.sort_unstable();
            names = numbered.into_iter().map(|(_, name)| name).collect();
        }
        // A set holds no name twice.
        Self::of_names(names).unwrap_or_default()
    }

    /// Makes classes that are named after their numbers, from 0 to the highest label. The error is
    /// a message.
    pub fn of_numbers(highest: u32) -> Result<Self, String> {
        if highest > MAX_LABEL {
            return Err(format!("the label {highest} is above {MAX_LABEL}; number the classes from 0"));
        }
        Ok(Self::of_names((0..=highest).map(|label| label.to_string()).collect()).unwrap_or_default())
    }

    /// Reads one class name per line. The order of the lines gives the labels.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of_lines(path, &lines(path)?)
    }

    /// Takes one class name per numbered line of a file.
    pub fn of_lines(path: &Path, lines: &[(usize, String)]) -> Result<Self> {
        if lines.is_empty() {
            return Err(Error::input(format!("{} contains no classes; write one class name per line", path.display())));
        }
        let names = lines.iter().map(|(_, name)| name.clone()).collect();
        let classes = Self::of_names(names).map_err(|name| {
            let line = lines.iter().filter(|(_, other)| *other == name).nth(1).map_or(1, |(line, _)| *line);
            Error::List { path: path.into(), line, what: format!("class {name} is listed twice; remove one") }
        })?;
        Ok(classes.in_file(path))
    }

    /// Returns the label of a name. A whole number that is no name is a label itself, if the names
    /// come from a file. The error is a message.
    pub fn label(&self, name: &str) -> Result<u32, String> {
        if let Some(label) = self.labels.get(name) {
            return Ok(*label);
        }
        let Some(file) = &self.file else { return Err(format!("class {name} is not known")) };
        match name.parse::<u32>() {
            Ok(label) if (label as usize) < self.names.len() => Ok(label),
            _ => Err(format!("class {name} is not in {}; add it there, or correct it here", name_of(file))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::folder;
    use super::*;

    #[test]
    fn names_have_labels_in_order() {
        assert_eq!(Classes::of_labels(["b", "a", "b"].into_iter()).names, ["a", "b"]);
        assert_eq!(Classes::of_labels(["10", "9", "0"].into_iter()).names, ["0", "9", "10"]);
        assert_eq!(Classes::of_labels(["10", "9", "x"].into_iter()).names, ["10", "9", "x"]);
        assert_eq!(Classes::of_numbers(2).unwrap().names, ["0", "1", "2"]);
        assert_eq!(
            Classes::of_numbers(u32::MAX).unwrap_err(),
            "the label 4294967295 is above 65535; number the classes from 0"
        );
    }

    #[test]
    fn a_file_decides_the_order_and_accepts_numbers() {
        let dir =
            folder(&[("classes.txt", "\u{feff}wave\r\njump up\r\n\r\n"), ("two.txt", "a\nb\na\n"), ("no.txt", "")]);
        let classes = Classes::read(&dir.path().join("classes.txt")).unwrap();
        assert_eq!(classes.names, ["wave", "jump up"]);
        assert_eq!((classes.label("jump up"), classes.label("0")), (Ok(1), Ok(0)));
        assert_eq!(classes.label("2").unwrap_err(), "class 2 is not in classes.txt; add it there, or correct it here");
        let error = |name: &str| Classes::read(&dir.path().join(name)).unwrap_err().to_string();
        assert!(error("two.txt").ends_with("two.txt: line 3: class a is listed twice; remove one"));
        assert!(error("no.txt").ends_with("no.txt contains no classes; write one class name per line"));
    }
}

//! A run with the values that the page derives from its files.

use super::run::Run;
use super::thumbnail::{Thumbnail, Thumbnails};
use super::worst::{Mistake, worst};
use crate::scores::confusion::Confusion;
use std::collections::HashSet;
use std::path::Path;

/// Number of worst videos of a run.
const WORST: usize = 12;

/// A run as the page shows it.
pub struct View<'a> {
    /// Files of the run.
    pub run: &'a Run,
    /// Unique names of the classes of its scores.
    pub classes: Vec<String>,
    /// Confusion matrix of its scores; none without scores or labels.
    pub confusion: Option<Confusion>,
    /// Its worst videos, with pictures if the dataset is available.
    pub worst: Vec<(Mistake, Option<Thumbnail>)>,
    /// Reason why some or all of the pictures are missing.
    pub no_pictures: Option<String>,
}

impl<'a> View<'a> {
    /// Derives the values of a run. `data` is the folder of its dataset, if that is not where the
    /// settings say.
    pub fn of(run: &'a Run, data: Option<&Path>) -> Self {
        let known = run.scores.as_ref().and_then(|scores| Some((scores, scores.labels.as_ref()?)));
        let Some((scores, labels)) = known else { return Self::with_classes(run, None) };
        let mut thumbnails = Thumbnails::open(run, data);
        let mut view = Self::with_classes(run, thumbnails.as_ref().ok().map(Thumbnails::classes));
        for mistake in worst(scores, labels, WORST) {
            let picture = match &mut thumbnails {
                Ok(thumbnails) => thumbnails.of(&mistake.name),
                Err(_) => Err(anyhow::anyhow!("")),
            };
            if let (Err(error), Ok(_)) = (&picture, &thumbnails) {
                view.no_pictures = Some(format!("{error:#}"));
            }
            view.worst.push((mistake, picture.ok()));
        }
        if let Err(error) = thumbnails {
            view.no_pictures = Some(format!("{error:#}"));
        }
        view
    }

    /// Derives the values of a run without its worst videos, which would need its dataset.
    pub fn without_videos(run: &'a Run) -> Self {
        Self::with_classes(run, None)
    }

    /// Derives the classes and the confusion matrix. `classes` are the names of the classes if the
    /// run does not know them.
    fn with_classes(run: &'a Run, classes: Option<&[String]>) -> Self {
        let mut view = Self { run, classes: Vec::new(), confusion: None, worst: Vec::new(), no_pictures: None };
        let Some(scores) = &run.scores else { return view };
        let Some(labels) = &scores.labels else { return view };
        let known = run.network.as_ref().map(|network| network.classes.as_slice());
        view.classes = class_names(known.or(classes).unwrap_or_default(), scores.classes);
        view.confusion = Some(Confusion::of(&scores.logits, scores.classes, labels));
        view
    }

    /// Returns the top-1 accuracy of the best epoch's network on the clips of the run's scores, in
    /// percent.
    pub fn top1(&self) -> Option<f64> {
        self.run.result().map(|test| test.top1)
    }

    /// Returns its top-5 accuracy in percent.
    pub fn top5(&self) -> Option<f64> {
        self.run.result().map(|test| test.top5)
    }

    /// Returns the mean class accuracy of the scores in percent.
    pub fn mean_class_accuracy(&self) -> Option<f64> {
        self.confusion.as_ref().and_then(Confusion::mean_class_accuracy)
    }
}

/// Returns unique names of `classes` classes: the known names if there are as many, otherwise
/// numbers.
fn class_names(known: &[String], classes: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    let name = |class: usize| {
        let name = if known.len() == classes { known[class].clone() } else { format!("class {class}") };
        if seen.insert(name.clone()) { name } else { format!("{name} ({class})") }
    };
    (0..classes).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_of_its_own() {
        let known = ["Wave", "Jump", "Wave"].map(String::from);
        assert_eq!(class_names(&known, 3), ["Wave", "Jump", "Wave (2)"]);
        assert_eq!(class_names(&known, 2), ["class 0", "class 1"]);
    }
}

//! A run with what follows from its files.

use super::run::Run;
use super::thumbnail::{Thumbnail, Thumbnails};
use super::worst::{Mistake, worst};
use crate::scores::confusion::Confusion;
use std::collections::HashSet;
use std::path::Path;

/// Worst videos of a run.
const WORST: usize = 12;

/// A run as the page shows it.
pub struct View<'a> {
    /// The run.
    pub run: &'a Run,
    /// Names of the classes of its scores, each once.
    pub classes: Vec<String>,
    /// What its scores take for what; none without scores or their labels.
    pub confusion: Option<Confusion>,
    /// Its worst videos.
    pub worst: Vec<(Mistake, Option<Thumbnail>)>,
    /// Why there are no pictures of them, or not of all.
    pub no_pictures: Option<String>,
}

impl<'a> View<'a> {
    /// Works out what the run's files give. `data` says where its data set is, if not where its settings do.
    pub fn of(run: &'a Run, data: Option<&Path>) -> Self {
        let mut view = Self { run, classes: Vec::new(), confusion: None, worst: Vec::new(), no_pictures: None };
        let Some(scores) = &run.scores else { return view };
        let Some(labels) = &scores.labels else { return view };
        let mut thumbnails = Thumbnails::open(run, data);
        let known = run.network.as_ref().map(|network| network.classes.as_slice());
        let known = known.or(thumbnails.as_ref().ok().map(Thumbnails::classes));
        view.classes = class_names(known.unwrap_or_default(), scores.classes);
        view.confusion = Some(Confusion::of(&scores.logits, scores.classes, labels));
        for mistake in worst(scores, labels, WORST) {
            let picture = match &mut thumbnails {
                Ok(thumbnails) => thumbnails.of(&mistake.name),
                Err(_) => Err(anyhow::anyhow!("")),
            };
            if let (Err(error), Ok(_)) = (&picture, &thumbnails) {
                view.no_pictures = Some(format!("{}: {error:#}", mistake.name));
            }
            view.worst.push((mistake, picture.ok()));
        }
        if let Err(error) = thumbnails {
            view.no_pictures = Some(format!("{error:#}"));
        }
        view
    }

    /// Top-1 of the best epoch's network on the test clips, in percent.
    pub fn top1(&self) -> Option<f64> {
        self.run.result().map(|test| test.top1)
    }

    /// Its top-5 in percent.
    pub fn top5(&self) -> Option<f64> {
        self.run.result().map(|test| test.top5)
    }

    /// Mean class accuracy of the scores in percent.
    pub fn mean_class_accuracy(&self) -> Option<f64> {
        self.confusion.as_ref().and_then(Confusion::mean_class_accuracy)
    }
}

/// `classes` names, each once: those that are known, if there are as many, else numbers.
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

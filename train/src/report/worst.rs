//! The wrongly predicted clips that the network was most confident about, each with a picture.

use super::html::{breakable, escape, note, section};
use super::thumbnail::Thumbnail;
use super::view::View;
use crate::scores::Scores;
use crate::scores::confusion::predicted;
use crate::scores::fusion::combine::softmax;

/// A clip that was predicted as another class.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Name of the clip.
    pub name: String,
    /// Actual class.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// Probability of the predicted class: softmax of the mean of the samples' logits.
    pub confidence: f32,
    /// Probability of the actual class.
    pub truth_probability: f32,
}

/// Returns the `most` wrong clips with the highest probability of the wrong class, the highest
/// first.
///
/// `labels` has one value per clip, below the number of classes.
pub fn worst(scores: &Scores, labels: &[u32], most: usize) -> Vec<Mistake> {
    let all_alike = || vec![1; labels.len()];
    let samples = scores.samples.clone().unwrap_or_else(all_alike);
    let probabilities = softmax(&scores.logits, scores.classes, &samples);
    let mut mistakes = Vec::new();
    for (clip, (row, &label)) in probabilities.chunks_exact(scores.classes).zip(labels).enumerate() {
        // The logits decide, because probabilities that differ little may be equal in f32.
        let (truth, predicted) = (label as usize, predicted(scores.row(clip)));
        if predicted != truth {
            let name = scores.names[clip].clone();
            let (confidence, truth_probability) = (row[predicted], row[truth]);
            mistakes.push(Mistake { name, truth, predicted, confidence, truth_probability });
        }
    }
    mistakes.sort_by(|a, b| {
        let surer = b.confidence.total_cmp(&a.confidence);
        surer.then(a.truth_probability.total_cmp(&b.truth_probability)).then_with(|| a.name.cmp(&b.name))
    });
    mistakes.truncate(most);
    mistakes
}

/// Returns one section per run.
pub fn worst_videos(views: &[View<'_>]) -> String {
    let heading = |view: &View<'_>| match views {
        [_] => "Worst videos".to_owned(),
        _ => format!("Worst videos of {}", view.run.name),
    };
    let known = views.iter().filter(|view| view.confusion.is_some());
    known.map(|view| section(&heading(view), &gallery(view))).collect()
}

fn gallery(view: &View<'_>) -> String {
    if view.worst.is_empty() {
        return note(&format!("Every {} clip was predicted correctly.", view.run.subset));
    }
    let mut html = note(
        "Wrong predictions with the highest probability. Look for wrong labels and for clips that even you would \
         confuse.",
    );
    if let Some(fault) = &view.no_pictures {
        html += &note(&format!("Pictures are missing: {fault}."));
    }
    let clips: String = view.worst.iter().map(|(mistake, picture)| clip(view, mistake, picture.as_ref())).collect();
    html + &format!("<div class=\"clips\">{clips}</div>")
}

fn clip(view: &View<'_>, mistake: &Mistake, picture: Option<&Thumbnail>) -> String {
    let name = escape(&mistake.name);
    let picture = picture.map_or_else(String::new, |Thumbnail { uri, width, height }| {
        format!("<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"The frame in the middle of {name}\">")
    });
    let class = |words: &str, class: usize, probability: f32| {
        let (class, percent) = (breakable(&view.classes[class]), 100.0 * probability);
        format!("<div><span>{words}</span><span class=\"number\">{percent:.1} %</span></div><b>{class}</b>")
    };
    format!(
        "<figure class=\"clip\">{picture}<figcaption>{}{}<code>{}</code></figcaption></figure>",
        class("Predicted", mistake.predicted, mistake.confidence),
        class("Actual", mistake.truth, mistake.truth_probability),
        breakable(&mistake.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_mistake_comes_first_and_correct_clips_are_omitted() {
        let scores = Scores {
            names: ["right", "unsure", "sure", "surest"].map(String::from).to_vec(),
            classes: 2,
            // Means over two samples: (2, 0), (1, 0), (0, 2), (0, 3).
            logits: vec![4.0, 0.0, 2.0, 0.0, 0.0, 4.0, 0.0, 6.0],
            labels: Some(vec![0, 1, 0, 0]),
            samples: Some(vec![2; 4]),
            subset: None,
        };
        let mistakes = worst(&scores, &[0, 1, 0, 0], 2);
        let names: Vec<&str> = mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
        assert_eq!(names, ["surest", "sure"]);
        assert_eq!((mistakes[0].truth, mistakes[0].predicted), (0, 1));
        // 1 / (1 + exp(-3)) = 0.952574
        assert!((mistakes[0].confidence - 0.952_574).abs() < 1e-6);
        assert!((mistakes[0].truth_probability - 0.047_426).abs() < 1e-6);
        assert_eq!(worst(&scores, &[0, 1, 0, 0], 9).len(), 3);
    }
}

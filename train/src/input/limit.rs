//! Finds what limits the speed of training.

use clip_loader::Work;

/// Returns one sentence: how a training step spends its time, and what limits its speed. `batch`,
/// `data` and `copy` are seconds of all steps together: in total, waiting for data, and copying to
/// the device.
pub fn limit(batch: f64, data: f64, copy: f64, work: Work) -> String {
    let (waiting, copying) = (100.0 * data / batch, 100.0 * copy / batch);
    let computing = 100.0 - waiting - copying;
    if batch <= 0.0 {
        return "no steps were run".into();
    }
    let shares = format!("{computing:.1} % computing, {copying:.1} % copying, {waiting:.1} % waiting for data");
    let limit = if waiting < 5.0 && copying < computing {
        "computing limits the speed".to_owned()
    } else if copying > waiting {
        "copying to the device limits the speed".to_owned()
    } else if work.busy < 0.5 * work.there {
        "starting epochs limits the speed, because decode threads were idle most of the time".to_owned()
    } else if work.computing < 0.6 * work.busy {
        "the disk limits the speed, because decode threads waited for it or for a CPU core".to_owned()
    } else {
        "decoding limits the speed; use more --threads, or pack the dataset with --flow-codec lz4".to_owned()
    };
    format!("{shares}: {limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(busy: f64, computing: f64) -> Work {
        Work::new(busy, computing, 10.0)
    }

    #[test]
    fn the_sentence_names_the_limit() {
        let says = |batch, data, copy, work, what: &str| {
            let found = limit(batch, data, copy, work);
            assert!(found.contains(&format!("{what} limits the speed")), "{found}");
        };
        says(1.0, 0.01, 0.01, work(9.0, 9.0), "computing");
        says(1.0, 0.5, 0.1, work(9.5, 9.0), "decoding");
        says(1.0, 0.5, 0.1, work(9.5, 2.0), "the disk");
        says(1.0, 0.2, 0.5, work(9.5, 9.0), "copying to the device");
        says(1.0, 0.3, 0.0, work(2.0, 2.0), "starting epochs");
        assert_eq!(limit(0.0, 0.0, 0.0, Work::default()), "no steps were run");
        assert!(limit(2.0, 0.5, 0.25, work(9.0, 9.0)).starts_with("62.5 % computing, 12.5 % copying, 25.0 % waiting"));
    }
}

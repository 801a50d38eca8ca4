//! Where the time of a training step goes.

use clip_loader::Work;

/// Returns one sentence: what would make training faster.
pub fn limit(batch: f64, data: f64, copy: f64, work: Work) -> String {
    let (waiting, copying) = (100.0 * data / batch, 100.0 * copy / batch);
    let computing = 100.0 - waiting - copying;
    if batch <= 0.0 {
        return "no step was taken".into();
    }
    let shares = format!("{computing:.1} % computing, {copying:.1} % copying, {waiting:.1} % waiting for data");
    let limit = if waiting < 5.0 && copying < computing {
        "computing is the limit".to_owned()
    } else if copying > waiting {
        "copying to the device is the limit".to_owned()
    } else if work.busy < 0.5 * work.there {
        "the start of passes is the limit: decode threads were idle for most of the time".to_owned()
    } else if work.computing < 0.6 * work.busy {
        "the disk is the limit: decode threads waited for it, or for a core".to_owned()
    } else {
        "decoding is the limit: more --threads, or data packed with --flow-codec lz4, would help".to_owned()
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
    fn the_sentence_names_what_took_the_time() {
        let says = |batch, data, copy, work, what: &str| {
            let found = limit(batch, data, copy, work);
            assert!(found.contains(&format!("{what} is the limit")), "{found}");
        };
        says(1.0, 0.01, 0.01, work(9.0, 9.0), "computing");
        says(1.0, 0.5, 0.1, work(9.5, 9.0), "decoding");
        says(1.0, 0.5, 0.1, work(9.5, 2.0), "the disk");
        says(1.0, 0.2, 0.5, work(9.5, 9.0), "copying to the device");
        says(1.0, 0.3, 0.0, work(2.0, 2.0), "the start of passes");
        assert_eq!(limit(0.0, 0.0, 0.0, Work::default()), "no step was taken");
        assert!(limit(2.0, 0.5, 0.25, work(9.0, 9.0)).starts_with("62.5 % computing, 12.5 % copying, 25.0 % waiting"));
    }
}

#![allow(clippy::float_cmp, reason = "exact values")]

use super::*;
use crate::base::meters::Scored;
use crate::report::epochs::Epoch;
use crate::run::state::tests::state_of;
use crate::scores::Scores;
use crate::settings::Given;
use crate::stream::Stream;
use rows::{Figures, Split};
use statistics::{Estimate, Sample};

/// Returns a finished run of recipe `tsn`, whose test clips choose the best epoch.
fn run(name: &str, stream: &str, split: &str, seed: u64, top1: &[f64]) -> Run {
    let epochs = top1.len();
    let config = format!(
        "stream = \"{stream}\"\nrecipe = \"tsn\"\nsplit = \"{split}\"\nseed = {seed}\nepochs = {epochs}\ndata = \"d\"\n"
    );
    let epoch = |(number, &top1)| {
        let scored = Scored { loss: 1.0, top1, top5: 100.0 };
        Epoch { number, lr: Some(0.1), train: Some(scored), eval: Some(scored), seconds: None }
    };
    let run = Run {
        name: name.to_owned(),
        dir: name.into(),
        config: None,
        settings: None,
        network: None,
        state: None,
        starts: Vec::new(),
        work: None,
        epochs: top1.iter().enumerate().map(epoch).collect(),
        scores: None,
        subset: "test",
        judges: "test",
        faults: Vec::new(),
    };
    with(run, &config)
}

/// Adds lines to the settings of a run.
fn with(run: Run, lines: &str) -> Run {
    let config = run.config.clone().unwrap_or_default() + lines;
    Run { settings: Some(Given::from_toml(&config).unwrap()), config: Some(config), ..run }
}

/// Returns a run in which val clips choose the epoch, and whose test result is `test`.
fn judged_on_val(run: Run, test: Option<f64>) -> Run {
    let mut state = state_of(&[]);
    state.history = state_of(&run.epochs.iter().map(|epoch| epoch.eval.unwrap().top1).collect::<Vec<_>>()).history;
    for result in &mut state.history {
        result.eval = crate::run::state::Evaluated::Val(result.eval.scored());
    }
    state.tested = test.map(|top1| (state.history.len(), Scored { loss: 1.0, top1, top5: 100.0 }));
    let subset = if test.is_some() { "test" } else { "val" };
    Run { judges: "val", subset, state: Some(state), ..run }
}

fn names(runs: &[Run]) -> Vec<(String, Vec<usize>)> {
    grouping::groups(runs).into_iter().map(|g| (format!("{} {}", g.stream, g.name), g.members)).collect()
}

fn row<'a>(comparison: &'a Comparison, stream: &str, subset: &str) -> &'a Row {
    comparison.rows.iter().find(|row| row.stream == stream && row.subset == subset).unwrap()
}

#[test]
fn runs_that_differ_only_in_clips_chance_and_speed_are_one_group() {
    let runs = [
        with(run("b", "spatial", "1", 0, &[40.0]), "ema = 0.99\n"),
        run("a", "spatial", "1", 0, &[40.0]),
        with(run("c", "spatial", "1", 1, &[41.0]), "threads = 1\ndevice = \"cpu\"\nkeep-epochs = 3\n"),
        run("d", "spatial", "2", 0, &[42.0]),
        run("e", "temporal", "1", 0, &[43.0]),
        with(run("f", "spatial", "1", 0, &[44.0]), "val-groups = [\"g01\"]\n"),
        with(run("g", "spatial", "2", 0, &[44.0]), "val-groups = [\"g09\"]\n"),
    ];
    let expected = [
        ("spatial tsn", vec![1, 2, 3]),
        ("spatial tsn, ema 0.99", vec![0]),
        ("spatial tsn, 1 val group", vec![5, 6]),
        ("temporal tsn", vec![4]),
    ];
    let expected = expected.map(|(name, members)| (name.to_owned(), members));
    // Groups with as many words are in the order of their runs.
    assert_eq!(names(&runs), expected);
}

#[test]
fn a_complete_configuration_and_a_short_one_with_the_same_values_have_the_same_name() {
    let given = Given::from_toml("recipe = \"tsn\"\ndata = \"d\"\nweights = \"none\"\nema = 0.9\n").unwrap();
    let settings = given.complete(Stream::Spatial, false).unwrap();
    let mut whole = run("whole", "spatial", "1", 0, &[40.0]);
    whole.config = Some(toml::to_string(&settings).unwrap());
    let groups = names(&[whole, run("a", "temporal", "1", 0, &[40.0])]);
    assert_eq!(groups[0].0, "spatial tsn");
    let mut other = run("other", "spatial", "1", 0, &[40.0]);
    other.config = Some(toml::to_string(&crate::settings::Settings { ema: 0.0, ..settings.clone() }).unwrap());
    let mut whole = run("whole", "spatial", "1", 1, &[40.0]);
    whole.config = Some(toml::to_string(&settings).unwrap());
    assert_eq!(
        names(&[other, whole]).into_iter().map(|g| g.0).collect::<Vec<_>>(),
        ["spatial tsn", "spatial tsn, ema 0.9"]
    );
}

#[test]
fn start_weights_and_datasets_part_runs_only_if_the_split_and_seed_do_not_explain_them() {
    let of = |name: &str, seed, weights: &str| {
        with(run(name, "temporal", "1", seed, &[40.0]), &format!("weights = \"/{weights}/best.safetensors\"\n"))
    };
    let runs = [of("a", 0, "s0"), of("b", 1, "s1")];
    assert_eq!(names(&runs), [("temporal tsn".to_owned(), vec![0, 1])]);
    let runs = [of("a", 0, "x"), of("b", 1, "x"), of("c", 0, "y")];
    let weights = |x: &str| format!("temporal tsn, weights /{x}/best.safetensors");
    assert_eq!(names(&runs), [(weights("x"), vec![0, 1]), (weights("y"), vec![2])]);
    let on = |name: &str, split: &str, seed, crc| {
        let mut state = state_of(&[40.0]);
        state.manifest_crc32 = crc;
        Run { state: Some(state), ..run(name, "spatial", split, seed, &[40.0]) }
    };
    assert_eq!(names(&[on("a", "1", 0, 7), on("b", "1", 1, 7)]).len(), 1);
    assert_eq!(names(&[on("a", "1", 0, 7), on("b", "1", 1, 8)]).len(), 2);
}

#[test]
fn runs_without_settings_are_groups_of_their_own() {
    let bare = |name: &str| Run { config: None, settings: None, ..run(name, "spatial", "1", 0, &[40.0]) };
    let groups = names(&[bare("a"), bare("b"), run("c", "spatial", "1", 0, &[40.0])]);
    let of = |name: &str| format!("unknown stream unknown settings of {name}");
    assert_eq!(groups, [("spatial tsn".to_owned(), vec![2]), (of("a"), vec![0]), (of("b"), vec![1])]);
    // The checkpoint has them too.
    let mut with_state = bare("d");
    let mut state = state_of(&[40.0]);
    let settings = Given::from_toml("recipe = \"seed\"\ndata = \"d\"\nweights = \"none\"\n").unwrap();
    state.settings = Some(settings.complete(Stream::Spatial, false).unwrap().deciding().unwrap());
    with_state.state = Some(state);
    assert_eq!(grouping::groups(&[with_state])[0].name, "seed");
}

#[test]
fn val_and_test_clips_have_rows_of_their_own() {
    let runs = [
        judged_on_val(run("a", "spatial", "1", 0, &[50.0, 60.0, 55.0]), Some(40.0)),
        judged_on_val(run("b", "spatial", "1", 1, &[50.0, 52.0, 58.0]), Some(43.0)),
        judged_on_val(run("c", "spatial", "2", 0, &[70.0, 60.0, 66.0]), Some(30.0)),
        judged_on_val(run("d", "spatial", "2", 1, &[70.0, 60.0, 66.0]), None),
    ];
    let comparison = Comparison::of(&runs);
    assert_eq!(comparison.rows.len(), 2);
    let test = row(&comparison, "spatial", "test");
    let sample = |n, mean, deviation| Sample { n, mean, deviation };
    let best = test.best.as_ref().unwrap();
    let splits: Vec<Sample> = best.splits.iter().map(|split| split.sample).collect();
    // 40 and 43: squares 2 * 1.5^2 = 4.5. Means 41.5 and 30: deviation sqrt(2 * 5.75^2), error 5.75.
    assert_eq!(splits, [sample(2, 41.5, Some(4.5_f64.sqrt())), sample(1, 30.0, None)]);
    assert_eq!((best.mean.value, best.deviation), (35.75, Some(4.5_f64.sqrt())));
    assert!((best.mean.error.unwrap() - 5.75).abs() < 1e-12);
    assert_eq!((test.epoch_chosen_on, test.last.is_none(), test.counted(), test.runs), ("val", true, 3, 4));
    assert_eq!(test.left_out, ["d: no result on the test clips yet"]);
    let val = row(&comparison, "spatial", "val");
    let means = |figures: &Option<Figures>| {
        figures.as_ref().unwrap().splits.iter().map(|split| split.sample.mean).collect::<Vec<_>>()
    };
    assert_eq!((means(&val.best), means(&val.last)), (vec![59.0, 70.0], vec![56.5, 66.0]));
    assert_eq!(val.best_epoch.unwrap().mean, (1.0 + 2.0) / 4.0);
    let json = comparison.json(&runs);
    assert_eq!(json["groups"][0]["best"]["mean"]["value"], 35.75);
    assert_eq!(json["groups"][0]["best"]["splits"][0]["mean"], 41.5);
    assert_eq!(json["groups"][0]["best"]["splits"][1]["deviation"], Value::Null);
    assert_eq!((&json["runs"][3]["test_top1"], &json["runs"][3]["val_top1"]), (&Value::Null, &json!(70.0)));
    let html = comparison.section(&runs);
    for words in
        ["41.50 ± 2.12", "30.00 (one run)", "35.75 ± 5.75", "1–2 (3 of 4)", "d: no result on the test clips yet"]
    {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert!(!html.contains("too high"), "the val clips choose the epoch");
}

#[test]
fn unfinished_runs_and_repetitions_are_named_but_do_not_count() {
    let mut unfinished = run("half", "spatial", "1", 2, &[90.0, 91.0]);
    unfinished.epochs.pop();
    let runs = [
        run("a", "spatial", "1", 0, &[40.0, 39.0]),
        run("again", "spatial", "1", 0, &[40.0, 39.0]),
        run("b", "spatial", "1", 1, &[44.0, 42.0]),
        unfinished,
    ];
    let comparison = Comparison::of(&runs);
    let row = row(&comparison, "spatial", "test");
    let best = row.best.as_ref().unwrap();
    assert_eq!((best.mean, best.runs()), (Estimate { value: 42.0, error: None }, 2));
    assert_eq!(row.last.as_ref().unwrap().mean.value, 40.5);
    assert_eq!(row.left_out, ["again: same split and seed as a", "half: not finished, 1 of 2 epochs"]);
    let html = comparison.section(&runs);
    assert!(html.contains("2 (2 of 4)") && html.contains("42.00 ± 2.83"), "{html}");
    assert!(html.contains("The test clips choose the best epoch"), "{html}");
    // If the last epoch counts, no clips choose it, but those of a plateau set the learning rate.
    for (schedule, chosen_on) in [("cosine", "none"), ("plateau", "test")] {
        let lines = format!("best-by = \"last\"\nschedule = \"{schedule}\"\n");
        let last = [with(run("a", "spatial", "1", 0, &[40.0, 39.0]), &lines)];
        let comparison = Comparison::of(&last);
        let row = self::row(&comparison, "spatial", "test");
        assert_eq!((row.epoch_chosen_on, row.best.as_ref().unwrap().mean.value), (chosen_on, 39.0));
        assert_eq!(comparison.section(&last).contains("too high"), chosen_on == "test");
    }
    let none = [Run { epochs: Vec::new(), ..run("a", "spatial", "1", 0, &[40.0]) }];
    assert!(Comparison::of(&none).lead(1).contains("None has a result yet"));
}

#[test]
fn a_group_is_compared_with_the_first_of_its_stream_on_the_same_splits() {
    let ema = |run| with(run, "ema = 0.99\n");
    let runs = [
        run("a", "spatial", "1", 0, &[40.0]),
        run("b", "spatial", "1", 1, &[42.0]),
        run("c", "spatial", "2", 0, &[10.0]),
        ema(run("d", "spatial", "1", 0, &[44.0])),
        ema(run("e", "spatial", "1", 1, &[45.0])),
    ];
    let comparison = Comparison::of(&runs);
    assert_eq!((comparison.rows[0].group.as_str(), comparison.rows[0].difference), ("tsn", None));
    let difference = comparison.rows[1].difference.unwrap();
    // 44.5 - 41; variances 2 and 0.5, two runs each: sqrt(2 / 2 + 0.5 / 2).
    assert_eq!(difference.value, 3.5);
    assert!((difference.error.unwrap() - 1.25_f64.sqrt()).abs() < 1e-12);
    assert!(comparison.section(&runs).contains("+3.50 ± 1.12"));
}

/// Gives a run scores of four clips of two classes: logits of each clip as the first class has them
/// above the second.
fn scored(run: Run, margins: [f32; 4]) -> Run {
    let scores = Scores {
        names: ["v_A_g01_c01", "v_A_g01_c02", "v_B_g01_c01", "v_B_g01_c02"].map(String::from).to_vec(),
        classes: 2,
        logits: margins.iter().flat_map(|&margin| [margin, 0.0]).collect(),
        labels: Some(vec![0, 0, 1, 1]),
        samples: Some(vec![1; 4]),
        subset: Some("test".into()),
    };
    Run { scores: Some(scores), ..run }
}

#[test]
fn runs_of_one_split_and_seed_are_fused() {
    let runs = [
        // Correct: clips 0, 2 and 3. With the temporal run of seed 0, all.
        scored(run("s0", "spatial", "1", 0, &[75.0]), [2.0, -1.0, -2.0, -2.0]),
        // Correct: clips 0 and 1. With the temporal run of seed 1, clips 0, 1 and 2.
        scored(run("s1", "spatial", "1", 1, &[50.0]), [2.0, 2.0, 1.0, 3.0]),
        scored(run("s2", "spatial", "1", 2, &[50.0]), [2.0, 2.0, 1.0, 3.0]),
        scored(run("t0", "temporal", "1", 0, &[75.0]), [1.0, 3.0, 1.0, -1.0]),
        scored(run("t1", "temporal", "1", 1, &[25.0]), [-1.0, -1.0, -2.0, 1.0]),
        scored(run("t0 of split 2", "temporal", "2", 0, &[25.0]), [0.0; 4]),
    ];
    let comparison = Comparison::of(&runs);
    let fused = row(&comparison, "spatial + temporal", "test");
    assert_eq!((fused.group.as_str(), fused.runs, fused.counted()), ("tsn", 2, 2));
    let [Split { sample, runs: names, values, .. }] = fused.best.as_ref().unwrap().splits.as_slice() else {
        panic!("one split: {fused:?}");
    };
    assert_eq!(*values, [100.0, 75.0]);
    assert_eq!(*names, ["s0 + t0", "s1 + t1"]);
    assert_eq!((sample.mean, sample.deviation), (87.5, Some(312.5_f64.sqrt())));
    assert_eq!(fused.gain.as_ref().unwrap().splits[0].values, [25.0, 25.0]);
    let html = comparison.section(&runs);
    assert!(html.contains("87.50 ± 17.68") && html.contains("+25.00 ± 0.00"), "{html}");
    assert!(!html.contains("Not fused"));
    // Runs of other clips are named, and without a common seed there is nothing to fuse.
    let mut other = runs;
    other[3].scores.as_mut().unwrap().names[0] = "v_C_g01_c01".into();
    let comparison = Comparison::of(&other);
    let fused = row(&comparison, "spatial + temporal", "test");
    assert_eq!((fused.runs, fused.counted()), (2, 1));
    assert!(fused.left_out[0].starts_with("s0 + t0: ") && fused.left_out[0].contains("the same clips"));
    let apart = Comparison::of(&other[2..5]);
    assert!(apart.rows.iter().all(|row| !row.fusion));
    assert!(apart.section(&other[2..5]).contains("Not fused"));
}

#[test]
fn equal_groups_of_the_streams_are_fused_first_and_the_rest_up_to_a_limit() {
    let mut runs = Vec::new();
    for ema in 0..9 {
        for stream in ["temporal", "spatial"] {
            let name = format!("{stream} {ema}");
            let run = scored(run(&name, stream, "1", 0, &[75.0]), [1.0; 4]);
            runs.push(if ema == 0 { run } else { with(run, &format!("ema = 0.{ema}\n")) });
        }
    }
    let comparison = Comparison::of(&runs);
    let fused: Vec<&Row> = comparison.rows.iter().filter(|row| row.fusion).collect();
    assert_eq!(fused.len(), fusions::MOST);
    assert_eq!((fused[0].stream.as_str(), fused[0].group.as_str()), ("spatial + temporal", "tsn"));
    assert!(fused[..9].iter().all(|row| !row.group.contains(" + ")), "{:?}", fused[8].group);
    assert!(fused[9].group.contains(" + "));
    assert!(comparison.section(&runs).contains("Only 40 combinations"));
}

#[test]
fn hostile_names_stay_text_and_the_markup_is_balanced() {
    let hostile = "<img src=x onerror=\"alert('1')\">&";
    let name = |run: Run, name: &str| Run { name: name.to_owned(), ..run };
    let split = |seed| name(run("x", "spatial", "<b>", seed, &[40.0 + seed as f64, 50.0]), &format!("{hostile}{seed}"));
    let runs = [
        split(0),
        split(1),
        split(1),
        with(run("y", "spatial", "1", 0, &[30.0]), "arch = '<script>x</script>'\n"),
        Run { config: None, settings: None, ..name(run("z", "spatial", "1", 0, &[40.0]), hostile) },
    ];
    let comparison = Comparison::of(&runs);
    let html = comparison.lead(5) + &comparison.section(&runs) + &of_run(&runs[0]);
    assert!(html.contains("&lt;img src=x") && html.contains("&lt;script&gt;x"), "{html}");
    assert!(!html.contains("<img") && !html.contains("<script") && !html.contains("split <b>"), "{html}");
    for tag in ["div", "svg", "figure", "table", "tr", "td", "span", "p", "ul", "li", "i", "circle", "title", "b"] {
        let opened = html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        let closed = html.matches(&format!("</{tag}>")).count();
        let empty = if tag == "circle" { html.matches("r=\"5.5\"/>").count() } else { 0 };
        assert_eq!(opened, closed + empty, "{tag}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf%"), "{html}");
}

#[test]
fn a_group_of_several_splits_has_a_dot_for_its_mean() {
    let runs = [run("a", "spatial", "1", 0, &[30.0]), run("b", "spatial", "2", 0, &[40.0])];
    let html = Comparison::of(&runs).section(&runs);
    assert_eq!(html.matches("<circle class=\"mean\"").count(), 1, "{html}");
}

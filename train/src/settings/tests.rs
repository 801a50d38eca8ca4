//! Tests of settings from defaults, files and the command line.

use super::{Given, Recipe, Settings};
use crate::base::usage::Usage;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::View;

fn given() -> Given {
    Given { data: Some("d".into()), weights: Some("none".into()), ..Given::default() }
}

#[test]
fn the_defaults_of_the_seed_recipe_are_those_of_the_reference_run() {
    let spatial = given().complete(Stream::Spatial, false).unwrap();
    assert_eq!((spatial.batch_size, spatial.lr, spatial.epochs, spatial.input_size), (25, 5e-4, 500, 224));
    let temporal = given().complete(Stream::Temporal, false).unwrap();
    assert_eq!((temporal.batch_size, temporal.lr), (32, 1e-2));
}

#[test]
fn config_toml_repeats_the_settings_exactly() {
    let settings = Given { lr: Some(0.1 + 0.2), seed: Some(7), ..given() }.complete(Stream::Spatial, false).unwrap();
    let read = Given::from_toml(&settings.to_toml().unwrap()).unwrap();
    assert_eq!(read.complete(Stream::Spatial, false).unwrap(), settings);
}

#[test]
fn config_toml_holds_every_seed() {
    let seeds = [(0, "0"), (i64::MAX as u64, "9223372036854775807"), (1 << 63, "\"9223372036854775808\"")];
    for (seed, text) in seeds.into_iter().chain([(u64::MAX, "\"18446744073709551615\"")]) {
        let settings = Given { seed: Some(seed), ..given() }.complete(Stream::Spatial, false).unwrap();
        let toml = settings.to_toml().unwrap();
        assert!(toml.contains(&format!("\nseed = {text}\n")), "{toml}");
        assert_eq!(Given::from_toml(&toml).unwrap().complete(Stream::Spatial, false).unwrap().seed, seed);
    }
    for wrong in ["-1", "\"18446744073709551616\"", "1.5", "\"x\""] {
        let error = Given::from_toml(&format!("seed = {wrong}")).unwrap_err().to_string();
        assert!(error.contains("a seed from 0 to 18446744073709551615"), "{wrong}: {error}");
    }
}

#[test]
fn config_toml_stores_absolute_paths_and_messages_show_relative_ones() {
    let settings = Given { weights: Some("w.pth".into()), ..given() }.complete(Stream::Spatial, false).unwrap();
    let (toml, here) = (settings.to_toml().unwrap(), std::env::current_dir().unwrap());
    assert!(toml.contains(&format!("data = {:?}", here.join("d"))), "{toml}");
    assert!(toml.contains(&format!("weights = {:?}", here.join("w.pth"))), "{toml}");
    let read = Given::from_toml(&toml).unwrap();
    assert_eq!((read.data, read.weights), (Some("d".into()), Some("w.pth".into())));
}

#[test]
fn imagenet_weights_are_stored_by_their_name_so_that_another_machine_finds_its_own() {
    let settings =
        |weights: &str| Given { weights: Some(weights.into()), ..given() }.complete(Stream::Spatial, false).unwrap();
    let (toml, here) = (settings("imagenet").to_toml().unwrap(), std::env::current_dir().unwrap());
    assert!(toml.contains("\nweights = \"imagenet\"\n"), "{toml}");
    assert_eq!(Given::from_toml(&toml).unwrap().weights.as_deref(), Some("imagenet"));
    let differences = settings("imagenet").deciding().unwrap().differences(&settings("w.pth").deciding().unwrap());
    let path = here.join("w.pth").to_str().unwrap().to_owned();
    assert_eq!(differences.iter().map(|d| (&*d.now, &*d.used)).collect::<Vec<_>>(), [("imagenet", &*path)]);
    // A file of that name.
    let toml = settings("./imagenet").to_toml().unwrap();
    assert!(toml.contains(&format!("weights = {:?}", here.join("imagenet"))), "{toml}");
}

#[test]
fn each_default_of_the_tsn_recipe_can_be_overridden() {
    let tsn = Given { recipe: Some(Recipe::Tsn), ..given() };
    let settings = tsn.clone().complete(Stream::Temporal, false).unwrap();
    assert_eq!((settings.view, settings.schedule, settings.weight_decay), (View::tsn(), Schedule::Cosine, 5e-4));
    let flat = Given { segments: Some(1), warm_up: Some(0.5), ..tsn };
    let settings = flat.complete(Stream::Temporal, false).unwrap();
    assert_eq!((settings.view, settings.warm_up), (View { segments: 1, ..View::tsn() }, 0.5));
    let read = Given::from_toml(&settings.to_toml().unwrap()).unwrap();
    assert_eq!(read.complete(Stream::Temporal, false).unwrap(), settings);
}

#[test]
fn an_epoch_of_the_strong_recipe_has_the_images_of_tsn_in_three_times_the_steps() {
    for stream in Stream::ALL {
        let of = |recipe| Given { recipe: Some(recipe), ..given() }.complete(stream, false).unwrap();
        let (tsn, strong) = (of(Recipe::Tsn), of(Recipe::Strong));
        // 50 batches of clips.
        let clips = 50 * tsn.batch_size;
        assert_eq!((tsn.steps(clips), strong.steps(clips)), (50, 150), "{stream}");
        let images = |settings: &Settings| settings.steps(clips) * settings.batch_size * settings.view.segments;
        assert_eq!(images(&tsn), images(&strong), "{stream}");
        let view = View { segments: 1, ..tsn.view };
        assert_eq!(strong, Settings { recipe: Recipe::Strong, view, repeat: 3, lr: strong.lr, ..tsn }, "{stream}");
    }
}

#[test]
fn settings_of_older_versions_hold_nothing_out() {
    let settings = given().complete(Stream::Spatial, false).unwrap();
    assert!(!settings.to_toml().unwrap().contains("val-share") && settings.val_share == 0.0);
    let share = Given { val_share: Some(0.15), ..given() }.complete(Stream::Spatial, false).unwrap();
    let differences = share.deciding().unwrap().differences(&settings.deciding().unwrap());
    let shown: Vec<_> = differences.iter().map(|d| (&*d.option, &*d.now, &*d.used)).collect();
    assert_eq!(shown, [("val-share", "0.15", "none")]);
}

#[test]
fn options_win_over_a_file() {
    let file: Given = toml::from_str("lr = 0.5\nepochs = 3").unwrap();
    let merged = Given { lr: Some(0.25), ..given() }.over(&file).unwrap().complete(Stream::Spatial, false).unwrap();
    assert_eq!((merged.lr, merged.epochs), (0.25, 3));
}

#[test]
fn values_that_are_not_allowed_are_usage_errors() {
    let fails = |given: Given| {
        let error = given.complete(Stream::Spatial, false).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
        error.to_string()
    };
    assert!(fails(Given { weights: None, ..given() }).contains("--weights"));
    assert!(fails(Given { data: None, ..given() }).contains("--data"));
    assert!(fails(Given { batch_size: Some(0), ..given() }).contains("--batch-size 0"));
    assert!(fails(Given { repeat: Some(0), ..given() }).contains("--repeat 0 is not between 1 and 10000"));
    assert!(fails(Given { lr: Some(f64::NAN), ..given() }).contains("--lr"));
    assert!(fails(Given { segments: Some(4), ..given() }).contains("--segments 4 is not between 1 and 3"));
    assert!(fails(Given { warm_up: Some(501.), ..given() }).contains("--warm-up"));
    assert!(fails(Given { partial_bn: Some(true), ..given() }).contains("--weights is none"));
    let weights = Some("w".into());
    let precise = Given { weights, partial_bn: Some(true), precise_bn: Some(9), ..given() };
    assert!(fails(precise).contains("--precise-bn 0"));
    assert!(fails(Given { color_jitter: Some(1.5), ..given() }).contains("--color-jitter 1.5"));
    let dropout = Given { frame_dropout: Some(1.0), ..given() };
    assert!(fails(dropout).contains("--frame-dropout 1 is not between 0 and 0.99"));
    assert!(fails(Given { mixup: Some(-0.1), ..given() }).contains("--mixup -0.1 is not between 0 and 100"));
    assert!(fails(Given { cutmix: Some(101.0), ..given() }).contains("--cutmix 101 is not between 0 and 100"));
    let deep = Given { stochastic_depth: Some(1.0), ..given() };
    assert!(fails(deep).contains("--stochastic-depth 1 is not between 0 and 0.9"));
    let shifted = |segments, test_samples| Given {
        temporal_shift: Some(true),
        segments: Some(segments),
        test_samples: Some(test_samples),
        ..given()
    };
    assert!(fails(shifted(1, 19)).contains("--segments 1 is less than 2, which a temporal shift needs"));
    assert!(fails(shifted(3, 19)).contains("--test-samples 19 is not a multiple of segments 3"));
    assert!(shifted(3, 18).complete(Stream::Spatial, false).unwrap().view.temporal_shift);
    let swa = |epochs| Given { swa: Some(epochs), epochs: Some(8), ..given() };
    assert!(fails(swa(1)).contains("--swa 1 averages nothing"));
    assert!(fails(swa(9)).contains("--swa 9 is more than --epochs 8"));
    assert!(fails(swa(2)).contains("add --precise-bn 1000"));
    assert!(fails(Given { ema: Some(0.9), precise_bn: Some(9), ..swa(2) }).contains("--swa and --ema exclude"));
    let frozen = Given { partial_bn: Some(true), weights: Some("w".into()), ..swa(2) };
    assert!(fails(frozen).contains("--partial-bn freezes them"));
    let alone = Given { cutmix: Some(1.0), batch_size: Some(1), ..given() };
    assert!(fails(alone).contains("each batch has one clip"));
    let parts = |accumulate| Given { accumulate: Some(accumulate), batch_size: Some(12), ..given() };
    assert!(fails(parts(5)).contains("--batch-size 12 cannot be split into 5 equal micro-batches"));
    assert!(fails(parts(5)).ends_with("use --batch-size 10 or 15"));
    assert!(fails(parts(0)).ends_with("use 1 or more") && fails(parts(13)).ends_with("use --batch-size 13"));
    assert!(fails(Given { mixup: Some(0.2), ..parts(12) }).contains("each micro-batch has one clip"));
    assert_eq!(parts(4).complete(Stream::Spatial, false).unwrap().micro_batch(), 3);
    assert!(fails(Given { arch: Some("vgg".into()), ..given() }).contains("resnet152"));
    assert!(fails(Given { stream: Some(Stream::Temporal), ..given() }).contains("ucftrain temporal"));
    assert!(fails(Given { val_share: Some(0.95), ..given() }).contains("--val-share 0.95 is not between 0 and 0.9"));
    let twice = Given { val_share: Some(0.1), val_groups: Some(vec!["g01".into()]), ..given() };
    assert!(fails(twice).contains("--val-share and --val-groups exclude each other"));
    assert!(toml::from_str::<Given>("learning-rate = 1").is_err());
}

#[test]
fn changes_of_views_work_only_on_the_streams_that_have_them() {
    let fails = |stream, given: Given| given.complete(stream, false).unwrap_err().to_string();
    let augment = || Given { trivial_augment: Some(true), ..given() };
    let dropout = || Given { frame_dropout: Some(0.1), ..given() };
    let settings = augment().complete(Stream::Spatial, false).unwrap();
    assert!(settings.trivial_augment && settings.to_toml().unwrap().contains("\ntrivial-augment = true\n"));
    let toml = dropout().complete(Stream::Temporal, false).unwrap().to_toml().unwrap();
    assert!(toml.contains("\nframe-dropout = 0.1\n"), "{toml}");
    for stream in [Stream::Temporal, Stream::Difference] {
        assert!(fails(stream, augment()).contains("--trivial-augment applies to the spatial stream only"));
    }
    for stream in [Stream::Spatial, Stream::Difference] {
        assert!(fails(stream, dropout()).contains("--frame-dropout applies to the temporal stream only"));
    }
    assert!(fails(Stream::Temporal, Given { stack: Some(1), ..dropout() }).contains("--stack is 1"));
    // Settings of older versions have neither.
    let plain = given().complete(Stream::Spatial, false).unwrap();
    let toml = plain.to_toml().unwrap();
    assert!(!toml.contains("trivial-augment") && !toml.contains("frame-dropout"), "{toml}");
    assert_eq!(Given::from_toml(&toml).unwrap().complete(Stream::Spatial, false).unwrap(), plain);
}

#[test]
fn lists_on_the_command_line_may_have_spaces_after_their_commas() {
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        given: Given,
    }
    let line = ["ucftrain", "--val-groups", "g08, g09", "--milestones", "20, 30.5"];
    let given = Program::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).given;
    assert_eq!(given.val_groups.unwrap(), ["g08", "g09"]);
    assert_eq!(given.milestones.unwrap(), [20.0, 30.5]);
}

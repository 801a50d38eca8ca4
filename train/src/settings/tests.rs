//! Tests of settings from defaults, files and the command line.

use super::{Given, Recipe};
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
    assert!(fails(Given { lr: Some(f64::NAN), ..given() }).contains("--lr"));
    assert!(fails(Given { segments: Some(4), ..given() }).contains("--segments 4 is not between 1 and 3"));
    assert!(fails(Given { warm_up: Some(501.), ..given() }).contains("--warm-up"));
    assert!(fails(Given { partial_bn: Some(true), ..given() }).contains("--weights is none"));
    let weights = Some("w".into());
    let precise = Given { weights, partial_bn: Some(true), precise_bn: Some(9), ..given() };
    assert!(fails(precise).contains("--precise-bn 0"));
    assert!(fails(Given { color_jitter: Some(1.5), ..given() }).contains("--color-jitter 1.5"));
    assert!(fails(Given { arch: Some("vgg".into()), ..given() }).contains("resnet152"));
    assert!(fails(Given { stream: Some(Stream::Temporal), ..given() }).contains("ucftrain temporal"));
    assert!(toml::from_str::<Given>("learning-rate = 1").is_err());
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

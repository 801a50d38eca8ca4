//! The settings of a run that decide its group.

use crate::report::run::Run;
use crate::settings::{Given, Recipe, Settings, shown};
use crate::stream::Stream;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Settings in which the runs of a group may differ: the clips and the random choices, the place of
/// the data, the speed, and the files that a run keeps.
const FREE: [&str; 10] = [
    "stream",
    "seed",
    "split",
    "data",
    "device",
    "threads",
    "deterministic",
    "checkpoint-minutes",
    "keep-epochs",
    "skip-damaged",
];

/// Name of the recipe among the settings.
pub const RECIPE: &str = "recipe";
const VAL_GROUPS: &str = "val-groups";
const WEIGHTS: &str = "weights";

/// Values by the name of their option, as they are written on the command line.
pub type Options = BTreeMap<String, String>;

/// Returns the settings that decide a run's group. Returns none if neither `config.toml` nor the
/// checkpoint has settings.
pub fn deciding(run: &Run) -> Option<Options> {
    let all = all(run)?;
    if all.is_empty() {
        return None;
    }
    let kept = all.into_iter().filter(|(option, value)| !FREE.contains(&option.as_str()) && !value.is_null());
    Some(kept.map(|(option, value)| (option.clone(), text(&option, &value))).collect())
}

/// Returns the defaults of a run's recipe for its stream, without those that do not decide the
/// group.
pub fn defaults(run: &Run) -> Options {
    let recipe = all(run).and_then(|all| serde_json::from_value(all.get(RECIPE)?.clone()).ok());
    let (Some(recipe), Some(stream)) = (recipe, run.stream()) else { return Options::new() };
    of_recipe(recipe, stream).into_iter().map(|(option, value)| (option.clone(), text(&option, &value))).collect()
}

/// Returns the seed of a run, if its settings are known.
pub fn seed(run: &Run) -> Option<String> {
    all(run)?.get("seed").map(|seed| shown(Some(seed)))
}

/// Returns the whole path of the weights that a run started from.
pub fn weights(run: &Run) -> Option<String> {
    all(run)?.get(WEIGHTS).map(|weights| shown(Some(weights)))
}

/// Returns all settings of a run. A setting that did not exist when the run was made has the value
/// that stands for its absence, and one that a short configuration lacks the recipe's default.
fn all(run: &Run) -> Option<Map<String, Value>> {
    let complete = || toml::from_str::<Settings>(run.config.as_deref()?).ok();
    if let Some(settings) = complete() {
        return object(serde_json::to_value(settings));
    }
    if let Some(given) = run.settings.as_ref().filter(|given| **given != Given::default()) {
        let mut all =
            run.stream().map_or_else(Map::new, |stream| of_recipe(given.recipe.unwrap_or(Recipe::Seed), stream));
        all.extend(object(serde_json::to_value(given))?.into_iter().filter(|(_, value)| !value.is_null()));
        return Some(all);
    }
    object(serde_json::to_value(run.state.as_ref()?.settings.as_ref()?))
}

fn of_recipe(recipe: Recipe, stream: Stream) -> Map<String, Value> {
    object(serde_json::to_value(recipe.defaults(stream))).unwrap_or_default()
}

fn object(value: serde_json::Result<Value>) -> Option<Map<String, Value>> {
    match value {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// Formats a value. Of weights, only the file's name counts, and of the groups of val clips only
/// their number, because both can depend on the split.
fn text(option: &str, value: &Value) -> String {
    match (option, value) {
        (WEIGHTS, Value::String(path)) => path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned(),
        (VAL_GROUPS, Value::Array(groups)) => groups.len().to_string(),
        _ => shown(Some(value)),
    }
}

/// Describes a group in a few words: its recipe, then the settings among `differing` that are not
/// the recipe's defaults.
pub fn words(options: &Options, defaults: &Options, differing: &[&String]) -> Vec<String> {
    let recipe = options.get(RECIPE).map_or("no recipe", String::as_str);
    let others = differing.iter().filter(|option| **option != RECIPE);
    let changed = others.map(|&option| (option, options.get(option))).filter(|(option, v)| *v != defaults.get(*option));
    std::iter::once(recipe.to_owned()).chain(changed.map(|(option, value)| in_words(option, value))).collect()
}

fn in_words(option: &str, value: Option<&String>) -> String {
    match (option, value.map(String::as_str)) {
        (VAL_GROUPS, Some("1")) => "1 val group".to_owned(),
        (VAL_GROUPS, Some(groups)) => format!("{groups} val groups"),
        (WEIGHTS, Some("none")) => "no weights".to_owned(),
        (_, Some("true")) => option.to_owned(),
        (_, Some("false") | None) => format!("no {option}"),
        (_, Some(value)) => format!("{option} {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_words_are_the_recipe_and_what_differs_from_it() {
        let defaults = options(&[("recipe", "tsn"), ("flip", "true"), ("ema", "0"), ("lr", "0.002"), ("warm-up", "1")]);
        let changed = options(&[
            ("recipe", "tsn"),
            ("flip", "false"),
            ("ema", "0.99"),
            ("lr", "0.002"),
            ("partial-bn", "true"),
            ("val-groups", "2"),
        ]);
        let all = ["ema", "flip", "lr", "partial-bn", "recipe", "val-groups", "warm-up"].map(String::from);
        let differing: Vec<&String> = all.iter().collect();
        assert_eq!(
            words(&changed, &defaults, &differing).join(", "),
            "tsn, ema 0.99, no flip, partial-bn, 2 val groups, no warm-up"
        );
        assert_eq!(words(&defaults, &defaults, &differing), ["tsn"]);
        assert_eq!(words(&changed, &defaults, &differing[..1]), ["tsn", "ema 0.99"], "others do not differ");
        assert_eq!(words(&options(&[("lr", "1")]), &options(&[]), &differing), ["no recipe", "lr 1"]);
    }

    #[test]
    fn values_that_depend_on_the_split_do_not_part_its_runs() {
        assert_eq!(text(WEIGHTS, &"runs/spatial-1/best.safetensors".into()), "best.safetensors");
        assert_eq!(text(VAL_GROUPS, &serde_json::json!(["g04", "g05"])), "2");
        assert_eq!(text("lr", &serde_json::json!(1e-4)), "0.0001");
        assert_eq!(text("epochs", &serde_json::json!(40)), "40");
    }
}

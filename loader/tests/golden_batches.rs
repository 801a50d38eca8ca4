//! The bytes of batches of the golden dataset of the format.
//!
//! `python/tests/test_loader.py` has the same numbers, so the Python package makes the same batches.

#[path = "../examples/batches.rs"]
#[allow(dead_code, reason = "the example is a program")]
mod batches;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shard/tests/golden");

#[test]
fn batches_of_the_golden_dataset_have_known_bytes() {
    let views = ["rgb:1:10:random:flip", "flow:2:9:corners:flip"];
    let arguments = [&[GOLDEN, "1", "train", "7", "6", "6", "4"][..], &views].concat();
    assert_eq!(batches::lines(&arguments).unwrap_or_default(), ["0,0,0,0 ee994be0 0ef5eddf", "0,0 dad99396 1ec949cb"]);
    let arguments = [GOLDEN, "1", "test", "18446744073709551615", "0", "3", "2", "rgb:4:12:random-resized"];
    assert_eq!(batches::lines(&arguments).unwrap_or_default(), ["1,1 612e4ddb", "1 fcf16c30"]);
}

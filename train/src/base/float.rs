//! JSON numbers that may be NaN or infinite, for `#[serde(with = "crate::base::float")]`. JSON has
//! no such numbers, so they are written as the texts `NaN`, `Infinity` and `-Infinity`. Earlier
//! versions wrote `null` for all three; it is read as NaN.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

/// Writes a number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        value if value.is_finite() => serializer.serialize_f64(value),
        value if value.is_nan() => serializer.serialize_str("NaN"),
        value => serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// Reads a number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(Number)
}

struct Number;

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}

/// The same functions for an optional number; `null` is `None`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super")] f64);

    /// Writes a number, or `null` for `None`.
    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    /// Reads a number, or `None` for `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super")]
        value: f64,
        #[serde(with = "super::option")]
        perhaps: Option<f64>,
    }

    #[test]
    fn every_number_is_read_as_it_was_written() {
        let values = [0.0, -0.0, 0.1 + 0.2, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 3.0];
        let texts = [
            "0.0",
            "-0.0",
            "0.30000000000000004",
            "1e+300",
            "5e-324",
            "\"Infinity\"",
            "\"-Infinity\"",
            "\"NaN\"",
            "3.0",
        ];
        for (value, text) in values.into_iter().zip(texts) {
            let json = serde_json::to_string(&Both { value, perhaps: Some(value) }).unwrap();
            assert_eq!(json, format!("{{\"value\":{text},\"perhaps\":{text}}}"));
            let Both { value: found, perhaps } = serde_json::from_str(&json).unwrap();
            assert_eq!((found.to_bits(), perhaps.unwrap().to_bits()), (value.to_bits(), value.to_bits()));
        }
    }

    #[test]
    fn null_of_earlier_versions_is_read_as_nan_and_other_texts_are_refused() {
        let Both { value, perhaps } = serde_json::from_str(r#"{"value":null,"perhaps":null}"#).unwrap();
        assert!(value.is_nan() && perhaps.is_none());
        let Both { value, perhaps } = serde_json::from_str(r#"{"value":7,"perhaps":-7}"#).unwrap();
        assert_eq!((value.to_bits(), perhaps.unwrap().to_bits()), (7.0_f64.to_bits(), (-7.0_f64).to_bits()));
        let error = serde_json::from_str::<Both>(r#"{"value":"nan","perhaps":null}"#).err().unwrap().to_string();
        assert!(error.contains("expected a number, \"NaN\""), "{error}");
    }
}

//! Reading of JSON values where serde would accept more than the format allows.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

/// Reads a value that may be absent, but is not null. The field needs `default` too.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads an object whose keys are names. No name may occur twice.
pub(crate) fn unique_names<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Names<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with a value per name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut names = BTreeMap::new();
            while let Some((name, value)) = entries.next_entry::<String, T>()? {
                match names.entry(name) {
                    Entry::Vacant(place) => _ = place.insert(value),
                    Entry::Occupied(known) => {
                        return Err(A::Error::custom(format_args!("{:?} occurs twice", known.key())));
                    }
                }
            }
            Ok(names)
        }
    }

    deserializer.deserialize_map(Names(PhantomData))
}

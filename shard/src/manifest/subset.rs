//! The use of a clip in a split.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The use of a clip in one split.
///
/// In the files a subset is a name. A program treats a name that it does not know as unused, and
/// keeps the name when it copies the clip.
///
/// # Example
///
/// ```
/// use clipshard::Subset;
///
/// assert_eq!(Subset::from("val"), Subset::Val);
/// assert_eq!(Subset::from("test-hard").name(), "test-hard");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subset {
    /// A training clip.
    Train,
    /// A validation clip, which chooses between epochs or settings.
    Val,
    /// A test clip.
    Test,
    /// A clip that the split does not use.
    Unused,
    /// A subset with a name of its own, of 1 to 255 bytes. Create it with [`Subset::from`], so that
    /// it is not one of the other subsets by another way.
    Other(Box<str>),
}

impl Subset {
    /// Returns the name in the files, such as `train`.
    pub fn name(&self) -> &str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::Unused => "unused",
            Self::Other(name) => name,
        }
    }

    /// Checks the length of the name.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Other(name) if name.is_empty() || name.len() > 255 => {
                Err(format!("the name of a subset has {} bytes, not 1 to 255", name.len()))
            }
            _ => Ok(()),
        }
    }
}

impl From<&str> for Subset {
    fn from(name: &str) -> Self {
        match name {
            "train" => Self::Train,
            "val" => Self::Val,
            "test" => Self::Test,
            "unused" => Self::Unused,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Subset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Subset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Subset;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a subset")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Subset, E> {
                Ok(name.into())
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

//! Messages that contain names of settings, which a program can replace.

use std::fmt;

use super::setting::Setting;

/// A message of text and settings.
///
/// ```
/// use ucfpack::{Problem, Setting};
///
/// let problem = Problem::from("set.shards is not empty; replace it with ").name(Setting::Overwrite);
/// assert_eq!(problem.to_string(), "set.shards is not empty; replace it with `overwrite`");
/// assert_eq!(problem.named(&|_| "--force".into()), "set.shards is not empty; replace it with --force");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(Setting),
}

/// Returns the name of a setting in messages.
pub(super) type Names<'a> = &'a dyn Fn(Setting) -> String;

impl Problem {
    /// Adds text.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    /// Adds the name of a setting.
    #[must_use]
    pub fn name(mut self, setting: Setting) -> Self {
        self.pieces.push(Piece::Name(setting));
        self
    }

    /// Adds another message.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// Returns the settings that the message names, in order.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Name(setting) => Some(*setting),
        })
    }

    /// Returns the message with other names for the settings.
    pub fn named(&self, names: &dyn Fn(Setting) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(setting) => names(*setting),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Name(setting) => write!(f, "{setting}"),
        })
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { pieces: vec![Piece::Text(text)] }
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Setting> for Problem {
    fn from(setting: Setting) -> Self {
        Self { pieces: vec![Piece::Name(setting)] }
    }
}

//! Members as programs dump them: null where nothing was set, numbers where names are asked for.

use serde::{Deserialize, Deserializer};

/// A name, or what some writers put in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
}

impl From<Word> for String {
    fn from(word: Word) -> String {
        match word {
            Word::Text(text) => text,
            Word::Whole(number) => number.to_string(),
            Word::Real(number) => number.to_string(),
            Word::Flag(flag) => flag.to_string(),
        }
    }
}

/// A string; numbers and booleans are taken as they are written.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Word::deserialize(from).map(String::from)
}

/// The same where null stands for nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Word>::deserialize(from)?.map(String::from))
}

/// A list; null is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

//! Holds each answer against the first one of its object (tag and size), so that bytes of two versions are never mixed.
//! An object that is replaced during a run is an error.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use object_store::path::Path;

use super::failure::Failure;
use crate::storage::StoreError;

/// Objects that are kept in mind.
const MOST: usize = 64;

/// What tells one object from another under the same key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Like {
    pub tag: Option<String>,
    /// Size of the whole, where that is told.
    pub bytes: Option<u64>,
}

/// The objects that were asked for last.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<(Path, Like)>);

impl Like {
    /// Weak tags, and those that are missing, tell nothing.
    fn is_other(&self, other: &Like) -> bool {
        let strong = |like: &Like| like.tag.clone().filter(|tag| !tag.starts_with("W/"));
        let tags = strong(self).zip(strong(other)).is_some_and(|(a, b)| a != b);
        let sizes = self.bytes.zip(other.bytes).is_some_and(|(a, b)| a != b);
        tags || sizes
    }

    fn name(&self) -> String {
        let bytes = self.bytes.map_or("bytes of unknown number".into(), |bytes| format!("{bytes} bytes"));
        self.tag.as_ref().map_or(bytes.clone(), |tag| format!("{bytes} with the tag {tag}"))
    }
}

/// # Errors
///
/// An answer that is of another object than the first one under this key.
pub(super) fn hold(seen: &Mutex<Seen>, key: &Path, like: Like) -> Result<(), Failure> {
    let mut seen = locked(seen);
    if let Some((_, first)) = seen.0.iter().find(|(known, _)| known == key) {
        if first.is_other(&like) {
            let what = format!("it was {} at first, and now is {}", first.name(), like.name());
            return Err(Failure::Final(StoreError::Remote { what, attempts: 1, seconds: 0.0 }));
        }
        return Ok(());
    }
    seen.0.truncate(MOST - 1);
    seen.0.push_front((key.clone(), like));
    Ok(())
}

/// For a key that this process is about to change.
pub(super) fn forget(seen: &Mutex<Seen>, key: &Path) {
    locked(seen).0.retain(|(known, _)| known != key);
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(tag: &str, bytes: u64) -> Like {
        Like { tag: (!tag.is_empty()).then(|| tag.to_string()), bytes: (bytes > 0).then_some(bytes) }
    }

    #[test]
    fn another_object_is_told_by_tag_and_size() {
        let (seen, key) = (Mutex::default(), Path::from("a/b"));
        let is_held = |like| hold(&seen, &key, like).is_ok();
        assert!(is_held(like("\"1\"", 10)) && is_held(like("\"1\"", 10)));
        assert!(!is_held(like("\"2\"", 10)) && !is_held(like("\"1\"", 11)));
        assert!(is_held(like("", 0)) && is_held(like("W/\"2\"", 10)));
        assert!(hold(&seen, &Path::from("a/c"), like("\"2\"", 11)).is_ok());
        forget(&seen, &key);
        assert!(is_held(like("\"2\"", 11)) && !is_held(like("\"1\"", 10)));
        for n in 0..200 {
            hold(&seen, &Path::from(n.to_string()), like("", 1)).unwrap_or_else(|_| panic!("{n} is new"));
        }
        assert_eq!(seen.lock().unwrap().0.len(), MOST);
    }
}

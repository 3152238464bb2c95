//! The identity of a job: everything that decides the bytes of its target. A run resumes only work of its own job.

use serde::{Deserialize, Serialize};

/// Named values; two jobs with equal ones make the same bytes. Memory, threads and ranks are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    values: Vec<(String, String)>,
}

impl Identity {
    /// Adds one property of the job; `name` says which one differs, should another job be found.
    pub fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.values.push((name.into(), value.to_string()));
    }

    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// All names with their values.
    pub fn into_values(self) -> Vec<(String, String)> {
        self.values
    }

    /// As it is kept in a file.
    pub fn note(&self) -> Vec<u8> {
        // Strings alone: this cannot fail.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// The [`digest`] of the values.
    pub fn fingerprint(&self) -> String {
        let text = self.values.iter().fold(String::new(), |text, (name, value)| text + name + "\0" + value + "\0");
        digest(text.as_bytes())
    }

    /// What differs in `other`, by name, with this value and the other one; `None` where nothing does.
    pub fn difference(&self, other: &Identity) -> Option<String> {
        let find = |values: &[(String, String)], name: &str| {
            values.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        let names = self.values.iter().chain(&other.values).map(|(name, _)| name);
        for name in names {
            let (here, there) = (find(&self.values, name), find(&other.values, name));
            if here != there {
                let say = |value: Option<String>| value.map_or("nothing".into(), |value| shortened(&value));
                return Some(format!("{name}: {}, and now {}", say(here), say(there)));
            }
        }
        None
    }
}

/// Sixteen hexadecimal digits: to tell things apart, not to keep anybody from forging one.
pub fn digest(bytes: &[u8]) -> String {
    format!("{:08x}{:08x}", crc32fast::hash(bytes), crc32c::crc32c(bytes))
}

/// Long values by their beginning.
fn shortened(value: &str) -> String {
    const MOST: usize = 160;
    if value.chars().count() <= MOST { value.into() } else { value.chars().take(MOST).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(values: &[(&str, &str)]) -> Identity {
        let mut identity = Identity::default();
        values.iter().for_each(|(name, value)| identity.add(*name, value));
        identity
    }

    #[test]
    fn differences_are_named() {
        let a = identity(&[("input", "x"), ("spacing", "1")]);
        assert_eq!(a.difference(&a.clone()), None);
        let b = identity(&[("input", "x"), ("spacing", "0.4")]);
        assert_eq!(a.difference(&b).unwrap(), "spacing: 1, and now 0.4");
        assert_eq!(a.difference(&identity(&[("input", "x")])).unwrap(), "spacing: 1, and now nothing");
        assert_eq!(identity(&[]).difference(&identity(&[("level", "2")])).unwrap(), "level: nothing, and now 2");
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.fingerprint().len(), 16);
    }
}

//! Which share of a target a process makes.

use serde::Serialize;

/// Share number `index`, from 0, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rank {
    pub index: u64,
    pub of: u64,
}

impl Rank {
    /// The only one.
    pub const WHOLE: Rank = Rank { index: 0, of: 1 };
}

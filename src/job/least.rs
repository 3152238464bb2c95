//! The smallest budget with which a whole job can be planned, for its refusal.
//!
//! A refused plan names what its own pass needs, by a search with bounds. A job may have several passes and several routes, so the
//! named budget is tried with all of it: raised until the job can be planned, and lowered until four fifths of it are refused.

use crate::{
    error::{Error, PlanError, Result, mebibytes},
    plan::Effort,
};

/// Budgets that are tried.
const MOST_TRIES: usize = 16;
/// Larger ones, and those of many times the one that was given, are not: a plan makes tables, which are held against its budget.
const MOST_TRIED_BYTES: u64 = 1 << 30;
const MOST_TIMES: u64 = 4;
/// By so much, sixteenths of it, a budget is raised that was named and does not do; twice that at the next time.
const FIRST_RAISE: u64 = 1;
/// What another process may have more or less before it plans.
const JITTER_BYTES: u64 = 256 << 10;

/// The refusal `error` with the smallest budget that `plan` accepts, starting with what `error` names; errors of other kinds as they
/// are.
pub(super) fn named(error: Error, plan: impl Fn(u64, Effort) -> Result<()>) -> Error {
    let Error::Plan(PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks, .. }) = error
    else {
        return error;
    };
    let most = MOST_TRIED_BYTES.max(memory_bytes.saturating_mul(MOST_TIMES));
    let mut search = Search { refused: memory_bytes, needed: smallest_bytes, block, window_bytes, tries: 0 };
    if search.raise(most, &plan) {
        search.lower(&plan);
    }
    let Search { needed: smallest_bytes, block, window_bytes, .. } = search;
    PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks, instead: None }.into()
}

struct Search {
    /// A budget that was refused.
    refused: u64,
    /// What is needed, so far: what is named of it has something to spare.
    needed: u64,
    block: [u64; 3],
    window_bytes: u64,
    tries: usize,
}

impl Search {
    /// Raises what is needed until it can be planned with; `false` where that was not found.
    fn raise(&mut self, most: u64, plan: &impl Fn(u64, Effort) -> Result<()>) -> bool {
        let mut raise = FIRST_RAISE;
        while self.tries < MOST_TRIES && named_bytes(self.needed) <= most {
            self.tries += 1;
            let (more, block, window) = match plan(self.needed, Effort::Full) {
                Err(Error::Plan(PlanError::TooSmall { smallest_bytes, block, window_bytes, .. })) => {
                    (smallest_bytes, block, window_bytes)
                }
                Ok(()) => return true,
                Err(_) => return false,
            };
            (self.block, self.window_bytes) = (block, window);
            self.refused = self.refused.max(self.needed);
            self.needed = more.max(self.needed.saturating_add(self.needed / 16 * raise));
            raise *= 2;
        }
        false
    }

    /// Lowers what is needed until four fifths of what is named are refused.
    fn lower(&mut self, plan: &impl Fn(u64, Effort) -> Result<()>) {
        while self.tries < MOST_TRIES {
            self.tries += 2;
            let fifths = named_bytes(self.needed) / 5 * 4 + JITTER_BYTES;
            if fifths <= self.refused || plan(fifths, Effort::Fits).is_err() {
                return;
            }
            let halfway = ((fifths as f64) * (self.refused.max(1) as f64)).sqrt() as u64;
            match plan(halfway, Effort::Fits) {
                Ok(()) => self.needed = halfway,
                Err(_) => (self.refused, self.needed) = (self.refused.max(halfway), fifths),
            }
        }
    }
}

/// The budget that is named where so much is needed.
pub(super) fn named_bytes(needed: u64) -> u64 {
    mebibytes(needed) << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn refusal(smallest_bytes: u64) -> Error {
        PlanError::TooSmall {
            memory_bytes: 8 * MIB,
            smallest_bytes,
            block: [1; 3],
            window_bytes: 0,
            has_chunks: false,
            instead: None,
        }
        .into()
    }

    fn smallest(error: &Error) -> u64 {
        let Error::Plan(PlanError::TooSmall { smallest_bytes, .. }) = error else { panic!("{error:?}") };
        *smallest_bytes
    }

    #[test]
    fn what_is_named_is_what_the_last_pass_needs() {
        // The first pass needs 20 MiB, the second 30, the third 50.
        let plan =
            |memory_bytes: u64, _: Effort| match [20, 30, 50].into_iter().find(|needed| needed * MIB > memory_bytes) {
                Some(needed) => Err(refusal(needed * MIB)),
                None => Ok(()),
            };
        let named = named(refusal(20 * MIB), plan);
        assert_eq!(smallest(&named), 50 * MIB);
        assert!(named.hint().unwrap().contains("--memory 56MiB"));
    }

    #[test]
    fn what_is_named_is_lowered_until_four_fifths_are_refused() {
        for least in [14, 15, 17, 23, 41, 97, 400] {
            for told in [14, 30, 99, 900] {
                let tries = std::cell::Cell::new(0);
                let plan = |memory_bytes: u64, _: Effort| {
                    tries.set(tries.get() + 1);
                    if memory_bytes < least * MIB { Err(refusal(told * MIB)) } else { Ok(()) }
                };
                let named = mebibytes(smallest(&named(refusal(told * MIB), plan)));
                assert!(named >= least && named * 4 / 5 < least, "{named} named, {least} do");
                assert!(tries.get() <= 16, "{} tries", tries.get());
            }
        }
    }

    #[test]
    fn a_plan_that_names_what_it_refuses_is_given_more() {
        let plan = |memory_bytes: u64, _: Effort| if memory_bytes < 40 * MIB { Err(refusal(20 * MIB)) } else { Ok(()) };
        let found = smallest(&named(refusal(20 * MIB), plan));
        assert!((33 * MIB..42 * MIB).contains(&found), "{found}");
        let huge = named(refusal(1 << 40), |_, _| panic!("not to be tried"));
        assert_eq!(smallest(&huge), 1 << 40);
    }
}

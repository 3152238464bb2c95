//! The smallest budget with which a whole job can be planned, for its refusal.
//!
//! A refused plan names what its own pass needs. A job may have several passes and several routes, so the named budget is
//! tried, and raised until the whole job can be planned.

use crate::error::{Error, PlanError, Result, mebibytes};

/// Budgets that are tried.
const MOST_TRIES: usize = 8;
/// Larger ones, and those of many times the one that was given, are not: a plan makes tables, which are held against its budget.
const MOST_TRIED_BYTES: u64 = 1 << 30;
const MOST_TIMES: u64 = 4;

/// The refusal `error` with the smallest budget that `plan` accepts, starting with what `error` names; errors of other kinds as they
/// are.
pub fn named(error: Error, plan: impl Fn(u64) -> Result<()>) -> Error {
    let Error::Plan(PlanError::TooSmall { memory_bytes, mut smallest_bytes, mut block, mut window_bytes, has_chunks }) =
        error
    else {
        return error;
    };
    for _ in 0..MOST_TRIES {
        let tried = mebibytes(smallest_bytes) << 20;
        if tried > MOST_TRIED_BYTES.max(memory_bytes.saturating_mul(MOST_TIMES)) {
            break;
        }
        let Err(Error::Plan(PlanError::TooSmall { smallest_bytes: more, block: other, window_bytes: window, .. })) =
            plan(tried)
        else {
            break;
        };
        smallest_bytes = if more > smallest_bytes { more } else { tried.saturating_add(tried / 16) };
        (block, window_bytes) = (other, window);
    }
    PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn refusal(smallest_bytes: u64) -> Error {
        PlanError::TooSmall { memory_bytes: 8 * MIB, smallest_bytes, block: [1; 3], window_bytes: 0, has_chunks: false }
            .into()
    }

    fn smallest(error: &Error) -> u64 {
        let Error::Plan(PlanError::TooSmall { smallest_bytes, .. }) = error else { panic!("{error:?}") };
        *smallest_bytes
    }

    #[test]
    fn what_is_named_is_what_the_last_pass_needs() {
        // The first pass needs 20 MiB, the second 30, the third 50.
        let plan = |memory_bytes: u64| match [20, 30, 50].into_iter().find(|needed| needed * MIB > memory_bytes) {
            Some(needed) => Err(refusal(needed * MIB)),
            None => Ok(()),
        };
        let named = named(refusal(20 * MIB), plan);
        assert_eq!(smallest(&named), 50 * MIB);
        assert!(named.hint().unwrap().contains("--memory 56MiB"));
    }

    #[test]
    fn a_plan_that_names_what_it_refuses_is_given_more() {
        let plan = |memory_bytes: u64| if memory_bytes < 40 * MIB { Err(refusal(20 * MIB)) } else { Ok(()) };
        let found = smallest(&named(refusal(20 * MIB), plan));
        assert!((33 * MIB..42 * MIB).contains(&found), "{found}");
        let huge = named(refusal(1 << 40), |_| panic!("not to be tried"));
        assert_eq!(smallest(&huge), 1 << 40);
    }
}

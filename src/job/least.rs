//! The smallest budget that a whole job can be planned with: what a refusal names.
//!
//! A plan names what its own pass needs. A job may have several passes, and several ways; so what was named is tried until all of
//! it can be planned.

use crate::{
    error::{Error, Result},
    plan::{PlanError, mebibytes},
};

/// Budgets that are tried.
const MOST_TRIES: usize = 8;

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

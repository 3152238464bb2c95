//! What more memory, or a little less, would buy.

use serde::Serialize;

use super::{Budget, Effort, Plan, Request};
use crate::{error::PlanError, layout::Access};

/// Doublings of the budget that are told at most.
const MOST_DOUBLINGS: u32 = 6;
/// The same where schedules are so long that they are sampled.
const MOST_SAMPLED_DOUBLINGS: u32 = 2;
/// Doublings in a row that buy next to nothing.
const MOST_IDLE: u32 = 2;
/// What is left of the amplification, or of how often voxels are fetched, where a doubling buys something.
const WORTH_TELLING: f64 = 0.995;
/// Times that a voxel may be fetched before it is told what would make them fewer.
const GOOD_FETCH: f64 = 4.0;

/// A budget and what its plan would decode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Offer {
    pub memory_bytes: u64,
    /// Whether there is a plan.
    pub fits: bool,
    /// Chunk decodes over chunks touched.
    pub amplification: Option<f64>,
    /// How often each voxel of the source is fetched: see [`Plan::fetch_ratio`].
    pub fetch_ratio: Option<f64>,
    /// The part of the projected time that decoding takes.
    pub decode_share: Option<f64>,
    /// Whether the whole schedule was walked; otherwise the figures are about right.
    pub exact: bool,
}

impl Offer {
    fn of(memory_bytes: u64, plan: Option<&Plan>) -> Offer {
        Offer {
            memory_bytes,
            fits: plan.is_some(),
            amplification: plan.map(|plan| plan.totals.amplification()),
            fetch_ratio: plan.map(|plan| plan.fetch_ratio),
            decode_share: plan.map(|plan| plan.decode_share),
            exact: plan.is_none_or(|plan| plan.exact),
        }
    }

    fn could_be_better(&self) -> bool {
        self.amplification.is_none_or(|now| now > 1.0) || self.fetch_ratio.is_none_or(|now| now > GOOD_FETCH)
    }

    fn is_better_than(&self, other: &Offer) -> bool {
        let less = |now: Option<f64>, before: Option<f64>| {
            now.is_some_and(|now| before.is_none_or(|before| now <= before * WORTH_TELLING))
        };
        less(self.amplification, other.amplification) || less(self.fetch_ratio, other.fetch_ratio)
    }
}

impl Plan {
    /// Whether voxels are fetched so many times that more memory may make the run much faster.
    pub fn fetches_often(&self) -> bool {
        self.fetch_ratio > GOOD_FETCH
    }
}

/// Offers by ascending memory: the smallest budget that works, half of the one given, that one, and its doubles until every
/// chunk is decoded once and next to no voxel is fetched many times, or two doublings have bought nothing. Nothing where no chunk is
/// ever decoded twice and voxels are not fetched many times.
pub(super) fn offers(request: &Request<'_>, given: &Plan) -> Vec<Offer> {
    if request.source.access != Access::Chunked && !given.fetches_often() {
        return Vec::new();
    }
    let memory_bytes = request.budget.memory_bytes;
    let with = |memory_bytes| {
        let budget = Budget { memory_bytes, effort: Effort::Estimate, ..request.budget };
        let plan = Plan::new(&Request { budget, ..*request });
        Offer::of(memory_bytes, plan.ok().as_ref())
    };
    let mut offers = vec![with(memory_bytes / 2), Offer::of(memory_bytes, Some(given))];
    // Rounded up, it may be more than the half that works as well.
    let least = offers.iter().filter(|offer| offer.fits).map(|offer| offer.memory_bytes).min().unwrap_or(memory_bytes);
    if let Some(smallest_bytes) = smallest(request).filter(|&bytes| bytes < least) {
        offers.push(with(smallest_bytes));
    }
    let (mut last, mut idle) = (Offer::of(memory_bytes, Some(given)), 0);
    let most_doublings = if given.exact { MOST_DOUBLINGS } else { MOST_SAMPLED_DOUBLINGS };
    for doublings in 1..=most_doublings {
        let doubled = memory_bytes.checked_shl(doublings).filter(|doubled| doubled >> doublings == memory_bytes);
        let Some(memory_bytes) = doubled.filter(|_| last.could_be_better() && idle < MOST_IDLE) else { break };
        let offer = with(memory_bytes);
        idle = if offer.is_better_than(&last) { 0 } else { idle + 1 };
        last = if idle == 0 { offer } else { last };
        offers.push(offer);
    }
    offers.sort_by_key(|offer| offer.memory_bytes);
    offers
}

/// The smallest budget that works, in whole mebibytes.
fn smallest(request: &Request<'_>) -> Option<u64> {
    match Plan::new(&Request { budget: Budget { memory_bytes: 0, ..request.budget }, ..*request }) {
        Err(PlanError::TooSmall { smallest_bytes, .. }) => Some(crate::error::mebibytes(smallest_bytes) << 20),
        _ => None,
    }
}

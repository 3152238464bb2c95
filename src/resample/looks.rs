//! Which source indices target indices look at.

use std::ops::Range;

/// What target indices look at, axis by axis.
pub trait Looks: Send + Sync {
    /// The target axis that depends on source axis `s`.
    fn target_axis(&self, s: usize) -> usize;

    /// Target indices that look inside the source, along the target axis of source axis `s`.
    fn inside(&self, s: usize) -> Range<i64>;

    /// Hull of the source indices along source axis `s` that index `i` of its target axis looks at; `i` is inside.
    fn taps(&self, s: usize, i: i64) -> Range<i64>;
}

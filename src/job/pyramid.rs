//! Coarser levels: made with the finest one, from stored levels, or added to an image that is there.

pub(super) mod in_place;
pub(super) mod joined;
pub(super) mod levels;
pub(super) mod paths;

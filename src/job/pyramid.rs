//! Coarser levels: made with the finest one, from stored levels, or added to an image that is there.

pub mod in_place;
pub mod joined;
pub mod levels;
pub mod paths;

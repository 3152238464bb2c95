//! Grids, numbers and sizes in words: those of the library's reports.

pub use reslice::report::words::{bytes, grid, number};

//! How much the search looks at, and what it tries.

/// Chunks looked at in the dry run of the plan that is taken; longer schedules are sampled.
pub(super) const DRY_RUN_LOOKS: u64 = 1_000_000;
/// The same of schedules that are sampled.
pub(super) const SAMPLE_LOOKS: u64 = 400_000;
/// The same for streams, whose plans must hold to the end: a stream cannot be read again.
pub(super) const STREAM_LOOKS: u64 = 50_000_000;
/// The same for each dry run while plans are compared.
pub(super) const TRIAL_LOOKS: u64 = 40_000;
/// The same for all of them together. Where nothing was found to fit by then, only plans are tried that fit for certain.
pub(super) const SEARCH_LOOKS: u64 = 4_000_000;
/// The same for streams, of whose plans only walks can tell that they fit.
pub(super) const STREAM_SEARCH_LOOKS: u64 = 16_000_000;
/// The same where schedules are so long that they are sampled: the first by estimate are as good as any.
pub(super) const SAMPLED_SEARCH_LOOKS: u64 = 500_000;
/// Piece sizes tried, smallest first. Those of some MiB suit the caches, the smaller ones tight budgets, and the largest ops that
/// look far around each voxel.
pub(super) const PIECE_BYTES: [u64; 7] = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];
/// The largest piece of ops that fetch voxels and do nothing else with all of them.
pub(super) const PLAIN_PIECE_BYTES: u64 = 64 << 20;
/// The largest piece where regions are products of intervals, unless it would fetch each voxel more than [`GOOD_FETCH`] times:
/// kernels may look so far that no small piece is good.
pub(super) const PRODUCT_PIECE_BYTES: u64 = 4 << 20;
/// Times that a voxel may be fetched before larger blocks and pieces are tried.
pub(super) const GOOD_FETCH: f64 = 1.5;
/// The most voxels that pieces may fetch for each voxel of source and target. A run that fetches more would take days, and is refused.
pub(super) const MOST_FETCHES: f64 = 4096.0;

//! Refusals.

use bytesize::ByteSize;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Even one worker with the smallest pieces needs more.
    #[error(
        "memory budget {} is too small: one worker needs {} for blocks of {} target voxels{}",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec(), shape(.block),
        detail(.window_bytes)
    )]
    TooSmall {
        memory_bytes: u64,
        /// The smallest budget that works.
        smallest_bytes: u64,
        block: [u64; 3],
        /// The part of it that decoded chunks take.
        window_bytes: u64,
    },

    /// Even the smallest boxes of a comparison, with the chunks they touch, need more.
    #[error(
        "memory budget {} is too small: the comparison needs {} for one box of both volumes and the chunks it touches",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec()
    )]
    ComparisonTooSmall { memory_bytes: u64, smallest_bytes: u64 },

    /// Even one thread that looks at one chunk at a time needs more.
    #[error(
        "memory budget {} is too small: verifying {array} needs {} with one thread, one chunk at a time",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec()
    )]
    VerificationTooSmall { memory_bytes: u64, smallest_bytes: u64, array: String },

    /// The scratch file that would make the plan possible does not fit.
    #[error(
        "a scratch file of {} is needed, {} has {} free",
        ByteSize(*.needed_bytes).display().iec(), .folder, ByteSize(*.free_bytes).display().iec()
    )]
    ScratchTooSmall { needed_bytes: u64, free_bytes: u64, folder: String },
}

impl PlanError {
    /// The smallest budget that works, where it is one that is missing.
    pub(super) fn smallest_bytes(&self) -> u64 {
        match self {
            PlanError::TooSmall { smallest_bytes, .. }
            | PlanError::ComparisonTooSmall { smallest_bytes, .. }
            | PlanError::VerificationTooSmall { smallest_bytes, .. } => *smallest_bytes,
            PlanError::ScratchTooSmall { .. } => u64::MAX,
        }
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PlanError::TooSmall { smallest_bytes, .. } => {
                format!(
                    "use --memory {}MiB or more, or a target with smaller chunks (--chunk)",
                    mebibytes(*smallest_bytes)
                )
            }
            PlanError::ComparisonTooSmall { smallest_bytes, .. }
            | PlanError::VerificationTooSmall { smallest_bytes, .. } => {
                format!("use --memory {}MiB or more", mebibytes(*smallest_bytes))
            }
            PlanError::ScratchTooSmall { .. } => {
                "name a folder with more room by --scratch, or give more --memory".into()
            }
        })
    }
}

/// Rounded up, with one to spare: the next process may be a little larger before it begins.
pub(super) fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20) + 1
}

/// In file order.
fn shape([z, y, x]: &[u64; 3]) -> String {
    format!("{x}x{y}x{z}")
}

fn detail(window_bytes: &u64) -> String {
    match window_bytes {
        0 => String::new(),
        bytes => format!(", {} of it for decoded chunks", ByteSize(*bytes).display().iec()),
    }
}

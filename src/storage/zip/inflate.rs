//! The bytes of a deflated entry, all of them, and no more than the directory says.

use flate2::{Decompress, FlushDecompress, Status};

use super::entry::{Entry, damaged};
use crate::storage::{RangedFile, StoreError, reserve};

/// Compressed bytes that are read at once: of a file, and of a server, where each read is a request.
const STEP_BYTES: u64 = 256 << 10;
const REMOTE_STEP_BYTES: u64 = 4 << 20;
/// Window and tables.
const STATE_BYTES: u64 = 64 << 10;

/// What inflating an entry takes beyond its bytes.
pub(super) fn memory(file: &RangedFile) -> u64 {
    step(file) + STATE_BYTES
}

fn step(file: &RangedFile) -> u64 {
    if file.is_remote() { REMOTE_STEP_BYTES } else { STEP_BYTES }
}

/// Inflates an entry whose compressed bytes begin at `at`; its size was held against a limit.
///
/// # Errors
/// The stream is damaged, cut, or of another length than the directory says.
pub(super) fn inflate(file: &RangedFile, at: u64, entry: &Entry<'_>) -> Result<Vec<u8>, StoreError> {
    let mut raw = reserve(entry.size.saturating_add(1))?;
    let (mut state, mut read) = (Decompress::new(false), 0);
    let is_longer = || damaged(format!("the entry inflates to more than the {} bytes that are stated", entry.size));
    while read < entry.stored {
        let piece = file.read(at + read, step(file).min(entry.stored - read))?;
        read += piece.len() as u64;
        let mut input = &piece[..];
        while !input.is_empty() {
            let before = (state.total_in(), state.total_out());
            let status = state.decompress_vec(input, &mut raw, FlushDecompress::None);
            let status = status.map_err(|error| damaged(format!("the deflate stream is damaged ({error})")))?;
            input = &input[(state.total_in() - before.0) as usize..];
            if raw.len() as u64 > entry.size {
                return Err(is_longer());
            }
            if status == Status::StreamEnd {
                return ended(raw, entry);
            }
            if (state.total_in(), state.total_out()) == before {
                return Err(damaged("the deflate stream does not go on".into()));
            }
        }
    }
    Err(damaged(format!("the deflate stream is cut after {} of {} bytes", raw.len(), entry.size)))
}

fn ended(mut raw: Vec<u8>, entry: &Entry<'_>) -> Result<Vec<u8>, StoreError> {
    if raw.len() as u64 != entry.size {
        return Err(damaged(format!("the entry inflates to {} bytes, and {} are stated", raw.len(), entry.size)));
    }
    raw.shrink_to_fit();
    Ok(raw)
}

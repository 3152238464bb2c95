//! Where a chunk is: the tree of a dataset's chunks, walked from its root for each of them. Nothing of it is held.
//!
//! Source: HDF5 File Format Specification 3.0, "III.A.1. Disk Format: Level 1A1 - Version 1 B-trees", node type 1.

use super::bytes::{Bytes, Fields};
use crate::io::tiff::fault::Fault;

const HEAD_BYTES: u64 = 24;
/// A key has size, filters that were left out, and offsets along each axis and within a sample; the place below follows it.
const fn entry_bytes(rank: usize) -> usize {
    8 + 8 * (rank + 1) + 8
}
/// Entries of one node, at most; HDF5 makes 64.
const MOST_ENTRIES: u16 = 4096;
/// Levels, at most.
const MOST_LEVELS: u8 = 32;
/// Memory of a search.
pub(super) const MEMORY_BYTES: u64 = MOST_ENTRIES as u64 * entry_bytes(3) as u64;

/// Where one chunk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub at: u64,
    pub len: u64,
    /// Bit n: the n-th filter was not applied.
    pub left_out: u32,
}

/// The chunk whose first voxel is `first`; `None` where it was never stored.
///
/// # Errors
/// Damage.
pub(super) fn find<const N: usize>(bytes: &Bytes, root: u64, first: [u64; N]) -> Result<Option<Stored>, Fault> {
    let (mut at, mut above) = (root, None);
    loop {
        let (level, body) = node(bytes, at, above, entry_bytes(N))?;
        let Some((key, below)) = last_up_to(&body, first, at)? else { return Ok(None) };
        if level > 0 {
            (at, above) = (below, Some(level));
            continue;
        }
        let stored = Stored { at: below, len: key.len, left_out: key.left_out };
        return Ok((key.first == first).then_some(stored));
    }
}

struct Key<const N: usize> {
    len: u64,
    left_out: u32,
    first: [u64; N],
}

/// Level and entries of a node.
fn node(bytes: &Bytes, at: u64, above: Option<u8>, entry_bytes: usize) -> Result<(u8, Vec<u8>), Fault> {
    let what = "the tree of chunks";
    let mut head = [0; HEAD_BYTES as usize];
    bytes.fill(&mut head, at)?;
    let mut fields = Fields::new(&head, what);
    let mark = fields.take(5)?;
    let (level, count) = (fields.u8()?, fields.u16()?);
    let is_below = above.is_none_or(|above| level.checked_add(1) == Some(above));
    if mark != b"TREE\x01" || level > MOST_LEVELS || !is_below || count > MOST_ENTRIES {
        let found =
            format!("no node of {} at {at}", above.map_or("the root".into(), |above| format!("level {}", above - 1)));
        return Err(Fault::wrong(what, found, format!("a node with up to {MOST_ENTRIES} chunks")));
    }
    let mut body = vec![0; usize::from(count) * entry_bytes];
    bytes.fill(&mut body, at.saturating_add(HEAD_BYTES))?;
    Ok((level, body))
}

/// The last entry whose key is not beyond `first`, and where it leads.
fn last_up_to<const N: usize>(body: &[u8], first: [u64; N], at: u64) -> Result<Option<(Key<N>, u64)>, Fault> {
    let mut found: Option<(Key<N>, u64)> = None;
    for entry in body.chunks_exact(entry_bytes(N)) {
        let mut fields = Fields::new(entry, "the tree of chunks");
        let (len, left_out) = (u64::from(fields.u32()?), fields.u32()?);
        let mut key = Key { len, left_out, first: [0; N] };
        for offset in &mut key.first {
            *offset = fields.u64()?;
        }
        fields.skip(8)?;
        let below = fields.u64()?;
        if let Some((before, _)) = &found
            && before.first >= key.first
        {
            let found = format!("{:?} behind {:?} in the node at {at}", key.first, before.first);
            return Err(Fault::wrong("the tree of chunks", found, "chunks in ascending order"));
        }
        if key.first > first {
            break;
        }
        found = Some((key, below));
    }
    Ok(found)
}

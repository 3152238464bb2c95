//! A small table of numbers, whatever way it is stored.

use super::{
    bytes::Bytes,
    dataset::{Numbers, Stored, extents, numbers, stored},
    filters::{Filter, decode, most_stored},
    header::{Header, kind},
    tree,
};
use crate::{dispatch, io::tiff::fault::Fault, voxel::Voxel};

/// Numbers of a table, and bytes of a chunk of it, at most.
const MOST_NUMBERS: u64 = 4096;
const MOST_CHUNK_BYTES: u64 = 1 << 20;

/// The rows of a dataset of two axes, of which the second has `N` numbers.
///
/// # Errors
/// No such dataset; more numbers than such tables have.
pub(super) fn read<const N: usize>(bytes: &Bytes, at: u64, place: &str) -> Result<Vec<[f64; N]>, Fault> {
    let header = Header::read(bytes, at)?;
    let body = |kind: u16| {
        let message = header.find(kind).filter(|message| !message.is_shared);
        message.map(|message| message.body.as_slice()).ok_or_else(|| Fault::wrong(place, "no dataset", "a table"))
    };
    let shape = extents(body(kind::DATASPACE)?)?;
    let rows = match shape[..] {
        [rows, columns] if columns == N as u64 && rows <= MOST_NUMBERS / columns => rows,
        _ => {
            let expected = format!("some rows of {N}");
            return Err(Fault::wrong(place, format!("a table of the shape {shape:?}"), expected));
        }
    };
    let of = numbers(body(kind::DATATYPE)?, place)?;
    let row_bytes = (N * of.dtype.bytes()) as u64;
    let len = rows * row_bytes;
    let unstored = || Fault::wrong(place, "not stored", "a table of numbers");
    let samples = match stored(body(kind::LAYOUT)?, place)? {
        Stored::Within(within) => within.to_vec(),
        Stored::Whole(at) => bytes.piece(at.ok_or_else(unstored)?, len, place)?,
        Stored::Chunks(tree, chunk) => {
            // A chunk has some rows, each of them whole.
            let chunk_bytes = chunk.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
            let is_whole = chunk.len() == 3 && chunk[0] > 0 && chunk[1] == N as u64 && chunk[2] == row_bytes / N as u64;
            let tree = tree.filter(|_| is_whole && chunk_bytes <= MOST_CHUNK_BYTES);
            let tree =
                tree.ok_or_else(|| Fault::wrong(place, format!("chunks of {chunk:?}"), "chunks of whole rows"))?;
            let filters = match header.find(kind::FILTERS) {
                Some(_) => Filter::list(body(kind::FILTERS)?)?,
                None => Vec::new(),
            };
            let mut samples = Vec::new();
            for first in (0..rows).step_by(chunk[0] as usize) {
                let found = tree::find(bytes, tree, [first, 0])?;
                let found = found.filter(|found| found.len <= most_stored(chunk_bytes)).ok_or_else(unstored)?;
                let packed = bytes.piece(found.at, found.len, place)?;
                let decoded = decode(&filters, found.left_out, packed, chunk_bytes);
                let decoded = decoded.map_err(|what| Fault::wrong(place, what, "a chunk that can be decoded"))?;
                samples.extend(decoded);
            }
            samples
        }
    };
    let samples = samples.get(..len as usize).ok_or_else(unstored)?;
    Ok(samples.chunks_exact(row_bytes as usize).map(|row| row_of(row, of)).collect())
}

fn row_of<const N: usize>(row: &[u8], of: Numbers) -> [f64; N] {
    let size = of.dtype.bytes();
    std::array::from_fn(|n| {
        let mut sample = row[n * size..(n + 1) * size].to_vec();
        if of.big_endian != cfg!(target_endian = "big") {
            sample.reverse();
        }
        dispatch!(of.dtype, T => bytemuck::pod_read_unaligned::<T>(&sample).to_f64())
    })
}

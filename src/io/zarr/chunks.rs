//! Walks all chunks of an array.

use super::meta::ArrayMeta;

/// One chunk of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkAt {
    /// Coordinates in the grid of (inner) chunks, per dimension of the array.
    pub at: Vec<u64>,
    /// Whether it is the first of what its key holds: always, but for inner chunks of a shard.
    pub first: bool,
}

/// The chunks within the array's bounds, shard by shard, C order in both. Holds one position, whatever their number.
#[derive(Clone, Debug)]
pub struct Chunks {
    counts: Vec<u64>,
    per_object: Vec<u64>,
    object: Vec<u64>,
    within: Vec<u64>,
    /// Whether the walk ends with the chunk or shard at hand.
    one: bool,
    done: bool,
}

impl Chunks {
    /// From the first chunk to the last.
    pub fn new(meta: &ArrayMeta) -> Chunks {
        let zeros = vec![0; meta.shape.len()];
        Chunks {
            counts: counts(meta),
            per_object: meta.chunks_per_object(),
            object: zeros.clone(),
            within: zeros,
            one: false,
            done: false,
        }
    }

    /// Those of one chunk or shard, by its own coordinates, which lie within the grid.
    pub fn of_object(meta: &ArrayMeta, object: Vec<u64>) -> Chunks {
        Chunks { object, one: true, ..Chunks::new(meta) }
    }

    /// How many there are.
    pub fn total(meta: &ArrayMeta) -> u64 {
        counts(meta).iter().fold(1, |n, &count| n.saturating_mul(count))
    }

    fn step(&mut self) {
        let inside = |(d, object): (usize, &u64)| {
            self.per_object[d].min(self.counts[d].saturating_sub(object.saturating_mul(self.per_object[d])))
        };
        let extent: Vec<u64> = self.object.iter().enumerate().map(inside).collect();
        if advance(&mut self.within, &extent) {
            return;
        }
        if self.one {
            self.done = true;
            return;
        }
        let objects: Vec<u64> = self.counts.iter().zip(&self.per_object).map(|(n, per)| n.div_ceil(*per)).collect();
        self.done = !advance(&mut self.object, &objects);
    }
}

impl Iterator for Chunks {
    type Item = ChunkAt;

    fn next(&mut self) -> Option<ChunkAt> {
        if self.done {
            return None;
        }
        let axes = self.object.iter().zip(&self.per_object).zip(&self.within);
        let at = axes.map(|((object, per), within)| object * per + within).collect();
        let first = self.within.iter().all(|&n| n == 0);
        self.step();
        Some(ChunkAt { at, first })
    }
}

/// (Inner) chunks along each dimension.
pub fn counts(meta: &ArrayMeta) -> Vec<u64> {
    meta.shape.iter().zip(&meta.chunk).map(|(extent, chunk)| extent.div_ceil(*chunk)).collect()
}

/// The next position in C order; back to zeros and false after the last.
fn advance(at: &mut [u64], extent: &[u64]) -> bool {
    for (n, end) in at.iter_mut().zip(extent).rev() {
        *n += 1;
        if *n < *end {
            return true;
        }
        *n = 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn meta(shape: Value, chunk: Value, inner: Option<Value>) -> ArrayMeta {
        let bytes = json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
        let codecs = match inner {
            None => bytes,
            Some(inner) => json!([{"name": "sharding_indexed", "configuration": {
                "chunk_shape": inner, "codecs": bytes, "index_codecs": bytes}}]),
        };
        let document = json!({"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": codecs});
        ArrayMeta::from_v3(Path::new("zarr.json"), document.as_object().unwrap()).unwrap()
    }

    #[test]
    fn every_chunk_once_shard_by_shard() {
        let all: Vec<ChunkAt> = Chunks::new(&meta(json!([5, 9]), json!([4, 6]), Some(json!([2, 3])))).collect();
        assert_eq!(all.len(), 3 * 3);
        let firsts: Vec<&[u64]> = all.iter().filter(|c| c.first).map(|c| &c.at[..]).collect();
        assert_eq!(firsts, [[0, 0], [0, 2], [2, 0], [2, 2]]);
        assert_eq!(all[1].at, [0, 1]);
        assert_eq!(all[2].at, [1, 0]);
        let mut seen: Vec<_> = all.iter().map(|c| c.at.clone()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 9);
        let meta = meta(json!([5, 9]), json!([4, 6]), Some(json!([2, 3])));
        let last: Vec<ChunkAt> = Chunks::of_object(&meta, vec![1, 1]).collect();
        assert_eq!(last, all[8..]);
        assert_eq!(Chunks::of_object(&meta, vec![0, 0]).count(), 4);
    }

    #[test]
    fn without_shards_every_chunk_is_the_first() {
        let mut walk = Chunks::new(&meta(json!([3, 1, 5]), json!([2, 4, 2]), None));
        assert!(walk.by_ref().all(|chunk| chunk.first));
        assert_eq!(Chunks::new(&meta(json!([3, 1, 5]), json!([2, 4, 2]), None)).count(), 6);
        assert_eq!(Chunks::new(&meta(json!([1u64 << 60]), json!([1]), None)).take(5).count(), 5);
    }
}

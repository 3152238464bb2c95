//! How small voxels become, as far as that is known before they are compressed.

/// An estimate by the source's ratio is at most so many times too large.
const TOO_LARGE: f64 = 10.0;
/// The smallest part of its data that a deflate stream can have (RFC 1951: 258 bytes in 2 bits).
const LEAST_DEFLATED: f64 = 1.0 / 1032.0;
/// The same for codecs without such a limit: an assumption.
const LEAST_PACKED: f64 = 1e-4;

/// How a target is compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// Not at all, but chunks that are all fill are left out.
    PlainChunks,
    /// All of it, by deflate.
    Deflate,
    /// By any codec, and chunks that are all fill are left out.
    Chunks,
}

/// What bears on how small voxels become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prospect {
    pub packing: Packing,
    /// Stored bytes of the source over its bytes before compression, where it is compressed.
    pub source_ratio: Option<f64>,
    /// Bytes of a sample of the source and of the target.
    pub sample_bytes: (usize, usize),
    /// Target voxels for each source voxel.
    pub growth: f64,
    /// The part of the target that looks inside the source, where that is known: the rest is one value.
    pub inside: Option<f64>,
}

impl Prospect {
    /// Stored bytes of what takes `raw` before compression: a lower bound for any voxels, and an estimate, `None` where nothing is
    /// known of the voxels.
    pub(crate) fn stored(&self, raw: RawBytes) -> (u64, Option<u64>) {
        let RawBytes { voxels: raw_bytes, indexes, .. } = raw;
        let whole_bytes = raw.all();
        let (raw, inside) = (raw_bytes as f64, self.inside.unwrap_or(0.0));
        // What chunks have beyond the grid is fill, which compresses to next to nothing.
        let likely = self.source_ratio.map(|ratio| (raw * ratio) as u64).map(|bytes| bytes.saturating_add(indexes));
        let (source, target) = self.sample_bytes;
        let narrowed = (source as f64 / target.max(1) as f64).min(1.0);
        let by_ratio = self.source_ratio.map_or(0.0, |ratio| ratio * narrowed / (TOO_LARGE * self.growth.max(1.0)));
        match self.packing {
            Packing::Plain => (raw_bytes, Some(raw_bytes)),
            Packing::PlainChunks if inside >= 1.0 => (whole_bytes, Some(whole_bytes)),
            Packing::PlainChunks => ((raw * inside) as u64, Some(whole_bytes)),
            Packing::Deflate => ((raw * (inside * by_ratio).max(LEAST_DEFLATED)) as u64, likely),
            Packing::Chunks => ((raw * inside * by_ratio.max(LEAST_PACKED)) as u64, likely),
        }
    }
}

/// Bytes before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RawBytes {
    /// Of the voxels, and of headers.
    pub voxels: u64,
    /// Of what chunks at the faces of the grid have beyond it: they are stored whole.
    pub beyond: u64,
    /// Of the indexes of shards, which are never compressed.
    pub indexes: u64,
}

impl RawBytes {
    /// Voxels, and what is stored beside them.
    pub fn all(self) -> u64 {
        self.voxels.saturating_add(self.beyond).saturating_add(self.indexes)
    }
}

impl std::ops::Add for RawBytes {
    type Output = RawBytes;

    fn add(self, other: RawBytes) -> RawBytes {
        RawBytes {
            voxels: self.voxels.saturating_add(other.voxels),
            beyond: self.beyond.saturating_add(other.beyond),
            indexes: self.indexes.saturating_add(other.indexes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn raw(voxels: u64) -> RawBytes {
        RawBytes { voxels, ..RawBytes::default() }
    }

    fn prospect(packing: Packing) -> Prospect {
        Prospect { packing, source_ratio: Some(0.5), sample_bytes: (2, 2), growth: 1.0, inside: Some(1.0) }
    }

    #[test]
    fn what_is_not_compressed_is_known() {
        assert_eq!(prospect(Packing::Plain).stored(raw(GIB)), (GIB, Some(GIB)));
        assert_eq!(prospect(Packing::PlainChunks).stored(raw(GIB)), (GIB, Some(GIB)));
        let half = Prospect { inside: Some(0.5), ..prospect(Packing::PlainChunks) };
        assert_eq!(half.stored(raw(GIB)), (GIB / 2, Some(GIB)), "chunks beyond the source are left out");
        let unknown = Prospect { inside: None, ..half };
        assert_eq!(unknown.stored(raw(GIB)), (0, Some(GIB)));
        assert_eq!(Prospect { packing: Packing::Plain, ..unknown }.stored(raw(GIB)).0, GIB);
    }

    #[test]
    fn chunks_at_the_faces_are_stored_whole_and_shards_have_indexes() {
        let raw = RawBytes { voxels: GIB, beyond: GIB / 4, indexes: 100 };
        let whole = GIB + GIB / 4 + 100;
        assert_eq!(prospect(Packing::PlainChunks).stored(raw), (whole, Some(whole)));
        let half = Prospect { inside: Some(0.5), ..prospect(Packing::PlainChunks) };
        assert_eq!(half.stored(raw), (GIB / 2, Some(whole)), "which chunks are inside is not known");
        assert_eq!(prospect(Packing::Chunks).stored(raw), (GIB / 20, Some(GIB / 2 + 100)));
    }

    #[test]
    fn what_is_compressed_is_estimated_by_the_source_and_bounded_far_below() {
        let (least, likely) = prospect(Packing::Chunks).stored(raw(GIB));
        assert_eq!(likely, Some(GIB / 2));
        assert_eq!(least, GIB / 20);
        // Neighbours of an enlarged volume repeat each other.
        let enlarged = Prospect { growth: 8.0, ..prospect(Packing::Chunks) };
        assert_eq!(enlarged.stored(raw(GIB)), (GIB / 160, Some(GIB / 2)));
        // A wider type adds no information.
        let wider = Prospect { sample_bytes: (1, 8), ..prospect(Packing::Chunks) };
        assert_eq!(wider.stored(raw(GIB)).0, GIB / 160);
        let unknown = Prospect { source_ratio: None, ..prospect(Packing::Deflate) };
        assert_eq!(unknown.stored(raw(1032 * GIB)), (GIB, None));
        assert_eq!(
            Prospect { inside: None, ..unknown }.stored(raw(1032 * GIB)).0,
            GIB,
            "no stream of deflate is smaller"
        );
        let outside = Prospect { inside: Some(0.0), ..prospect(Packing::Chunks) };
        assert_eq!(outside.stored(raw(GIB)).0, 0);
    }
}

//! Tells whether a volume without a label mark looks like labels.
//!
//! The answer comes from a sample that depends on the source alone, so that memory, threads and ranks do not change the
//! result. The sample is a band of rows in some planes of a raw file, the beginning of a stream, or some chunks of a
//! store (one behind a URL). For intensities it ends after some thousand voxels.

use std::collections::HashSet;

use super::Request;
use crate::{
    block::BlockMut,
    dispatch,
    io::input::Input,
    layout::{Access, Layout},
    region::Region,
    storage::Location,
    sys,
    voxel::Voxel,
};

/// Voxels that are looked at, at most, and of these that are not the background.
const MOST_VOXELS: u64 = 1 << 25;
const MOST_OBJECT_PAIRS: u64 = 1 << 20;
/// The same where nothing but bands of planes is read, and of one band.
const BAND_VOXELS: u64 = 1 << 21;
const MOST_BAND_VOXELS: u64 = 1 << 18;
const BAND_PLANES: u64 = 32;
/// Chunks of a store that are read, and the largest that are: a budget that holds a run over such chunks holds the look at one.
const LOCAL_CHUNKS: u64 = 8;
const MOST_CHUNK_BYTES: u64 = 8 << 20;
/// Different values that are told apart.
const MOST_VALUES: usize = 1 << 14;
/// Pairs of neighbours after which intensities are given up.
const FEW_PAIRS: u64 = 1 << 14;
/// Of two neighbours that are not both background, how many have one value in a label map at least; fewer where there are few values.
const LEAST_EQUAL: f64 = 0.6;
const LEAST_EQUAL_OF_FEW: f64 = 0.4;
const FEW_VALUES: usize = 8;
/// Of many values, neighbours that differ are rarely as close as those of a smooth image.
const MOST_CLOSE: f64 = 0.5;

/// What a sample of label-like voxels holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Names {
    /// Different values, up to a bound.
    pub values: usize,
    pub voxels: u64,
    /// Nothing but 0 and one other value, 1 or 255.
    pub is_mask: bool,
}

/// Looks at a source, which is opened for that alone; `None` where it does not look like labels or cannot be read.
pub(super) fn look(input: &Input, request: &Request) -> Option<Names> {
    let layout = input.layout();
    let group_bytes = layout.outer.largest_group().saturating_mul(layout.voxel_bytes());
    let chunk_bytes = layout.chunk.iter().fold(group_bytes, |bytes, &extent| bytes.saturating_mul(extent));
    let is_large = layout.access == Access::Chunked && chunk_bytes > MOST_CHUNK_BYTES;
    if layout.components > 1 || is_large || input.own_name().is_some() {
        return None;
    }
    let is_remote = Location::of(&request.input).is_ok_and(|location| location.local().is_none());
    let names = sampled(input, request, is_remote);
    // What the sample took would be counted as the process's own when the run is planned.
    sys::trim_allocator();
    names
}

fn sampled(input: &Input, request: &Request, is_remote: bool) -> Option<Names> {
    dispatch!(input.layout().stored, T => {
        let source = input.source::<T>(input.conversion(), request.io).ok()?;
        let mut sample = Sample::default();
        for (group, region) in regions(source.layout(), is_remote) {
            let volumes = source.layout().outer.members_of(group) as usize;
            let mut voxels = vec![T::default(); usize::try_from(region.voxels()).ok()? * volumes];
            source.read(group, BlockMut::new(region, volumes, &mut voxels)).ok()?;
            let row = region.shape()[2].max(1);
            if !voxels.chunks(row).all(|row| sample.add(row)) {
                break;
            }
        }
        sample.names()
    })
}

/// What is read, in this order.
fn regions(layout: &Layout, is_remote: bool) -> Vec<(u64, Region)> {
    let [nz, ny, nx] = layout.grid.shape;
    match layout.access {
        Access::Random => {
            let planes = nz.min(BAND_PLANES);
            let most = (BAND_VOXELS / planes.max(1)).min(MOST_BAND_VOXELS);
            let rows = (most / nx.max(1)).clamp(1, ny.max(1));
            let first = ((ny - rows) / 2) as i64;
            let plane = |n: u64| middle_of_part(n, planes, nz) as i64;
            let most = nx.min(most) as i64;
            let band = |z: i64| Region::new([z, first, 0], [z + 1, first + rows as i64, most]);
            (0..planes).map(|n| (0, band(plane(n)))).collect()
        }
        Access::Ascending => {
            let counts = layout.chunk_counts();
            let whole = counts.iter().copied().fold(1, u64::saturating_mul);
            let voxels = layout.chunk.iter().product::<u64>().max(1);
            let number = whole.min(MOST_VOXELS.div_ceil(voxels));
            let at = |n: u64| [n / (counts[1] * counts[2]), n / counts[2] % counts[1], n % counts[2]];
            (0..number).map(|n| (0, layout.chunk_region(at(n)))).collect()
        }
        Access::Chunked => {
            let counts = layout.chunk_counts();
            let number = if is_remote { 1 } else { LOCAL_CHUNKS };
            // From the middle outwards, along the diagonal of the grid.
            let place = |n: u64| (number + if n.is_multiple_of(2) { n } else { number - n - 1 }) % number;
            let at = |n: u64| counts.map(|count| middle_of_part(place(n), number, count));
            let mut places: Vec<[u64; 3]> = (0..number).map(at).collect();
            places.sort_by_key(|at| (0..3).map(|a| (2 * at[a] + 1).abs_diff(counts[a])).sum::<u64>());
            places.dedup();
            places.into_iter().map(|at| (0, layout.chunk_region(at))).collect()
        }
    }
}

/// The index in the middle of part `n` of `parts` that `len` indices are cut into.
fn middle_of_part(n: u64, parts: u64, len: u64) -> u64 {
    (u128::from(2 * n + 1) * u128::from(len) / u128::from(2 * parts.max(1))) as u64
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Sample {
    values: HashSet<u64>,
    voxels: u64,
    /// Pairs of neighbours along rows; those that are equal; those that are unequal and close.
    pairs: u64,
    equal: u64,
    close: u64,
    /// Samples that are not whole numbers, or no numbers.
    is_fractional: bool,
}

impl Sample {
    /// Takes in a row; whether to look further.
    fn add<T: Voxel>(&mut self, row: &[T]) -> bool {
        let mut last: Option<f64> = None;
        for voxel in row {
            let value = voxel.to_f64();
            self.is_fractional |= value.fract() != 0.0 || !value.is_finite();
            if last != Some(value) && self.values.len() < MOST_VALUES {
                self.values.insert((value + 0.0).to_bits());
            }
            if let Some(last) = last.filter(|&last| last != 0.0 || value != 0.0) {
                self.pairs += 1;
                self.equal += u64::from(last == value);
                self.close += u64::from(last != value && (last - value).abs() <= 2.0);
            }
            last = Some(value);
        }
        self.voxels += row.len() as u64;
        let is_intensity = self.pairs > FEW_PAIRS && !self.has_runs() && self.values.len() > 2;
        !self.is_fractional && !is_intensity && self.pairs < MOST_OBJECT_PAIRS && self.voxels < MOST_VOXELS
    }

    fn has_runs(&self) -> bool {
        let least = if self.values.len() <= FEW_VALUES { LEAST_EQUAL_OF_FEW } else { LEAST_EQUAL };
        self.equal as f64 >= least * self.pairs as f64
    }

    fn names(&self) -> Option<Names> {
        let values = self.values.len();
        let has = |value: f64| self.values.contains(&value.to_bits());
        let is_mask = values == 2 && has(0.0) && (has(1.0) || has(255.0));
        let is_smooth = values > FEW_VALUES && self.close as f64 > MOST_CLOSE * (self.pairs - self.equal) as f64;
        let is_label = is_mask || values >= 2 && self.has_runs() && !is_smooth;
        (!self.is_fractional && is_label).then_some(Names { values, voxels: self.voxels, is_mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_at(rows: impl Iterator<Item = Vec<f32>>) -> Option<Names> {
        let mut sample = Sample::default();
        for row in rows {
            if !sample.add(&row) {
                break;
            }
        }
        sample.names()
    }

    #[test]
    fn the_longest_axes_have_a_middle() {
        assert_eq!((0..4).map(|n| middle_of_part(n, 4, 8)).collect::<Vec<_>>(), [1, 3, 5, 7]);
        let places: Vec<u64> = (0..32).map(|n| middle_of_part(n, 32, 1 << 62)).collect();
        assert!(places.is_sorted() && places.iter().all(|&place| place < 1 << 62));
    }

    /// A number that looks random, of three.
    fn random(z: u64, y: u64, x: u64) -> u64 {
        let mixed = (z ^ y << 21 ^ x << 42).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
    }

    fn rows(value: impl Fn(u64, u64, u64) -> f64) -> Option<Names> {
        let row = |n: u64| (0..96).map(|x| value(n / 96, n % 96, x) as f32).collect();
        looked_at((0..96 * 24).map(row))
    }

    #[test]
    fn label_maps_are_told() {
        let five = [0.0, 1.0, 3.0, 17.0, 53.0];
        assert_eq!(rows(|z, y, x| five[random(z / 8, y / 8, x / 8) as usize % 5]).unwrap().values, 5);
        assert!(rows(|z, y, x| (random(z / 4, y / 4, x / 4) % 2000) as f64).is_some(), "an atlas of 2000 regions");
        assert!(rows(|z, y, x| (random(z / 6, y / 6, x / 6) % 1_000_000) as f64).is_some(), "cells by their numbers");
        assert!(rows(|_, y, x| f64::from(u8::from((x as f64 - 40.0).hypot(y as f64 - 50.0) < 20.0))).unwrap().is_mask);
        assert!(rows(|z, y, x| (random(z, y, x) % 2) as f64).unwrap().is_mask, "a mask of noise");
    }

    #[test]
    fn intensities_are_no_labels() {
        let noise = |z: u64, y: u64, x: u64, levels: u64| (random(z, y, x) % levels) as f64;
        for levels in [3, 8, 40, 256, 4096] {
            assert_eq!(rows(|z, y, x| noise(z, y, x, levels)), None, "noise of {levels} values");
        }
        assert_eq!(
            rows(|_, y, x| (60.0 + 55.0 * (x as f64 / 40.0).sin() * (y as f64 / 37.0).cos()).round()),
            None,
            "a smooth u8 image"
        );
        assert_eq!(rows(|_, _, x| (x / 6) as f64), None, "a ramp in steps");
        let ct = |z, y, x: u64| if x < 30 { -1024.0 } else { 40.0 + noise(z, y, x, 90) };
        assert_eq!(rows(ct), None, "tissue beside air of one value");
        assert_eq!(rows(|z, y, x| noise(z, y, x, 9) / 2.0), None, "fractions");
        assert_eq!(rows(|_, _, _| 7.0), None, "one value");
    }
}

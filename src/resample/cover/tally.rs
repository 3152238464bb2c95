//! Weights of the values of one box, added up value by value as they come: no list of all samples, and no sorting.
//!
//! What decides is the sums that [`most_frequent`] takes in its own order. Sums in any other order are as near to them as rounding allows; where
//! that is near enough to matter, the box is left to it.

use super::{Spanned, most_frequent};
use crate::{
    resample::order::{Order, is_nan, same},
    voxel::{Dtype, Rounding, Voxel},
};

/// Whole numbers that lie closer together than this have a table of sums.
const TABLE: usize = 4096;
/// Other values, if there are no more than these, have a list of sums.
const LIST: usize = 64;

/// Sums under way, and the memory for them.
pub(super) struct Tally<T: Voxel> {
    /// All zeros between boxes.
    table: Vec<f64>,
    list: Vec<(T, f64)>,
    /// All samples of a box that is left to [`most_frequent`].
    samples: Vec<(T, f64)>,
}

/// Bytes of [`Tally`] for boxes of so many samples.
pub(super) fn tally_bytes<T: Voxel>(samples: usize) -> usize {
    samples.saturating_add(LIST).saturating_mul(size_of::<(T, f64)>()).saturating_add(TABLE * size_of::<f64>())
}

impl<T: Voxel> Tally<T> {
    /// For boxes of at most so many samples; larger ones make it grow.
    pub(super) fn new(samples: usize) -> Tally<T> {
        let table = vec![0.0; if T::DTYPE.is_float() { 0 } else { TABLE }];
        Tally { table, list: Vec::with_capacity(LIST), samples: Vec::with_capacity(samples) }
    }

    /// [`most_frequent`] of the samples of a box.
    pub(super) fn most_frequent(&mut self, spanned: &Spanned<'_, T>, order: Order) -> T {
        let Some(ends) = ends(spanned) else { return self.one_by_one(spanned, order) };
        if same(ends[0], ends[1]) {
            return spanned.first();
        }
        let found = match offset(ends[1], ends[0]) {
            Some(last) if last < TABLE => self.by_table(spanned, ends[0], last, order),
            _ => self.by_list(spanned, order),
        };
        found.unwrap_or_else(|| self.one_by_one(spanned, order))
    }

    /// Whether the last box was left to [`most_frequent`], which the tests ask.
    #[cfg(test)]
    pub(super) fn was_left(&self) -> bool {
        !self.samples.is_empty()
    }

    fn one_by_one(&mut self, spanned: &Spanned<'_, T>, order: Order) -> T {
        self.samples.clear();
        spanned.weighed(|value, weight| self.samples.push((value, weight)));
        most_frequent(&mut self.samples, order)
    }

    /// Of whole numbers from `least` to `last` above it.
    fn by_table(&mut self, spanned: &Spanned<'_, T>, least: T, last: usize, order: Order) -> Option<T> {
        let table = &mut self.table[..=last];
        spanned.runs(|value, weight| {
            if let Some(sum) = offset(value, least).and_then(|at| table.get_mut(at)) {
                *sum += weight;
            }
        });
        let limit = Limit::new(table.iter().copied(), spanned.samples());
        let at = match order {
            Order::Rising => table.iter().position(|&sum| sum >= limit.least),
            Order::Falling => table.iter().rposition(|&sum| sum >= limit.least),
        };
        let sure = limit.is_sure(table.iter().copied());
        table.fill(0.0);
        at.filter(|_| sure).map(|at| T::from_f64(least.to_f64() + at as f64, Rounding::Nearest))
    }

    /// Of any values that have one representation each, if there are few.
    fn by_list(&mut self, spanned: &Spanned<'_, T>, order: Order) -> Option<T> {
        let list = &mut self.list;
        list.clear();
        let mut fits = true;
        spanned.runs(|value, weight| match list.iter().position(|(other, _)| *other == value) {
            Some(at) => list[at].1 += weight,
            None if list.len() < LIST => list.push((value, weight)),
            None => fits = false,
        });
        let limit = Limit::new(list.iter().map(|(_, sum)| *sum), spanned.samples());
        if !fits || !limit.is_sure(list.iter().map(|(_, sum)| *sum)) {
            return None;
        }
        let heavy = list.iter().filter(|(_, sum)| *sum >= limit.least).map(|&(value, _)| value);
        heavy.reduce(|best, value| if order.is_lower(value, best) { value } else { best })
    }
}

/// What a sum has to reach, and how near to that none may be.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub least: f64,
    pub margin: f64,
}

impl Limit {
    /// Of sums that have the weights of so many samples between them, in any order.
    fn new(sums: impl Iterator<Item = f64>, samples: usize) -> Limit {
        let highest = sums.fold(0.0, |highest, sum| if sum > highest { sum } else { highest });
        Limit { least: super::frequent::least(highest), margin: highest * margin(samples) }
    }

    /// Whether each sum would be on the same side in any other order.
    fn is_sure(&self, sums: impl Iterator<Item = f64>) -> bool {
        sums.fold(true, |sure, sum| sure & ((sum - self.least).abs() > self.margin))
    }
}

/// How far two sums of so many weights that are not negative may be from each other, relative to the higher, whatever the order, with room to
/// spare: each addition rounds by half of `EPSILON` at most, and so do the two products of a weight.
pub(super) fn margin(samples: usize) -> f64 {
    4.0 * (samples as f64 + 8.0) * f64::EPSILON
}

/// The lowest and the highest sample; `None` where some have more representations than one: NaN, or a zero with a sign.
fn ends<T: Voxel>(spanned: &Spanned<'_, T>) -> Option<[T; 2]> {
    let first = spanned.first();
    let (mut lowest, mut highest, mut single) = (first, first, true);
    spanned.rows(|row, _| {
        for &value in row {
            lowest = if value < lowest { value } else { lowest };
            highest = if value > highest { value } else { highest };
            single &= is_single(value);
        }
    });
    single.then_some([lowest, highest])
}

/// Whether the value is equal to no other bits.
#[inline(always)]
pub(super) fn is_single<T: Voxel>(value: T) -> bool {
    !T::DTYPE.is_float() || !(is_nan(value) || value == T::default() && value.to_f64().is_sign_negative())
}

/// How far the whole number `value` is above `least`; `None` for types that have no table.
#[inline(always)]
fn offset<T: Voxel>(value: T, least: T) -> Option<usize> {
    use bytemuck::cast;
    let whole = |value: T| match T::DTYPE {
        Dtype::U8 => Some(i64::from(cast::<T, u8>(value))),
        Dtype::I8 => Some(i64::from(cast::<T, i8>(value))),
        Dtype::U16 => Some(i64::from(cast::<T, u16>(value))),
        Dtype::I16 => Some(i64::from(cast::<T, i16>(value))),
        Dtype::U32 => Some(i64::from(cast::<T, u32>(value))),
        Dtype::I32 => Some(i64::from(cast::<T, i32>(value))),
        Dtype::U64 | Dtype::I64 | Dtype::F32 | Dtype::F64 => None,
    };
    Some((whole(value)? - whole(least)?) as usize)
}

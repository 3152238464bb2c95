//! Sums of many rows: as many samples as registers hold are summed over all rows before they are stored.

use multiversion::multiversion;

use crate::voxel::Real;

/// Samples of a row that are summed at once, in registers; the end of a row is summed in smaller steps.
const WIDE: usize = 32;
const NARROW: usize = 8;
/// Terms that are summed before sums are stored.
const MOST_TERMS: usize = 16;

/// What is added to a row of sums. Written as plain loops: a copy for an instruction set holds only what is inlined into it, and closures
/// may not be.
trait Term<A>: Copy {
    /// Adds the samples from `at` on, weighed.
    fn add<const N: usize>(&self, at: usize, sums: &mut [A; N]);
}

/// `row[x] * weight`.
#[derive(Clone, Copy)]
struct Row<'a, A> {
    weight: A,
    row: &'a [A],
}

/// `(a[x] + b[x]) * weight`.
#[derive(Clone, Copy)]
struct Pair<'a, A> {
    weight: A,
    rows: [&'a [A]; 2],
}

impl<A: Real> Row<'_, A> {
    /// The samples from `at` on, weighed.
    #[inline(always)]
    fn begin<const N: usize>(&self, at: usize, sums: &mut [A; N]) {
        for (sum, &sample) in sums.iter_mut().zip(&self.row[at..at + N]) {
            *sum = sample * self.weight;
        }
    }
}

impl<A: Real> Term<A> for Row<'_, A> {
    #[inline(always)]
    fn add<const N: usize>(&self, at: usize, sums: &mut [A; N]) {
        for (sum, &sample) in sums.iter_mut().zip(&self.row[at..at + N]) {
            *sum += sample * self.weight;
        }
    }
}

impl<A: Real> Term<A> for Pair<'_, A> {
    #[inline(always)]
    fn add<const N: usize>(&self, at: usize, sums: &mut [A; N]) {
        let (a, b) = (&self.rows[0][at..at + N], &self.rows[1][at..at + N]);
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a + b) * self.weight;
        }
    }
}

/// `out[x] = first[x] * weights[0] + sum_k row(k)[x] * weights[k]`, in ascending k; rows after the first that weigh 0 are passed over.
pub(super) fn weighted<'a, A: Real>(weights: &[A], row: impl Fn(usize) -> &'a [A], out: &mut [A]) {
    let mut rows = weights.iter().enumerate().filter(|&(k, w)| k == 0 || *w != A::ZERO);
    let row = |(k, &weight): (usize, &A)| Row { weight, row: row(k) };
    let first = rows.next().map(row);
    in_batches(first, rows.map(row), out, add_rows);
}

/// `out[x] = centre[x] * side[0] + sum_k (pair(k)[0][x] + pair(k)[1][x]) * side[k]`, in ascending k from 1 on.
pub(crate) fn symmetric<'a, A: Real>(side: &[A], centre: &'a [A], pair: impl Fn(usize) -> [&'a [A]; 2], out: &mut [A]) {
    let pairs = side.iter().enumerate().skip(1).map(|(k, &weight)| Pair { weight, rows: pair(k) });
    in_batches(Some(Row { weight: side[0], row: centre }), pairs, out, add_pairs);
}

/// Sums `first` and all `terms` into `out`, [`MOST_TERMS`] at a time.
fn in_batches<'a, A: Real, T: Term<A>>(
    mut first: Option<Row<'a, A>>,
    mut terms: impl Iterator<Item = T>,
    out: &mut [A],
    add: impl Fn(Option<Row<'a, A>>, &[T], &mut [A]),
) {
    loop {
        let Some(one) = terms.next() else {
            // Only the first row, if it was not taken in yet.
            return if first.is_some() {
                add(first, &[], out)
            };
        };
        let mut batch = [one; MOST_TERMS];
        let mut len = 1;
        for (slot, term) in batch[1..].iter_mut().zip(&mut terms) {
            *slot = term;
            len += 1;
        }
        add(first.take(), &batch[..len], out);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn add_rows<A: Real>(first: Option<Row<'_, A>>, terms: &[Row<'_, A>], out: &mut [A]) {
    add_terms(first, terms, out);
}

#[multiversion(targets("x86_64+avx2"))]
fn add_pairs<A: Real>(first: Option<Row<'_, A>>, terms: &[Pair<'_, A>], out: &mut [A]) {
    add_terms(first, terms, out);
}

/// `out`, or `first` in its place, with the terms added in their order.
#[inline(always)]
fn add_terms<A: Real, T: Term<A>>(first: Option<Row<'_, A>>, terms: &[T], out: &mut [A]) {
    let (wide, rest) = out.as_chunks_mut::<WIDE>();
    let (narrow, rest) = rest.as_chunks_mut::<NARROW>();
    let mut at = 0;
    for sums in wide {
        add_chunk(first, terms, at, sums);
        at += WIDE;
    }
    for sums in narrow {
        add_chunk(first, terms, at, sums);
        at += NARROW;
    }
    for sum in rest.as_chunks_mut::<1>().0 {
        add_chunk(first, terms, at, sum);
        at += 1;
    }
}

#[inline(always)]
fn add_chunk<const N: usize, A: Real, T: Term<A>>(first: Option<Row<'_, A>>, terms: &[T], at: usize, out: &mut [A; N]) {
    let mut sums = *out;
    if let Some(first) = first {
        first.begin(at, &mut sums);
    }
    for term in terms {
        term.add(at, &mut sums);
    }
    *out = sums;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of every length up to some chunks, and numbers of rows around a batch: the bits of sums taken one by one.
    #[test]
    fn sums_are_taken_in_the_order_of_the_rows() {
        let sample = |k: usize, x: usize| ((k * 7919 + x * 104_729) % 1009) as f32 * 0.37 - 150.0;
        for len in (0..45).chain([64, 71, 105]) {
            let rows: Vec<Vec<f32>> = (0..80).map(|k| (0..len).map(|x| sample(k, x)).collect()).collect();
            for count in [1, 2, 3, 16, 17, 18, 33, 40] {
                let weight = |k: usize| if k % 5 == 3 { 0.0 } else { 1.0 / (k as f32 + 1.3) };
                let weights: Vec<f32> = (0..count).map(weight).collect();
                let mut got = vec![f32::NAN; len];
                weighted(&weights, |k| &rows[k], &mut got);
                let sum = |x: usize| (1..count).fold(rows[0][x] * weights[0], |sum, k| sum + rows[k][x] * weights[k]);
                assert_eq!(got, (0..len).map(sum).collect::<Vec<f32>>(), "{count} rows of {len}");
                symmetric(&weights, &rows[0], |k| [&rows[2 * k - 1], &rows[2 * k]], &mut got);
                let sum = |x: usize| {
                    let add = |sum: f32, k: usize| sum + (rows[2 * k - 1][x] + rows[2 * k][x]) * weights[k];
                    (1..count).fold(rows[0][x] * weights[0], add)
                };
                assert_eq!(got, (0..len).map(sum).collect::<Vec<f32>>(), "{count} pairs of {len}");
            }
        }
    }

    #[test]
    fn rows_that_weigh_nothing_are_not_looked_at() {
        let rows = [[1.0f64; 9], [f64::NAN; 9], [3.0; 9]];
        let mut got = [0.0; 9];
        weighted(&[2.0, 0.0, 1.0], |k| &rows[k], &mut got);
        assert_eq!(got, [5.0; 9]);
    }
}

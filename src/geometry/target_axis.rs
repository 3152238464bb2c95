//! Size, step and shift of one target axis.

use std::fmt;

use crate::error::{Error, Result};

/// Most voxels that a target grid may have.
pub(super) const MAX_VOXELS: u64 = 1 << 62;

/// Steps that agree to this are one step, as a header's spacing and its affine are.
const STEP_AGREEMENT: f64 = 1e-6;

/// Which point of the field of view keeps its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// The centre of the first voxel.
    #[default]
    Origin,
    /// The outer faces of the first and last voxels: the step gives way.
    Edges,
    /// The centre of the field of view.
    Center,
}

/// What was asked of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AxisRule {
    Keep,
    Spacing(f64),
    Size(u64),
    Scale(f64),
}

/// One axis of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TargetAxis {
    pub size: u64,
    /// The step to state in headers.
    pub step: f64,
    /// Length of the affine's column; `None` where the source's column stays, bit by bit.
    pub length: Option<f64>,
    /// From the source's first voxel centre to the target's, along the axis, in world units.
    pub shift: f64,
}

impl AxisRule {
    /// Refuses what is not a positive number.
    pub(super) fn check(self, axis: char) -> Result<()> {
        let valid = match self {
            AxisRule::Keep => true,
            AxisRule::Spacing(x) | AxisRule::Scale(x) => x > 0.0 && x.is_finite(),
            AxisRule::Size(m) => m > 0,
        };
        if valid { Ok(()) } else { Err(Error::usage(format!("{self} along {axis} is not a positive number"))) }
    }

    /// The target axis for `n` source voxels of step `old`, whose column of the affine has the length `norm`.
    ///
    /// `old` and `norm` differ by the rounding of the header only. `None` where the answer has more than 2^62 voxels or is
    /// not finite.
    pub(super) fn resolve(self, n: u64, old: f64, norm: f64, align: Align) -> Option<TargetAxis> {
        let extent = n as f64;
        let (size, asked) = match self {
            AxisRule::Keep => (n, Some(old)),
            AxisRule::Spacing(new) => (round_size(extent * old / new)?, Some(new)),
            AxisRule::Size(m) => (m, None),
            AxisRule::Scale(f) => (round_size(extent * f)?, Some(old / f)),
        };
        let (step, mut length) = match asked {
            Some(step) if align != Align::Edges => (step, step),
            _ => (extent * old / size as f64, extent * norm / size as f64),
        };
        let same = size == n && (step - old).abs() <= STEP_AGREEMENT * old;
        if same {
            length = norm;
        }
        let shift = match align {
            Align::Origin => 0.0,
            Align::Edges => (length - norm) / 2.0,
            Align::Center => (norm * (extent - 1.0) - length * (size as f64 - 1.0)) / 2.0,
        };
        let valid = length > 0.0 && [step, length, shift].iter().all(|x| x.is_finite());
        valid.then_some(TargetAxis { size, step, length: (!same).then_some(length), shift })
    }
}

impl fmt::Display for AxisRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AxisRule::Keep => write!(f, "keeping the axis"),
            AxisRule::Spacing(x) => write!(f, "spacing {x}"),
            AxisRule::Size(m) => write!(f, "size {m}"),
            AxisRule::Scale(x) => write!(f, "scale {x}"),
        }
    }
}

/// `voxels` as a whole number, at least 1: half to even, as Python's `round` has it.
///
/// `None` above 2^62 and for NaN.
fn round_size(voxels: f64) -> Option<u64> {
    (voxels <= MAX_VOXELS as f64).then(|| (voxels.round_ties_even() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_half_to_even() {
        for (voxels, size) in [
            (2.5, 2),
            (3.5, 4),
            (2.49999999, 2),
            (2.50000001, 3),
            (3.49999999, 3),
            (3.50000001, 4),
            (7.99995, 8),
            (1e-9, 1),
            (0.5, 1),
            (1e15 + 0.25, 1_000_000_000_000_000),
        ] {
            assert_eq!(round_size(voxels), Some(size), "{voxels}");
        }
        assert_eq!(round_size(f64::NAN), None);
        assert_eq!(round_size(f64::INFINITY), None);
        assert_eq!(round_size(2f64.powi(62)), Some(1 << 62));
        assert_eq!(round_size(2f64.powi(63)), None);
    }

    /// Sizes of the usual recipe in Python, `int(round(n * old / new))`, of steps that a header keeps as f32.
    #[test]
    fn sizes_follow_the_recipe_on_the_steps_of_the_header() {
        for (n, old, new, size) in [
            (45, 0.7f32, 1.0, 31),
            (35, 0.9, 1.0, 31),
            (15, 0.7, 1.0, 10),
            (25, 0.3, 1.0, 8),
            (13, 0.5, 1.0, 6),
            (195, 0.1, 1.0, 20),
            (45, 0.7, 0.7, 45),
        ] {
            let old = f64::from(old);
            let axis = AxisRule::Spacing(new).resolve(n, old, old, Align::Origin).unwrap();
            assert_eq!(axis.size, size, "{n} voxels of {old} to {new}");
        }
    }

    /// 10 voxels of step 3.
    fn resolve(rule: AxisRule, align: Align) -> (u64, f64, f64) {
        let axis = rule.resolve(10, 3.0, 3.0, align).unwrap();
        assert_eq!(axis.length.unwrap_or(3.0), axis.step);
        (axis.size, axis.step, axis.shift)
    }

    #[test]
    fn every_row_of_the_table() {
        // 30 / 4 = 7.5 -> 8 voxels; edges: 30 / 8 = 3.75.
        assert_eq!(resolve(AxisRule::Spacing(4.0), Align::Origin), (8, 4.0, 0.0));
        assert_eq!(resolve(AxisRule::Spacing(4.0), Align::Edges), (8, 3.75, 0.375));
        assert_eq!(resolve(AxisRule::Spacing(4.0), Align::Center), (8, 4.0, (27.0 - 28.0) / 2.0));
        assert_eq!(resolve(AxisRule::Size(4), Align::Origin), (4, 7.5, 0.0));
        assert_eq!(resolve(AxisRule::Size(4), Align::Edges), (4, 7.5, 2.25));
        assert_eq!(resolve(AxisRule::Size(4), Align::Center), (4, 7.5, 2.25));
        // 10 * 1.25 = 12.5 -> 12 voxels; edges: 30 / 12 = 2.5.
        assert_eq!(resolve(AxisRule::Scale(1.25), Align::Origin), (12, 2.4, 0.0));
        assert_eq!(resolve(AxisRule::Scale(1.25), Align::Edges), (12, 2.5, -0.25));
        let (size, step, shift) = resolve(AxisRule::Scale(1.25), Align::Center);
        assert_eq!((size, step), (12, 2.4));
        assert!((shift - (27.0 - 26.4) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_same_step_keeps_the_column() {
        let axis = AxisRule::Spacing(3.0).resolve(10, 2.9999998, 2.9999999, Align::Origin).unwrap();
        assert_eq!(axis, TargetAxis { size: 10, step: 3.0, length: None, shift: 0.0 });
        assert_eq!(AxisRule::Size(10).resolve(10, 0.1, 0.1, Align::Center).unwrap().length, None);
        assert_eq!(AxisRule::Scale(1.0).resolve(10, 0.1, 0.1, Align::Edges).unwrap().length, None);
    }

    #[test]
    fn what_is_not_finite_makes_no_axis() {
        for rule in [AxisRule::Spacing(1e-300), AxisRule::Scale(1e300), AxisRule::Scale(1e-320)] {
            assert_eq!(rule.resolve(10, 3.0, 3.0, Align::Origin), None, "{rule}");
        }
    }
}

//! Sample types, slopes and the outside value: what the numbers of source, pipeline and target mean.

use super::{OutsideRequest, Request};
use crate::{
    error::{Error, Result},
    io::{convert::Conversion, input::Input},
    resample::{KernelShape, Method, Order, Outside},
    voxel::Dtype,
};

/// How samples are converted on their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// Sample type of the pipeline.
    pub pipeline: Dtype,
    /// Sample type of the target.
    pub target: Dtype,
    /// From storage to the pipeline.
    pub reading: Conversion,
    /// From the pipeline to storage.
    pub writing: Conversion,
    /// `(slope, intercept)` that the target states.
    pub kept_slope: Option<(f64, f64)>,
    /// In pipeline units.
    pub outside: Outside,
    /// How samples of the pipeline stand for real values.
    pub order: Order,
}

impl Values {
    /// Decides by the rules of `docs/decisions.md`: with the same sample type, NIfTI to NIfTI keeps raw samples and
    /// slope; otherwise the slope is applied. `method` decides over the type of accumulation. `looking_outside` is the number of
    /// target voxels that look outside the source, where the mapping tells it before the run.
    pub fn resolve(
        request: &Request,
        input: &Input,
        method: Method,
        to_nifti: bool,
        looking_outside: Option<u64>,
        warnings: &mut Vec<String>,
    ) -> Result<Values> {
        let stored = input.layout().stored;
        let slope = if request.raw { None } else { input.slope() };
        let keeps_slope = to_nifti && request.dtype.is_none_or(|dtype| dtype == stored);
        let applied = slope.filter(|_| !keeps_slope);
        let target = request.dtype.unwrap_or(if applied.is_some() { Dtype::F32 } else { stored });
        let pipeline = pipeline((stored, applied.is_none()), target, sums_in_f64(method));
        if pipeline != stored && [stored, target].iter().all(|dtype| dtype.bytes() == 8 && !dtype.is_float()) {
            warnings.push(format!("{stored} becomes {target} by way of f64: whole numbers above 2^53 are rounded"));
        }
        let kept_slope = slope.filter(|_| keeps_slope);
        Ok(Values {
            pipeline,
            target,
            reading: Conversion { slope: applied, ..input.conversion() },
            writing: Conversion { rounding: request.rounding, ..Conversion::plain(target) },
            kept_slope,
            outside: OutsideOf { slope: kept_slope, target, looking_outside }.resolve(request.outside, warnings)?,
            order: Order::of_slope(kept_slope.map(|(factor, _)| factor)),
        })
    }
}

/// The type that samples are computed in. `is_plain` says that stored samples are the values.
fn pipeline((stored, is_plain): (Dtype, bool), target: Dtype, sums_in_f64: bool) -> Dtype {
    let plain = if is_plain && target == stored { stored } else { wider(stored.real(), target.real()) };
    // Where f32 would be summed in, samples become f64 before, and are rounded where they are stored.
    if sums_in_f64 && plain.real() == Dtype::F32 { Dtype::F64 } else { plain }
}

/// The type that a source of a program's own has to hand over samples of `stored` in, for a request.
pub fn handed_over(stored: Dtype, request: &Request) -> Dtype {
    // What `auto` may take sums in f32.
    pipeline((stored, true), request.dtype.unwrap_or(stored), request.method.is_some_and(sums_in_f64))
}

/// Splines of order 4 and 5, whose long inverse filters magnify rounding errors.
fn sums_in_f64(method: Method) -> bool {
    matches!(method, Method::Kernel(KernelShape::BSpline { order: 4.. }))
}

fn wider(a: Dtype, b: Dtype) -> Dtype {
    if a == Dtype::F64 { a } else { b }
}

/// What the outside value becomes in samples of the target.
struct OutsideOf {
    /// `(slope, intercept)` of the target's samples.
    slope: Option<(f64, f64)>,
    target: Dtype,
    /// Target voxels that get the value; `None` where only the run can tell.
    looking_outside: Option<u64>,
}

impl OutsideOf {
    /// The outside value in stored units.
    ///
    /// # Errors
    /// A value that was asked for and that the samples cannot hold.
    fn resolve(&self, requested: OutsideRequest, warnings: &mut Vec<String>) -> Result<Outside> {
        let (real, is_default) = match requested {
            OutsideRequest::Edge => return Ok(Outside::Edge),
            OutsideRequest::Value(real) => (real, false),
            OutsideRequest::Default => (0.0, true),
        };
        let (factor, inter) = self.slope.unwrap_or((1.0, 0.0));
        let stored = (real - inter) / factor;
        if self.target.is_float() {
            return Ok(Outside::Value(stored));
        }
        let (least, most) = self.target.range();
        if !(least..=most).contains(&stored) && !is_default {
            return Err(Error::usage_hint(
                format!(
                    "the outside value {real} is {stored} in stored units, and {} holds {least} to {most}",
                    self.target
                ),
                "choose a value with --outside, --outside edge, or another --dtype",
            ));
        }
        // Rounded here, since samples may be rounded otherwise on their way to the target.
        let clamped = stored.clamp(least, most);
        let held = if clamped.fract() == 0.0 { clamped } else { (clamped + 0.5).floor() };
        if held != stored && self.looking_outside != Some(0) {
            warnings.push(self.remark(real, stored, held * factor + inter));
        }
        Ok(Outside::Value(held))
    }

    /// Says that `real`, which is `stored` in stored units, becomes `held`.
    fn remark(&self, real: f64, stored: f64, held: f64) -> String {
        let which = match self.looking_outside {
            Some(count) => format!("the {count} target voxels that look outside the source get {held}"),
            None => format!("target voxels that look outside the source get {held}"),
        };
        format!(
            "the outside value {real} is {stored} in stored units, which {} does not hold: {which}, the nearest that it does; \
             --outside chooses another value",
            self.target
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of samples with a slope of 0.5 and an intercept of 10.
    fn scaled(target: Dtype, looking_outside: Option<u64>) -> OutsideOf {
        OutsideOf { slope: Some((0.5, 10.0)), target, looking_outside }
    }

    #[test]
    fn outside_values_between_whole_numbers_are_rounded_here() {
        let mut warnings = Vec::new();
        let mut stored = |real, dtype| scaled(dtype, None).resolve(OutsideRequest::Value(real), &mut warnings);
        assert_eq!(stored(20.0, Dtype::I16).unwrap(), Outside::Value(20.0));
        assert_eq!(stored(10.25, Dtype::I16).unwrap(), Outside::Value(1.0));
        assert_eq!(stored(9.75, Dtype::I16).unwrap(), Outside::Value(0.0));
        assert_eq!(stored(10.25, Dtype::F32).unwrap(), Outside::Value(0.5));
        assert!(stored(1e9, Dtype::I16).is_err() && stored(f64::NAN, Dtype::I16).is_err());
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    /// With an intercept of 10, no u8 stands for 0.
    #[test]
    fn a_default_that_no_sample_stands_for_becomes_the_nearest_value() {
        let of = |looking_outside| {
            let mut warnings = Vec::new();
            let outside = scaled(Dtype::U8, looking_outside).resolve(OutsideRequest::Default, &mut warnings);
            (outside.unwrap(), warnings)
        };
        let (outside, warnings) = of(Some(7));
        assert_eq!(outside, Outside::Value(0.0));
        assert!(warnings[0].contains("the 7 target voxels that look outside the source get 10"), "{warnings:?}");
        assert_eq!(of(None).1.len(), 1);
        assert_eq!(of(Some(0)), (Outside::Value(0.0), Vec::new()), "nothing is said of a value that is not used");
        let negative = OutsideOf { slope: Some((-1.0, 300.0)), target: Dtype::U8, looking_outside: None };
        assert_eq!(negative.resolve(OutsideRequest::Default, &mut Vec::new()).unwrap(), Outside::Value(255.0));
    }

    #[test]
    fn a_value_that_was_asked_for_is_refused_where_no_sample_stands_for_it() {
        let refused = scaled(Dtype::U8, Some(0)).resolve(OutsideRequest::Value(0.0), &mut Vec::new());
        assert!(refused.unwrap_err().to_string().contains("the outside value 0 is -20 in stored units"));
    }

    #[test]
    fn long_splines_are_summed_in_f64() {
        let needs = |name: &str| sums_in_f64(name.parse().unwrap());
        assert!(needs("bspline4") && needs("bspline5") && !needs("bspline3") && !needs("lanczos6") && !needs("mean"));
    }
}

//! Sample types, slopes and the outside value: what the numbers of source, pipeline and target mean.

use super::{Input, OutsideRequest, Request};
use crate::{
    error::{Error, Result},
    io::convert::Conversion,
    resample::{KernelShape, Method, Outside},
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
}

impl Values {
    /// Decides by the rules of `docs/decisions.md`: with the same sample type, NIfTI to NIfTI keeps raw samples and
    /// slope; otherwise the slope is applied. `method` decides over the type of accumulation.
    pub fn resolve(
        request: &Request,
        input: &Input,
        method: Method,
        to_nifti: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Values> {
        let stored = input.layout().stored;
        let slope = if request.raw { None } else { input.slope() };
        let keeps_slope = to_nifti && request.dtype.is_none_or(|dtype| dtype == stored);
        let applied = slope.filter(|_| !keeps_slope);
        let target = request.dtype.unwrap_or(if applied.is_some() { Dtype::F32 } else { stored });
        let plain = if applied.is_none() && target == stored { stored } else { wider(stored.real(), target.real()) };
        // Where f32 would be summed in, samples become f64 before, and are rounded where they are stored.
        let pipeline = if sums_in_f64(method) && plain.real() == Dtype::F32 { Dtype::F64 } else { plain };
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
            outside: outside(request.outside, kept_slope, target, warnings)?,
        })
    }
}

/// Splines of order 4 and 5, whose long inverse filters magnify rounding errors.
fn sums_in_f64(method: Method) -> bool {
    matches!(method, Method::Kernel(KernelShape::BSpline { order: 4.. }))
}

fn wider(a: Dtype, b: Dtype) -> Dtype {
    if a == Dtype::F64 { a } else { b }
}

/// The outside value in stored units.
fn outside(
    requested: OutsideRequest,
    slope: Option<(f64, f64)>,
    target: Dtype,
    warnings: &mut Vec<String>,
) -> Result<Outside> {
    let OutsideRequest::Value(real) = requested else { return Ok(Outside::Edge) };
    let (factor, inter) = slope.unwrap_or((1.0, 0.0));
    let stored = (real - inter) / factor;
    if target.is_float() {
        return Ok(Outside::Value(stored));
    }
    let (least, most) = target.range();
    if !(least..=most).contains(&stored) {
        return Err(Error::usage_hint(
            format!("the outside value {real} is {stored} in stored units, and {target} holds {least} to {most}"),
            "choose a value with --outside, --outside edge, or another --dtype",
        ));
    }
    if stored.fract() != 0.0 {
        // Here, since samples may be rounded otherwise on their way to the target.
        let rounded = (stored + 0.5).floor();
        warnings.push(format!(
            "the outside value {real} is {stored} in stored units and becomes {rounded}, that is {}",
            rounded * factor + inter
        ));
        return Ok(Outside::Value(rounded));
    }
    Ok(Outside::Value(stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_values_between_whole_numbers_are_rounded_here() {
        let mut warnings = Vec::new();
        let mut stored = |real, dtype| outside(OutsideRequest::Value(real), Some((0.5, 10.0)), dtype, &mut warnings);
        assert_eq!(stored(20.0, Dtype::I16).unwrap(), Outside::Value(20.0));
        assert_eq!(stored(10.25, Dtype::I16).unwrap(), Outside::Value(1.0));
        assert_eq!(stored(9.75, Dtype::I16).unwrap(), Outside::Value(0.0));
        assert_eq!(stored(10.25, Dtype::F32).unwrap(), Outside::Value(0.5));
        assert!(stored(1e9, Dtype::I16).is_err());
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn long_splines_are_summed_in_f64() {
        let needs = |name: &str| sums_in_f64(name.parse().unwrap());
        assert!(needs("bspline4") && needs("bspline5") && !needs("bspline3") && !needs("lanczos6") && !needs("mean"));
    }
}

//! Refuses named options that cannot have an effect on a job.
//!
//! Options whose effect depends on voxels, mapping or memory (`--antialias`, `--outside`, `--interp`, `--scratch`) are
//! allowed.

use super::{GridChoice, Request};
use crate::{
    error::{Error, Result},
    geometry::{GridRequest, Sizing},
    io::{
        format::Format,
        input::{Input, IoMode},
    },
    layout::Access,
    voxel::Dtype,
};

/// Why a named option cannot matter, as far as the request alone tells; `None` where it may.
pub fn cannot_matter(option: &str, request: &Request) -> Option<Error> {
    let format = Format::of_name(&request.output).ok()?;
    let output = request.output.display();
    let refused = |what: String, hint: &str| Some(Error::usage_hint(what, hint));
    let sizing = match &request.grid {
        GridChoice::Rules(GridRequest { sizing, .. }) => Some(sizing),
        GridChoice::Like { .. } => None,
    };
    match option {
        "chunk" | "shard" | "codec" | "ome" | "pyramid" | "method" if format.is_file() => refused(
            format!("--{option} is for Zarr targets, and {output} is none"),
            "leave it out, or end the name of the target in .zarr",
        ),
        "gzip" if !format.has_stream() => refused(
            format!("--gzip is for .nii.gz, .nrrd, .mha and .mgz targets, and {output} is none"),
            "leave it out, or end the name of the target in one of these",
        ),
        "align" if sizing.is_none() => refused(
            "--align says what keeps its place where the step changes, and --like takes the grid as it is".into(),
            "leave out --align, or --like",
        ),
        "align" if sizing == Some(&Sizing::Keep) => refused(
            "--align says what keeps its place where the step changes, and here it does not".into(),
            "leave it out, or give --spacing, --size, --scale or --isotropic",
        ),
        "grid" if request.grid.is_transformed() && request.transforms.is_empty() => refused(
            "--grid transformed holds the source where transforms move it, and there are none".into(),
            "leave it out, or give --transform",
        ),
        "reorient-vectors" if request.transforms.is_empty() && request.transform_list.is_none() => refused(
            "--reorient-vectors turns vectors by the rotation in the transforms, and there are none".into(),
            "leave it out, or give --transform",
        ),
        "rounding" if request.dtype.is_some_and(Dtype::is_float) => {
            let dtype = request.dtype.map_or(String::new(), |dtype| dtype.to_string());
            refused(no_rounding(&dtype), LEAVE_ROUNDING)
        }
        _ => None,
    }
}

const LEAVE_ROUNDING: &str = "leave it out, or give an integer --dtype";

fn no_rounding(dtype: &str) -> String {
    format!("--rounding says how sums become integers, and the target is {dtype}")
}

/// Refuses what was named and cannot matter.
pub(super) fn refuse(request: &Request) -> Result<()> {
    request.named.iter().find_map(|option| cannot_matter(option, request)).map_or(Ok(()), Err)
}

/// The same by what is known when the source is open; `target` is the target's sample type.
pub(super) fn refuse_for(request: &Request, input: &Input, (target, is_in_place): (Dtype, bool)) -> Result<()> {
    let is_named = |option: &str| request.named.iter().any(|named| named == option);
    let (shown, output) = (request.input.display(), request.output.display());
    if is_named("rounding") && target.is_float() {
        return Err(Error::usage_hint(no_rounding(&target.to_string()), LEAVE_ROUNDING));
    }
    if is_named("in-place") && request.in_place && !is_in_place {
        let what = format!("--in-place is for a target in the place of the source, and {output} is not {shown}");
        return Err(Error::usage_hint(what, "leave it out; --overwrite replaces another file"));
    }
    let is_zarr = input.zarr().is_some();
    if is_named("raw") && request.raw && is_zarr && input.slope().is_none() {
        let what = format!(
            "--raw ignores slope and intercept of NIfTI headers, and {shown} is Zarr without one that states them"
        );
        return Err(Error::usage_hint(what, "leave it out"));
    }
    if is_named("io") && request.io != IoMode::Auto && (is_zarr || input.layout().access == Access::Ascending) {
        let what = format!("--io is for uncompressed NIfTI sources, and {shown} is none");
        return Err(Error::usage_hint(what, "leave it out"));
    }
    Ok(())
}

/// Takes out of a request what cannot matter and was not named for it: options for a whole batch, of which some jobs have no use.
pub fn leave_out(request: &mut Request, options: &[&str]) {
    for option in options {
        if request.named.iter().any(|named| named == option) || cannot_matter(option, request).is_none() {
            continue;
        }
        match (*option, &mut request.grid) {
            ("pyramid", _) => request.pyramid = None,
            ("reorient-vectors", _) => request.reorient_vectors = false,
            ("align", GridChoice::Rules(rules) | GridChoice::Like { rules, .. }) => rules.align = Default::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::PyramidRequest;

    fn to(output: &str) -> Request {
        Request::new("a.nii", output, 1 << 30, 1)
    }

    fn idle(option: &str, request: &Request) -> bool {
        cannot_matter(option, request).is_some()
    }

    #[test]
    fn options_go_by_the_format_of_the_target() {
        for (output, of_zarr, of_gzip) in
            [("b.nii", true, true), ("b.nii.gz", true, false), ("b.hdr", true, true), ("s3://b/c.zarr", false, true)]
        {
            for option in ["chunk", "shard", "codec", "ome", "pyramid", "method"] {
                assert_eq!(idle(option, &to(output)), of_zarr, "{option} {output}");
            }
            assert_eq!(idle("gzip", &to(output)), of_gzip, "{output}");
            for option in ["dtype", "interp", "antialias", "outside", "scratch", "overwrite", "memory"] {
                assert!(!idle(option, &to(output)), "{option} {output}");
            }
        }
    }

    #[test]
    fn an_alignment_needs_a_step_that_changes() {
        let rules = |sizing| GridRequest { sizing, ..GridRequest::default() };
        let with = |grid| Request { grid, ..to("b.nii") };
        assert!(idle("align", &to("b.nii")));
        assert!(idle("align", &with(GridChoice::Like { path: "r.nii".into(), rules: rules(Sizing::Keep) })));
        assert!(!idle("align", &with(GridChoice::Rules(rules(Sizing::Spacing([1.0; 3]))))));
        assert!(!idle("align", &with(GridChoice::Rules(rules(Sizing::Isotropic(None))))));
    }

    #[test]
    fn rounding_is_for_integers() {
        let with = |dtype| Request { dtype, ..to("b.nii") };
        assert!(idle("rounding", &with(Some(Dtype::F32))));
        assert!(!idle("rounding", &with(Some(Dtype::I16))) && !idle("rounding", &with(None)));
    }

    #[test]
    fn only_what_was_named_is_refused_and_the_rest_left_out() {
        let named = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut request = Request { pyramid: Some(PyramidRequest::default()), ..to("b.nii") };
        assert!(refuse(&request).is_ok());
        leave_out(&mut request, &["pyramid"]);
        assert_eq!(request.pyramid, None);
        request = Request { pyramid: Some(PyramidRequest::default()), named: named(&["pyramid"]), ..to("b.nii") };
        leave_out(&mut request, &["pyramid"]);
        let refused = refuse(&request).unwrap_err().to_string();
        assert_eq!(refused, "--pyramid is for Zarr targets, and b.nii is none");
    }
}

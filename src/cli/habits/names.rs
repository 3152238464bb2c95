//! Names of values: those of other programs, and near misses.

/// Ways to interpolate that are one and the same under other names: of ITK and ANTs, FSL, FreeSurfer, AFNI, GDAL, SPM and SciPy.
const METHODS: [(&[&str], &str); 11] = [
    (&["nn", "near", "nearestneighbor", "nearestneighbour", "nearest-neighbor", "nearest_neighbor", "0"], "nearest"),
    (&["trilinear", "bilinear", "tri", "li", "1"], "linear"),
    (&["catmull-rom", "catmullrom", "catrom"], "cubic"),
    (&["spline", "cubic-bspline", "cubicbspline", "3"], "bspline3"),
    (&["2"], "bspline2"),
    (&["4"], "bspline4"),
    (&["5"], "bspline5"),
    (&["average", "avg", "area"], "mean"),
    (&["genericlabel"], "label"),
    (&["multilabel", "labelgaussian"], "label-gaussian"),
    (&["majority"], "mode"),
];

/// What is offered for a name that is near.
const KNOWN: [&str; 22] = [
    "nearest",
    "linear",
    "cubic",
    "bspline",
    "bspline2",
    "bspline3",
    "bspline4",
    "bspline5",
    "lanczos",
    "sinc-hamming",
    "sinc-cosine",
    "sinc-welch",
    "sinc-lanczos",
    "sinc-blackman",
    "gaussian",
    "label",
    "label-gaussian",
    "mean",
    "mode",
    "min",
    "max",
    "median",
];

/// Our name of a way to interpolate that another program names otherwise; ours in other letters too.
pub(crate) fn interp(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("sitk").unwrap_or(&lower);
    let theirs = METHODS.iter().find(|(names, _)| names.contains(&name)).map(|(_, ours)| *ours);
    theirs.or_else(|| KNOWN.into_iter().find(|ours| *ours == name && name != text))
}

/// Our name of a sample type that NumPy, GDAL, FSL and FreeSurfer name otherwise.
pub(crate) fn dtype(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "uint8" | "byte" | "uchar" => "u8",
        "int8" => "i8",
        "uint16" | "ushort" => "u16",
        "int16" | "short" => "i16",
        "uint32" => "u32",
        "int32" => "i32",
        "uint64" => "u64",
        "int64" => "i64",
        "float32" | "float" | "single" => "f32",
        "float64" | "double" => "f64",
        _ => return None,
    })
}

/// Our column of a table of jobs that others name otherwise.
pub(crate) fn column(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "in" | "source" | "src" | "file" | "path" | "image" | "scan" => "input",
        "out" | "target" | "dst" | "destination" | "result" => "output",
        _ => return None,
    })
}

/// The way to interpolate that is spelled nearly so.
pub(crate) fn near(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let (distance, name) = KNOWN.iter().map(|name| (distance(&lower, name), *name)).min()?;
    (distance <= 2 && distance < name.len().div_ceil(2)).then_some(name)
}

/// Whether one option may be a slip for another.
pub(crate) fn is_near(typed: &str, ours: &str) -> bool {
    distance(typed, ours) <= if ours.len() > 8 { 2 } else { 1 }
}

/// Letters to change, add, leave out or exchange with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let change = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let best = change.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swaps { best.min(table[i - 2][j - 2] + 1) } else { best }
                }
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use reslice::{resample::Method, voxel::Dtype};

    #[test]
    fn names_of_other_programs_are_one_of_ours() {
        for (theirs, ours) in [
            ("nn", "nearest"),
            ("NearestNeighbor", "nearest"),
            ("trilinear", "linear"),
            ("Linear", "linear"),
            ("bilinear", "linear"),
            ("spline", "bspline3"),
            ("BSpline", "bspline"),
            ("average", "mean"),
            ("GenericLabel", "label"),
            ("sitkLabelGaussian", "label-gaussian"),
            ("sitkNearestNeighbor", "nearest"),
            ("Majority", "mode"),
            ("0", "nearest"),
        ] {
            assert_eq!(interp(theirs), Some(ours), "{theirs}");
        }
        // sinc has several windows, and ours are no aliases.
        assert!(
            ["sinc", "linear", "HammingWindowedSinc", "cubicspline"].into_iter().all(|name| interp(name).is_none())
        );
        let all = METHODS.iter().map(|(_, ours)| *ours).chain(KNOWN);
        all.for_each(|ours| assert!(ours.parse::<Method>().is_ok(), "{ours}"));
    }

    #[test]
    fn dtypes_of_other_programs_are_one_of_ours() {
        assert_eq!(
            ["uint8", "Float32", "double", "Byte"].map(dtype),
            [Some("u8"), Some("f32"), Some("f64"), Some("u8")]
        );
        assert!(["u8", "float16", "complex64", ""].into_iter().all(|name| dtype(name).is_none()));
        let names = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"];
        assert_eq!(names.map(|name| dtype(name).unwrap().parse::<Dtype>().unwrap()), Dtype::ALL);
    }

    #[test]
    fn near_misses_are_told() {
        for (typed, meant) in
            [("linaer", "linear"), ("nearst", "nearest"), ("lanzcos", "lanczos"), ("medain", "median")]
        {
            assert_eq!(near(typed), Some(meant), "{typed}");
        }
        assert!(["x", "nonsense", "", "mitchell"].into_iter().all(|typed| near(typed).is_none()));
    }
}

//! Grids, numbers and sizes in words.

use bytesize::ByteSize;

use crate::job::GridSummary;

/// `512x512x120 voxels of 0.41x0.41x1.5 mm, LPS`
pub fn grid(grid: &GridSummary) -> String {
    format!("{}, {}", grid_of_steps(grid), grid.orientation)
}

/// The same without letters, where axes have no direction in a body.
pub fn grid_of_steps(grid: &GridSummary) -> String {
    let times = |numbers: [String; 3]| numbers.join("x");
    format!(
        "{} voxels of {} {}",
        times(grid.shape.map(|n| n.to_string())),
        times(grid.spacing.map(number)),
        grid.unit.symbol()
    )
}

/// `512 × 512 × 120 voxels of 0.41 × 0.41 × 1.5 mm, LPS`, with letters where they are of a body.
pub fn grid_spaced(grid: &GridSummary, is_body: bool) -> String {
    let times = |numbers: [String; 3]| numbers.join(" × ");
    let letters = if is_body { format!(", {}", grid.orientation) } else { String::new() };
    format!(
        "{} voxels of {} {}{letters}",
        times(grid.shape.map(|n| n.to_string())),
        times(grid.spacing.map(short)),
        unit(grid)
    )
}

/// The unit of a grid, as print has it.
pub fn unit(grid: &GridSummary) -> &str {
    match grid.unit.symbol() {
        "um" => "µm",
        "angstrom" => "Å",
        symbol => symbol,
    }
}

/// Up to six digits behind the point, no more than needed.
pub fn number(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// About four digits, no more than needed.
pub fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return number(x);
    }
    let digits = (3 - x.abs().log10().floor() as i64).clamp(0, 12) as usize;
    match x.abs() {
        size if !(1e-6..1e9).contains(&size) => format!("{x:.3e}"),
        _ if digits == 0 => format!("{x:.0}"),
        _ => format!("{x:.digits$}").trim_end_matches('0').trim_end_matches('.').to_string(),
    }
}

/// `1.5 GiB`
pub fn bytes(n: u64) -> String {
    ByteSize(n).display().iec().to_string()
}

/// Groups of three digits, apart by a narrow space.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    std::iter::once(head.to_string()).filter(|head| !head.is_empty()).chain(groups).collect::<Vec<_>>().join("\u{202f}")
}

/// `12 %`, `0.3 %`, `0.0004 %`
pub fn percent(part: f64) -> String {
    let percent = 100.0 * part;
    match percent {
        p if p == 0.0 || p >= 99.95 => format!("{p:.0} %"),
        p if p >= 0.1 => format!("{p:.1} %"),
        p => format!("{} %", format!("{p:.1e}").parse::<f64>().map_or_else(|_| p.to_string(), |p| p.to_string())),
    }
}

/// `4.2 s`, `12 min 5 s`
pub fn seconds(s: f64) -> String {
    match s {
        s if s < 60.0 => format!("{s:.2} s"),
        s if s < 3600.0 => format!("{} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0) / 60.0),
    }
}

/// The last part of a path or URL.
pub fn file_name(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            [short(0.0), short(1234.5678), short(0.041015), short(-1024.0), short(3e12)],
            ["0", "1235", "0.04102", "-1024", "3.000e12"]
        );
        assert_eq!(
            [count(7), count(1234), count(123_456), count(12_345_678)].map(|s| s.replace('\u{202f}', " ")),
            ["7", "1 234", "123 456", "12 345 678"]
        );
        assert_eq!(
            [percent(0.0), percent(0.12345), percent(1.0), percent(4e-6)],
            ["0 %", "12.3 %", "100 %", "0.0004 %"]
        );
        assert_eq!([seconds(4.2), seconds(725.0), seconds(7260.0)], ["4.20 s", "12 min 5 s", "2 h 1 min"]);
        assert_eq!([file_name("a/b.nii"), file_name("s3://b/c.zarr/"), file_name("x")], ["b.nii", "c.zarr", "x"]);
    }
}

//! Grids, numbers and sizes in words.

use bytesize::ByteSize;

use reslice::job::GridSummary;

/// `512x512x120 voxels of 0.41x0.41x1.5 mm, LPS`
pub fn grid(grid: &GridSummary) -> String {
    let times = |numbers: [String; 3]| numbers.join("x");
    format!(
        "{} voxels of {} {}, {}",
        times(grid.shape.map(|n| n.to_string())),
        times(grid.spacing.map(number)),
        grid.unit.symbol(),
        grid.orientation
    )
}

/// Up to six digits behind the point, no more than needed.
pub fn number(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A measured number with four digits that count; very small and very large ones with an exponent.
pub fn measured(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return format!("{x:.3e}");
    }
    let behind = if size == 0.0 { 0 } else { (3 - size.log10().floor() as i32).max(0) as usize };
    let text = format!("{x:.behind$}");
    if behind == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_string() }
}

/// A format without the extents of its shards, which stand in the array's own order.
pub fn format(format: &str) -> String {
    format.split_once(" in shards of ").map_or(format.to_string(), |(head, _)| format!("{head}, sharded"))
}

/// `1.5 GiB`
pub fn bytes(n: u64) -> String {
    ByteSize(n).display().iec().to_string()
}

#[test]
fn measured_numbers_are_short() {
    let told = [1.0, 0.495_238_473, 12.5, 4_000.0, 123_456.7, 0.0, 0.000_123_46, 1.5e-7, 2e12, -3.25];
    let told = told.map(measured);
    assert_eq!(told, ["1", "0.4952", "12.5", "4000", "123457", "0", "0.0001235", "1.500e-7", "2.000e12", "-3.25"]);
}

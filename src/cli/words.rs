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

/// A format without the extents of its shards, which stand in the array's own order.
pub fn format(format: &str) -> String {
    format.split_once(" in shards of ").map_or(format.to_string(), |(head, _)| format!("{head}, sharded"))
}

/// `1.5 GiB`
pub fn bytes(n: u64) -> String {
    ByteSize(n).display().iec().to_string()
}

//! Grids, numbers and sizes in words: those of the library's reports.

pub(super) use reslice::report::words::{bytes, grid, grid_of_steps, number};

/// A measured number with four digits that count; very small and very large ones with an exponent.
pub(super) fn measured(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return format!("{x:.3e}");
    }
    let behind = if size == 0.0 { 0 } else { (3 - size.log10().floor() as i32).max(0) as usize };
    let text = format!("{x:.behind$}");
    if behind == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_string() }
}

/// A format without the extents of its shards, which stand in the array's own order.
pub(super) fn format(format: &str) -> String {
    format.split_once(" in shards of ").map_or(format.to_string(), |(head, _)| format!("{head}, sharded"))
}

#[test]
fn measured_numbers_are_short() {
    let told = [1.0, 0.495_238_473, 12.5, 4_000.0, 123_456.7, 0.0, 0.000_123_46, 1.5e-7, 2e12, -3.25];
    let told = told.map(measured);
    assert_eq!(told, ["1", "0.4952", "12.5", "4000", "123457", "0", "0.0001235", "1.500e-7", "2.000e12", "-3.25"]);
}

//! What a run reads, writes and needs, in words; printed before it begins and by a dry run.

use super::words::{self, bytes};
use reslice::{
    job::{Disk, Fit, Summary, TargetSize},
    plan::Offer,
};

/// What a step of the amplification has to save to be told.
const WORTH_TELLING: f64 = 0.01;

/// Lines `input` and `output`.
pub(super) fn ends(summary: &Summary) -> String {
    let volumes = if summary.volumes > 1 { format!(" x {} volumes", summary.volumes) } else { String::new() };
    format!(
        "input   {} ({}): {}{volumes}, {}, {}\noutput  {}: {}{volumes}, {}, {}",
        summary.input,
        summary.source_format,
        words::grid(&summary.source),
        summary.source_dtype,
        bytes(summary.source_bytes),
        summary.output,
        words::grid(&summary.target),
        summary.target_dtype,
        size(&summary.target_size)
    )
}

/// `11.8 TiB and 1.7 TiB in 8 levels, before compression; 96 000 files`
fn size(size: &TargetSize) -> String {
    let mut text = bytes(size.raw_bytes);
    let levels = size.level_raw_bytes.len();
    if levels > 0 {
        let coarser = size.level_raw_bytes.iter().fold(0u64, |sum, &bytes| sum.saturating_add(bytes));
        text += &format!(" and {} in {levels} level{}", bytes(coarser), if levels == 1 { "" } else { "s" });
    }
    if size.is_compressed {
        text += " before compression";
    }
    text + &format!("; {} file{}", grouped(size.files), if size.files == 1 { "" } else { "s" })
}

/// `96 000`
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(" ")
}

/// A line `disk` for each file system.
pub(super) fn disks(disks: &[Disk]) -> impl Iterator<Item = String> {
    disks.iter().map(disk)
}

fn disk(disk: &Disk) -> String {
    let verdict = match disk.fit() {
        Fit::Fits => "",
        Fit::MayNotFit => ": may not be enough",
        Fit::DoesNotFit => ": NOT ENOUGH, refused without --no-disk-check",
    };
    format!("disk    {} free in {}, needs {}{verdict}", bytes(disk.free_bytes), disk.folder, disk.needed())
}

/// What other budgets would buy, in words; nothing where that is all one.
pub(super) fn memory(offers: &[Offer], given_bytes: u64) -> Option<String> {
    let given = offers.iter().find(|offer| offer.memory_bytes == given_bytes && offer.fits)?;
    let (most, share) = (given.amplification?, given.decode_share?);
    let mut parts = Vec::new();
    let smallest = offers.iter().find(|offer| offer.fits && offer.memory_bytes < given_bytes);
    if let Some((offer, amplification)) = smallest.and_then(|offer| Some((offer, offer.amplification?))) {
        let more = amplification / most - 1.0;
        let with =
            if more < WORTH_TELLING { "no more decoding".into() } else { format!("{} more decoding", percent(more)) };
        parts.push(format!("{} would do, with {with}", bytes(offer.memory_bytes)));
    }
    let better = offers.iter().filter(|offer| offer.memory_bytes > given_bytes);
    let better: Vec<(&Offer, f64)> =
        better.filter_map(|offer| Some((offer, 1.0 - offer.amplification? / most))).collect();
    let best = better.iter().fold(0.0f64, |best, (_, saved)| best.max(*saved));
    // The least memory that saves as much.
    match better.iter().find(|(_, saved)| *saved >= WORTH_TELLING && best - saved < WORTH_TELLING) {
        Some(&(offer, saved)) => parts.push(format!(
            "{} saves {} of the decoding, some {} of the time",
            bytes(offer.memory_bytes),
            percent(saved),
            percent(saved * share)
        )),
        None => parts.push("more saves nothing".into()),
    }
    Some(format!("        {}", parts.join("; ")))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(memory_bytes: u64, amplification: f64) -> Offer {
        Offer {
            memory_bytes,
            fits: true,
            amplification: Some(amplification),
            decode_share: Some(0.5),
            fetch_ratio: Some(1.0),
            exact: true,
        }
    }

    #[test]
    fn memory_is_told_in_words() {
        const GIB: u64 = 1 << 30;
        let offers = [offer(GIB / 16, 2.1), offer(GIB, 2.0), offer(2 * GIB, 1.5), offer(4 * GIB, 1.5)];
        let told = memory(&offers, GIB).unwrap();
        assert_eq!(
            told.trim(),
            "64.0 MiB would do, with 5 % more decoding; 2.0 GiB saves 25 % of the decoding, some 12 % of the time"
        );
        let once = memory(&[offer(GIB / 16, 1.0), offer(GIB, 1.0)], GIB).unwrap();
        assert_eq!(once.trim(), "64.0 MiB would do, with no more decoding; more saves nothing");
        assert_eq!(memory(&[], GIB), None);
    }

    #[test]
    fn sizes_name_levels_and_files() {
        let plain = TargetSize { raw_bytes: 3 << 20, files: 1, ..TargetSize::default() };
        assert_eq!(size(&plain), "3.0 MiB; 1 file");
        let levels = TargetSize {
            raw_bytes: 8 << 20,
            level_raw_bytes: vec![1 << 20, 1 << 17],
            files: 96_000,
            is_compressed: true,
            ..TargetSize::default()
        };
        assert_eq!(size(&levels), "8.0 MiB and 1.1 MiB in 2 levels before compression; 96 000 files");
    }

    #[test]
    fn a_disk_that_is_too_small_is_said_to_be() {
        let of = |least_bytes, estimated_bytes| {
            let folder = "/tmp".into();
            disk(&Disk { folder, free_bytes: 2 << 20, least_bytes, estimated_bytes, most_bytes: 4 << 20 })
        };
        assert_eq!(
            of(1 << 20, Some(1 << 20)),
            "disk    2.0 MiB free in /tmp, needs about 1.0 MiB, compressed as the source is"
        );
        assert!(of(4 << 20, Some(4 << 20)).ends_with("needs 4.0 MiB: NOT ENOUGH, refused without --no-disk-check"));
        assert!(of(0, None).ends_with("needs at most 4.0 MiB, before compression: may not be enough"));
    }
}

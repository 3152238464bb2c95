//! How much of the program's own file may still become resident.
//!
//! Code that runs for the first time is mapped by a page fault: 64 KiB of it as a rule, but as much as a folio of the page cache holds
//! (up to 2 MiB, Linux 6.18 and later), which depends on how the file was written: one that was just copied lies in large folios.

use std::{fs, fs::File, sync::OnceLock};

/// What a fault maps as a rule; the margins of plans are made for it.
const USUAL_BYTES: u64 = 64 << 10;
/// Faults of new code in a run, after its plan.
const FAULTS: u64 = 32;
/// Places of the file that are looked at.
const PLACES: usize = 4;

/// Bytes of the program's file that a run may make resident beyond what the margins of plans are for.
///
/// Linux only; 0 where the kernel does not say, and for a library within another program, whose budget is beside what that holds.
pub(super) fn growth_bytes() -> u64 {
    static STEP: OnceLock<u64> = OnceLock::new();
    let step = *STEP.get_or_init(|| own_program().and_then(|path| step_bytes(&path)).unwrap_or(USUAL_BYTES));
    match step > USUAL_BYTES {
        true => (FAULTS * (step - USUAL_BYTES)).min(left_bytes()),
        false => 0,
    }
}

/// The file of the program, where this code is a part of it.
fn own_program() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    own_file().filter(|path| program.as_os_str() == path.as_str())
}

/// The file that this code was mapped from: a program, or a library within one.
fn own_file() -> Option<String> {
    let at = own_file as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| range(line).is_some_and(|range| range.contains(&at)))?;
    path(line).map(str::to_string)
}

/// Addresses of a mapping, by its line of `maps`.
fn range(line: &str) -> Option<std::ops::Range<usize>> {
    let (begin, end) = line.split(' ').next()?.split_once('-')?;
    Some(usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

/// Its file.
fn path(line: &str) -> Option<&str> {
    line.find('/').map(|at| &line[at..])
}

/// The most that one fault maps of a file, by trying it at some places, one after another.
fn step_bytes(path: &str) -> Option<u64> {
    let file = File::open(path).ok()?;
    let len = super::map_program(&file).ok()?.len();
    let places = (0..PLACES).map(|n| one_fault(super::map_program(&file).ok()?.get(len / PLACES * n)?));
    places.max()?
}

/// What becomes resident with a byte.
fn one_fault(byte: &u8) -> Option<u64> {
    let before = resident_file_bytes()?;
    std::hint::black_box(std::hint::black_box(byte).wrapping_add(1));
    Some(resident_file_bytes()?.saturating_sub(before))
}

fn resident_file_bytes() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "RssFile:")
}

/// Bytes of the own file's mappings that are not resident yet.
fn left_bytes() -> u64 {
    let (Some(own), Ok(smaps)) = (own_file(), fs::read_to_string("/proc/self/smaps")) else { return 0 };
    not_resident(&smaps, &own)
}

/// The same by the text of `smaps`.
fn not_resident(smaps: &str, own: &str) -> u64 {
    let mut is_own = false;
    let (mut size, mut resident) = (0, 0);
    for line in smaps.lines() {
        if range(line).is_some() {
            is_own = path(line) == Some(own);
        } else if is_own {
            size += field(line, "Size:").unwrap_or(0);
            resident += field(line, "Rss:").unwrap_or(0);
        }
    }
    size.saturating_sub(resident)
}

/// A count of KiB after a name, as bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_file_is_found() {
        if cfg!(target_os = "linux") {
            assert_eq!(own_file().map(Into::into), std::env::current_exe().ok());
        }
    }

    #[test]
    fn what_is_left_is_of_the_own_file_only() {
        let smaps = "\
55d0-55e0 r-xp 00000000 fe:00 42     /bin/a program
Size:                 64 kB
KernelPageSize:        4 kB
Rss:                  12 kB
55e0-55f0 rw-p 00000000 00:00 0
Size:               1000 kB
Rss:                   0 kB
55f0-5600 r--p 00010000 fe:00 42     /bin/a program
Size:                  8 kB
Rss:                   8 kB
";
        assert_eq!(not_resident(smaps, "/bin/a program"), 52 << 10);
        assert_eq!(not_resident(smaps, "/bin/other"), 0);
    }

    #[test]
    fn a_fault_maps_something() {
        if cfg!(target_os = "linux") {
            let step = step_bytes(&own_file().unwrap()).unwrap();
            assert!((4 << 10..=2 << 20).contains(&step), "{step}");
        }
    }
}

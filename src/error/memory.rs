//! Refusals: budgets that are too small, with the smallest one that works.

use bytesize::ByteSize;

/// Methods past which the source's chunks can go one after the other, and a budget that each of them can be planned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Instead {
    /// As options of the command line.
    pub methods: Vec<String>,
    /// Whole mebibytes.
    pub memory_bytes: u64,
}

impl Instead {
    fn told(&self) -> String {
        let methods: Vec<String> = self.methods.iter().map(|method| format!("--interp {method}")).collect();
        let (last, others) = methods.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        let methods = if others.is_empty() { last.to_string() } else { format!("{} or {last}", others.join(", ")) };
        format!("; --memory {}MiB is enough for {methods}, for which chunks are not kept", self.memory_bytes >> 20)
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Even one worker with the smallest pieces needs more.
    #[error(
        "memory budget {} is too small: one worker needs {} for blocks of {} target voxels{}",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec(), shape(.block),
        detail(.window_bytes)
    )]
    TooSmall {
        memory_bytes: u64,
        /// The smallest budget that works.
        smallest_bytes: u64,
        block: [u64; 3],
        /// The part of it that decoded chunks take.
        window_bytes: u64,
        /// Whether the target is stored in chunks, which could be smaller.
        has_chunks: bool,
        /// What less memory would be enough for.
        instead: Option<Instead>,
    },

    /// The weights of the method along the axes need more, before anything else.
    #[error(
        "memory budget {} is too small: the weights along the axes of {} target voxels take {}",
        ByteSize(*.memory_bytes).display().iec(), shape(.target), told(*.table_bytes)
    )]
    TablesTooLarge {
        memory_bytes: u64,
        /// About, and at most; `u64::MAX` where there can be no such tables.
        table_bytes: u64,
        target: [u64; 3],
    },

    /// Even the smallest boxes of a comparison, with the chunks they touch, need more.
    #[error(
        "memory budget {} is too small: {what} needs {} for one box of voxels and the chunks it touches",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec()
    )]
    WalkTooSmall { what: &'static str, memory_bytes: u64, smallest_bytes: u64 },

    /// Even one thread that looks at one chunk at a time needs more.
    #[error(
        "memory budget {} is too small: verifying {array} needs {} with one thread, one chunk at a time",
        ByteSize(*.memory_bytes).display().iec(), ByteSize(*.smallest_bytes).display().iec()
    )]
    VerificationTooSmall { memory_bytes: u64, smallest_bytes: u64, array: String },
}

impl PlanError {
    /// The smallest budget that works, where it is one that is missing.
    pub(crate) fn smallest_bytes(&self) -> u64 {
        match self {
            PlanError::TooSmall { smallest_bytes, .. }
            | PlanError::WalkTooSmall { smallest_bytes, .. }
            | PlanError::VerificationTooSmall { smallest_bytes, .. } => *smallest_bytes,
            PlanError::TablesTooLarge { .. } => u64::MAX,
        }
    }

    /// The smallest budget that this process can plan with, as far as it knows one: the named budget without its spare part.
    pub(crate) fn least_bytes(&self) -> u64 {
        match self {
            PlanError::TablesTooLarge { .. } => self.named_bytes(),
            other => other.smallest_bytes(),
        }
    }

    /// The budget that is named: enough for what was refused, as far as that is known.
    pub(crate) fn named_bytes(&self) -> u64 {
        match self {
            PlanError::TablesTooLarge { table_bytes, .. } => beside_tables(*table_bytes).saturating_mul(1 << 20),
            other => mebibytes(other.smallest_bytes()).saturating_mul(1 << 20),
        }
    }

    /// The same refusal, of another budget.
    pub(crate) fn of_budget(mut self, asked_bytes: u64) -> PlanError {
        match &mut self {
            PlanError::TooSmall { memory_bytes, .. }
            | PlanError::WalkTooSmall { memory_bytes, .. }
            | PlanError::VerificationTooSmall { memory_bytes, .. }
            | PlanError::TablesTooLarge { memory_bytes, .. } => *memory_bytes = asked_bytes,
        }
        self
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PlanError::TooSmall { smallest_bytes, has_chunks, instead, .. } => {
                let mebibytes = mebibytes(*smallest_bytes);
                let hint = match has_chunks {
                    true => format!("use --memory {mebibytes}MiB or more, or a target with smaller chunks (--chunk)"),
                    false => format!("use --memory {mebibytes}MiB or more"),
                };
                hint + &instead.as_ref().map_or_else(String::new, Instead::told)
            }
            PlanError::WalkTooSmall { smallest_bytes, .. } | PlanError::VerificationTooSmall { smallest_bytes, .. } => {
                format!("use --memory {}MiB or more", mebibytes(*smallest_bytes))
            }
            PlanError::TablesTooLarge { table_bytes, .. } => {
                let way_out = "fewer target voxels, or a method that looks less far (--interp nearest has no weights)";
                match beside_tables(*table_bytes) {
                    _ if *table_bytes == u64::MAX => format!("use {way_out}"),
                    mebibytes => format!("use --memory {mebibytes}MiB or more, or {way_out}"),
                }
            }
        })
    }
}

/// The part of a budget that is named to spare.
const SPARE_SHARE: u64 = 12;
/// What a run takes beside such tables, with room to spare. It takes 14 MiB at least: four fifths of this and tables of 96 MiB, the
/// smallest that nobody looks into, are too little.
const BESIDE_TABLES_BYTES: u64 = 40 << 20;

fn told(bytes: u64) -> String {
    if bytes == u64::MAX { "more than can be addressed".into() } else { ByteSize(bytes).display().iec().to_string() }
}

/// Rounded up, with something to spare: the next process may be a little larger before it begins, since the kernel decides how
/// much of the program it maps at once.
pub fn mebibytes(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / SPARE_SHARE).div_ceil(1 << 20) + 1
}

/// The budget in MiB that is named for tables of this size. Four fifths of it are less than large tables take.
fn beside_tables(table_bytes: u64) -> u64 {
    let enough = table_bytes.saturating_add(BESIDE_TABLES_BYTES);
    mebibytes(enough).min((table_bytes / 4 * 5) >> 20).max(enough.div_ceil(1 << 20))
}

/// In file order.
fn shape([z, y, x]: &[u64; 3]) -> String {
    format!("{x}x{y}x{z}")
}

fn detail(window_bytes: &u64) -> String {
    match window_bytes {
        0 => String::new(),
        bytes => format!(", {} of it for decoded chunks", ByteSize(*bytes).display().iec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_what_is_named_do_not_hold_large_tables() {
        for table_mib in [96u64, 100, 160, 161, 209, 5000, 1 << 30] {
            let named = beside_tables(table_mib << 20);
            assert!(named >= table_mib + 40, "{table_mib}: {named}");
            assert!(named * 4 / 5 <= table_mib + if table_mib < 160 { 14 } else { 0 }, "{table_mib}: {named}");
        }
    }
}

//! How much memory and how many CPUs this job may use: the least of what the cgroups, the batch system, the resource
//! limits and the machine allow.

use std::{fs, path::Path};

use super::resource_limit;

mod cgroup;
mod slurm;

/// A memory ceiling and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    pub set_by: String,
}

/// The least memory ceiling that holds for this process. Without any, 1 GiB.
pub fn memory_limit() -> MemoryLimit {
    least("MemAvailable").unwrap_or(MemoryLimit { bytes: 1 << 30, set_by: "default".into() })
}

/// The same whatever other processes hold: beyond it, this process cannot go.
pub fn most_memory() -> Option<MemoryLimit> {
    least("MemTotal")
}

/// The least of all limits and a line of the machine's own figures.
fn least(of_machine: &str) -> Option<MemoryLimit> {
    let limit = |bytes: Option<u64>, set_by: &str| bytes.map(|bytes| MemoryLimit { bytes, set_by: set_by.into() });
    let candidates = [
        own_cgroup_memory(),
        limit(slurm::memory(|name| std::env::var(name).ok()), "Slurm"),
        address_room().map(|room| MemoryLimit { bytes: room.memory_bytes(threads()), set_by: room.set_by.into() }),
        limit(kib(&read("/proc/meminfo"), of_machine), of_machine),
    ];
    candidates.into_iter().flatten().min_by_key(|limit| limit.bytes)
}

/// What a limit of address space leaves to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRoom {
    pub limit_bytes: u64,
    /// Address space that may still be taken.
    pub left_bytes: u64,
    pub set_by: &'static str,
    resident_bytes: u64,
}

/// Address space of one thread: its stack, and the stack for signals.
const THREAD_BYTES: u64 = (2 << 20) + (64 << 10);
/// Threads beside the workers: for the journal, the sign of life, and what moves bytes over a network.
const OTHER_THREADS: u64 = 4;
/// What the allocator takes ahead, stacks that grow, and maps of small files.
const SLACK_BYTES: u64 = 4 << 20;

impl AddressRoom {
    /// Resident memory that so many workers may come to have, what is resident now included.
    pub fn memory_bytes(&self, threads: usize) -> u64 {
        self.left_bytes.saturating_sub(Self::beside_bytes(threads)).saturating_add(self.resident_bytes)
    }

    fn beside_bytes(threads: usize) -> u64 {
        (threads as u64).saturating_add(OTHER_THREADS).saturating_mul(THREAD_BYTES).saturating_add(SLACK_BYTES)
    }
}

/// The room that the narrower of RLIMIT_AS and RLIMIT_DATA leaves; `None` without either.
pub fn address_room() -> Option<AddressRoom> {
    let status = read("/proc/self/status");
    let field = |name: &str| kib(&status, name).unwrap_or(0);
    let room = |resource, taken: &str, set_by| {
        let limit_bytes = resource_limit(resource)?;
        let left_bytes = limit_bytes.saturating_sub(field(taken));
        Some(AddressRoom { limit_bytes, left_bytes, set_by, resident_bytes: field("VmRSS") })
    };
    let rooms = [room(libc::RLIMIT_AS, "VmSize", "RLIMIT_AS"), room(libc::RLIMIT_DATA, "VmData", "RLIMIT_DATA")];
    rooms.into_iter().flatten().min_by_key(|room| room.left_bytes)
}

/// The least limit of this process's memory cgroups.
pub(super) fn own_cgroup_memory() -> Option<MemoryLimit> {
    cgroup::memory(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// Memory that the page cache can have at most: what the machine has left, or the cgroups allow.
pub(super) fn cache_bytes() -> u64 {
    let limits = [own_cgroup_memory().map(|limit| limit.bytes), kib(&read("/proc/meminfo"), "MemAvailable")];
    limits.into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// CPUs that this process may use: its affinity mask, and the least quota of its cgroups, in whole CPUs.
pub fn threads() -> usize {
    let quota = cgroup::cpus(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    // The standard library reads the mask, and quotas where cgroups are mounted in the usual places.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    quota.map_or(threads, |quota| threads.min(quota.max(1.0) as usize))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The bytes of a line `name: N kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

//! How much memory and how many CPUs this job may use: the least of what the cgroups, the batch system, the resource
//! limits and the machine allow.

use std::{fs, path::Path};

use super::resource_limit;

/// A memory ceiling and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    pub set_by: String,
}

/// The least memory ceiling that holds for this process. Without any, 1 GiB.
pub fn memory_limit() -> MemoryLimit {
    let limit = |bytes: Option<u64>, set_by: &str| bytes.map(|bytes| MemoryLimit { bytes, set_by: set_by.into() });
    let candidates = [
        cgroup_memory(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo")),
        limit(slurm_memory(|name| std::env::var(name).ok()), "Slurm"),
        limit(resource_limit(libc::RLIMIT_AS), "RLIMIT_AS"),
        limit(resource_limit(libc::RLIMIT_DATA), "RLIMIT_DATA"),
        limit(available(&read("/proc/meminfo")), "MemAvailable"),
    ];
    let least = candidates.into_iter().flatten().min_by_key(|limit| limit.bytes);
    least.unwrap_or(MemoryLimit { bytes: 1 << 30, set_by: "default".into() })
}

/// CPUs that this process may use: its affinity mask, and the cgroup's quota.
pub fn threads() -> usize {
    // The standard library reads both, for cgroup v1 and v2.
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// What Slurm has granted to this task, in bytes; its variables count MiB.
fn slurm_memory(variable: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| variable(name).and_then(|value| value.trim().parse::<u64>().ok());
    let tasks = variable("SLURM_TASKS_PER_NODE")
        .and_then(|value| value.split(['(', ',']).next().and_then(|first| first.trim().parse::<u64>().ok()))
        .unwrap_or(1)
        .max(1);
    let per_node = number("SLURM_MEM_PER_NODE").map(|mib| (mib << 20) / tasks);
    let cpus = number("SLURM_CPUS_PER_TASK").or_else(|| number("SLURM_CPUS_ON_NODE")).unwrap_or(1);
    let per_cpu = number("SLURM_MEM_PER_CPU").map(|mib| (mib << 20) * cpus);
    // Slurm writes 0 for "all of the node".
    [per_node, per_cpu].into_iter().flatten().filter(|&bytes| bytes > 0).min()
}

/// The least limit of this process's memory cgroup and all its ancestors, v1 and v2. `root` is where paths start.
fn cgroup_memory(root: &Path, cgroups: &str, mounts: &str) -> Option<MemoryLimit> {
    cgroups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (kind, file) = match controllers {
                "" => ("cgroup2", "memory.max"),
                names if names.split(',').any(|name| name == "memory") => ("cgroup", "memory.limit_in_bytes"),
                _ => return None,
            };
            least_of_ancestors(root, &mount(mounts, kind)?, path, file)
        })
        .min_by_key(|limit| limit.bytes)
}

/// Mount point and root of the memory hierarchy: fields 5 and 4 of its line in mountinfo (proc(5)).
fn mount(mounts: &str, kind: &str) -> Option<(String, String)> {
    mounts
        .lines()
        .find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (fs, options) = (after.next()?, after.nth(1)?);
            let is_memory = kind == "cgroup2" || options.split(',').any(|option| option == "memory");
            let mut before = before.split(' ').skip(3);
            (fs == kind && is_memory).then(|| Some((before.next()?.to_string(), before.next()?.to_string())))?
        })
        .map(|(mounted_root, point)| (point, mounted_root))
}

fn least_of_ancestors(
    root: &Path,
    (point, mounted_root): &(String, String),
    path: &str,
    file: &str,
) -> Option<MemoryLimit> {
    let relative = path.strip_prefix(mounted_root.trim_end_matches('/')).unwrap_or(path).trim_start_matches('/');
    let base = root.join(point.trim_start_matches('/'));
    let mut least = None::<MemoryLimit>;
    for ancestor in Path::new(relative).ancestors() {
        let Ok(text) = fs::read_to_string(base.join(ancestor).join(file)) else { continue };
        // v2 writes "max", v1 a number near 2^63, for no limit.
        let Some(bytes) = text.trim().parse::<u64>().ok().filter(|&bytes| bytes < 1 << 60) else { continue };
        if least.as_ref().is_none_or(|least| bytes < least.bytes) {
            least = Some(MemoryLimit { bytes, set_by: format!("cgroup /{}", ancestor.display()) });
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_least_ancestor_of_a_v2_tree_counts() {
        let dir =
            tree(&[("sys/fs/cgroup/slice/memory.max", "134217728\n"), ("sys/fs/cgroup/slice/job/memory.max", "max\n")]);
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let limit = cgroup_memory(dir.path(), "0::/slice/job\n", mounts).unwrap();
        assert_eq!((limit.bytes, limit.set_by.as_str()), (128 << 20, "cgroup /slice"));
    }

    #[test]
    fn a_v1_tree_seen_from_a_container() {
        let dir = tree(&[
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/step/memory.limit_in_bytes", "268435456\n"),
        ]);
        let mounts = "31 24 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let cgroups = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc/step\n";
        assert_eq!(cgroup_memory(dir.path(), cgroups, mounts).unwrap().bytes, 256 << 20);
    }

    #[test]
    fn slurm_counts_mebibytes_per_task() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        assert_eq!(
            slurm_memory(env(&[("SLURM_MEM_PER_NODE", "4096"), ("SLURM_TASKS_PER_NODE", "2(x3)")])),
            Some(2 << 30)
        );
        assert_eq!(slurm_memory(env(&[("SLURM_MEM_PER_CPU", "512"), ("SLURM_CPUS_PER_TASK", "4")])), Some(2 << 30));
        assert_eq!(slurm_memory(env(&[("SLURM_MEM_PER_NODE", "0")])), None);
        assert_eq!(slurm_memory(env(&[])), None);
    }
}

//! What the control groups of this process allow: cgroups(7) for v1, cgroup-v2.rst of the kernel's documentation for v2.
//!
//! A process is in one group of each hierarchy, and every ancestor's limit holds for it. Folders are looked for below every
//! mount of the hierarchy that this process's group lies in; in a container, which may see a part of the tree only, that is
//! as far up as can be looked, and v1 tells the least limit above in `memory.stat`.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::MemoryLimit;

/// The least memory limit of the groups named in `cgroups` (`/proc/self/cgroup`) and their ancestors. `root` is where paths
/// start, `mounts` is `/proc/self/mountinfo`.
///
/// `memory.high` of v2 counts too: beyond it nothing is killed, but everything is slowed down.
pub(super) fn memory(root: &Path, cgroups: &str, mounts: &str) -> Option<MemoryLimit> {
    let mut least = None::<MemoryLimit>;
    for (group, version) in groups(root, cgroups, mounts, "memory") {
        for (folder, name) in &group {
            let found = match version {
                Version::One => [number(folder, "memory.limit_in_bytes"), inherited(folder)],
                Version::Two => ["memory.max", "memory.high"].map(|file| number(folder, file)),
            };
            // v1 writes a number near 2^63 for no limit.
            let Some(bytes) = found.into_iter().flatten().filter(|&bytes| bytes < 1 << 60).min() else { continue };
            if least.as_ref().is_none_or(|least| bytes < least.bytes) {
                least = Some(MemoryLimit { bytes, set_by: format!("cgroup /{}", name.display()) });
            }
        }
    }
    least
}

/// The least CPU quota, in CPUs.
pub(super) fn cpus(root: &Path, cgroups: &str, mounts: &str) -> Option<f64> {
    let quota = |folder: &Path, version: Version| match version {
        Version::One => {
            let quota = number(folder, "cpu.cfs_quota_us")?;
            Some((quota, number(folder, "cpu.cfs_period_us")?))
        }
        Version::Two => {
            let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let (quota, period) = text.trim().split_once(' ')?;
            Some((quota.parse().ok()?, period.parse().ok()?))
        }
    };
    groups(root, cgroups, mounts, "cpu")
        .flat_map(|(group, version)| group.into_iter().filter_map(move |(folder, _)| quota(&folder, version)))
        .filter(|&(_, period)| period > 0)
        .map(|(quota, period): (u64, u64)| quota as f64 / period as f64)
        .reduce(f64::min)
}

#[derive(Clone, Copy, PartialEq)]
enum Version {
    One,
    Two,
}

/// A group and its ancestors: where each can be read, and its name below the mount.
type Group = Vec<(PathBuf, PathBuf)>;

/// This process's groups that a controller may limit: that of v1 and that of v2, below each mount that shows them.
fn groups(root: &Path, cgroups: &str, mounts: &str, controller: &str) -> impl Iterator<Item = (Group, Version)> {
    cgroups
        .lines()
        .filter_map(move |line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            match controllers {
                "" => Some((Version::Two, path)),
                names if names.split(',').any(|name| name == controller) => Some((Version::One, path)),
                _ => None,
            }
        })
        .flat_map(move |(version, path)| {
            let mounted: Vec<Mount> = mounts.lines().filter_map(|line| mount(line, version, controller)).collect();
            let shown = mounted.iter().filter_map(|mount| Some((mount, below(&mount.root, path)?)));
            let mut found: Vec<Group> = shown.map(|(mount, name)| ancestors(root, mount, &name)).collect();
            if found.is_empty() {
                // A tree that does not show this group by its name: its top at least.
                found = mounted.iter().map(|mount| ancestors(root, mount, Path::new(""))).collect();
            }
            found.into_iter().map(move |group| (group, version))
        })
}

struct Mount {
    /// The group that is at the mount point.
    root: PathBuf,
    point: PathBuf,
}

/// Fields 4 and 5 of a line of mountinfo (proc(5)), where it mounts the hierarchy of this controller.
fn mount(line: &str, version: Version, controller: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let is_it = match version {
        Version::One => kind == "cgroup" && options.split(',').any(|option| option == controller),
        Version::Two => kind == "cgroup2",
    };
    let mut before = before.split(' ').skip(3).map(unescaped);
    is_it.then_some(Mount { root: before.next()?, point: before.next()? })
}

/// Spaces and the like stand in mountinfo as three octal digits.
fn unescaped(field: &str) -> PathBuf {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_string(), |text, (from, to)| text.replace(from, to))
        .into()
}

/// The name of the group `path` below the group `root`; none where it is not below it, or where one of them lies outside of the
/// namespace and is called by the way there (`/../..`).
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let climbs = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    let name = Path::new(path).strip_prefix(root).ok()?;
    (!climbs(name) && !climbs(root)).then(|| name.to_path_buf())
}

fn ancestors(root: &Path, mount: &Mount, name: &Path) -> Group {
    let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
    name.ancestors().map(|name| (point.join(name), name.to_path_buf())).collect()
}

/// A number alone in a file; `max` is none.
fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// The least limit of this v1 group and of all above it, those out of sight included.
fn inherited(folder: &Path) -> Option<u64> {
    let stat = fs::read_to_string(folder.join("memory.stat")).ok()?;
    stat.lines().find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests;

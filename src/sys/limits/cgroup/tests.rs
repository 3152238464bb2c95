//! Trees as they were found on machines: files by their paths, and the two files of `/proc` that lead there.

use super::*;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join("sys/fs/cgroup").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn limit(files: &[(&str, &str)], cgroups: &str, mounts: &str) -> Option<(u64, String)> {
    memory(tree(files).path(), cgroups, mounts).map(|limit| (limit.bytes, limit.set_by))
}

const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
const UNLIMITED: &str = "9223372036854771712\n";

#[test]
fn the_least_ancestor_of_a_v2_tree_counts() {
    let files = [
        ("memory.stat", "anon 0\n"),
        ("slice/memory.max", "134217728\n"),
        ("slice/memory.high", "max\n"),
        ("slice/job/memory.max", "max\n"),
        ("slice/job/memory.high", "max\n"),
    ];
    assert_eq!(limit(&files, "0::/slice/job\n", V2), Some((128 << 20, "cgroup /slice".into())));
    assert_eq!(limit(&files[3..], "0::/slice/job\n", V2), None);
}

#[test]
fn what_throttles_is_a_limit() {
    let files = [("slice/memory.max", "268435456\n"), ("slice/job/memory.high", "100663296\n")];
    assert_eq!(limit(&files, "0::/slice/job\n", V2), Some((96 << 20, "cgroup /slice/job".into())));
}

/// slurmd with cgroup/v2: the limit stands at the job or the step, the process below in its task.
#[test]
fn a_slurm_step() {
    let job = "system.slice/slurmstepd.scope/job_7";
    let files = [
        (&*format!("{job}/memory.max"), "1073741824\n"),
        (&*format!("{job}/step_0/memory.max"), "536870912\n"),
        (&*format!("{job}/step_0/user/task_0/memory.max"), "max\n"),
    ];
    let cgroups = format!("0::/{job}/step_0/user/task_0\n");
    assert_eq!(limit(&files, &cgroups, V2).unwrap().0, 512 << 20);
}

/// A container with its own cgroup namespace sees its group as the root of what is mounted.
#[test]
fn the_root_of_a_namespace() {
    assert_eq!(limit(&[("memory.max", "268435456\n")], "0::/\n", V2).unwrap().0, 256 << 20);
    let v1 = [("memory/memory.limit_in_bytes", "268435456\n")];
    assert_eq!(limit(&v1, "4:memory:/\n0::/\n", V1).unwrap().0, 256 << 20);
}

/// A process that was moved out of the root of its namespace; nothing above the mount point is looked at.
#[test]
fn a_group_outside_of_the_namespace() {
    let dir = tree(&[("memory.max", "268435456\n"), ("../memory.max", "4096\n"), ("../../memory.max", "4096\n")]);
    assert_eq!(memory(dir.path(), "0::/../../other\n", V2).unwrap().bytes, 256 << 20);
    let outside = "30 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    assert_eq!(memory(dir.path(), "0::/\n", outside).unwrap().bytes, 256 << 20);
}

/// Without a namespace of its own a container is called by its path on the host, and mounts only its own part of the tree.
#[test]
fn a_v1_tree_seen_from_a_container() {
    let files = [("memory/memory.limit_in_bytes", UNLIMITED), ("memory/step/memory.limit_in_bytes", "268435456\n")];
    let mounts = "31 24 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    let cgroups = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc/step\n";
    assert_eq!(limit(&files, cgroups, mounts), Some((256 << 20, "cgroup /step".into())));
    // Another group whose name begins alike.
    assert_eq!(limit(&files, "4:memory:/docker/abcdef/step\n", mounts), None);
}

#[test]
fn a_v1_limit_above_what_can_be_seen() {
    let files = [
        ("memory/memory.limit_in_bytes", UNLIMITED),
        ("memory/memory.stat", "cache 0\nhierarchical_memory_limit 402653184\nhierarchical_memsw_limit 1\n"),
    ];
    let mounts = "31 24 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    assert_eq!(limit(&files, "4:memory:/docker/abc\n", mounts).unwrap().0, 384 << 20);
}

#[test]
fn a_hybrid_of_both_versions() {
    let files = [
        ("memory/user/memory.limit_in_bytes", "536870912\n"),
        ("memory/user/memory.stat", "hierarchical_memory_limit 536870912\n"),
        ("unified/user/cgroup.procs", "1\n"),
        ("cpu,cpuacct/user/cpu.cfs_quota_us", "150000\n"),
        ("cpu,cpuacct/user/cpu.cfs_period_us", "100000\n"),
    ];
    let mounts = format!("29 24 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n{V1}");
    let cgroups = "9:name=systemd:/user\n4:memory:/user\n2:cpu,cpuacct:/user\n0::/user\n";
    assert_eq!(limit(&files, cgroups, &mounts).unwrap().0, 512 << 20);
    assert_eq!(cpus(tree(&files).path(), cgroups, &mounts), Some(1.5));
}

/// The hierarchy is mounted twice, first with the part of somebody else, at a path with a space.
#[test]
fn several_mounts() {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [("other place/memory.max", "4096\n"), ("own place/job/memory.max", "268435456\n")] {
        fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        fs::write(dir.path().join(path), text).unwrap();
    }
    let mounts =
        "30 24 0:26 /other /other\\040place rw - cgroup2 none rw\n31 24 0:26 / /own\\040place rw - cgroup2 none rw\n";
    assert_eq!(memory(dir.path(), "0::/job\n", mounts).unwrap().bytes, 256 << 20);
}

#[test]
fn quotas_of_every_ancestor() {
    let files =
        [("a/cpu.max", "250000 100000\n"), ("a/b/cpu.max", "max 100000\n"), ("a/b/c/cpu.max", "800000 200000\n")];
    assert_eq!(cpus(tree(&files).path(), "0::/a/b/c\n", V2), Some(2.5));
    assert_eq!(cpus(tree(&files[1..2]).path(), "0::/a/b/c\n", V2), None);
    let files = [
        ("cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n"),
        ("cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
        ("cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
        ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ];
    assert_eq!(cpus(tree(&files).path(), "2:cpu,cpuacct:/a\n", V1), Some(0.5));
}

#[test]
fn nothing_at_all() {
    assert_eq!(limit(&[], "", ""), None);
    assert_eq!(limit(&[], "0::/\nnonsense\n::\n", "nonsense\n - \n30 24 - cgroup2\n"), None);
}

//! What Slurm has granted to this task, by the variables of sbatch(1) and srun(1).

/// Bytes; none where nothing, or all of the node, was granted.
///
/// Memory per node is shared by the tasks that run on this node; memory per CPU counts the CPUs of a task, or a share of those
/// of the job on this node.
pub(super) fn memory(variable: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| variable(name).and_then(|value| value.trim().parse::<u64>().ok());
    let node = number("SLURM_NODEID").unwrap_or(0);
    let tasks = variable("SLURM_STEP_TASKS_PER_NODE").or_else(|| variable("SLURM_TASKS_PER_NODE"));
    let tasks = tasks.and_then(|list| tasks_on(&list, node)).unwrap_or(1).max(1);
    let per_node = variable("SLURM_MEM_PER_NODE").and_then(|size| bytes(&size)).map(|bytes| bytes / tasks);
    let cpus = number("SLURM_CPUS_PER_TASK")
        .or_else(|| number("SLURM_CPUS_ON_NODE").map(|cpus| cpus / tasks))
        .unwrap_or(1)
        .max(1);
    let per_cpu = variable("SLURM_MEM_PER_CPU").and_then(|size| bytes(&size)).map(|bytes| bytes.saturating_mul(cpus));
    // Slurm writes 0 for "all of the node".
    [per_node, per_cpu].into_iter().flatten().filter(|&bytes| bytes > 0).min()
}

/// A size in MiB, or in the unit that stands behind it.
fn bytes(size: &str) -> Option<u64> {
    let size = size.trim();
    let (number, shift) = match size.char_indices().last()? {
        (at, 'K' | 'k') => (&size[..at], 10),
        (at, 'M' | 'm') => (&size[..at], 20),
        (at, 'G' | 'g') => (&size[..at], 30),
        (at, 'T' | 't') => (&size[..at], 40),
        _ => (size, 20),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Tasks on node number `node` of a list such as `2(x3),1`; on the last one where there are fewer.
fn tasks_on(list: &str, node: u64) -> Option<u64> {
    let (mut before, mut last) = (0u64, None);
    for part in list.split(',') {
        let (tasks, nodes) = part.trim().split_once("(x").unwrap_or((part.trim(), "1)"));
        last = Some(tasks.parse::<u64>().ok()?);
        before = before.saturating_add(nodes.trim_end_matches(')').parse::<u64>().ok()?);
        if node < before {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<u64> {
        memory(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn memory_of_a_node_is_shared_by_its_tasks() {
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "4096"), ("SLURM_TASKS_PER_NODE", "2(x3)")]), Some(2 << 30));
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "4096")]), Some(4 << 30));
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "4G")]), Some(4 << 30));
        let uneven = [("SLURM_MEM_PER_NODE", "4096"), ("SLURM_TASKS_PER_NODE", "4(x2),1"), ("SLURM_NODEID", "2")];
        assert_eq!(of(&uneven), Some(4 << 30));
        // A step of one task in an allocation for four.
        let step = [("SLURM_MEM_PER_NODE", "4096"), ("SLURM_TASKS_PER_NODE", "4"), ("SLURM_STEP_TASKS_PER_NODE", "1")];
        assert_eq!(of(&step), Some(4 << 30));
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "0")]), None);
        assert_eq!(of(&[("SLURM_MEM_PER_NODE", "much")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn memory_of_a_cpu_counts_those_of_the_task() {
        assert_eq!(of(&[("SLURM_MEM_PER_CPU", "512"), ("SLURM_CPUS_PER_TASK", "4")]), Some(2 << 30));
        let shared = [
            ("SLURM_MEM_PER_CPU", "512"),
            ("SLURM_CPUS_ON_NODE", "8"),
            ("SLURM_TASKS_PER_NODE", "4"),
            ("SLURM_NODEID", "0"),
        ];
        assert_eq!(of(&shared), Some(1 << 30));
        assert_eq!(of(&[("SLURM_MEM_PER_CPU", "512")]), Some(512 << 20));
    }

    #[test]
    fn lists_of_tasks() {
        let on = |node| tasks_on("3(x2),2,1(x2)", node).unwrap();
        assert_eq!([on(0), on(1), on(2), on(3), on(4), on(9)], [3, 3, 2, 1, 1, 1]);
        assert_eq!(tasks_on("two", 0), None);
    }
}

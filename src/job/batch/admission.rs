//! What may run beside what: a pure decision over memory and threads.

use crate::plan::{Budget, Effort};

/// Stack and allocator memory of the thread that leads a job.
const LEADER_BYTES: u64 = 512 << 10;

/// The most that jobs keep for good of the margin of a plan.
const MOST_SETTLED_BYTES: u64 = 3 << 20;

/// The budget of a batch, and what the jobs under way take of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Admissions {
    memory_bytes: u64,
    threads: usize,
    /// Resident memory of the process without the jobs under way, and what it was before any of them.
    base_bytes: u64,
    first_bytes: Option<u64>,
    running: Vec<RunningJob>,
}

/// A job under way.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RunningJob {
    job: usize,
    wants: Wants,
}

/// What a job wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// One thread, and so much memory beyond the base.
    Beside { own_bytes: u64 },
    /// Everything.
    Alone,
}

impl Admissions {
    /// Nothing runs yet.
    pub(super) fn new(memory_bytes: u64, threads: usize) -> Admissions {
        Admissions { memory_bytes, threads: threads.max(1), base_bytes: 0, first_bytes: None, running: Vec::new() }
    }

    /// The same process within another budget.
    pub(super) fn within(self, memory_bytes: u64) -> Admissions {
        Admissions { memory_bytes, ..self }
    }

    /// Notes the resident memory of the process.
    ///
    /// Among jobs under way the base only rises, by what is resident beyond all that they may take: memory that ended jobs have
    /// left in the allocator's heap. What jobs have not taken yet stays theirs.
    pub(super) fn measured(&mut self, resident_bytes: u64) {
        let beyond = resident_bytes.saturating_sub(self.own_bytes());
        self.base_bytes = if self.running.is_empty() { beyond } else { self.base_bytes.max(beyond) };
        self.first_bytes.get_or_insert(resident_bytes);
    }

    /// What ended jobs have left resident of the margin that a plan keeps for new code and heaps.
    ///
    /// A job that has the whole budget does not keep it again: the second job was refused the budget that was enough for each.
    pub(super) fn settled_bytes(&self) -> u64 {
        self.base_bytes.saturating_sub(self.first_bytes.unwrap_or(self.base_bytes)).min(MOST_SETTLED_BYTES)
    }

    /// Budgets for a job that runs beside others with one thread, smallest first: equal shares for as many jobs as there are
    /// threads, for half as many, and so on; the largest is half of what there is.
    pub(super) fn shares(&self) -> Vec<Budget> {
        let left = self.memory_bytes.saturating_sub(self.base_bytes);
        let counts = std::iter::successors(Some(self.threads as u64), |count| Some(count / 2));
        let share = |count: u64| Budget {
            memory_bytes: self.base_bytes + (left / count).saturating_sub(LEADER_BYTES),
            threads: 1,
            reserved_bytes: self.base_bytes,
            // What does not fit beside others runs alone: no budget is named.
            effort: Effort::Fits,
        };
        counts.take_while(|&count| count >= 2).map(share).collect()
    }

    /// What a job wants whose plan within one of the [`shares`](Room::shares) projects this peak.
    pub(super) fn beside(&self, projected_bytes: u64) -> Wants {
        Wants::Beside { own_bytes: projected_bytes.saturating_sub(self.base_bytes) + LEADER_BYTES }
    }

    /// Whether a job may begin now.
    pub(super) fn admits(&self, wants: Wants) -> bool {
        match wants {
            Wants::Alone => self.running.is_empty(),
            Wants::Beside { own_bytes } => {
                let fits = self.base_bytes + self.own_bytes() + own_bytes <= self.memory_bytes;
                fits && self.running.len() < self.threads && !self.is_taken()
            }
        }
    }

    /// Job `job` begins.
    pub(super) fn enter(&mut self, job: usize, wants: Wants) {
        self.running.push(RunningJob { job, wants });
    }

    /// Job `job` has ended.
    pub(super) fn leave(&mut self, job: usize) {
        self.running.retain(|tenant| tenant.job != job);
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    fn is_taken(&self) -> bool {
        self.running.iter().any(|tenant| tenant.wants == Wants::Alone)
    }

    fn own_bytes(&self) -> u64 {
        let own = |tenant: &RunningJob| match tenant.wants {
            Wants::Beside { own_bytes } => own_bytes,
            Wants::Alone => 0,
        };
        self.running.iter().map(own).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(memory: u64, threads: usize, base: u64) -> Admissions {
        let mut room = Admissions::new(memory * MIB, threads);
        room.measured(base * MIB);
        room
    }

    #[test]
    fn jobs_run_side_by_side_as_long_as_their_sum_fits() {
        let mut room = room(50, 8, 10);
        let wants = room.beside(23 * MIB - LEADER_BYTES);
        assert_eq!(wants, Wants::Beside { own_bytes: 13 * MIB });
        for job in 0..3 {
            assert!(room.admits(wants));
            room.enter(job, wants);
        }
        assert!(!room.admits(wants) && room.admits(Wants::Beside { own_bytes: MIB }));
        room.leave(1);
        assert!(room.admits(wants));
    }

    #[test]
    fn no_more_jobs_than_threads() {
        let mut room = room(1000, 2, 10);
        let wants = Wants::Beside { own_bytes: MIB };
        room.enter(0, wants);
        assert!(room.admits(wants));
        room.enter(1, wants);
        assert!(!room.admits(wants));
    }

    #[test]
    fn a_large_job_runs_alone() {
        let mut room = room(1000, 8, 10);
        let small = Wants::Beside { own_bytes: MIB };
        room.enter(0, small);
        assert!(!room.admits(Wants::Alone));
        room.leave(0);
        assert!(room.admits(Wants::Alone) && room.is_empty());
        room.enter(1, Wants::Alone);
        assert!(!room.admits(small) && !room.admits(Wants::Alone));
    }

    #[test]
    fn what_ended_jobs_left_behind_counts_until_nothing_runs() {
        let mut room = room(50, 8, 10);
        let wants = Wants::Beside { own_bytes: 15 * MIB };
        room.enter(0, wants);
        // It has taken 5 of its 15 MiB so far: the others stay its own.
        room.measured(15 * MIB);
        assert!(room.admits(Wants::Beside { own_bytes: 25 * MIB }));
        room.measured(30 * MIB);
        assert!(!room.admits(Wants::Beside { own_bytes: 25 * MIB }) && room.admits(wants));
        room.leave(0);
        room.measured(12 * MIB);
        assert!(room.admits(Wants::Beside { own_bytes: 38 * MIB }));
    }

    #[test]
    fn shares_are_equal_parts_of_what_the_process_leaves() {
        let shares = room(90, 8, 10).shares();
        let own: Vec<u64> =
            shares.iter().map(|share| share.memory_bytes - share.reserved_bytes + LEADER_BYTES).collect();
        assert_eq!(own, [10 * MIB, 20 * MIB, 40 * MIB]);
        assert!(shares.iter().all(|share| share.threads == 1 && share.reserved_bytes == 10 * MIB));
        assert!(room(90, 1, 10).shares().is_empty());
        assert_eq!(room(5, 2, 10).shares()[0].memory_bytes, 10 * MIB);
    }
}

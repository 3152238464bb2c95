//! Which rank this process is: as typed, or as the batch system has it.
//!
//! A variable counts only where it speaks of this process: a batch script that runs once has SLURM_PROCID and
//! SLURM_NTASKS too, so those are read only inside a step of `srun`; and an MPI launcher inside a Slurm job starts its
//! helpers by `srun`, so its own variables, nearer to the process, go before those of the step.

use std::str::FromStr;

use reslice::{
    error::{Error, Result},
    rank::Rank,
};

/// More ranks than this are taken for a mistake.
const MOST_RANKS: u64 = 1_000_000;

/// Step numbers from here on are Slurm's own: batch script, interactive shell, external (slurm/slurm.h).
const FIRST_SPECIAL_STEP: u64 = 0xffff_fff0;

/// `named` is what the numbers came from.
fn rank(index: u64, of: u64, named: &str) -> Result<Rank> {
    if of == 0 || of > MOST_RANKS {
        return Err(Error::usage(format!("{named}: {of} ranks, expected 1 to {MOST_RANKS}")));
    }
    if index >= of {
        let what = format!("{named}: rank {index} of {of}");
        return Err(Error::usage_hint(what, format!("ranks count from 0: 0 to {} of {of}", of - 1)));
    }
    Ok(Rank { index, of })
}

/// `I/N`, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RankArg {
    Given(Rank),
    Auto,
}

impl FromStr for RankArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(RankArg::Auto);
        }
        let number = |part: &str| part.trim().parse::<u64>().ok();
        let numbers = text.split_once('/').and_then(|(index, of)| number(index).zip(number(of)));
        match numbers {
            Some((index, of)) if index < of && of <= MOST_RANKS => Ok(RankArg::Given(Rank { index, of })),
            Some((_, of @ 1..=MOST_RANKS)) => Err(format!("ranks count from 0: 0/{of} to {}/{of}", of - 1)),
            Some((_, of)) => Err(format!("{of} ranks, expected 1 to {MOST_RANKS}")),
            None => Err("expected I/N, such as 0/4, or auto".into()),
        }
    }
}

/// The rank that the batch system gives to this process, and the variables that say so.
///
/// `variable` looks up the environment. First found: RESLICE_RANK and RESLICE_RANKS; a Slurm array's task, times the
/// tasks of a step inside it; a Slurm step's task; JOB_COMPLETION_INDEX (Kubernetes) and RESLICE_RANKS; PMI_RANK and
/// PMI_SIZE (MPICH, Intel MPI); OMPI_COMM_WORLD_RANK and _SIZE (Open MPI).
///
/// Errors: usage, if none is there, a number is out of range, or the array has gaps.
pub(super) fn auto(variable: impl Fn(&str) -> Option<String>) -> Result<(Rank, String)> {
    let from = Variables(&variable);
    for look in [Variables::own, Variables::slurm, Variables::completion_index, Variables::launcher] {
        if let Some(found) = look(&from)? {
            return Ok(found);
        }
    }
    Err(Error::usage_hint(
        "--rank auto: no variable says which rank this is",
        "start it in a Slurm array, by srun or mpirun, set RESLICE_RANK and RESLICE_RANKS, or give --rank I/N",
    ))
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

type Found = Option<(Rank, String)>;

impl Variables<'_> {
    /// A whole number; an empty variable is as none.
    fn number(&self, name: &str) -> Result<Option<u64>> {
        match (self.0)(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::usage(format!("{name} is '{value}', expected a whole number"))),
            },
        }
    }

    /// A number that must be there because `other` is.
    fn beside(&self, name: &str, other: &str) -> Result<u64> {
        self.number(name)?.ok_or_else(|| {
            Error::usage_hint(format!("{other} is set, but {name} is not"), format!("set {name}, or give --rank I/N"))
        })
    }

    /// A rank and its number of ranks, where both are there.
    fn pair(&self, index: &str, of: &str) -> Result<Found> {
        let named = format!("{index} and {of}");
        match self.number(index)?.zip(self.number(of)?) {
            Some((index, of)) => Ok(Some((rank(index, of, &named)?, named))),
            None => Ok(None),
        }
    }

    fn own(&self) -> Result<Found> {
        if self.number("RESLICE_RANK")?.is_some() {
            self.beside("RESLICE_RANKS", "RESLICE_RANK")?;
        }
        self.pair("RESLICE_RANK", "RESLICE_RANKS")
    }

    fn slurm(&self) -> Result<Found> {
        let step = self.step()?;
        let Some(array) = self.array()? else { return Ok(step) };
        let task = match step {
            None => self.launcher()?,
            step => step,
        };
        let Some((task, task_named)) = task else { return Ok(Some(array)) };
        let (array, array_named) = array;
        let named = format!("{array_named} with {task_named}");
        let of = array.of.saturating_mul(task.of);
        let index = array.index.saturating_mul(task.of).saturating_add(task.index);
        Ok(Some((rank(index, of, &named)?, named)))
    }

    /// Place in the array; its numbers must be MIN, MIN + STEP, ...
    fn array(&self) -> Result<Found> {
        let named = "SLURM_ARRAY_TASK_ID";
        let Some(id) = self.number(named)? else { return Ok(None) };
        let of = self.beside("SLURM_ARRAY_TASK_COUNT", named)?;
        let first = self.beside("SLURM_ARRAY_TASK_MIN", named)?;
        let step = self.number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let last = first.saturating_add(of.saturating_sub(1).saturating_mul(step));
        let regular = self.number("SLURM_ARRAY_TASK_MAX")?.is_none_or(|given| given == last);
        let place = id.checked_sub(first).filter(|past| regular && past % step == 0 && id <= last);
        let Some(past) = place else {
            return Err(Error::usage_hint(
                format!("the array has gaps: task {id} of {of} that begin at {first} in steps of {step}"),
                "use --array=0-N, or set RESLICE_RANK and RESLICE_RANKS",
            ));
        };
        Ok(Some((rank(past / step, of, named)?, named.into())))
    }

    /// Place in a step of `srun`: the launcher's that the step has started, or the step's.
    fn step(&self) -> Result<Found> {
        match self.number("SLURM_STEP_ID")? {
            Some(step) if step < FIRST_SPECIAL_STEP => {}
            _ => return Ok(None),
        }
        let step = self.pair("SLURM_PROCID", "SLURM_NTASKS")?;
        let launcher = self.launcher()?;
        // srun can set the launchers' variables itself: then they are the same.
        let same = |launcher: &(Rank, String)| step.as_ref().is_some_and(|step| step.0 == launcher.0);
        Ok(launcher.filter(|launcher| !same(launcher)).or(step))
    }

    fn completion_index(&self) -> Result<Found> {
        let index = "JOB_COMPLETION_INDEX";
        if self.number(index)?.is_some() {
            self.beside("RESLICE_RANKS", index)?;
        }
        self.pair(index, "RESLICE_RANKS")
    }

    fn launcher(&self) -> Result<Found> {
        match self.pair("PMI_RANK", "PMI_SIZE")? {
            None => self.pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(index: u64, of: u64) -> Rank {
        Rank { index, of }
    }

    fn from(variables: &str) -> Result<(Rank, String)> {
        let find = |name: &str| {
            variables.split_whitespace().find_map(|one| Some(one.strip_prefix(name)?.strip_prefix('=')?.to_string()))
        };
        auto(find)
    }

    fn rank_from(variables: &str) -> Rank {
        from(variables).unwrap().0
    }

    fn refused(variables: &str, says: &str) {
        let error = from(variables).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn ranks_are_typed_from_0() {
        assert_eq!("0/1".parse(), Ok(RankArg::Given(rank(0, 1))));
        assert_eq!("6/7".parse(), Ok(RankArg::Given(rank(6, 7))));
        assert_eq!("999999/1000000".parse(), Ok(RankArg::Given(rank(999_999, 1_000_000))));
        assert_eq!("auto".parse(), Ok(RankArg::Auto));
        for wrong in
            ["", "3", "/", "0/", "/4", "-1/4", "1/4/2", "0/1000001", "0/0", "a/b", "Auto", "99999999999999999999/4"]
        {
            assert!(wrong.parse::<RankArg>().is_err(), "{wrong}");
        }
        assert_eq!("7/7".parse::<RankArg>().unwrap_err(), "ranks count from 0: 0/7 to 6/7");
    }

    #[test]
    fn own_variables_go_first() {
        let (found, named) =
            from("RESLICE_RANK=2 RESLICE_RANKS=3 SLURM_ARRAY_TASK_ID=9 PMI_RANK=0 PMI_SIZE=2").unwrap();
        assert_eq!((found, named.as_str()), (rank(2, 3), "RESLICE_RANK and RESLICE_RANKS"));
        refused("RESLICE_RANK=2", "RESLICE_RANKS is not");
        refused("RESLICE_RANK=3 RESLICE_RANKS=3", "rank 3 of 3");
        refused("RESLICE_RANK=0 RESLICE_RANKS=0", "0 ranks");
        refused("RESLICE_RANK=0 RESLICE_RANKS=1000001", "1000001 ranks");
        refused("RESLICE_RANK=x RESLICE_RANKS=3", "'x'");
    }

    #[test]
    fn an_array_counts_from_its_first_task() {
        let array = |id, first, last, step, of| {
            format!(
                "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_MIN={first} SLURM_ARRAY_TASK_MAX={last} \
                 SLURM_ARRAY_TASK_STEP={step} SLURM_ARRAY_TASK_COUNT={of} SLURM_PROCID=0"
            )
        };
        assert_eq!(rank_from(&array(3, 0, 6, 1, 7)), rank(3, 7));
        assert_eq!(rank_from(&array(10, 4, 16, 3, 5)), rank(2, 5));
        assert_eq!(rank_from(&array(5, 5, 5, 1, 1)), rank(0, 1));
        assert_eq!(from(&array(3, 0, 6, 1, 7)).unwrap().1, "SLURM_ARRAY_TASK_ID");
        // --array=1,3,7 and --array=1,2,9: task 2 looks regular, but for the last one.
        refused(&array(7, 1, 7, 1, 3), "gaps");
        refused(&array(2, 1, 9, 1, 3), "gaps");
        refused(&array(5, 4, 16, 3, 5), "gaps");
        refused(&array(0, 1, 3, 1, 3), "gaps");
        refused("SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=3", "gaps");
        refused("SLURM_ARRAY_TASK_ID=7", "SLURM_ARRAY_TASK_COUNT is not");
        refused(&array(u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX), "ranks");
    }

    const ARRAY: &str = "SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_COUNT=5 ";

    #[test]
    fn steps_multiply_an_array() {
        let (found, named) = from(&format!("{ARRAY} SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=4")).unwrap();
        assert_eq!((found, named.as_str()), (rank(9, 20), "SLURM_ARRAY_TASK_ID with SLURM_PROCID and SLURM_NTASKS"));
        assert_eq!(rank_from(&format!("{ARRAY} OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=3")), rank(8, 15));
        refused(&format!("{ARRAY} SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=900000"), "4500000 ranks");
    }

    #[test]
    fn a_batch_script_is_one_process() {
        let batch = "SLURM_PROCID=0 SLURM_NTASKS=3";
        assert_eq!(rank_from(&format!("{batch} SLURM_STEP_ID=0")), rank(0, 3));
        refused(batch, "no variable");
        refused(&format!("{batch} SLURM_STEP_ID=4294967291"), "no variable");
        assert_eq!(rank_from(&format!("{ARRAY} {batch}")), rank(2, 5));
    }

    #[test]
    fn a_launcher_inside_a_step_is_nearer() {
        let step = "SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2";
        let (found, named) = from(&format!("{step} OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8")).unwrap();
        assert_eq!((found, named.as_str()), (rank(5, 8), "OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE"));
        let (found, named) = from(&format!("{step} PMI_RANK=1 PMI_SIZE=2")).unwrap();
        assert_eq!((found, named.as_str()), (rank(1, 2), "SLURM_PROCID and SLURM_NTASKS"));
    }

    #[test]
    fn kubernetes_and_launchers() {
        assert_eq!(rank_from("JOB_COMPLETION_INDEX=4 RESLICE_RANKS=5 PMI_RANK=0 PMI_SIZE=2"), rank(4, 5));
        assert_eq!(rank_from("PMI_RANK=1 PMI_SIZE=2 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=9"), rank(1, 2));
        assert_eq!(rank_from("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=9"), rank(0, 9));
        refused("JOB_COMPLETION_INDEX=4", "RESLICE_RANKS is not");
        refused("JOB_COMPLETION_INDEX=5 RESLICE_RANKS=5", "rank 5 of 5");
    }

    #[test]
    fn nothing_there_is_a_usage_error() {
        for none in ["", "RESLICE_RANKS=4", "PMI_RANK=0", "SLURM_JOB_ID=7", "RESLICE_RANK= SLURM_ARRAY_TASK_ID="] {
            refused(none, "no variable");
        }
        assert!(from("").unwrap_err().hint().is_some());
    }
}

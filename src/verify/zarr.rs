//! Zarr: the arrays that a path stands for, and the files that belong to none.

pub(crate) mod array;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod tree;

use std::{collections::BTreeSet, sync::Arc};

use super::{ArrayReport, Problem, Run, chunks};
use crate::{
    error::{Error, PlanError, Result},
    io::zarr::store_at,
    storage::Store,
    sys,
    verify::zarr::{
        array::{ArrayCheck, Facts, level_warnings},
        files::{Entry, list},
        keys::{Known, Role},
        tree::Tree,
    },
};

/// Allocator slack and sums, and the stack and batches of each thread.
const MARGIN_BYTES: u64 = 3 << 20;
const THREAD_BYTES: u64 = 640 << 10;
/// Files of a listing between two looks whether to stop.
const LIST_STEP: u64 = 4096;

/// What is known of all arrays before the first chunk is read; some hundred bytes each.
#[derive(Default)]
struct Survey {
    known: Known,
    facts: Vec<Option<Facts>>,
    /// Resident memory, and that of each thread.
    needs: Vec<Option<(u64, u64)>>,
}

/// Verifies the arrays below a folder.
///
/// # Errors
/// Those of [`super::verify`]; what is wrong with the contents of the root's own metadata is an error here.
pub(super) fn verify(run: &mut Run<'_>) -> Result<()> {
    let root = store_at(run.path())?;
    let tree = Tree::of(&root)?;
    run.report.format.clone_from(&tree.kind);
    let survey = survey(run, &root, &tree)?;
    let reserved = sys::reserved_bytes() + MARGIN_BYTES + run.request.memory_bytes / 16;
    let threads = threads(run, &root, &tree, &survey, reserved)?;
    for image in &tree.images {
        run.report.notes.extend(level_warnings(image, &survey.facts[image.arrays.clone()]));
    }
    let objects = files(run, &root, &tree, &survey)?;
    let mut done = BTreeSet::new();
    for (n, path) in tree.arrays.iter().enumerate() {
        let (Some(threads), true) = (threads[n], done.insert(path)) else { continue };
        let check = ArrayCheck::open(&root, path)?;
        let mut array = blank(path, &check);
        run.progress.array.clone_from(path);
        chunks::verify(run, &check, &mut array, threads, objects.as_ref().map(|objects| objects[n]))?;
        run.report.arrays.push(array);
    }
    run.look_up()
}

fn blank(path: &str, check: &ArrayCheck) -> ArrayReport {
    let file = check.file();
    ArrayReport {
        path: path.to_string(),
        storage: format!("Zarr v{}, {}", file.zarr_format, file.codecs),
        chunks: check.chunks(),
        expected_missing: file.empty_chunks,
        ..ArrayReport::default()
    }
}

/// Reads the metadata of all arrays; what is wrong with them is reported.
fn survey(run: &mut Run<'_>, root: &Arc<dyn Store>, tree: &Tree) -> Result<Survey> {
    for (_, error) in &tree.faults {
        run.report.add(Problem::of(error, None));
    }
    let mut survey = Survey::default();
    tree.groups.iter().for_each(|group| survey.known.group(group));
    for (n, path) in tree.arrays.iter().enumerate() {
        match ArrayCheck::open(root, path) {
            Ok(check) => {
                check.known(&mut survey.known, path, n);
                survey.facts.push(Some(check.facts()));
                survey.needs.push(Some((check.resident_bytes(), check.thread_bytes())));
                run.progress.chunks = run.progress.chunks.saturating_add(check.chunks());
            }
            // The one array that was asked for.
            Err(error) if path.is_empty() => return Err(error),
            Err(error) => {
                survey.known.array(path, n, None);
                survey.facts.push(None);
                survey.needs.push(None);
                run.report.add(Problem::of(&error, None));
            }
        }
        run.look_up()?;
    }
    Ok(survey)
}

/// With how many threads each array can be read within the budget; `None` for those that cannot be read at all.
fn threads(
    run: &Run<'_>,
    root: &Arc<dyn Store>,
    tree: &Tree,
    survey: &Survey,
    reserved: u64,
) -> Result<Vec<Option<usize>>> {
    let memory_bytes = run.request.memory_bytes;
    let count = |(n, need): (usize, &Option<(u64, u64)>)| {
        let Some((resident, each)) = *need else { return Ok(None) };
        let (fixed, each) = (reserved.saturating_add(resident), each.saturating_add(THREAD_BYTES));
        let smallest_bytes = fixed.saturating_add(each);
        if smallest_bytes > memory_bytes {
            // The share for problems grows with the budget.
            let smallest_bytes = smallest_bytes.saturating_sub(memory_bytes / 16).saturating_mul(16) / 15;
            let array = root.describe(&tree.arrays[n]).display().to_string();
            return Err(Error::from(PlanError::VerificationTooSmall { memory_bytes, smallest_bytes, array }));
        }
        let fitting = usize::try_from((memory_bytes - fixed) / each).unwrap_or(usize::MAX);
        Ok(Some(fitting.min(run.request.threads).max(1)))
    };
    survey.needs.iter().enumerate().map(count).collect()
}

/// Lists all files: strays are reported, chunk files counted per array. `None` where the count is not sure.
fn files(run: &mut Run<'_>, root: &Arc<dyn Store>, tree: &Tree, survey: &Survey) -> Result<Option<Vec<u64>>> {
    let mut objects = vec![0u64; tree.arrays.len()];
    let (mut sure, mut listed) = (true, 0u64);
    let listing = list(root.as_ref(), &mut |entry| {
        listed += 1;
        if listed.is_multiple_of(LIST_STEP) {
            run.look_up()?;
        }
        match entry {
            Entry::LinkedFolder(_) => sure = false,
            Entry::File(key) => match survey.known.role(key) {
                Role::Document => {}
                Role::Chunk(n) => objects[n] += 1,
                Role::Stray(name) => run.report.stray(name),
            },
        }
        Ok(())
    });
    match listing {
        Ok(listed) => Ok((listed && sure).then_some(objects)),
        Err(stopped @ Error::Stopped { .. }) => Err(stopped),
        Err(error) => {
            // Chunks are looked at one by one then; what cannot be read will be seen there.
            run.report.notes.push(format!("strays are not known: {}", Problem::of(&error, None).what));
            Ok(None)
        }
    }
}

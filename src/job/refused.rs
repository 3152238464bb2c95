//! What a refused job is told besides what its plan needs.

use super::{alternatives, execute::Opened, fields::Fields, least, limits::check_tables};
use crate::{
    error::{Error, PlanError},
    layout::Access,
    plan::{Budget, Partition},
    voxel::Voxel,
};

/// Tables up to this size are made to find out what the job needs with them.
const MODERATE_TABLE_BYTES: u64 = 96 << 20;

impl<T: Voxel> Opened<T> {
    /// The refusal `error` with the smallest budget that the whole job can be planned with, and with methods that need less.
    pub(super) fn refusal(&self, error: Error, cut: Option<&Partition>, budget: Budget) -> Error {
        let named = least::named(error, |memory_bytes, effort| {
            self.passes(cut, Budget { memory_bytes, effort, ..budget }).map(drop)
        });
        self.with_alternatives(named, cut, budget)
    }

    /// The refusal `error` of tables that do not fit, with what the job needs beside them where they are not large.
    pub(super) fn with_tables(&self, error: Error) -> Error {
        let table_bytes = match &error {
            Error::Plan(PlanError::TablesTooLarge { table_bytes, .. }) if *table_bytes <= MODERATE_TABLE_BYTES => {
                *table_bytes
            }
            _ => return error,
        };
        let (cut, budget) = (self.cut(), self.job.budget());
        match self.passes(cut.as_ref(), Budget { memory_bytes: table_bytes, ..budget }) {
            Err(Error::Plan(PlanError::TooSmall {
                smallest_bytes, block, window_bytes, has_chunks, instead, ..
            })) => {
                let memory_bytes = budget.memory_bytes;
                let told =
                    PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks, instead };
                self.refusal(told.into(), cut.as_ref(), budget)
            }
            // Tables may come to less than what they are held against, beside which there is room then.
            Ok((route, _)) => {
                let block = route.summaries().first().map_or([1; 3], |pass| pass.plan.block);
                let (memory_bytes, has_chunks) =
                    (budget.memory_bytes, self.job.output.layout.access == Access::Chunked);
                let (smallest_bytes, window_bytes, instead) = (table_bytes, 0, None);
                PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks, instead }.into()
            }
            Err(_) => error,
        }
    }

    /// The refusal `error` with the methods that the budget, or much less than is named, would be enough for.
    fn with_alternatives(&self, mut error: Error, cut: Option<&Partition>, budget: Budget) -> Error {
        let (job, is_chunked) = (&self.job, self.source.layout().access == Access::Chunked);
        if let Error::Plan(PlanError::TooSmall { smallest_bytes, instead, .. }) = &mut error
            && is_chunked
            && job.series.is_none()
        {
            let parts = job.output.layout.components > 1 || self.source.layout().components > 1;
            *instead =
                alternatives::instead(&job.op, parts, (budget.memory_bytes, *smallest_bytes), |op, memory_bytes| {
                    let budget = Budget { memory_bytes, ..budget };
                    check_tables::<T>(op, memory_bytes).and_then(|()| self.passes_by(op, cut, budget)).map(drop)
                });
        }
        error
    }

    /// The refusal `error` of a pass over a field with a budget that is enough for the job too, as far as that can be told: as if
    /// no field moved anything.
    ///
    /// Tables that are larger are not made for it: they are refused at once, as they would be once the field is read.
    pub(super) fn with_fields(&self, error: Error, fields: &Fields, budget: Budget) -> Error {
        if let Error::Plan(PlanError::TooSmall { smallest_bytes, .. }) = &error
            && self.check_tables((*smallest_bytes).max(MODERATE_TABLE_BYTES)).is_err()
            && let Err(tables) = self.check_tables(budget.memory_bytes)
        {
            return tables;
        }
        let cut = self.cut();
        least::named(error, |memory_bytes, effort| {
            let budget = Budget { memory_bytes, effort, ..budget };
            fields.plan(budget).and_then(|()| self.passes(cut.as_ref(), budget)).map(drop)
        })
    }
}

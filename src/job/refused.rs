//! What a refused job is told besides what its plan needs.

use super::{alternatives, execute::Opened, field::Field, least, limits::check_tables};
use crate::{
    error::{Error, PlanError},
    geometry::Mapping,
    layout::Access,
    plan::{Budget, Partition},
    resample::OpRequest,
    voxel::Voxel,
};

impl<T: Voxel> Opened<T> {
    /// The refusal `error` with the methods that the budget, or much less than is named, would be enough for.
    pub fn with_alternatives(&self, mut error: Error, cut: Option<&Partition>, budget: Budget) -> Error {
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

    /// The refusal `error` of the pass over the field with a budget that is enough for the job too, as far as that can be told: as if
    /// the field moved nothing.
    pub fn with_field(&self, error: Error, field: &Field, budget: Budget) -> Error {
        let still = OpRequest { mapping: Mapping::Warped(field.still()), ..self.job.op.clone() };
        let cut = self.cut();
        least::named(error, |memory_bytes, effort| {
            let budget = Budget { memory_bytes, effort, ..budget };
            field.plan(budget).and_then(|()| self.passes_by(&still, cut.as_ref(), budget)).map(drop)
        })
    }
}

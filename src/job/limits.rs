//! What a job must fit besides its plan: tables of weights, and the process's room for addresses.

use super::Summary;
use crate::{
    error::{Error, PlanError, Result},
    resample::{OpRequest, most_table_bytes},
    sys,
    voxel::Voxel,
};

/// An error where the tables of an op would not fit the budget.
pub(super) fn check_tables<T: Voxel>(op: &OpRequest, memory_bytes: u64) -> Result<()> {
    let table_bytes = most_table_bytes::<T>(op);
    if table_bytes > memory_bytes {
        return Err(PlanError::TablesTooLarge { memory_bytes, table_bytes, target: op.target_shape }.into());
    }
    Ok(())
}

/// Refuses a plan that a limit of address space does not leave room for: what is resident is mapped, and each thread has a stack.
pub(super) fn check_address_room(summary: &Summary) -> Result<()> {
    let Some(room) = sys::address_room() else { return Ok(()) };
    let threads = summary.passes.iter().map(|pass| pass.plan.workers.count + pass.plan.helpers).max().unwrap_or(1);
    let (projected_bytes, left_bytes) = (summary.projected_bytes(), room.memory_bytes(threads));
    if projected_bytes <= left_bytes {
        return Ok(());
    }
    let sys::AddressRoom { limit_bytes, set_by, .. } = room;
    Err(Error::AddressSpace { projected_bytes, left_bytes, limit_bytes, threads, set_by })
}

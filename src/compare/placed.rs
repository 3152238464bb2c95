//! B at the places of A's voxels, where the two have different grids.

use std::{path::PathBuf, sync::atomic::AtomicBool};

use super::Request;
use crate::{
    error::Result,
    geometry::GridRequest,
    io::input::Input,
    job::{GridChoice, Job, OnDemand, OutsideRequest, Request as JobRequest},
    layout::Layout,
    region::Region,
    resample::{KernelShape, Method},
    voxel::Dtype,
};

/// B, interpolated: labels by nearest, anything else linearly; NaN outside of B.
pub(super) struct Placed(Box<dyn OnDemand>);

impl Placed {
    /// Opens B on A's grid, within `memory_bytes` of the whole process.
    ///
    /// # Errors
    /// A budget that is too small, and whatever is wrong with B.
    pub(super) fn open(request: &Request, b: &Input, memory_bytes: u64, stop: &AtomicBool) -> Result<Placed> {
        let method = if b.is_label() { Method::Nearest } else { Method::Kernel(KernelShape::Linear) };
        let like = GridChoice::Like { path: request.a.clone(), rules: GridRequest::default() };
        // No file is made: the ending says that values are real ones.
        let output = PathBuf::from("compared.zarr");
        let job = JobRequest {
            io: request.io,
            grid: like,
            method: Some(method),
            outside: OutsideRequest::Value(f64::NAN),
            dtype: Some(Dtype::F64),
            ..JobRequest::new(&request.b, output, memory_bytes, request.threads)
        };
        Ok(Placed(Job::resolve(job)?.on_demand(stop)?))
    }

    /// The grid of A with the outer axes of B.
    pub(super) fn layout(&self) -> &Layout {
        self.0.layout()
    }

    /// Makes the voxel in the middle.
    ///
    /// # Errors
    /// A budget that is too small for it.
    pub(super) fn try_one(&self, stop: &AtomicBool) -> Result<()> {
        let layout = self.layout();
        let middle = layout.grid.shape.map(|extent| (extent / 2) as i64);
        let one = Region::new(middle, middle.map(|at| at + 1));
        self.read(0, one, stop, &mut vec![0; layout.components * size_of::<f64>()])
    }

    /// Fills `into` with f64 in the machine's byte order.
    pub(super) fn read(&self, volume: u64, region: Region, stop: &AtomicBool, into: &mut [u8]) -> Result<()> {
        self.0.read(volume, region, stop, into)
    }
}

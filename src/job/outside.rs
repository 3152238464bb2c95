//! Target voxels outside the source: counted before the run, and described.

use super::{GridChoice, OutsideRequest, Request, Values, series::Series};
use crate::{
    geometry::{Align, FaceCounts, Grid, GridRequest, Mapping, outside_per_face, planes_outside},
    io::input::Input,
    region::Region,
    resample::{OpRequest, Outside},
};

/// Why target voxels look outside, what they hold, and what another request would do about it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutsideView {
    /// The last planes of each target axis (storage order) where the rule of sizes alone put them beyond the source, as
    /// SimpleITK's usual recipe does; nothing where anything else looks outside.
    pub last_planes: Option<[u64; 3]>,
    /// What voxels outside hold, in real units; nothing where the edge is extended.
    pub value: Option<f64>,
    /// Whether the same request with the centre aligned has no voxel outside.
    pub center_fits: bool,
}

impl OutsideView {
    pub(super) fn of(
        request: &Request,
        input: &Input,
        op: &OpRequest,
        is_series: bool,
        values: &Values,
    ) -> OutsideView {
        let (factor, inter) = values.kept_slope.unwrap_or((1.0, 0.0));
        let value = match values.outside {
            Outside::Value(stored) => Some(stored * factor + inter),
            Outside::Edge => None,
        };
        let unknown = OutsideView { value, ..OutsideView::default() };
        let is_moved = is_series || !request.transforms.is_empty();
        let (Mapping::AxisAligned(maps), GridChoice::Rules(rules), false) = (&op.mapping, &request.grid, is_moved)
        else {
            return unknown;
        };
        let planes = planes_outside(maps, op.target_shape, op.bounds);
        if rules.align != Align::Origin || planes == [[0; 2]; 3] || planes.iter().any(|[first, _]| *first > 0) {
            return unknown;
        }
        let centred = GridRequest { align: Align::Center, lacking: input.lacking(), ..rules.clone() };
        OutsideView {
            last_planes: Some(planes.map(|[_, last]| last)),
            value,
            center_fits: has_none_outside(&centred, &input.layout().grid),
        }
    }
}

/// Whether the target of these rules lies within the source.
fn has_none_outside(rules: &GridRequest, source: &Grid) -> bool {
    let Ok(resolved) = rules.resolve(source) else { return false };
    match Mapping::between(&resolved.target, source).map(|snapped| snapped.mapping) {
        Ok(Mapping::AxisAligned(maps)) => outside_per_face(&maps, resolved.target.shape, resolved.bounds).outside == 0,
        _ => false,
    }
}

/// Target voxels that look outside the source, where the mapping tells it; with several mappings, where each does.
pub(super) fn before_the_run(
    request: &Request,
    (mapping, series): (&Mapping, Option<&Series>),
    target_shape: [u64; 3],
    bounds: Region,
) -> Option<FaceCounts> {
    let is_aligned = |mapping: &Mapping| matches!(mapping, Mapping::AxisAligned(_));
    match (mapping, series) {
        _ if request.outside == OutsideRequest::Edge => Some(FaceCounts::default()),
        (_, Some(series)) if series.mappings.iter().all(is_aligned) => {
            Some(series.outside_of_aligned(target_shape, bounds))
        }
        (Mapping::AxisAligned(maps), None) => Some(outside_per_face(maps, target_shape, bounds)),
        _ => None,
    }
}

/// Where more than half of `of` target voxels look outside: what that may mean.
pub fn other_space(outside: u64, of: u64) -> Option<String> {
    let share = outside as f64 / of.max(1) as f64;
    (share > 0.5).then(|| {
        let percent = if outside < of { format!("{:.1} %", (share * 1000.0).floor() / 10.0) } else { "all".into() };
        format!("{percent} of the target is outside the source: are both in the same space? reslice info tells where each lies")
    })
}

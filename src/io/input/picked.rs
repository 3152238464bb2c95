//! Channels and times that are chosen of an input.

use std::path::Path;

use super::Input;
use crate::{
    error::{Error, Result},
    io::{view::View, zarr::OpenOptions},
    layout::Axis,
};

impl Input {
    /// The same with the channels and times that `options` name.
    pub(super) fn picked(mut self, path: &Path, options: &OpenOptions) -> Result<Input> {
        let mut view = View::all(&self.layout().outer);
        for (name, pick) in [("channel", options.channel), ("time", options.time)] {
            let Some(pick) = pick else { continue };
            let axes = &view.behind().axes;
            let is_time = |axis: &Axis| axis.name == "t";
            let place = match name {
                "time" => axes.iter().position(is_time),
                _ => axes.iter().position(|axis| axis.name == "c").or(axes.iter().rposition(|axis| !is_time(axis))),
            };
            let Some(a) = place else {
                let what = format!("--{name} picks along an axis that {} does not have", path.display());
                return Err(Error::usage_hint(what, format!("leave out --{name}; `reslice info` lists the axes")));
            };
            let Axis { name: axis, len, .. } = axes[a].clone();
            view = view.pick(a, pick).ok_or_else(|| {
                let what = format!("--{name} asks for what axis '{axis}' of {} does not have", path.display());
                Error::usage_hint(
                    what,
                    format!("it has {len}: 0 to {}, ranges A:B up to B = {len}", len.saturating_sub(1)),
                )
            })?;
            if let (Input::Zarr(file), "c") = (&mut self, axis.as_str()) {
                file.carried.keep_channels(pick);
            }
        }
        if view != View::all(view.behind()) {
            let voxel_bytes = size_of::<f64>();
            let (layout, place) = match &mut self {
                Input::Nifti(file) => (&mut file.layout, &mut file.view),
                Input::Zarr(file) => (&mut file.layout, &mut file.view),
                Input::Plain(file) => (&mut file.layout, &mut file.view),
                Input::Dicom(series) => (&mut series.layout, &mut series.view),
                Input::Tiff(file) => (&mut file.layout, &mut file.view),
                Input::Hdf5(file) => (&mut file.layout, &mut file.view),
                Input::Precomputed(file) => (&mut file.layout, &mut file.view),
                Input::Field(field) => (&mut field.layout, &mut field.view),
                Input::Own(_) => return Ok(self),
            };
            *layout = view.layout(layout, voxel_bytes);
            *place = Some(view);
        }
        Ok(self)
    }
}

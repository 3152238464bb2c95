//! What the pictures of a job show.

use super::{Job, PicturesRequest};
use crate::{
    pictures::{Pictures, Scene, Values, pixels_within},
    resample::{Area, Method, Outside},
};

impl Job {
    /// Pictures of the first volume, without a sample yet.
    pub(super) fn pictures(&self, asked: PicturesRequest) -> Pictures {
        let (target, rounding) = (&self.output.layout.grid, self.request.rounding);
        let slope = self.values.kept_slope;
        let scene = Scene {
            source: &self.source_grid,
            target,
            // The first volume's, where each has its own.
            mapping: &self.op.mapping,
            bounds: self.op.bounds,
            has_outside: matches!(self.values.outside, Outside::Value(_)),
            values: [self.values.pipeline, self.values.target].map(|stored| Values { stored, rounding, slope }),
            is_label: self.input.is_label() || matches!(self.op.method, Method::Label(_) | Method::Area(Area::Mode)),
            pixels: pixels_within(self.request.memory_bytes),
        };
        let pictures = Pictures::new(&scene);
        if asked.highest { pictures.with_highest(target.shape, scene.pixels) } else { pictures }
    }
}

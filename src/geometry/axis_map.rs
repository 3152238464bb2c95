//! One axis of a mapping whose axes are aligned.

/// One target axis of an axis-aligned mapping: `source_index[source_axis] = scale * target_index + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisMap {
    pub source_axis: usize,
    /// Source voxels per target voxel; finite, not 0, negative for a flip.
    pub scale: f64,
    pub offset: f64,
}

impl AxisMap {
    /// The continuous source index that target index `i` looks at, from the global index in one rounding.
    pub fn at(&self, i: i64) -> f64 {
        self.scale.mul_add(i as f64, self.offset)
    }
}

//! Axis codes such as RAS and LPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {}

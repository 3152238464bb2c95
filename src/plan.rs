//! Plan stub.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("todo")]
    Todo,
}
impl PlanError {
    pub fn hint(&self) -> Option<String> {
        None
    }
}

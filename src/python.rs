//! The Python module `reslice._reslice`: jobs, targets on demand and answers, of which `python/reslice` makes its functions and classes.
//!
//! What is asked for comes in the words of the command, so that there is one parser; answers go back as JSON. Work is done on another
//! thread, without Python's lock, while the calling thread looks for signals and tells of progress.

mod array;
mod asked;
mod attended;
mod lazy;
mod raised;
mod run;

#[pyo3::pymodule(name = "_reslice")]
mod module {
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::{
        lazy::Lazy,
        run::{command, compare, info, plan, points, resample, verify},
    };
}

//! `reslice demo`: a synthetic scan, resampled.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::error::Result;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for the demo's files
    #[arg(default_value = "reslice-demo")]
    pub dir: PathBuf,
}

pub fn run(_args: &DemoArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}

//! `reslice points`.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::args::transform_parser;
use crate::{
    error::{Error, Result},
    geometry::Grid,
    io::zarr::OpenOptions,
    job::Input,
    points::{Frame, PointMap},
    transform::{Chain, TransformRequest},
};

#[derive(Debug, Args)]
pub struct PointsArgs {
    /// CSV with a header that names columns x, y and z, in mm; other columns pass through
    pub file: PathBuf,
    /// ITK or ANTs .tfm, .txt, .mat, FSL .mat, FreeSurfer .lta, a 4x4 matrix as text (RAS mm), or a displacement field;
    /// repeated, the last one is applied first
    #[arg(long, value_name = "FILE[,inverse]", required = true, value_parser = transform_parser())]
    pub transform: Vec<TransformRequest>,
    /// Points are in LPS, as ITK and ANTs have them, not in RAS
    #[arg(long)]
    pub lps: bool,
    /// The image that an FSL matrix moves (its -in)
    #[arg(long, value_name = "FILE", requires = "target")]
    pub source: Option<PathBuf>,
    /// The image that an FSL matrix moves it onto (its -ref)
    #[arg(long, value_name = "FILE", requires = "source")]
    pub target: Option<PathBuf>,
}

pub fn run(args: &PointsArgs) -> Result<ExitCode> {
    let chain = match (&args.target, &args.source) {
        (Some(target), Some(source)) => Chain::read(&args.transform, &grid(target)?, &grid(source)?)?,
        _ => Chain::without_grids(&args.transform)?,
    };
    let map = PointMap::open(&chain)?;
    let table = BufReader::new(File::open(&args.file).map_err(Error::io("open", &args.file))?);
    let frame = if args.lps { Frame::Lps } else { Frame::Ras };
    let mut output = BufWriter::new(std::io::stdout().lock());
    match map.table(&args.file, table, &mut output, frame) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        // A reader that has gone away is no error.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

fn grid(path: &Path) -> Result<Grid> {
    Ok(Input::open(path, &OpenOptions::default())?.layout().grid.clone())
}

//! `reslice points`.

use std::{
    io::{BufReader, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use super::{
    answer,
    args::{TRANSFORM, transform_parser},
    messages, tell,
};
use reslice::{
    error::{Error, Result},
    points::{Frame, PointMap},
    storage::nfs,
    transform::{Chain, Ends, RoleImage, TransformRequest},
};

#[derive(Debug, Args)]
pub(super) struct PointsArgs {
    /// CSV with a header that names columns x, y and z, in mm; other columns pass through
    pub file: PathBuf,
    /// ITK or ANTs .tfm, .txt, .mat, .h5, elastix .txt, FSL .mat, FreeSurfer .lta, a 4x4 matrix as text (RAS mm), or a displacement field, with
    /// HOW as `resample --transform` has it (inverse, ras, fsl); repeated, the first one given meets the point first
    #[arg(long, value_name = TRANSFORM, required = true, value_parser = transform_parser())]
    pub transform: Vec<TransformRequest>,
    /// Points are in LPS, as ITK and ANTs have them, not in RAS
    #[arg(long)]
    pub lps: bool,
    /// The image that an FSL matrix which stands alone moves (its -in)
    #[arg(long, value_name = "FILE", requires = "target")]
    pub source: Option<PathBuf>,
    /// The image that an FSL matrix moves it onto (its -ref)
    #[arg(long, value_name = "FILE", requires = "source")]
    pub target: Option<PathBuf>,
}

/// Sends a table of points through the transforms.
pub(super) fn run(args: &PointsArgs) -> Result<ExitCode> {
    let ends = match (&args.target, &args.source) {
        (Some(target), Some(source)) => {
            Some(Ends { target: RoleImage::open(target)?, source: RoleImage::open(source)? })
        }
        _ => None,
    };
    let mut chain = Chain::read(&args.transform, ends.as_ref())?;
    chain.warnings.iter().for_each(|warning| messages::warning(warning));
    let map = PointMap::open(&mut chain)?;
    messages::note(&tell::chain(&chain.steps, None));
    let table = BufReader::new(nfs::open_once(&args.file).map_err(Error::io("open", &args.file))?);
    let frame = if args.lps { Frame::Lps } else { Frame::Ras };
    let mut output = answer::copy();
    let written = map.table(&args.file, table, &mut output, frame);
    match written.and_then(|sent| output.flush().map(|()| sent).map_err(Error::io("write to", "standard output"))) {
        Ok(sent) => {
            sent.warning().iter().for_each(|warning| messages::warning(warning));
            Ok(ExitCode::SUCCESS)
        }
        // A reader that has gone away is no error.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

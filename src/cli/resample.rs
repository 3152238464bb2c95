//! `reslice resample`.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use super::{
    answer,
    args::{GridArg, GridArgs, ResampleArgs, RunArgs, TargetArgs},
    messages,
    parse::DryRun,
    progress::Display,
    rank::{RankArg, auto},
    remarks::{remarks, warnings_and_notes},
    summary_place::SummaryPlace,
    tell, words,
};
use reslice::{
    error::{Error, Result},
    geometry::{Align, GridRequest, Sizing},
    io::zarr::OpenOptions,
    job::{
        Event, GridChoice, Job, OutsideRequest, PyramidRequest, Request, Summary, TargetOptions, TargetState, files,
    },
    rank::Rank,
    sys,
};

/// `named` are the options that stand on the command line.
pub(super) fn run(args: &ResampleArgs, named: Vec<String>) -> Result<ExitCode> {
    let job = Job::resolve(Request { named, ..request(args, budget(&args.run))? })?;
    let kept = files(&job.request, Some(&job.input));
    let summary_place = SummaryPlace::check(args.run.summary.as_deref(), kept.iter().cloned())?;
    let summary_file = args.run.summary.iter().map(|path| ("the summary", path.clone()));
    args.pictures.check(kept.into_iter().chain(summary_file).collect())?;
    if !args.run.quiet {
        job.warnings.iter().for_each(|warning| messages::warning(warning));
    }
    if let Some(how) = args.run.dry_run {
        let summary = job.dry_run()?;
        match how {
            DryRun::Text => answer::line(&tell::plan(&summary))?,
            DryRun::Json => answer::json(&Report::new(&summary))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let summary = execute(job, &args.run)?;
    summary_place.map_or(Ok(()), |place| place.write(&answer::to_json(&Report::new(&summary))?))?;
    args.pictures.write(&summary, &super::words_as_text(), args.run.quiet)?;
    Ok(ExitCode::SUCCESS)
}

/// A summary with the arguments that led to it, and all that was said about it.
#[derive(Serialize)]
struct Report {
    arguments: Vec<String>,
    #[serde(flatten)]
    summary: Summary,
    /// What is good to know, and no warning.
    notes: Vec<String>,
}

impl Report {
    fn new(summary: &Summary) -> Report {
        let arguments = super::words_as_text();
        let (warnings, notes) = warnings_and_notes(summary);
        let warnings = messages::with_given(&warnings);
        Report { arguments, summary: Summary { warnings, ..summary.clone() }, notes }
    }
}

/// Runs a job and tells about it on stderr.
pub(super) fn execute(job: Job, args: &RunArgs) -> Result<Summary> {
    sys::outlive_terminal();
    let mut display = Display::new(args.progress, args.quiet);
    let warned = job.warnings.len();
    let outcome = job.run(sys::stop_flag(), |event| match event {
        Event::Cleared(folder) if !args.quiet => {
            messages::note(&format!("cleared {}, left by a run that did not end", folder.display()));
        }
        Event::Begin(summary) if !args.quiet => {
            messages::event(
                "begin",
                &json!({"input": summary.input, "output": summary.output, "voxels": summary.voxels}),
            );
            if !args.verbose {
                tell::begin(summary).iter().for_each(|line| messages::note(line));
            }
            // Those that the disk adds.
            summary.warnings.iter().skip(warned).for_each(|warning| messages::warning(warning));
        }
        Event::Planned(summary) if args.verbose => messages::note(&tell::plan(summary)),
        Event::Planned(summary) if !args.quiet => {
            if summary.scratch_bytes > 0 {
                messages::note(&format!("a scratch file of {} is needed", words::bytes(summary.scratch_bytes)));
            }
            tell::slow(summary).iter().for_each(|line| messages::warning(line));
        }
        Event::Progress { kind, progress, pass, passes } => display.update((pass, passes), kind, progress),
        Event::Resumed(summary) if !args.quiet => {
            tell::resumed(summary).iter().for_each(|line| messages::note(line));
        }
        Event::Begin(_) | Event::Cleared(_) | Event::Planned(_) | Event::Resumed(_) => {}
    });
    display.finish();
    let summary = outcome?;
    if !args.quiet && summary.target_state == TargetState::FinishedBefore {
        messages::note(&tell::outcome(&summary));
    } else if !args.quiet {
        if !args.verbose {
            messages::note(&tell::grids(&summary));
        }
        remarks(&summary).iter().for_each(|remark| remark.tell(""));
        messages::note(&tell::outcome(&summary));
    }
    if !args.quiet {
        let state = summary.target_state;
        messages::event("end", &json!({"output": summary.output, "target_state": state, "seconds": summary.seconds()}));
    }
    Ok(summary)
}

/// The arguments as a job, within so much memory and so many threads.
pub(super) fn request(args: &ResampleArgs, (memory_bytes, threads): (u64, usize)) -> Result<Request> {
    Ok(Request {
        open: OpenOptions {
            image: None,
            level: args.values.level,
            spacing_in: args.values.spacing_in.map(|triple| triple.storage()),
            channel: args.values.channel.map(|pick| pick.0),
            time: args.values.time.map(|pick| pick.0),
        },
        io: args.run.io.into(),
        grid: grid(&args.grid)?,
        transforms: args.values.transform.clone(),
        transform_list: args.values.transform_list.clone(),
        reorient_vectors: args.values.reorient_vectors,
        method: args.values.interp.0,
        antialias: args.values.antialias,
        outside: args.values.outside.map_or(OutsideRequest::Default, |outside| outside.0),
        rounding: args.values.rounding.into(),
        dtype: args.values.dtype.0,
        raw: args.values.raw,
        target: TargetOptions {
            overwrite: args.target.overwrite,
            framing: args.target.gzip.0,
            chunk: args.target.chunk.map(|extents| extents.storage()),
            shard: args.target.shard.map(|shard| shard.0.map(|extents| extents.storage())),
            codec: args.target.codec.0,
            ome: args.target.ome.into(),
        },
        pyramid: args.target.pyramid.map(|levels| PyramidRequest { levels: levels.0, method: args.target.method }),
        scratch: args.run.scratch.clone().or_else(sys::slurm_folder),
        resume: args.run.resume || args.rank.is_some(),
        restart: args.run.restart,
        parents: args.target.parents,
        in_place: args.target.in_place,
        checks_disk: !args.run.no_disk_check,
        rank: rank(args)?,
        pictures: args.pictures.request(),
        ..Request::new(&args.input, &args.output, memory_bytes, threads)
    })
}

/// The share that this process makes, where it is one of several.
fn rank(args: &ResampleArgs) -> Result<Option<Rank>> {
    let TargetArgs { overwrite, in_place, .. } = args.target;
    let rivals = [("--overwrite", overwrite), ("--in-place", in_place), ("--restart", args.run.restart)];
    let rival = rivals.into_iter().find(|rival| rival.1);
    if let (Some((option, _)), true) = (rival, args.rank.is_some()) {
        let what = format!("{option} would take from the other ranks what they have made");
        return Err(Error::usage_hint(what, "remove the old target and NAME.reslice first, or choose another name"));
    }
    let rank = match args.rank {
        None => return Ok(None),
        Some(RankArg::Given(rank)) => rank,
        Some(RankArg::Auto) => {
            let (rank, named) = auto(|name| std::env::var(name).ok())?;
            if !args.run.quiet {
                messages::note(&format!("rank {} of {}, by {named}", rank.index, rank.of));
            }
            rank
        }
    };
    if args.target.pyramid.is_some() {
        let hint = "leave --pyramid out, and run `reslice pyramid` on the target when all ranks have ended";
        return Err(Error::usage_hint("ranks make the finest level only", hint));
    }
    Ok(Some(rank))
}

/// Memory and threads as asked for, or what the job may use.
pub(super) fn budget(args: &RunArgs) -> (u64, usize) {
    let memory = args.memory.map_or_else(|| sys::memory_limit().bytes / 2, |size| size.0);
    let most = args.memory.and_then(|_| sys::most_memory()).filter(|most| most.bytes < memory && !args.quiet);
    if let Some(sys::MemoryLimit { bytes, set_by }) = most {
        messages::warning(&format!(
            "--memory {} is more than this machine or job has, {} ({set_by}): give less, or leave it out for half of what is free",
            words::bytes(memory),
            words::bytes(bytes)
        ));
    }
    sys::tune_allocator(memory);
    (memory, args.threads.map_or_else(sys::threads, usize::from))
}

fn grid(args: &GridArgs) -> Result<GridChoice> {
    let sizing = match args {
        GridArgs { like: Some(_), .. } => Sizing::Keep,
        GridArgs { spacing: Some(triple), .. } => Sizing::Spacing(triple.storage()),
        GridArgs { size: Some(extents), .. } => Sizing::Size(extents.storage()),
        GridArgs { scale: Some(triple), .. } => Sizing::Scale(triple.storage()),
        GridArgs { isotropic: Some(step), .. } if step == "smallest" => Sizing::Isotropic(None),
        GridArgs { isotropic: Some(step), .. } => {
            let step = step.parse().map_err(|_| Error::usage(format!("'{step}' is no step for --isotropic")))?;
            Sizing::Isotropic(Some(step))
        }
        _ => Sizing::Keep,
    };
    let rules = GridRequest {
        sizing,
        align: Align::from(args.align),
        orient: args.orient,
        region: args.region.map(|region| region.0),
        transformed: args.grid == GridArg::Transformed,
        ..GridRequest::default()
    };
    match &args.like {
        Some(path) => Ok(GridChoice::Like { path: path.clone(), rules }),
        None => Ok(GridChoice::Rules(rules)),
    }
}

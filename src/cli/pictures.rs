//! The pages and pictures that `resample` makes besides its target: `--report`, `--report-json`, `--preview`.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};

use super::{
    messages,
    remarks::{Remark, remarks},
    summary_place::{Kept, Named, check_file},
    words,
};
use reslice::{
    error::{Error, Result},
    job::{PicturesRequest, Summary},
    report, sys,
};

const REPORT: Named = Named { what: "the report", by: "--report" };
const JSON: Named = Named { what: "the report's JSON", by: "--report-json" };
const PREVIEW: Named = Named { what: "the preview", by: "--preview" };

/// What is made of pictures besides the target.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// Write a page for a browser to this file: pictures before and after, both grids in words, values, memory and time of the run
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write the figures of that page to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report_json: Option<PathBuf>,
    /// Write the target's three middle planes to this file, as PNG; with ,mip the highest values along each axis instead
    #[arg(long, value_name = "FILE.png[,mip]", value_parser = OsStringValueParser::new().map(PreviewArg::parse))]
    pub preview: Option<PreviewArg>,
}

/// Where a preview goes, and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PreviewArg {
    pub path: PathBuf,
    pub highest: bool,
}

impl PreviewArg {
    fn parse(argument: OsString) -> PreviewArg {
        match argument.to_str().and_then(|text| text.strip_suffix(",mip")) {
            Some(path) => PreviewArg { path: path.into(), highest: true },
            None => PreviewArg { path: argument.into(), highest: false },
        }
    }
}

impl PictureArgs {
    /// What a job has to sample for them.
    pub(crate) fn request(&self) -> Option<PicturesRequest> {
        let highest = self.preview.as_ref().is_some_and(|preview| preview.highest);
        let is_asked = self.report.is_some() || self.report_json.is_some() || self.preview.is_some();
        is_asked.then_some(PicturesRequest { highest })
    }

    /// The files that are asked for, and what each is.
    fn files(&self) -> impl Iterator<Item = (&Named, &PathBuf)> {
        let preview = self.preview.as_ref().map(|preview| (&PREVIEW, &preview.path));
        [self.report.as_ref().map(|path| (&REPORT, path)), self.report_json.as_ref().map(|path| (&JSON, path)), preview]
            .into_iter()
            .flatten()
    }

    /// Refuses what could not be written, before the work begins. `kept` are files that nothing may be written over.
    pub(crate) fn check(&self, mut kept: Vec<Kept>) -> Result<()> {
        for (named, path) in self.files() {
            check_file(path, named, kept.iter().cloned())?;
            kept.push((named.what, path.clone()));
        }
        Ok(())
    }

    /// Makes them of a finished run, which was asked for by `arguments`.
    pub(crate) fn write(&self, summary: &Summary, arguments: &[String], is_quiet: bool) -> Result<()> {
        if self.request().is_some() {
            report::bring_rest(summary, sys::stop_flag())?;
        }
        if let Some(preview) = &self.preview {
            save(&preview.path, &report::preview(summary)?)?;
        }
        if self.report.is_none() && self.report_json.is_none() {
            return Ok(());
        }
        let told: Vec<String> = remarks(summary)
            .into_iter()
            .map(|remark| match remark {
                Remark::Note(text) | Remark::Warning(text) => text,
            })
            .collect();
        self.save(&report::of_run(summary, arguments, &told)?, is_quiet)
    }

    /// Writes the page, and its JSON.
    pub(crate) fn save(&self, page: &report::Page, is_quiet: bool) -> Result<()> {
        if let Some(path) = &self.report_json {
            save(path, page.json.as_bytes())?;
        }
        if let Some(path) = &self.report {
            save(path, page.html.as_bytes())?;
            if !is_quiet {
                messages::note(&format!("report in {}, {}", path.display(), words::bytes(page.html.len() as u64)));
            }
        }
        Ok(())
    }
}

/// Writes a file as a whole: until then an older one stays.
fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", sys::writer_name()));
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // What there is of it is of no use.
        let _ = fs::remove_file(&beside);
        Error::io("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_says_what_it_shows_behind_its_name() {
        let of = |text: &str| PreviewArg::parse(text.into());
        assert_eq!(of("a.png"), PreviewArg { path: "a.png".into(), highest: false });
        assert_eq!(of("a,b.png,mip"), PreviewArg { path: "a,b.png".into(), highest: true });
    }

    #[test]
    fn files_over_each_other_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        let twice = PictureArgs { report: Some(path.clone()), report_json: Some(path.clone()), preview: None };
        assert!(twice.check(Vec::new()).unwrap_err().to_string().contains("the report"));
        let once = PictureArgs { report: Some(path.clone()), ..PictureArgs::default() };
        assert!(once.check(vec![("the target", path.clone())]).is_err() && once.check(Vec::new()).is_ok());
        save(&path, b"one").unwrap();
        save(&path, b"another").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

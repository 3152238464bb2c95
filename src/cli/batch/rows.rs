//! From a table to requests: each row is an argument list of `resample`, made of the options on the command line and the
//! row's cells, and parsed as any other. So there is one list of options, with one set of messages.

use std::ffi::{OsStr, OsString};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error::ContextKind, error::ContextValue,
    parser::ValueSource,
};

use super::{
    finished::Finished,
    table::{Row, Table},
};
use crate::cli::{args::ResampleArgs, habits, resample};
use reslice::{
    error::{Error, Result},
    job::{self, Request, cannot_matter, leave_out},
};

/// The heading of the options that are one for the whole batch.
const RUN_HEADING: &str = "Run";
/// Why there are no such columns.
const OF_ONE_JOB: &str = "pictures are of one job: leave it out, and make pages by reslice report INPUT OUTPUT";
const OF_ONE_TARGET: &str = "ranks share one target: leave it out, and give each process a table of its own, or make one target by resample --rank";
/// Parts the values of a cell whose option may be given more than once.
const VALUE_SEPARATOR: char = ';';

/// The jobs of a table. A request is made of its row when it is needed, and not kept.
pub(super) struct Jobs<'a> {
    pub table: &'a Table,
    options: &'a Options,
    columns: Vec<Column<'a>>,
    finished: &'a Finished,
    /// Bytes and threads.
    budget: (u64, usize),
}

/// What `resample` knows of options.
pub(super) struct Options {
    command: Command,
    /// What stands on the command line of the batch.
    defaults: Vec<Given>,
}

/// An option with its tokens; none where a cell turns it off.
#[derive(Clone, Debug)]
struct Given {
    id: String,
    tokens: Vec<OsString>,
}

impl<'a> Jobs<'a> {
    /// # Errors
    /// A column that makes no sense.
    pub(super) fn new(
        table: &'a Table,
        options: &'a Options,
        finished: &'a Finished,
        budget: (u64, usize),
    ) -> Result<Jobs<'a>> {
        Ok(Jobs { table, options, columns: options.columns(table)?, finished, budget })
    }

    /// Refuses an option of the command line that can matter to no job.
    pub(super) fn refuse_idle(&self) -> Result<()> {
        let names = self.options.names().into_iter();
        let mut idle: Vec<(String, Option<Error>)> = names.map(|name| (name, None)).collect();
        for n in 0..self.table.len() {
            if idle.is_empty() {
                break;
            }
            let request = job::Jobs::request(self, n)?;
            idle.retain_mut(|(option, why)| {
                let found = cannot_matter(option, &request);
                let is_idle = found.is_some();
                *why = why.take().or(found);
                is_idle
            });
        }
        match idle.into_iter().find_map(|(_, why)| why) {
            Some(Error::Usage { what, hint }) => {
                Err(Error::Usage { what: format!("of no use to any job: {what}"), hint })
            }
            _ => Ok(()),
        }
    }

    /// The target of job `n` as its row has it; for messages.
    pub(super) fn output(&self, n: usize) -> String {
        self.cell(n, "output")
    }

    /// The same of its source.
    pub(super) fn input(&self, n: usize) -> String {
        self.cell(n, "input")
    }

    fn cell(&self, n: usize, column: &str) -> String {
        let place = self.table.columns.iter().position(|name| name == column);
        let cell = |row: Row| place.and_then(|place| row.cells.into_iter().nth(place)).unwrap_or_default();
        self.table.row(n).map(cell).unwrap_or_default()
    }
}

impl job::Jobs for Jobs<'_> {
    fn len(&self) -> usize {
        self.table.len()
    }

    /// Nothing is opened.
    ///
    /// # Errors
    /// A cell that makes no sense, with its line and column.
    fn request(&self, n: usize) -> Result<Request> {
        let mut request = self.options.request(self.table, &self.columns, &self.table.row(n)?, self.budget)?;
        let defaults = self.options.names();
        leave_out(&mut request, &defaults.iter().map(String::as_str).collect::<Vec<_>>());
        request.keeps_note = true;
        request.made_by = self.finished.made_by(&request);
        Ok(request)
    }
}

/// What a column holds.
enum Column<'a> {
    Input,
    Output,
    Option(&'a Arg),
}

impl Options {
    /// `typed` are the arguments of the batch.
    pub(super) fn new(typed: &ArgMatches) -> Options {
        let empty = Command::new("resample").no_binary_name(true).disable_help_flag(true);
        let mut command = ResampleArgs::augment_args(empty);
        // Groups know their members only then.
        command.build();
        let given =
            |id: &str| typed.try_contains_id(id).is_ok() && typed.value_source(id) == Some(ValueSource::CommandLine);
        let options = command.get_arguments().filter(|arg| arg.get_long().is_some() && given(arg.get_id().as_str()));
        let defaults = options.map(|arg| Given { id: arg.get_id().to_string(), tokens: retyped(arg, typed) }).collect();
        Options { command, defaults }
    }

    /// The options of the command line, without dashes.
    fn names(&self) -> Vec<String> {
        self.defaults.iter().map(|given| given.id.replace('_', "-")).collect()
    }

    fn columns<'a>(&'a self, table: &Table) -> Result<Vec<Column<'a>>> {
        let mut columns = Vec::new();
        for (n, name) in table.columns.iter().enumerate() {
            let wrong = |what: &str| table.wrong(table.header_line, Some(&format!("{} ('{name}')", n + 1)), what);
            if table.columns[..n].contains(name) {
                return Err(wrong("there are two of this name"));
            }
            let options = || self.command.get_arguments().filter_map(Arg::get_long);
            let option = || self.command.get_arguments().find(|arg| arg.get_long() == Some(name));
            columns.push(match (name.as_str(), option()) {
                ("input", _) => Column::Input,
                ("output", _) => Column::Output,
                ("rank", _) => return Err(wrong(OF_ONE_TARGET)),
                ("report" | "report-json" | "preview", _) => return Err(wrong(OF_ONE_JOB)),
                (_, Some(arg)) if arg.get_help_heading() == Some(RUN_HEADING) => {
                    return Err(wrong(&format!("one for the whole batch: give --{name} on the command line")));
                }
                (_, Some(arg)) => Column::Option(arg),
                (_, None) => {
                    let near = habits::column(name).or_else(|| options().find(|ours| habits::is_near(name, ours)));
                    let meant = near.map_or_else(String::new, |near| format!(": did you mean {near}?"));
                    return Err(wrong(&format!("no option of resample{meant}")));
                }
            });
        }
        let is_missing = |name: &&str| !table.columns.iter().any(|column| column == name);
        if let Some(missing) = ["input", "output"].into_iter().find(is_missing) {
            return Err(table.wrong(table.header_line, None, &format!("there is no column {missing}")));
        }
        Ok(columns)
    }

    fn request(&self, table: &Table, columns: &[Column<'_>], row: &Row, budget: (u64, usize)) -> Result<Request> {
        let (mut input, mut output) = ("", "");
        let (mut options, mut named) = (self.defaults.clone(), Vec::new());
        let cells = columns.iter().zip(&table.columns).zip(&row.cells);
        for ((column, name), cell) in cells {
            match column {
                Column::Input | Column::Output if cell.is_empty() => {
                    return Err(table.wrong(row.line, Some(name), "there is no path"));
                }
                Column::Input => input = cell,
                Column::Output => output = cell,
                Column::Option(_) if cell.is_empty() => {}
                Column::Option(arg) => {
                    let tokens = tokens(arg, name, cell).map_err(|what| table.wrong(row.line, Some(name), &what))?;
                    self.drop_rivals(&mut options, arg);
                    // A cell that says no asks for nothing.
                    named.extend((!tokens.is_empty()).then(|| name.clone()));
                    options.push(Given { id: arg.get_id().to_string(), tokens });
                }
            }
        }
        let tokens = options.into_iter().flat_map(|given| given.tokens);
        let paths = ["--", input, output].map(OsString::from);
        let matches = self.command.clone().try_get_matches_from(tokens.chain(paths));
        let args = matches.and_then(|matches| ResampleArgs::from_arg_matches(&matches));
        let args = args.map_err(|error| table.wrong(row.line, column_of(&error, table), &message(&error)))?;
        let request = resample::request(&args, budget).map(|request| Request { named, ..request });
        request.map_err(|error| match error {
            Error::Usage { what, hint } => {
                Error::Usage { what: format!("{}: {what}", table.place(row.line, None)), hint }
            }
            other => other,
        })
    }

    /// Takes away the defaults that a cell replaces: its own option's, and those of options that exclude it.
    fn drop_rivals(&self, options: &mut Vec<Given>, arg: &Arg) {
        let id = arg.get_id();
        let excludes = |other: &str| {
            self.command.get_groups().any(|group| {
                let has = |wanted: &str| group.get_args().any(|member| member == wanted);
                !group.clone().is_multiple() && has(id.as_str()) && has(other)
            })
        };
        let is_default = |other: &str| self.defaults.iter().any(|default| default.id == other);
        options.retain(|other| id != other.id.as_str() && !(is_default(&other.id) && excludes(&other.id)));
    }
}

/// An option as it was typed.
fn retyped(arg: &Arg, typed: &ArgMatches) -> Vec<OsString> {
    let long = arg.get_long().unwrap_or_default();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return vec![format!("--{long}").into()];
    }
    let values = typed.get_raw(arg.get_id().as_str()).into_iter().flatten();
    values.map(|value| token(long, value)).collect()
}

fn token(long: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut token = OsString::from(format!("--{long}="));
    token.push(value);
    token
}

/// The tokens for a cell that is not empty; none where it says no.
fn tokens(arg: &Arg, name: &str, cell: &str) -> Result<Vec<OsString>, String> {
    let flag = vec![format!("--{name}").into()];
    let lower = cell.to_ascii_lowercase();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match lower.as_str() {
            "true" | "yes" | "1" => Ok(flag),
            "false" | "no" | "0" => Ok(Vec::new()),
            _ => Err(format!("'{cell}' is none of true, false, yes, no, 1 and 0")),
        };
    }
    let value_is_optional = arg.get_num_args().is_some_and(|values| values.min_values() == 0);
    Ok(match lower.as_str() {
        "true" | "yes" if value_is_optional => flag,
        "false" | "no" if value_is_optional => Vec::new(),
        _ if matches!(arg.get_action(), ArgAction::Append) => {
            cell.split(VALUE_SEPARATOR).map(|value| token(name, value.trim())).collect()
        }
        _ => vec![token(name, cell)],
    })
}

/// The column whose option an error is about.
fn column_of<'a>(error: &clap::Error, table: &'a Table) -> Option<&'a str> {
    let Some(ContextValue::String(about)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = about.strip_prefix("--")?.split(|c: char| !c.is_alphanumeric() && c != '-').next()?;
    table.columns.iter().find(|column| *column == name).map(String::as_str)
}

/// What is wrong, in one line: without the usage and the advice that follow it.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;
    use reslice::job::Jobs as _;
    use reslice::{
        geometry::{GridRequest, Sizing},
        job::GridChoice,
    };

    #[derive(Debug)]
    struct Planned {
        line: usize,
        request: Request,
    }

    fn requests(typed: &[&str], rows: &str) -> Result<Vec<Planned>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs.tsv");
        std::fs::write(&path, rows).unwrap();
        let mut table = Table::read(&path, 1 << 30).unwrap();
        table.path = Path::new("jobs.tsv").into();
        let finished = Finished::of_table(&path, 1 << 30).unwrap();
        let matches = Cli::command().get_matches_from([&["reslice", "batch", "jobs.tsv"], typed].concat());
        let options = Options::new(matches.subcommand_matches("batch").unwrap());
        let jobs = Jobs::new(&table, &options, &finished, (1 << 30, 2))?;
        let planned = |n| Ok(Planned { line: table.line(n), request: jobs.request(n)? });
        (0..table.len()).map(planned).collect()
    }

    fn refusal(typed: &[&str], rows: &str) -> String {
        requests(typed, rows).unwrap_err().to_string()
    }

    fn sizing(request: &Request) -> Sizing {
        match &request.grid {
            GridChoice::Rules(GridRequest { sizing, .. })
            | GridChoice::Like { rules: GridRequest { sizing, .. }, .. } => sizing.clone(),
        }
    }

    #[test]
    fn a_cell_wins_over_the_command_line() {
        let rows = "input\toutput\tspacing\tinterp\tantialias\tlike\n\
                    a\ta.nii\t\t\t\t\nb\tb.nii\t2\tcubic\tno\t\nc\tc.nii\t\t\tyes\tref.nii\n";
        let found = requests(&["--spacing", "1,1,3", "--antialias", "--dtype=f32"], rows).unwrap();
        let [a, b, c] = [0, 1, 2].map(|n| &found[n].request);
        assert_eq!(
            (sizing(a), sizing(b), sizing(c)),
            (Sizing::Spacing([3.0, 1.0, 1.0]), Sizing::Spacing([2.0; 3]), Sizing::Keep)
        );
        assert_eq!((a.antialias, b.antialias, c.antialias), (true, false, true));
        assert!(matches!(&c.grid, GridChoice::Like { path, .. } if path == Path::new("ref.nii")));
        assert!(found.iter().all(|row| row.request.dtype.is_some() && row.request.memory_bytes == 1 << 30));
        assert_eq!(found.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn values_that_may_be_left_out_take_yes_and_no() {
        let rows = "output\tinput\tisotropic\tpyramid\toutside\n\
                    a.zarr\ta\tyes\t2\t-1000\nb.zarr\tb\t1\tauto\t\nc.zarr\tc\tfalse\tno\t\n";
        let found = requests(&["--isotropic=3"], rows).unwrap();
        let sizes: Vec<Sizing> = found.iter().map(|row| sizing(&row.request)).collect();
        assert_eq!(sizes, [Sizing::Isotropic(None), Sizing::Isotropic(Some(1.0)), Sizing::Keep]);
        let levels: Vec<_> = found.iter().map(|row| row.request.pyramid.map(|pyramid| pyramid.levels)).collect();
        assert_eq!(levels, [Some(Some(2)), Some(None), None]);
        assert_eq!(found[0].request.outside, reslice::job::OutsideRequest::Value(-1000.0));
    }

    #[test]
    fn every_option_of_resample_is_one_of_the_batch() {
        let mut command = Cli::command();
        command.build();
        let longs = |name: &str| -> Vec<String> {
            let options = command.find_subcommand(name).unwrap().get_arguments();
            options.filter_map(|arg| arg.get_long().map(String::from)).collect()
        };
        let batch = longs("batch");
        // Ranks share one target, and pages are of one.
        let is_alone = |long: &str| ["rank", "report", "report-json", "preview"].contains(&long);
        assert!(longs("resample").iter().all(|long| batch.contains(long) || is_alone(long)), "{batch:?}");
    }

    #[test]
    fn an_option_that_may_be_repeated_takes_several_values() {
        let arg = Arg::new("transform").long("transform").action(ArgAction::Append);
        let found = tokens(&arg, "transform", "a.mat,inverse; b c.txt").unwrap();
        assert_eq!(found, ["--transform=a.mat,inverse", "--transform=b c.txt"]);
    }

    #[test]
    fn refusals_name_line_and_column() {
        let of = |column: &str, cell: &str| refusal(&[], &format!("input\toutput\t{column}\n\na\tb.nii\t{cell}\n"));
        assert!(
            of("spacing", "x")
                .starts_with("jobs.tsv, line 3, column spacing: invalid value 'x' for '--spacing <S>': expected")
        );
        assert!(of("align", "x").ends_with("[possible values: origin, edges, center]"), "{}", of("align", "x"));
        assert_eq!(of("raw", "x"), "jobs.tsv, line 3, column raw: 'x' is none of true, false, yes, no, 1 and 0");
        assert_eq!(
            of("spaceing", "1"),
            "jobs.tsv, line 1, column 3 ('spaceing'): no option of resample: did you mean spacing?"
        );
        assert!(of("memory", "1G").ends_with("one for the whole batch: give --memory on the command line"));
        assert!(of("rank", "0/2").ends_with("ranks share one target: leave it out, and give each process a table of its own, or make one target by resample --rank"));
        assert_eq!(of("input", "x"), "jobs.tsv, line 1, column 3 ('input'): there are two of this name");
        assert_eq!(refusal(&[], "input\tspacing\na\t1\n"), "jobs.tsv, line 1: there is no column output");
        assert_eq!(refusal(&[], "input\toutput\na\t\n"), "jobs.tsv, line 2, column output: there is no path");
        let both = refusal(&[], "input\toutput\tspacing\tsize\na\tb.nii\t1\t9\n");
        assert!(both.contains("line 2") && both.contains("'--spacing <S>' cannot be used with '--size <N>'"), "{both}");
    }
}

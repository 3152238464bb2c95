//! A table of jobs: tab-separated text with a header. No quotes: a cell is what stands between two tabs, without blanks around
//! it.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    io::steady,
};

/// Tables are small; this bounds what a wrong file makes us read.
const MOST_BYTES: u64 = 64 << 20;

/// The table as it stands in the file.
#[derive(Debug, PartialEq)]
pub struct Table {
    pub path: PathBuf,
    /// Line of the header, from 1.
    pub header_line: usize,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// A line that is neither empty nor a comment.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// From 1.
    pub line: usize,
    /// As many as there are columns; empty where the line ends early.
    pub cells: Vec<String>,
}

impl Table {
    pub fn read(path: &Path) -> Result<Table> {
        let mut bytes = Vec::new();
        let file = steady::open_once(path).map_err(Error::io("open", path))?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Error::usage(format!("{} has more than {MOST_BYTES} bytes: no table of jobs", path.display())));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Error::usage(format!("{}: byte {at} is not UTF-8: no table of jobs", path.display()))
        })?;
        Table::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Table> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
        let mut lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let cells = |line: &str| -> Vec<String> { line.split('\t').map(|cell| cell.trim().to_string()).collect() };
        let Some((header_line, header)) = lines.next() else {
            let hint = "its first line names the columns: input, output and options of resample";
            return Err(Error::usage_hint(format!("{} has no header", path.display()), hint));
        };
        let mut table = Table { path: path.to_path_buf(), header_line, columns: cells(header), rows: Vec::new() };
        for (line, text) in lines {
            let mut cells = cells(text);
            let most = table.columns.len();
            if let Some(excess) = cells.get(most..).and_then(|excess| excess.iter().find(|cell| !cell.is_empty())) {
                return Err(table.wrong(line, None, &format!("'{excess}' stands behind the last of {most} columns")));
            }
            cells.resize(most, String::new());
            table.rows.push(Row { line, cells });
        }
        Ok(table)
    }

    /// A usage error that says where in the table it is.
    pub fn wrong(&self, line: usize, column: Option<&str>, what: &str) -> Error {
        Error::Usage { what: format!("{}: {what}", self.place(line, column)), hint: None }
    }

    /// `jobs.tsv, line 3, column spacing`
    pub fn place(&self, line: usize, column: Option<&str>) -> String {
        let column = column.map_or_else(String::new, |column| format!(", column {column}"));
        format!("{}, line {line}{column}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Table> {
        Table::parse(Path::new("jobs.tsv"), text)
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_but_counted() {
        let table =
            parse("\u{feff}# a set\n\ninput\toutput\tspacing\r\na.nii\tb.nii\t1\r\n \t\n#x\ny\n c d.nii \te\t\t\n")
                .unwrap();
        assert_eq!(
            (table.header_line, table.columns.as_slice()),
            (3, ["input", "output", "spacing"].map(String::from).as_slice())
        );
        let cells = |cells: [&str; 3]| cells.map(String::from).to_vec();
        assert_eq!(
            table.rows,
            [
                Row { line: 4, cells: cells(["a.nii", "b.nii", "1"]) },
                Row { line: 7, cells: cells(["y", "", ""]) },
                Row { line: 8, cells: cells(["c d.nii", "e", ""]) },
            ]
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(parse("\n# only this\n").unwrap_err().to_string(), "jobs.tsv has no header");
        let excess = parse("input\toutput\na\tb\tc\n").unwrap_err().to_string();
        assert_eq!(excess, "jobs.tsv, line 2: 'c' stands behind the last of 2 columns");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs.tsv");
        std::fs::write(&path, b"input\toutput\n\xff\tb\n").unwrap();
        assert!(Table::read(&path).unwrap_err().to_string().contains("byte 13 is not UTF-8"));
    }
}

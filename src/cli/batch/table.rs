//! A table of jobs: tab-separated text with a header. No quotes: a cell is what stands between two tabs, without blanks around
//! it.
//!
//! Rows stay in the file: where each begins is kept, and it is read again when its turn comes.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use reslice::{
    error::{Error, Result},
    storage::nfs,
};

/// Bytes of one row at most; this bounds what a wrong file makes us read.
pub(super) const MOST_ROW_BYTES: u64 = 64 << 10;
/// What is kept for each row while the table is looked through, tables of its paths included.
const ROW_BYTES: u64 = 128;
/// The part of the budget that rows may take.
const SHARE: u64 = 4;

/// The table as it stands in the file.
#[derive(Debug)]
pub(super) struct Table {
    pub path: PathBuf,
    /// Line of the header, from 1.
    pub header_line: usize,
    pub columns: Vec<String>,
    rows: Vec<Start>,
    text: Text,
}

/// Where a row begins.
#[derive(Clone, Copy, Debug)]
struct Start {
    line: usize,
    offset: u64,
}

#[derive(Debug)]
enum Text {
    File(File),
    /// What cannot be read again, such as a pipe.
    Kept(Vec<u8>),
}

/// A line that is neither empty nor a comment.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// From 1.
    pub line: usize,
    /// As many as there are columns; empty where the line ends early.
    pub cells: Vec<String>,
}

impl Table {
    /// The table at `path`; what is kept of it is a part of `memory_bytes`.
    ///
    /// # Errors
    /// A file that is no table, and one with more rows than there is memory for.
    pub(super) fn read(path: &Path, memory_bytes: u64) -> Result<Table> {
        let file = nfs::open_once(path).map_err(Error::io("open", path))?;
        let meta = file.metadata().map_err(Error::io("look at", path))?;
        let text = if meta.is_file() { Text::File(file) } else { Text::Kept(kept(file, path, memory_bytes / SHARE)?) };
        let (header_line, columns) = (0, Vec::new());
        let mut table = Table { path: path.to_path_buf(), header_line, columns, rows: Vec::new(), text };
        let (header, rows) = table.scan(memory_bytes / SHARE / ROW_BYTES)?;
        let Some(header) = header else {
            let hint = "its first line names the columns: input, output and options of resample";
            return Err(Error::usage_hint(format!("{} has no header", path.display()), hint));
        };
        (table.header_line, table.columns, table.rows) = (header.line, header.cells, rows);
        Ok(table)
    }

    /// The header, and where the rows begin, of which there are `most`.
    fn scan(&self, most: u64) -> Result<(Option<Row>, Vec<Start>)> {
        let mut input: Box<dyn BufRead + '_> = match &self.text {
            Text::File(file) => Box::new(BufReader::new(file)),
            Text::Kept(bytes) => Box::new(bytes.as_slice()),
        };
        let (mut header, mut rows, mut count): (Option<Row>, Vec<Start>, u64) = (None, Vec::new(), 0);
        let (mut line, mut offset, mut bytes) = (0, 0u64, Vec::new());
        loop {
            bytes.clear();
            let read = input.by_ref().take(MOST_ROW_BYTES + 1).read_until(b'\n', &mut bytes);
            let len = read.map_err(Error::io("read", &self.path))? as u64;
            if len == 0 {
                break;
            }
            line += 1;
            if len > MOST_ROW_BYTES {
                return Err(self.wrong(
                    line,
                    None,
                    &format!("more than {MOST_ROW_BYTES} bytes: no row of a table of jobs"),
                ));
            }
            let text = self.text_of(&bytes, offset)?;
            if !text.trim().is_empty() && !text.starts_with('#') {
                match &header {
                    None => header = Some(Row { line, cells: cells(text) }),
                    Some(Row { cells: columns, .. }) => {
                        self.fitted(line, text, columns.len())?;
                        count += 1;
                        if count <= most {
                            rows.push(Start { line, offset });
                        }
                    }
                }
            }
            offset += len;
        }
        if count > most {
            let mib = (count * ROW_BYTES * SHARE).div_ceil(1 << 20);
            let what = format!("{} has {count} rows, and the budget has room for {most}", self.path.display());
            return Err(Error::usage_hint(what, format!("use --memory {mib}MiB, or cut the table in parts")));
        }
        Ok((header, rows))
    }

    /// The rows, without the header.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Line of row `n`, from 1.
    pub(super) fn line(&self, n: usize) -> usize {
        self.rows[n].line
    }

    /// Row `n`.
    ///
    /// # Errors
    /// Those of reading, and a table that is no longer what it was.
    pub(super) fn row(&self, n: usize) -> Result<Row> {
        let Start { line, offset } = self.rows[n];
        let mut bytes = vec![0; MOST_ROW_BYTES as usize];
        let mut len = 0;
        while len < bytes.len() && !bytes[..len].contains(&b'\n') {
            let read = match &self.text {
                Text::File(file) => file.read_at(&mut bytes[len..], offset + len as u64),
                Text::Kept(text) => (&text[(offset as usize + len).min(text.len())..]).read(&mut bytes[len..]),
            };
            match read.map_err(Error::io("read", &self.path))? {
                0 => break,
                read => len += read,
            }
        }
        let text = bytes[..len].split(|&byte| byte == b'\n').next().unwrap_or_default();
        let text = self.text_of(text, offset)?;
        if text.trim().is_empty() || text.starts_with('#') {
            return Err(self.wrong(line, None, "the table has changed since it was read"));
        }
        Ok(Row { line, cells: self.fitted(line, text, self.columns.len())? })
    }

    fn text_of<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<&'a str> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = offset + error.valid_up_to() as u64;
            let hint =
                "a table of jobs is text, whose first line is input, a tab, output: `reslice batch --help` shows one";
            Error::usage_hint(format!("{}: byte {at} is not UTF-8: no table of jobs", self.path.display()), hint)
        })?;
        Ok(if offset == 0 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text })
    }

    fn fitted(&self, line: usize, text: &str, most: usize) -> Result<Vec<String>> {
        let mut cells = cells(text);
        if let Some(excess) = cells.get(most..).and_then(|excess| excess.iter().find(|cell| !cell.is_empty())) {
            return Err(self.wrong(line, None, &format!("'{excess}' stands behind the last of {most} columns")));
        }
        cells.resize(most, String::new());
        Ok(cells)
    }

    /// A usage error that says where in the table it is.
    pub(super) fn wrong(&self, line: usize, column: Option<&str>, what: &str) -> Error {
        Error::Usage { what: format!("{}: {what}", self.place(line, column)), hint: None }
    }

    /// `jobs.tsv, line 3, column spacing`
    pub(super) fn place(&self, line: usize, column: Option<&str>) -> String {
        let column = column.map_or_else(String::new, |column| format!(", column {column}"));
        format!("{}, line {line}{column}", self.path.display())
    }
}

fn cells(line: &str) -> Vec<String> {
    line.split('\t').map(|cell| cell.trim().to_string()).collect()
}

/// All of what cannot be read twice.
fn kept(file: File, path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > most {
        let what = format!("{} is no file, and has more than the {most} bytes that are kept of it", path.display());
        return Err(Error::usage_hint(what, "write the table to a file"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8], memory_bytes: u64) -> Result<(Table, Vec<Row>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs.tsv");
        std::fs::write(&path, text).unwrap();
        let mut table = Table::read(&path, memory_bytes)?;
        table.path = "jobs.tsv".into();
        let rows = (0..table.len()).map(|n| table.row(n)).collect::<Result<Vec<Row>>>()?;
        Ok((table, rows))
    }

    fn refusal(text: &[u8]) -> String {
        let told = parse(text, 1 << 30).unwrap_err().to_string();
        told.rsplit('/').next().unwrap_or_default().to_string()
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_but_counted() {
        let text = "\u{feff}# a set\n\ninput\toutput\tspacing\r\na.nii\tb.nii\t1\r\n \t\n#x\ny\n c d.nii \te\t\t\n";
        let (table, rows) = parse(text.as_bytes(), 1 << 30).unwrap();
        assert_eq!(
            (table.header_line, table.columns.as_slice()),
            (3, ["input", "output", "spacing"].map(String::from).as_slice())
        );
        let cells = |cells: [&str; 3]| cells.map(String::from).to_vec();
        assert_eq!(
            rows,
            [
                Row { line: 4, cells: cells(["a.nii", "b.nii", "1"]) },
                Row { line: 7, cells: cells(["y", "", ""]) },
                Row { line: 8, cells: cells(["c d.nii", "e", ""]) },
            ]
        );
        let (table, rows) = parse("\u{feff}input\toutput\na\tb".as_bytes(), 1 << 30).unwrap();
        assert_eq!((table.columns[0].as_str(), rows[0].cells.len(), table.line(0)), ("input", 2, 2));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(refusal(b"\n# only this\n"), "jobs.tsv has no header");
        assert_eq!(refusal(b"input\toutput\na\tb\tc\n"), "jobs.tsv, line 2: 'c' stands behind the last of 2 columns");
        assert!(refusal(b"input\toutput\n\xff\tb\n").contains("byte 13 is not UTF-8"));
        let long = [b"input\toutput\na\t", &[b'b'; 70_000][..], b"\n"].concat();
        assert!(refusal(&long).contains("line 2: more than 65536 bytes"), "{}", refusal(&long));
    }

    #[test]
    fn rows_are_counted_against_the_budget() {
        let text = format!("input\toutput\n{}", "a\tb\n".repeat(3000));
        assert_eq!(parse(text.as_bytes(), 2 << 20).unwrap().1.len(), 3000);
        let error = parse(text.as_bytes(), 1 << 20).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(error.to_string().contains("has 3000 rows") && hint.contains("--memory 2MiB"), "{error} {hint}");
    }
}

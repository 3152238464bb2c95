//! Tables of points: CSV with a header that names columns x, y and z; other columns pass through byte by byte, blank lines
//! are left out.
//!
//! Source: RFC 4180, without line breaks inside quotes.

use std::{
    io::{BufRead, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Longest line.
const MOST_LINE_BYTES: u64 = 1 << 20;
/// Text that one batch of rows holds at most, give or take a line.
const MOST_TEXT_BYTES: usize = 32 << 20;

/// A table, read row by row.
#[derive(Debug)]
pub struct Table<R> {
    input: R,
    name: PathBuf,
    header: Vec<u8>,
    /// Columns of x, y, z.
    columns: [usize; 3],
    line: u64,
}

/// Some rows of a table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub points: Vec<[f64; 3]>,
    /// Lines with their ends.
    text: Vec<u8>,
    rows: Vec<Row>,
}

/// Where a row stands in the text.
#[derive(Debug)]
struct Row {
    bytes: Range<usize>,
    /// Of x, y, z.
    fields: [Range<usize>; 3],
}

impl<R: BufRead> Table<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// No header, or one without the columns x, y and z.
    pub fn open(name: &Path, input: R) -> Result<Table<R>> {
        let mut table = Table { input, name: name.to_path_buf(), header: Vec::new(), columns: [0; 3], line: 0 };
        let mut header = Vec::new();
        table.next_line(&mut header)?;
        let bare = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&header);
        let skipped = header.len() - bare.len();
        let names: Vec<String> = fields(&header, skipped)
            .ok_or_else(|| table.open_quote())?
            .into_iter()
            .map(|field| unquoted(&header[field]).to_lowercase())
            .collect();
        for (column, wanted) in table.columns.iter_mut().zip(["x", "y", "z"]) {
            let place = names.iter().position(|name| name == wanted);
            *column = place.ok_or_else(|| {
                let shown: String = names.join(",").chars().take(60).collect();
                Error::malformed(
                    name,
                    "line 1",
                    format!("'{shown}'"),
                    format!("a header with columns x, y, z (no {wanted})"),
                )
            })?;
        }
        table.header = header;
        Ok(table)
    }

    /// The first line, with its end.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Replaces `rows` by the next ones, `most` at most; whether there were any.
    ///
    /// # Errors
    /// A row with too few fields, or a coordinate that is no finite number, with the line.
    pub(super) fn take(&mut self, most: usize, rows: &mut Rows) -> Result<bool> {
        rows.points.clear();
        rows.text.clear();
        rows.rows.clear();
        while rows.rows.len() < most && rows.text.len() < MOST_TEXT_BYTES {
            let start = rows.text.len();
            if !self.next_line(&mut rows.text)? {
                break;
            }
            if rows.text[start..].iter().all(u8::is_ascii_whitespace) {
                rows.text.truncate(start);
                continue;
            }
            let (fields, point) = self.point(&rows.text, start)?;
            rows.points.push(point);
            rows.rows.push(Row { bytes: start..rows.text.len(), fields });
        }
        Ok(!rows.rows.is_empty())
    }

    fn point(&self, text: &[u8], start: usize) -> Result<([Range<usize>; 3], [f64; 3])> {
        let all = fields(text, start).ok_or_else(|| self.open_quote())?;
        let mut ranges = [0..0, 0..0, 0..0];
        let mut point = [0.0; 3];
        for (n, &column) in self.columns.iter().enumerate() {
            let found = format!("{} fields", all.len());
            let field = all.get(column).ok_or_else(|| self.wrong(found, format!("{} or more", column + 1)))?;
            let number = unquoted(&text[field.clone()]);
            let finite = number.parse().ok().filter(|number: &f64| number.is_finite());
            let axis = ["x", "y", "z"][n];
            let shown = || number.chars().take(60).flat_map(char::escape_debug).collect::<String>();
            point[n] = finite.ok_or_else(|| self.wrong(format!("'{}'", shown()), format!("a number for {axis}")))?;
            ranges[n] = field.clone();
        }
        Ok((ranges, point))
    }

    /// Appends the next line with its end; whether there was one.
    fn next_line(&mut self, text: &mut Vec<u8>) -> Result<bool> {
        let mut bounded = self.input.by_ref().take(MOST_LINE_BYTES);
        let count = bounded.read_until(b'\n', text).map_err(Error::io("read", &self.name))?;
        self.line += 1;
        if count as u64 == MOST_LINE_BYTES && text.last() != Some(&b'\n') {
            return Err(self.wrong("longer than 1 MiB".into(), "a row of a table".into()));
        }
        Ok(count > 0)
    }

    fn open_quote(&self) -> Error {
        self.wrong("a quote that is not closed".into(), "each row in one line".into())
    }

    fn wrong(&self, found: String, expected: String) -> Error {
        Error::malformed(&self.name, format!("line {}", self.line), found, expected)
    }
}

impl Rows {
    /// Row `n` with these coordinates.
    pub(super) fn with_point(&self, n: usize, point: [f64; 3]) -> Vec<u8> {
        let Row { bytes, fields } = &self.rows[n];
        let mut order = [0, 1, 2];
        order.sort_unstable_by_key(|&axis| fields[axis].start);
        let (mut line, mut at) = (Vec::with_capacity(bytes.len() + 32), bytes.start);
        for axis in order {
            line.extend_from_slice(&self.text[at..fields[axis].start]);
            line.extend_from_slice(number(point[axis]).as_bytes());
            at = fields[axis].end;
        }
        line.extend_from_slice(&self.text[at..bytes.end]);
        line
    }
}

/// The shortest digits that read back as the same number.
fn number(x: f64) -> String {
    let x = x + 0.0;
    if x == 0.0 || (1e-5..1e16).contains(&x.abs()) { format!("{x}") } else { format!("{x:e}") }
}

/// The fields of the last line of `text`, which begins at `start`, without blanks around them; `None` where a quote stays open.
fn fields(text: &[u8], start: usize) -> Option<Vec<Range<usize>>> {
    let line = text[start..].trim_ascii_end();
    let (mut fields, mut first, mut quoted) = (Vec::new(), start, false);
    for (n, &byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                fields.push(trimmed(text, first..start + n));
                first = start + n + 1;
            }
            _ => {}
        }
    }
    fields.push(trimmed(text, first..start + line.len()));
    (!quoted).then_some(fields)
}

fn trimmed(text: &[u8], field: Range<usize>) -> Range<usize> {
    let bytes = &text[field.clone()];
    let start = field.start + (bytes.len() - bytes.trim_ascii_start().len());
    start..start + bytes.trim_ascii().len()
}

/// A field without its quotes, as text.
fn unquoted(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text).trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(text: &str, batch: usize) -> Result<String> {
        let mut table = Table::open(Path::new("p.csv"), text.as_bytes())?;
        let mut out = table.header().to_vec();
        let mut rows = Rows::default();
        while table.take(batch, &mut rows)? {
            for (n, point) in rows.points.iter().enumerate() {
                out.extend(rows.with_point(n, point.map(|x| 2.0 * x)));
            }
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn other_columns_pass_through() {
        let text =
            "\u{feff}label, Z ,\"x\",note,y\r\n1,3, 1 ,\"a, \"\"b\"\"\",2\r\n\r\n,-0.5,\"2.5\",,1e-9\n7,1e20,0,\t,-0";
        let expected = "\u{feff}label, Z ,\"x\",note,y\r\n1,6, 2 ,\"a, \"\"b\"\"\",4\r\n,-1,5,,2e-9\n7,2e20,0,\t,0";
        for batch in [1, 2, 100] {
            assert_eq!(doubled(text, batch).unwrap(), expected);
        }
        assert_eq!(doubled("x,y,z\n", 1).unwrap(), "x,y,z\n");
    }

    #[test]
    fn wrong_rows_name_their_line() {
        for (text, says) in [
            ("", "line 1 is ''"),
            ("1,2,3\n", "columns x, y, z (no x)"),
            ("x,y,t\n", "no z"),
            ("x,y,z\n1,2\n", "line 2 is 2 fields, expected 3 or more"),
            ("x,y,z\n\n1,2,three\n", "line 3 is 'three', expected a number for z"),
            ("x,y,z\n1,nan,3\n", "line 2 is 'nan'"),
            ("x,y,z,n\n1,2,3,\"a\nb\"\n", "line 2 is a quote that is not closed"),
        ] {
            let error = doubled(text, 10).unwrap_err().to_string();
            assert!(error.starts_with("p.csv: line") && error.contains(says), "{error}");
        }
        let long = format!("x,y,z\n{}", "1".repeat(2 << 20));
        assert!(doubled(&long, 10).unwrap_err().to_string().contains("longer than 1 MiB"));
    }
}

//! Tables of codes of a stream, by their class and place: ITU-T T.81, B.2.4.2.

use super::huffman::Table;

/// Tables of codes in one stream; each takes a moment to make.
const MOST_TABLES: u32 = 64;

/// The tables that are defined so far.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Of differences, and of coefficients.
    tables: [[Option<Table>; 4]; 2],
    made: u32,
}

impl Tables {
    /// Takes a segment of tables; the highest number of a code depends on whether it is of coefficients.
    ///
    /// # Errors
    /// Tables that are cut off, too many, at places that there are not, or that are wrong in themselves.
    pub(super) fn define(&mut self, mut body: &[u8], most: fn(bool) -> u8) -> Result<(), String> {
        while let Some((&place, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>().ok_or("a table of codes that is cut off")?;
            let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let numbers = rest.get(16..16 + total).ok_or("a table of codes that is cut off")?;
            self.made += 1;
            let tables = self.tables.get_mut(usize::from(place >> 4)).filter(|_| self.made <= MOST_TABLES);
            let slot = tables.and_then(|tables| tables.get_mut(usize::from(place & 15)));
            *slot.ok_or("a table of codes that no stream has")? =
                Some(Table::new(counts, numbers, most(place >> 4 == 1))?);
            body = &rest[16 + total..];
        }
        Ok(())
    }

    /// The table at a place.
    pub(super) fn of(&self, coefficients: bool, place: u8) -> Option<&Table> {
        self.tables[usize::from(coefficients)].get(usize::from(place))?.as_ref()
    }
}

/// Units of a scan after which codes begin anew; 0: never.
///
/// # Errors
/// A segment that is too short.
pub(super) fn restart_interval(body: &[u8]) -> Result<usize, String> {
    let [a, b, ..] = body else { return Err("an interval that is cut off".into()) };
    Ok(usize::from(u16::from_be_bytes([*a, *b])))
}

//! The chain of directories: a row of a table for each page, and what all pages have in common.

use super::{
    bytes::{List, Walk},
    codec::Compression,
    directory::{self as tags, Directory},
    fault::Fault,
    format::Format,
};
use crate::sys;

/// Pages of a file, at most.
const MOST_PAGES: usize = 1 << 22;
/// The part of a budget that the table may take: it is there three times for a moment, while planes are put in order.
const TABLE_SHARE: u64 = 8;
/// Without a budget.
const MOST_TABLE_BYTES: u64 = 256 << 20;

/// Where the voxels of a page stand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Page {
    /// The lists of places and of lengths of its strips or tiles; no lengths where `counts` is 0.
    offsets: u64,
    counts: u64,
    kinds: [u8; 2],
    /// Where all of it stands in one piece, as it is; 0 where it does not.
    pub raw: u64,
}

impl Page {
    /// A page that the file does not have.
    pub(super) const ABSENT: Page = Page { offsets: 0, counts: 0, kinds: [0; 2], raw: 0 };

    /// A page that stands in one piece.
    pub(super) fn raw(at: u64) -> Page {
        Page { raw: at, ..Page::default() }
    }

    fn list(at: u64, kind: u8, count: u64) -> List {
        List { at, kind: u16::from(kind), count }
    }

    /// Place and length of strip or tile `n` of so many; the length is `None` where the file does not state it.
    pub(super) fn span(&self, walk: &super::bytes::Bytes, n: u64, count: u64) -> Result<(u64, Option<u64>), Fault> {
        let at = walk.nth(Page::list(self.offsets, self.kinds[0], count), n)?;
        let has_len = self.counts > 0;
        let len = has_len.then(|| walk.nth(Page::list(self.counts, self.kinds[1], count), n)).transpose()?;
        Ok((at, len))
    }
}

/// The most bytes of a strip at `at` whose length the file does not state, and which holds `needed` bytes.
pub(super) fn unstated_len(at: u64, file_bytes: u64, needed: u64) -> u64 {
    Compression::most_stored(needed).min(file_bytes.saturating_sub(at))
}

/// The pages of a file that were looked for.
#[derive(Debug)]
pub(super) struct Pages {
    pub format: Format,
    /// The directory of the first page.
    pub first: Directory,
    /// By the numbers of their directories; those that were passed over are blank.
    pub table: Vec<Page>,
    /// Numbers of the directories that are pages.
    pub numbers: Vec<u32>,
    /// Smaller versions among them, which were passed over.
    pub smaller: usize,
    /// Stored bytes of all pages, and of the largest strip or tile.
    pub stored_bytes: u64,
    pub largest: u64,
}

/// Which directories of the chain are pages.
pub(super) enum Wanted<'a> {
    /// All but smaller versions and masks.
    All,
    /// Those with these numbers.
    Some(&'a [bool]),
}

/// Pages that a table has room for.
pub(super) fn most_pages() -> usize {
    let bytes = sys::budget().map_or(MOST_TABLE_BYTES, |budget| budget / TABLE_SHARE);
    (bytes as usize / size_of::<Page>()).min(MOST_PAGES)
}

/// Walks through the chain from `first` on; of each page the level `level`, 0 being the page itself.
///
/// # Errors
/// Directories in a circle, or outside of the file; pages that differ; what is not read here.
pub(super) fn walk(walk: &mut Walk<'_>, first: u64, wanted: &Wanted<'_>, level: usize) -> Result<Pages, Fault> {
    let most = most_pages();
    let mut found: Option<Pages> = None;
    let (mut table, mut numbers, mut smaller) = (Vec::new(), Vec::new(), 0);
    // Brent's way to notice a circle: the place where the walk stood at the last power of two.
    let (mut at, mut mark, mut until) = (first, 0, 1);
    while at != 0 {
        let n = table.len();
        if n >= most {
            return Err(too_many(n, most));
        }
        let main = Directory::read(walk, at)?;
        let kind = main.number(walk, tags::NEW_SUBFILE_TYPE)?.unwrap_or(0);
        // Bit 0: a smaller version of another page; bit 2: a mask.
        let is_page = match wanted {
            Wanted::All => n == 0 || kind & 0b101 == 0,
            Wanted::Some(list) => list.get(n).is_some_and(|&is_wanted| is_wanted),
        };
        table.push(Page::default());
        if is_page {
            let directory = if level == 0 { main.clone() } else { level_of(walk, &main, level)? };
            let format = Format::of(&directory, walk)?;
            let pages = found.get_or_insert_with(|| Pages::of(format.clone(), main.clone()));
            if pages.format != format {
                let (first, other) = (pages.format.words(), format.words());
                return Err(Fault::Unread(format!(
                    "has pages that differ: page {} is {first}, page {} is {other}",
                    numbers.first().map_or(1, |n| n + 1),
                    n + 1
                )));
            }
            table[n] = pages.take(walk, &directory)?;
            numbers.push(n as u32);
        } else {
            smaller += usize::from(kind & 1 == 1);
        }
        at = main.next;
        if at != 0 && at == mark {
            return Err(Fault::wrong("the chain of directories", "a circle", "an end"));
        }
        if n + 1 == until {
            (mark, until) = (at, until * 2);
        }
    }
    let pages = found.ok_or_else(|| Fault::wrong("the number of pages", 0, "1 or more"))?;
    Ok(Pages { table, numbers, smaller, ..pages })
}

/// How many levels a page has beside itself.
pub(super) fn levels(main: &Directory) -> u64 {
    main.list(tags::SUB_DIRECTORIES).map_or(0, |list| list.count)
}

fn level_of(walk: &mut Walk<'_>, main: &Directory, level: usize) -> Result<Directory, Fault> {
    let there = levels(main);
    let list = main.list(tags::SUB_DIRECTORIES).filter(|list| level as u64 <= list.count);
    let Some(list) = list else {
        let what = format!("--level {level} is not there: the file has {}", 1 + there);
        return Err(Fault::Asked(what, format!("use a level from 0 to {there}")));
    };
    let at = walk.bytes.nth(list, level as u64 - 1)?;
    Directory::read(walk, at)
}

fn too_many(pages: usize, most: usize) -> Fault {
    let bytes = pages * size_of::<Page>();
    let expected = match most < MOST_PAGES {
        true => format!("at most {most}, for which the table of pages takes an eighth of --memory"),
        false => format!("at most {MOST_PAGES}"),
    };
    Fault::wrong("the number of pages", format!("more than {pages}, {} MiB of table", bytes >> 20), expected)
}

impl Pages {
    fn of(format: Format, first: Directory) -> Pages {
        Pages { format, first, table: Vec::new(), numbers: Vec::new(), smaller: 0, stored_bytes: 0, largest: 0 }
    }

    /// The row of a page, whose strips or tiles are held against the file and against what they are to hold.
    fn take(&mut self, walk: &mut Walk<'_>, directory: &Directory) -> Result<Page, Fault> {
        let format = &self.format;
        let (offsets, counts) = match format.tiled {
            true => (tags::TILE_OFFSETS, tags::TILE_COUNTS),
            false => (tags::STRIP_OFFSETS, tags::STRIP_COUNTS),
        };
        let what = if format.tiled { "tiles" } else { "strips" };
        let (count, per_plane) = (format.count(), format.count() / format.apart());
        let offsets = directory.list(offsets).filter(|list| list.count >= count);
        let Some(offsets) = offsets.map(|list| List { count, ..list }) else {
            return Err(Fault::wrong(format!("the places of {what}"), "fewer or absent", format!("{count} of them")));
        };
        let counts = directory.list(counts).filter(|list| list.count >= count).map(|list| List { count, ..list });
        let is_raw = format.compression == Compression::None;
        let (file_bytes, along) = (walk.bytes.len(), format.counts()[1]);
        let needed = |n: u64| format.bytes_of(n % per_plane.max(1) / along);
        let counts = match counts {
            // Some writers leave the length of the only strip open.
            Some(list) if count == 1 && walk.bytes.nth(list, 0)? == 0 && walk.bytes.nth(offsets, 0)? > 0 => None,
            stated => stated,
        };
        if counts.is_none() && !is_raw && count > 1 {
            return Err(Fault::wrong(format!("the lengths of {what}"), "absent", format!("{count} of them")));
        }
        let (mut stored, mut largest, mut has_none) = (0, 0, false);
        if let Some(counts) = counts {
            walk.each(counts, |n, len| {
                let needed = needed(n);
                let most = if is_raw { u64::MAX } else { Compression::most_stored(needed) };
                if len > most || (is_raw && len != 0 && len < needed) {
                    let expected = if is_raw { format!("{needed}") } else { format!("at most {most}") };
                    return Err(Fault::wrong(format!("the length of one of the {what}"), len, expected + " bytes"));
                }
                has_none |= len == 0;
                let len = if is_raw && len > 0 { needed } else { len };
                (stored, largest) = (u64::saturating_add(stored, len), u64::max(largest, len));
                Ok(())
            })?;
        } else {
            let at = walk.bytes.nth(offsets, 0)?;
            largest = if is_raw { needed(0) } else { unstated_len(at, file_bytes, needed(0)) };
            stored = if is_raw { format.page_bytes() } else { largest };
        }
        let bytes = walk.bytes;
        // One piece: raw strips, each behind the one before.
        let (mut first, mut end, mut is_whole) = (0, 0, is_raw && !format.tiled && largest > 0);
        walk.each(offsets, |n, at| {
            if at.checked_add(if is_raw && at > 0 { needed(n) } else { 0 }).is_none_or(|end| end > file_bytes) {
                return Err(Fault::wrong(
                    format!("the place of one of the {what}"),
                    at,
                    format!("within the {file_bytes} bytes of the file"),
                ));
            }
            if let Some(counts) = counts.filter(|_| has_none && at > 0)
                && bytes.nth(counts, n)? == 0
            {
                let expected = "more, since it has a place in the file, or no place";
                return Err(Fault::wrong(format!("the length of one of the {what}"), 0, expected));
            }
            first = if n == 0 { at } else { first };
            is_whole &= n == 0 || at == end;
            end = at.saturating_add(needed(n));
            Ok(())
        })?;
        self.stored_bytes = self.stored_bytes.saturating_add(stored);
        self.largest = self.largest.max(largest);
        let kinds = [offsets.kind as u8, counts.map_or(0, |list| list.kind as u8)];
        let raw = if is_whole { first } else { 0 };
        Ok(Page { offsets: offsets.at, counts: counts.map_or(0, |list| list.at), kinds, raw })
    }
}

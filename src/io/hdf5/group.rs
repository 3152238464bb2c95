//! Groups: the names in them, and where the objects are.
//!
//! Groups of HDF5 before 1.8, which other programs write by default, have a tree of symbol tables and a heap of names; newer ones have a message for
//! each link, up to eight of them. What a newer group with more links has, a fractal heap, is refused by name.
//!
//! Source: HDF5 File Format Specification 3.0, "III.A. B-trees", "III.B. Symbol Table Nodes", "III.D. Local Heaps", "IV.A.2.g. The Link Message".

use super::{
    bytes::{Bytes, Fields, NOWHERE},
    header::{Header, kind},
};
use crate::io::tiff::fault::Fault;

/// Links of one group, at most.
const MOST_LINKS: usize = 1 << 18;
/// Levels of a tree, at most.
const MOST_LEVELS: u8 = 32;
/// A symbol that leads to another name.
const SOFT: u32 = 2;

/// A name in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub name: String,
    /// The header of the object; `None` for what leads to another name, or to another file.
    pub at: Option<u64>,
}

/// All links of the group at `at`; `None` where it is no group.
///
/// # Errors
/// Damage; a group of a kind that is not read.
pub(super) fn links(bytes: &Bytes, at: u64) -> Result<Option<Vec<Link>>, Fault> {
    let header = Header::read(bytes, at)?;
    if let Some(symbols) = header.find(kind::SYMBOLS) {
        let mut fields = Fields::new(&symbols.body, "the symbols of a group");
        return symbol_table(bytes, fields.u64()?, fields.u64()?).map(Some);
    }
    let info = header.find(kind::LINK_INFO);
    if let Some(info) = info
        && heap_of(&info.body)? != NOWHERE
    {
        let what = "has a group with many links in a fractal heap, as HDF5 makes them by the setting libver='latest', which is not read";
        return Err(Fault::Unread(what.into()));
    }
    let messages = header.messages.iter().filter(|message| message.kind == kind::LINK);
    let found: Vec<Link> = messages.map(|message| link(&message.body)).collect::<Result<_, _>>()?;
    Ok((info.is_some() || !found.is_empty()).then_some(found))
}

/// The object of this name in a group.
///
/// # Errors
/// Those of [`links`].
pub(super) fn child(bytes: &Bytes, at: u64, name: &str) -> Result<Option<u64>, Fault> {
    let links = links(bytes, at)?.unwrap_or_default();
    Ok(links.into_iter().find(|link| link.name == name).and_then(|link| link.at))
}

/// The objects whose names are `prefix` and a number, by their numbers.
///
/// # Errors
/// Those of [`links`].
pub(super) fn numbered(links: &[Link], prefix: &str) -> Vec<(u64, Option<u64>)> {
    let number = |link: &Link| {
        let digits = link.name.strip_prefix(prefix)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((digits.parse().ok().filter(|_| is_number)?, link.at))
    };
    let mut found: Vec<(u64, Option<u64>)> = links.iter().filter_map(number).collect();
    found.sort_unstable();
    found
}

/// The fractal heap of a group's links.
fn heap_of(info: &[u8]) -> Result<u64, Fault> {
    let mut fields = Fields::new(info, "the links of a group");
    fields.skip(1)?;
    let flags = fields.u8()?;
    fields.skip(if flags & 1 != 0 { 8 } else { 0 })?;
    fields.u64()
}

fn link(body: &[u8]) -> Result<Link, Fault> {
    let mut fields = Fields::new(body, "a link");
    fields.skip(1)?;
    let flags = fields.u8()?;
    let leads = if flags & 8 != 0 { fields.u8()? } else { 0 };
    fields.skip(if flags & 4 != 0 { 8 } else { 0 } + if flags & 0x10 != 0 { 1 } else { 0 })?;
    let len = fields.number(1 << (flags & 3))?.min(body.len() as u64 + 1);
    let name = String::from_utf8_lossy(fields.take(len as usize)?).into_owned();
    let at = if leads == 0 { Some(fields.u64()?) } else { None };
    Ok(Link { name, at })
}

fn symbol_table(bytes: &Bytes, tree: u64, heap: u64) -> Result<Vec<Link>, Fault> {
    let head = bytes.piece(heap, 32, "the names of a group")?;
    let mut fields = Fields::new(&head, "the names of a group");
    if fields.take(4)? != b"HEAP" {
        return Err(Fault::wrong("the names of a group", format!("no heap at {heap}"), "HEAP"));
    }
    fields.skip(4)?;
    let len = fields.u64()?;
    fields.skip(8)?;
    let names = bytes.piece(fields.u64()?, len, "the names of a group")?;
    let mut found = Found { names: &names, room: names.len(), links: Vec::new() };
    if tree != NOWHERE {
        found.node(bytes, tree, None)?;
    }
    Ok(found.links)
}

/// What was found of a group so far.
struct Found<'a> {
    names: &'a [u8],
    /// Each name has a place of its own in the heap: together they are no longer than that.
    room: usize,
    links: Vec<Link>,
}

impl Found<'_> {
    fn node(&mut self, bytes: &Bytes, at: u64, level: Option<u8>) -> Result<(), Fault> {
        let what = "the tree of a group";
        let head = bytes.piece(at, 24, what)?;
        let mut fields = Fields::new(&head, what);
        let mark = fields.take(5)?;
        let own = fields.u8()?;
        let count = fields.u16()?;
        if mark != b"TREE\0" || own > MOST_LEVELS || level.is_some_and(|above| own.checked_add(1) != Some(above)) {
            return Err(Fault::wrong(what, format!("no node at {at}"), "a node of its level"));
        }
        // Keys and places by turns, a key first and last.
        let body = bytes.piece(at.saturating_add(24), u64::from(count) * 16, what)?;
        for entry in body.chunks_exact(16) {
            let below = Fields::new(&entry[8..], what).u64()?;
            if own == 0 { self.symbols(bytes, below)? } else { self.node(bytes, below, Some(own))? }
        }
        Ok(())
    }

    fn symbols(&mut self, bytes: &Bytes, at: u64) -> Result<(), Fault> {
        let what = "the symbols of a group";
        let head = bytes.piece(at, 8, what)?;
        let mut fields = Fields::new(&head, what);
        if fields.take(4)? != b"SNOD" {
            return Err(Fault::wrong(what, format!("no node at {at}"), "SNOD"));
        }
        fields.skip(2)?;
        let count = fields.u16()?;
        let body = bytes.piece(at.saturating_add(8), u64::from(count) * 40, what)?;
        for entry in body.chunks_exact(40) {
            let mut fields = Fields::new(entry, what);
            let (name, header) = (fields.u64()?, fields.u64()?);
            let at = (fields.u32()? != SOFT).then_some(header);
            let name = self.name(name)?;
            self.links.push(Link { name, at });
        }
        if self.links.len() > MOST_LINKS {
            return Err(Fault::wrong("a group", format!("more than {MOST_LINKS} links"), "fewer"));
        }
        Ok(())
    }

    fn name(&mut self, at: u64) -> Result<String, Fault> {
        let from = usize::try_from(at).ok().and_then(|at| self.names.get(at..)).unwrap_or_default();
        let len = from.iter().position(|&byte| byte == 0).filter(|&len| len < self.room);
        let len = len.ok_or_else(|| Fault::wrong("a name in a group", format!("at {at}"), "one within its heap"))?;
        self.room -= len + 1;
        Ok(String::from_utf8_lossy(&from[..len]).into_owned())
    }
}

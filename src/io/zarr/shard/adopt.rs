//! Unfinished shards of earlier runs, taken over by the run that goes on.
//!
//! A shard that several have left is taken from the one that has come farthest. Its chunks are put on record under the new run's
//! name first, and only then its files are renamed: whichever of the two a kill leaves undone, one of the records is right.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{Assembler, Early, Shard, Yard, lock, remove, side_path, slot};
use crate::{
    error::{Error, Result},
    io::{
        ledger::{Extent, Place, RestoredLevel, Unfinished},
        steady,
        zarr::store::{DirStore, unfinished},
    },
    region::Region,
};

/// What is left of one writer's work on a shard, and in which file its beginning lies.
struct Left<'a> {
    key: &'a str,
    writer: &'a str,
    beginning: PathBuf,
    shard: Shard,
}

impl Assembler {
    /// Takes over those shards of `level` that have a chunk for which `is_ours` holds (volume, region); their chunks are done then.
    pub fn adopt(&self, yard: &Yard, level: &mut RestoredLevel, is_ours: impl Fn(u64, Region) -> bool) -> Result<()> {
        let shards = std::mem::take(&mut level.shards);
        let mut taken = Vec::new();
        for (key, writers) in &shards {
            let ours = |left: &&Unfinished| left.chunks.values().any(|(region, _)| is_ours(left.volume, *region));
            let found = writers.iter().filter(ours).filter_map(|unfinished| self.look(yard, key, unfinished));
            if let Some(left) = found.max_by_key(|left| left.shard.next + left.shard.early.len() as u64) {
                self.note_all(yard, &left);
                taken.push(left);
            }
        }
        self.ledger.record()?;
        let (writer, mut own) = (self.ledger.writer().to_string(), Vec::new());
        for left in taken {
            self.take_files(yard, &left)?;
            let done = level.volumes.entry(left.shard.volume).or_default();
            let chunks = self.places(&left.shard);
            chunks.values().for_each(|(region, _)| {
                done.insert(*region);
            });
            own.push((left.key.to_string(), Unfinished { writer: writer.clone(), volume: left.shard.volume, chunks }));
        }
        level.shards = own.into_iter().map(|(key, unfinished)| (key, vec![unfinished])).collect();
        Ok(())
    }

    /// Goes on with the shards that this run has taken over.
    pub fn load(&self, yard: &Yard, level: &RestoredLevel) -> Result<()> {
        for (key, writers) in &level.shards {
            let own = writers.iter().filter(|unfinished| unfinished.writer == self.ledger.writer());
            let Some(Left { mut shard, .. }) = own.filter_map(|left| self.look(yard, key, left)).next() else {
                continue;
            };
            self.append_waiting(yard, key, &mut shard)?;
            if shard.next == shard.chunks() {
                self.complete(yard, key, &mut shard)?;
            } else {
                lock(&self.open).insert(key.clone(), Arc::new(Mutex::new(shard)));
            }
        }
        Ok(())
    }

    /// What was spent before this flush is the older half from now on. A lock of its own, held for no longer: whoever finishes a
    /// shard has that one's, and takes this one.
    pub(super) fn age_spent(&self) {
        let [new, old] = &mut *lock(&self.spent);
        old.append(new);
    }

    /// The shard as far as its files hold what the record says; `None` where that is nothing.
    fn look<'a>(&self, yard: &Yard, key: &'a str, left: &'a Unfinished) -> Option<Left<'a>> {
        let path = yard.path(key);
        let len = |path: &Path| fs::symlink_metadata(path).ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
        // A shard that was finished, but not on record, has its name already.
        let part = unfinished(&path, &left.writer);
        let beginning = if len(&part).is_some() { part } else { path.clone() };
        let (part_bytes, side_bytes) =
            (len(&beginning).unwrap_or(0), len(&side_path(&path, &left.writer)).unwrap_or(0));
        let (region, _) = left.chunks.values().next()?;
        let at: [u64; 3] = std::array::from_fn(|a| region.lo[a] as u64 / self.grid.chunk[a]);
        let mut shard = self.empty_shard(left.volume, at);
        let mut in_line = true;
        for (&turn, &(region, place)) in &left.chunks {
            if turn >= shard.chunks() || region != self.grid.region(shard.at(turn), [1; 3]) {
                return None;
            }
            in_line &= turn == shard.next;
            match place {
                Place::Part(Extent { offset, len })
                    if in_line && offset == shard.part_bytes && offset + len <= part_bytes =>
                {
                    shard.entries[slot(turn, shard.extent, self.grid.per_shard)] = (offset, len);
                    shard.part_bytes = offset + len;
                    shard.next += 1;
                }
                Place::Empty if in_line => shard.next += 1,
                Place::Empty => {
                    shard.early.insert(turn, Early::Memory(Vec::new()));
                }
                Place::Side(extent) if extent.offset + extent.len <= side_bytes => {
                    in_line = false;
                    shard.side_bytes = shard.side_bytes.max(extent.offset + extent.len);
                    shard.early.insert(turn, Early::Side(extent));
                }
                _ => in_line = false,
            }
        }
        let holds_any = shard.next > 0 || !shard.early.is_empty();
        holds_any.then(|| Left { key, writer: &left.writer, beginning, shard })
    }

    fn note_all(&self, yard: &Yard, Left { key, shard, .. }: &Left<'_>) {
        for (turn, (_, place)) in self.places(shard) {
            self.note(yard, key, shard, turn, place);
        }
    }

    /// Where the chunks of a shard lie.
    fn places(&self, shard: &Shard) -> BTreeMap<u64, (Region, Place)> {
        let region = |turn| self.grid.region(shard.at(turn), [1; 3]);
        let in_line = (0..shard.next).map(|turn| match shard.entries[slot(turn, shard.extent, self.grid.per_shard)] {
            super::ABSENT => (turn, (region(turn), Place::Empty)),
            (offset, len) => (turn, (region(turn), Place::Part(Extent { offset, len }))),
        });
        let early = shard.early.iter().map(|(&turn, early)| match early {
            Early::Memory(_) => (turn, (region(turn), Place::Empty)),
            Early::Side(extent) => (turn, (region(turn), Place::Side(*extent))),
        });
        in_line.chain(early).collect()
    }

    fn take_files(&self, yard: &Yard, Left { key, writer, beginning, shard }: &Left<'_>) -> Result<()> {
        let side = side_path(&yard.path(key), writer);
        if shard.side_bytes > 0 {
            rename(&side, &self.side(yard, key))?;
        } else {
            remove(&side)?;
        }
        if shard.part_bytes == 0 {
            return remove(beginning);
        }
        let part = self.part(yard, key);
        rename(beginning, &part)?;
        // An index may stand behind the chunks already.
        let file = DirStore::reopen(&part).map_err(Error::io("open", &part))?;
        file.set_len(shard.part_bytes).map_err(Error::io("shorten", &part))
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    steady::rename(from, to).map_err(Error::io("rename to", to))
}

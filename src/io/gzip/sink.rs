//! A volume written as a gzip or zlib stream, compressed unit by unit.
//!
//! The bytes depend on the write units alone, which are fixed by shape and sample type. Each unit is compressed by
//! itself. In a single member each unit ends on a byte border, with an empty stored block where need be (RFC 1951 section 3.2.4), so that compressed units can be put one behind the other; their CRCs are combined.
//!
//! Units go to *segments*: files of successive units. A run that makes all of them has one, which becomes the target; several
//! runs, or one that goes on with another's work, leave several, which are joined at the end.
//! Compressors and their buffers are kept and used again, and what is handed on has its exact size: made anew for each unit,
//! buffers that grow and tables of some 100 KiB left the heap full of holes, and a run some MiB above its budget.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    marker::PhantomData,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{Framing, compressor::UnitCompressor};
use crate::{
    block::BlockRef,
    checkpoint::{
        check::Check,
        ledger::{Entry, Ledger, NoLedger, Restored, StreamRun, StreamUnit},
        stamp::{self, Extent, Stamp},
    },
    error::{Error, Result},
    io::{Encoded, Sink, around::Around, packed::Packed},
    layout::{Access, Layout, write_unit},
    region::{Boxes, Region},
    storage::nfs,
    sys::writeback,
    voxel::Voxel,
};

/// The empty block that ends a BGZF file.
const BGZF_END: [u8; 28] = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A gzip header without name and time, of unknown system.
const MEMBER_HEADER: [u8; 10] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 255];
/// A zlib header: deflate with a window of 32 KiB, the fastest level (RFC 1950).
const ZLIB_HEADER: [u8; 2] = [0x78, 1];
/// A final deflate block without content.
const FINAL_BLOCK: [u8; 2] = [3, 0];
/// Working memory of one compressor.
const COMPRESSOR_BYTES: u64 = 1 << 20;

/// A compressed file under construction.
#[derive(Debug)]
pub struct GzipSink<T> {
    path: PathBuf,
    layout: Layout,
    packed: Packed,
    framing: Framing,
    around: Around,
    /// What stands before the first unit, the length of the stream not filled in.
    head: Encoded,
    /// What stands behind the last one, before the end of the stream.
    tail: Encoded,
    ledger: Arc<dyn Ledger>,
    state: Mutex<State>,
    /// As many as were ever in use at once.
    idle: Mutex<Vec<UnitCompressor>>,
    voxel: PhantomData<T>,
}

#[derive(Debug, Default)]
struct State {
    /// What is stored, by this run and those before.
    stored: Restored,
    segment: Option<Segment>,
}

/// The segment that is written.
#[derive(Debug)]
struct Segment {
    file: Arc<File>,
    path: PathBuf,
    first: u64,
    /// Number of the unit that may follow.
    next: u64,
    end: u64,
}

/// The layout of a gzip target of this shape: write units in order.
pub fn target_layout(mut layout: Layout) -> Layout {
    let voxel_bytes = (layout.components * layout.stored.bytes()) as u64;
    layout.access = Access::Ascending;
    layout.chunk = write_unit(layout.grid.shape, voxel_bytes);
    layout.shard = None;
    // A unit before compression, and what room for data that do not compress takes beyond that; the compressed unit is counted with
    // the block that it is a part of.
    let unit_bytes = layout.chunk.iter().product::<u64>() * voxel_bytes;
    layout.transfer_bytes = unit_bytes + unit_bytes / 64 + COMPRESSOR_BYTES;
    layout.resident_bytes = 0;
    layout
}

/// Whether the unit of `writer` stands in its segment of the target at `path` as it was written; it is read where the segment has changed
/// since `written`.
pub fn holds(path: &Path, writer: &str, unit: &StreamUnit, written: Option<SystemTime>) -> bool {
    let found = stamp::open(&segment_path(path, writer, unit.segment)).and_then(|file| match unit.stamp() {
        Some(stamp) => stamp.is_of(&file, [unit.extent], written),
        None => Ok(file.metadata()?.len() >= unit.extent.offset.saturating_add(unit.extent.len)),
    });
    found.unwrap_or(false)
}

/// Whether the segment of `writer` is there and as long as a unit in it needs.
pub fn reaches(path: &Path, writer: &str, unit: &StreamUnit) -> bool {
    let bytes = stamp::file_bytes(&segment_path(path, writer, unit.segment));
    bytes.is_some_and(|bytes| bytes >= unit.extent.offset.saturating_add(unit.extent.len))
}

/// Forgets runs of units whose segments are not there, or shorter than the record says; the regions of the others, by volume.
pub fn stored_regions(path: &Path, layout: &Layout, stored: &mut Restored) -> Vec<(u64, Boxes)> {
    stored.runs.retain(|_, run| {
        let bytes = stamp::file_bytes(&segment_path(path, &run.writer, run.segment));
        bytes.is_some_and(|bytes| bytes >= run.extent.offset.saturating_add(run.extent.len))
    });
    let counts = layout.chunk_counts();
    let per_volume = counts.iter().product::<u64>().max(1);
    let units = per_volume.saturating_mul(layout.outer.volumes());
    let unit_bytes =
        layout.chunk.iter().product::<u64>().saturating_mul((layout.components * layout.stored.bytes()) as u64);
    // More than a stream has: no run of ours wrote that, and sums would overflow.
    stored.runs.retain(|&first, run| {
        first.saturating_add(run.units) <= units && run.raw_bytes <= run.units.saturating_mul(unit_bytes)
    });
    let mut volumes: Vec<(u64, Boxes)> = Vec::new();
    for (&first, run) in &stored.runs {
        for number in first..first + run.units {
            let (volume, n) = (number / per_volume, number % per_volume);
            let at = [n / (counts[1] * counts[2]), n / counts[2] % counts[1], n % counts[2]];
            if volumes.last().is_none_or(|(last, _)| *last != volume) {
                volumes.push((volume, Boxes::default()));
            }
            if let Some((_, boxes)) = volumes.last_mut() {
                boxes.insert(layout.chunk_region(at));
            }
        }
    }
    volumes
}

impl<T: Voxel> GzipSink<T> {
    /// A file of its own. `layout` is that of [`target_layout`].
    pub fn create(path: &Path, layout: Layout, packed: Packed, around: &Around, framing: Framing) -> Result<Self> {
        GzipSink::join(path, layout, packed, around, framing, NoLedger::shared(), Restored::default())
    }

    /// The same, going on with the units in `stored`, of which [`stored_regions`] has seen that they are there.
    pub fn join(
        path: &Path,
        layout: Layout,
        packed: Packed,
        around: &Around,
        framing: Framing,
        ledger: Arc<dyn Ledger>,
        mut stored: Restored,
    ) -> Result<Self> {
        // No run of ours wrote what has another kind of checksum.
        stored.runs.retain(|_, run| nothing(framing).then(0, (run.check, 0)).is_some());
        let part = |raw: &[u8]| match raw.is_empty() {
            true => Encoded { check: nothing(framing), ..Encoded::default() },
            false => UnitCompressor::new(framing).compress(raw),
        };
        let (mut head, tail) = (part(&around.lead), part(&around.tail));
        let begin: &[u8] = match framing {
            Framing::Single { .. } => &MEMBER_HEADER,
            Framing::Zlib { .. } => &ZLIB_HEADER,
            Framing::Bgzf { .. } => &[],
        };
        head.bytes = [&around.head, begin, &head.bytes].concat();
        let (around, path) = (around.clone(), path.to_path_buf());
        let state = Mutex::new(State { stored, segment: None });
        let idle = Mutex::default();
        Ok(GzipSink { path, layout, packed, framing, around, head, tail, ledger, state, idle, voxel: PhantomData })
    }

    /// Number of a unit among those of all volumes.
    fn number(&self, outer: u64, unit: Region) -> u64 {
        let counts = self.layout.chunk_counts();
        let at: [u64; 3] = std::array::from_fn(|a| unit.lo[a] as u64 / self.layout.chunk[a]);
        ((outer * counts[0] + at[0]) * counts[1] + at[1]) * counts[2] + at[2]
    }

    fn begin(&self, first: u64) -> Result<Segment> {
        let path = segment_path(&self.path, self.ledger.writer(), first);
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let mut segment = Segment { file: Arc::new(file), path, first, next: first, end: 0 };
        if first == 0 {
            segment.append(&self.head.bytes)?;
        }
        Ok(segment)
    }

    /// The run that has all units, behind the head in a file of its own; `None` where there are several runs.
    fn only_run<'a>(&self, stored: &'a Restored) -> Option<&'a StreamRun> {
        let run = stored.runs.get(&0).filter(|_| stored.runs.len() == 1)?;
        (run.segment == 0 && run.extent.offset == self.head.bytes.len() as u64).then_some(run)
    }

    /// What stands behind the last unit.
    fn end(&self, stored: &Restored) -> Vec<u8> {
        let (mut check, mut raw_bytes) = (self.head.check, self.head.raw_bytes);
        let runs = stored.runs.values().map(|run| (run.check, run.raw_bytes));
        for part in runs.chain([(self.tail.check, self.tail.raw_bytes)]) {
            check = check.then(raw_bytes, part).unwrap_or(check);
            raw_bytes += part.1;
        }
        let end = match self.framing {
            Framing::Bgzf { .. } => BGZF_END.to_vec(),
            Framing::Single { .. } => {
                [&FINAL_BLOCK[..], &check.number().to_le_bytes(), &(raw_bytes as u32).to_le_bytes()].concat()
            }
            Framing::Zlib { .. } => [&FINAL_BLOCK[..], &check.number().to_be_bytes()].concat(),
        };
        [&self.tail.bytes[..], &end].concat()
    }

    /// What stands before the first unit of all of them.
    fn begin_of(&self, stored: &Restored, end: &[u8]) -> Vec<u8> {
        let (plain, units) = (self.around.head.len(), stored.runs.values().map(|run| run.extent.len));
        let own = (self.head.bytes.len() - plain + end.len()) as u64;
        let stream_bytes = units.fold(own, u64::saturating_add);
        [&self.around.head_of_stream(stream_bytes)[..], &self.head.bytes[plain..]].concat()
    }

    /// Whether the file under the final name is what the units that are stored make.
    pub fn is_joined(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.check_complete(&state.stored).is_err() {
            return false;
        }
        let end = self.end(&state.stored);
        let (head, end) = (Stamp::of(&self.begin_of(&state.stored, &end)), Stamp::of(&end));
        let mut runs = state.stored.runs.values();
        match runs.clone().try_fold(head, |before, run| Some(before.then(run.stamp?))) {
            Some(stamp) => stamp.then(end).is_of_file(&self.path, None),
            None => {
                stamp::file_bytes(&self.path)
                    == Some(runs.try_fold(head.bytes + end.bytes, |n, run| n.checked_add(run.extent.len)).unwrap_or(0))
            }
        }
    }

    /// An error where a unit is missing.
    fn check_complete(&self, stored: &Restored) -> Result<()> {
        let units = self.layout.chunk_counts().iter().product::<u64>() * self.layout.outer.volumes();
        let next = stored.runs.iter().try_fold(0, |next, (&first, run)| (first == next).then_some(first + run.units));
        if next == Some(units) {
            return Ok(());
        }
        let stored = stored.runs.values().map(|run| run.units).sum::<u64>();
        Err(Error::malformed(&self.path, "unfinished stream", format!("{stored} units"), format!("{units} units")))
    }

    /// Puts the end behind the only run, and what is known by then before it. Whoever does it again writes the same bytes to the same
    /// places.
    fn finish_in_place(&self, run: &StreamRun, begin: &[u8], end: &[u8]) -> Result<()> {
        let path = segment_path(&self.path, &run.writer, run.segment);
        let file = match nfs::unlinked().write(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.path.exists() => return Ok(()),
            other => other.map_err(Error::io("open", &path))?,
        };
        let at = run.extent.offset + run.extent.len;
        let written = file
            .write_all_at(end, at)
            .and_then(|()| file.set_len(at + end.len() as u64))
            .and_then(|()| if begin == self.head.bytes { Ok(()) } else { file.write_all_at(begin, 0) });
        written.map_err(Error::io("write", &path))?;
        file.sync_data().map_err(Error::io("write back", &path))?;
        nfs::rename(&path, &self.path).map_err(Error::io("rename to", &self.path))
    }

    /// Copies all runs behind each other into a file of this writer's.
    fn join_runs(&self, stored: &Restored, begin: &[u8], end: &[u8]) -> Result<()> {
        let mut name = self.path.as_os_str().to_os_string();
        name.push(format!(".{}.joined", self.ledger.writer()));
        let joined = PathBuf::from(name);
        let mut file = nfs::create_anew(&joined).map_err(Error::io("create", &joined))?;
        file.write_all(begin).map_err(Error::io("write", &joined))?;
        for run in stored.runs.values() {
            let path = segment_path(&self.path, &run.writer, run.segment);
            let mut segment = nfs::unlinked().read(true).open(&path).map_err(Error::io("open", &path))?;
            segment.seek(SeekFrom::Start(run.extent.offset)).map_err(Error::io("read", &path))?;
            let copied = io::copy(&mut segment.take(run.extent.len), &mut file).map_err(Error::io("write", &joined))?;
            if copied != run.extent.len {
                let found = format!("{copied} bytes at {}", run.extent.offset);
                return Err(Error::malformed(path, "segment", found, format!("{} bytes", run.extent.len)));
            }
        }
        file.write_all(end).map_err(Error::io("write", &joined))?;
        file.sync_data().map_err(Error::io("write back", &joined))?;
        nfs::rename(&joined, &self.path).map_err(Error::io("rename to", &self.path))
    }
}

impl Segment {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.end).map_err(Error::io("write", &self.path))?;
        writeback::appended(&self.file, self.end, bytes.len() as u64);
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write back", &self.path))
    }
}

/// The checksum of no bytes.
fn nothing(framing: Framing) -> Check {
    match framing {
        Framing::Single { .. } | Framing::Bgzf { .. } => Check::Crc32(0),
        Framing::Zlib { .. } => Check::Adler32(1),
    }
}

/// The segment of a writer that begins with a unit.
fn segment_path(path: &Path, writer: &str, first: u64) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{writer}.from-{first}"));
    PathBuf::from(name)
}

impl<T: Voxel> Sink<T> for GzipSink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, _outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut press = idle.unwrap_or_else(|| UnitCompressor::new(self.framing));
        let mut raw = std::mem::take(&mut press.raw);
        raw.clear();
        let lost = self.packed.pack(unit, block, &mut raw);
        let encoded = press.compress(&raw);
        press.raw = raw;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(press);
        Ok(Encoded { lost, ..encoded })
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        let number = self.number(outer, unit);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { stored, segment } = &mut *state;
        let segment = match segment {
            Some(segment) if segment.next == number => segment,
            other => {
                // A sync is for the segment that is open.
                other.take().map_or(Ok(()), |segment| segment.sync())?;
                other.insert(self.begin(number)?)
            }
        };
        let extent = Extent { offset: segment.end, len: encoded.bytes.len() as u64 };
        segment.append(&encoded.bytes)?;
        segment.next += 1;
        let Encoded { check, raw_bytes, .. } = encoded;
        let stored_crc32c = Some(crc32c::crc32c(&encoded.bytes));
        let unit = StreamUnit { number, segment: segment.first, extent, check, raw_bytes, stored_crc32c };
        stored.add_unit(self.ledger.writer(), unit);
        self.ledger.note(Entry::Unit(unit));
        Ok(extent.len)
    }

    fn sync(&self) -> Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.segment.as_ref().map(|segment| (segment.file.clone(), segment.path.clone()));
        // Others go on while the disk is waited for.
        drop(state);
        open.map_or(Ok(()), |(file, path)| file.sync_data().map_err(Error::io("write back", path)))
    }

    fn finish(&self) -> Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_complete(&state.stored)?;
        let end = self.end(&state.stored);
        let begin = self.begin_of(&state.stored, &end);
        match self.only_run(&state.stored) {
            Some(run) => self.finish_in_place(run, &begin, &end),
            None => self.join_runs(&state.stored, &begin, &end),
        }
    }
}

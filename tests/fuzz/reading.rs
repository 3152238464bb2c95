//! Reading whatever could be opened: metadata, and some voxels where chunks are small.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
    sync::atomic::AtomicBool,
};

use reslice::{
    block::BlockMut,
    info::Info,
    io::{
        input::{Input, IoMode},
        reader::RegionReader,
    },
    layout::Access,
    region::Region,
    verify::{Request, verify},
};
use tempfile::TempDir;

/// Samples of a region that is read at most; chunks that claim more are a matter of the plan, which refuses them.
const MOST_SAMPLES: u64 = 1 << 18;
/// Chunks that are read at most.
const MOST_CHUNKS: usize = 24;
/// Chunks of a volume that is verified at most: each is looked for, though it be absent.
const MOST_VERIFIED: u64 = 1 << 16;

thread_local! {
    static READ: Cell<u64> = const { Cell::new(0) };
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// A folder of this thread's, in memory where there is such a place.
pub(crate) fn in_folder<R>(work: impl FnOnce(&Path) -> R) -> R {
    let make = || {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
    };
    FOLDER.with(|folder| work(folder.borrow_mut().get_or_insert_with(|| make().unwrap()).path()))
}

/// Files of this thread's whose first region could be read.
pub(crate) fn files_read() -> u64 {
    READ.get()
}

/// Writes a file anew.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Opens `path`, says all about it, and reads and verifies some of it; every error will do.
pub(crate) fn read_all(path: &Path) {
    let _ = Info::of(path);
    let Ok(input) = Input::open(path, &Default::default()) else { return };
    let layout = input.layout();
    let per_voxel = (layout.components as u64).saturating_mul(layout.outer.largest_group());
    let chunk = layout.chunk.iter().fold(per_voxel, |n, &extent| n.saturating_mul(extent));
    let shard = layout.shard.unwrap_or(layout.chunk).iter().fold(per_voxel, |n, &extent| n.saturating_mul(extent));
    if chunk > MOST_SAMPLES || shard > MOST_SAMPLES || layout.resident_bytes > MOST_SAMPLES {
        return;
    }
    let Ok(source) = input.source::<f64>(input.conversion(), IoMode::Auto) else { return };
    let layout = source.layout();
    let unit = if layout.access == Access::Random { [1, 1, layout.grid.shape[2]] } else { layout.chunk };
    let voxels = unit.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
    if voxels.saturating_mul(per_voxel) > MOST_SAMPLES {
        return;
    }
    let mut reader = RegionReader::new(source.as_ref());
    let mut is_read = false;
    for volume in 0..layout.outer.volumes().min(2) {
        for region in first_regions(layout.grid.shape, unit) {
            let mut samples = vec![0.0; region.voxels() as usize * layout.components];
            is_read |= reader.read(volume, BlockMut::new(region, layout.components, &mut samples)).is_ok();
        }
    }
    READ.set(READ.get() + u64::from(is_read));
    let chunks = layout.chunk_counts().iter().fold(layout.outer.volumes(), |n, &count| n.saturating_mul(count));
    if chunks > MOST_VERIFIED {
        return;
    }
    let request = Request { file: path.to_path_buf(), memory_bytes: 64 << 20, threads: 1, most_problems: 3 };
    let _ = verify(&request, &AtomicBool::new(false), |_| {});
}

/// The first tiles of a grid, whose number may be anything.
fn first_regions(shape: [u64; 3], unit: [u64; 3]) -> Vec<Region> {
    let few: [u64; 3] = std::array::from_fn(|a| shape[a].min(unit[a].saturating_mul(3)));
    Region::of_shape(few).tiles(unit.map(|n| n as usize)).take(MOST_CHUNKS).collect()
}

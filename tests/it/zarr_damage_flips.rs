//! Every byte of a chunk or shard flipped or cut, in every version and codec: an error that names the chunk, or, where nothing
//! carries a checksum, wrong voxels in that chunk only; and `verify` finds what reading refuses.

use std::{fs, path::Path, sync::atomic::AtomicBool};

use crate::kit::stores::{self, CHUNK, Form, SHAPE, forms, has_checksum, put, voxel};
use crate::kit::timeout::within;
use reslice::{
    block::BlockMut,
    error::Error,
    io::{
        Source,
        zarr::{OpenOptions, ZarrSource, open},
    },
    region::Region,
    verify::{Request, verify},
};

/// What came of reading everything.
#[derive(Debug, Default)]
struct Outcome {
    /// Keys of chunks that could not be read, without the place in a shard.
    refused: Vec<String>,
    /// Chunks (z, y, x) with voxels that are not those that were written.
    wrong: Vec<[u64; 3]>,
}

fn read(dir: &Path) -> Outcome {
    let source = ZarrSource::<u16>::new(open(dir, &OpenOptions::default()).unwrap());
    let mut outcome = Outcome::default();
    for region in Region::of_shape(SHAPE).tiles(CHUNK.map(|extent| extent as usize)) {
        let mut found = vec![0; region.voxels() as usize];
        match source.read(0, BlockMut::new(region, 1, &mut found)) {
            Ok(()) if found != expected(region) => {
                outcome.wrong.push(std::array::from_fn(|a| region.lo[a] as u64 / CHUNK[a]));
            }
            Ok(()) => {}
            Err(Error::Chunk { chunk, .. }) => outcome.refused.push(chunk.split(' ').next().unwrap().to_string()),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(source.missing_chunks(), 0);
    outcome
}

fn expected(region: Region) -> Vec<u16> {
    let at = |a: usize| region.lo[a] as u64..region.hi[a] as u64;
    at(0).flat_map(|z| at(1).flat_map(move |y| at(2).map(move |x| voxel(z, y, x)))).collect()
}

fn is_complete(dir: &Path) -> bool {
    let request = Request { file: dir.to_path_buf(), memory_bytes: 1 << 30, threads: 1, most_problems: 3 };
    verify(&request, &AtomicBool::new(false), |_| {}).unwrap().ok
}

/// Damages one file in every place; `step` bytes apart.
fn damage(form: Form, step: usize) {
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), form);
    let (path, key) = match form {
        Form { sharded: true, .. } => ("0/c/1/0/0", "0/c/1/0/0"),
        Form { version: 2, .. } => ("0/1/0/1", "0/1/0/1"),
        _ => ("0/c/1/0/1", "0/c/1/0/1"),
    };
    let path = dir.path().join(path);
    let whole = fs::read(&path).unwrap();
    let summed = |at: usize| has_checksum(form.codec) || (form.sharded && at >= whole.len() - 4 * 16 - 4);
    for at in (0..whole.len()).step_by(step) {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        put(&path, &bad);
        let outcome = read(dir.path());
        assert!(outcome.refused.iter().all(|chunk| chunk == key), "{form:?} byte {at}: {outcome:?}");
        let here = |chunk: &[u64; 3]| chunk[0] == 1 && (form.sharded || *chunk == [1, 0, 1]);
        assert!(outcome.wrong.iter().all(here) && outcome.wrong.len() < 2, "{form:?} byte {at}: {outcome:?}");
        assert!(outcome.wrong.is_empty() || !summed(at), "{form:?} byte {at}: {outcome:?}");
        assert_eq!(is_complete(dir.path()), outcome.refused.is_empty(), "{form:?} byte {at}: {outcome:?}");
        put(&path, &whole[..at]);
        let outcome = read(dir.path());
        assert!(outcome.wrong.is_empty(), "{form:?} cut at {at}: {outcome:?}");
        assert!(outcome.refused.first().is_some_and(|chunk| chunk == key), "{form:?} cut at {at}: {outcome:?}");
        if at % 5 == 0 {
            assert!(!is_complete(dir.path()), "{form:?} cut at {at}");
        }
    }
}

#[test]
fn version_2() {
    within(300, || forms().into_iter().filter(|form| form.version == 2).for_each(|form| damage(form, 1)));
}

#[test]
fn version_3() {
    within(300, || {
        forms().into_iter().filter(|form| form.version == 3 && !form.sharded).for_each(|form| damage(form, 2))
    });
}

#[test]
fn version_3_in_shards() {
    within(300, || forms().into_iter().filter(|form| form.sharded).for_each(|form| damage(form, 5)));
}

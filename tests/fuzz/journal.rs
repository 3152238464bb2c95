//! Journals: whatever stands in one, what is restored is what its lines with a right checksum say.

use std::fs;

use reslice::{
    checkpoint::{ledger::Entry, parse_record, restore},
    io::gzip::stored_regions,
    layout::Access,
    plan::{DoneLevel, Todo},
    region::{Boxes, Region},
    storage::DirStore,
    voxel::Dtype,
};

use super::{
    choosing, chosen,
    kit::volumes,
    reading::{in_folder, put},
};

/// Lines that are looked at: unions of more regions take long, and show nothing new.
const MOST_LINES: usize = 100;

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, 2);
    let text = if kind == 1 { summed(bytes) } else { bytes.to_vec() };
    if text.iter().filter(|&&byte| byte == b'\n').count() > MOST_LINES {
        return;
    }
    in_folder(|folder| {
        let folder = folder.join("journals");
        put(&folder.join("journal-host-1"), &text);
        put(&folder.join("target.host-1.from-0"), &[0; 200]);
        let store = DirStore::new(&folder);
        let mut restored = restore(&store).unwrap();
        for level in 0..3 {
            let found = restored.levels.get(&level).map(|level| level.volumes.clone()).unwrap_or_default();
            for (volume, boxes) in found {
                assert_eq!(boxes.voxels(), said(&text, level, volume).voxels(), "{boxes:?}");
                let shape = [64, 64, 64];
                let done = DoneLevel { factors: [2, 1, 2], volumes: [(volume, boxes.clone())].into() };
                let todo = Todo::everything(Region::of_shape(shape)).without(vec![done]);
                let _ = todo.of_volumes(volume..volume.saturating_add(1));
                for &region in boxes.regions().iter().take(20) {
                    assert!(boxes.cover(region));
                    let _ = (todo.is_done(volume, region), todo.is_unit_done(false, volume, region));
                }
            }
        }
        let _ = (restored.voxels(0), restored.is_empty());
        let layout = volumes::layout(Dtype::U16, [9, 7, 5], Access::Ascending, [2, 7, 5]);
        let whole = Region::of_shape(layout.grid.shape);
        for (volume, boxes) in stored_regions(&folder.join("target"), &layout, &mut restored) {
            assert!(volume == 0 && boxes.regions().iter().all(|region| whole.contains(region)), "{volume} {boxes:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    });
}

/// The union of the regions that lines with a right checksum name.
fn said(text: &[u8], level: u32, volume: u64) -> Boxes {
    let mut said = Boxes::default();
    for line in text.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Some(Entry::Region { level: l, volume: v, region, .. }) = parse_record(line)
            && (l, v) == (level, volume)
        {
            said.insert(region);
        }
    }
    said
}

/// Each line with its right checksum before it.
pub(super) fn summed(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let line = |line: &[u8]| [format!("{:08x} ", crc32c::crc32c(line)).as_bytes(), line, b"\n"].concat();
    lines.flat_map(line).collect()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "R 0 0 0 0 0 4 4 4 0\nR 0 0 4 0 0 8 4 4 1\nR 1 0 0 0 0 2 2 2 0\nR 0 1 0 0 0 4 4 4 3",
        "C 0 0 0 0 0 2 2 2 0 part 0 20 0/c/0/0/0\nC 0 0 0 0 2 2 2 4 1 empty 0 0 0/c/0/0/0\nC 0 0 0 2 0 2 4 2 2 side 0 20 0/c/0/0/0",
        "U 0 0 10 20 305419896 140\nU 1 0 30 20 1 140\nU 3 3 0 50 2 140\nU 4 3 50 7 9 70",
    ];
    texts.iter().flat_map(|text| [choosing(0, summed(text.as_bytes())), choosing(1, text)]).collect()
}

use super::*;
use crate::{
    geometry::{Affine, Grid, Unit},
    io::{memory::MemorySource, view::entry::entry_layout},
    layout::Access,
    voxel::Dtype,
};

fn axis(len: u64) -> Axis {
    Axis { name: "o".into(), len, step: 1.0, start: 0.0, unit: None }
}

fn layout(lens: &[u64], chunk: &[u64], components: usize) -> Layout {
    Layout {
        grid: Grid::new([2, 3, 5], Affine::identity(), Unit::Millimetre),
        outer: Outer { axes: lens.iter().map(|&len| axis(len)).collect(), chunk: chunk.to_vec() },
        components,
        stored: Dtype::U16,
        access: Access::Chunked,
        chunk: [2, 3, 5],
        shard: None,
        transfer_bytes: 0,
        resident_bytes: 0,
        stored_bytes: None,
        ahead: Default::default(),
    }
}

#[test]
fn entries_are_the_volumes_whatever_shares_a_chunk() {
    for (lens, chunk, components, entries) in [
        (&[5, 3][..], &[1, 1][..], 1, 15),
        (&[5, 3], &[2, 2], 1, 15),
        (&[7], &[3], 2, 7),
        (&[5, 3], &[1, 3], 1, 5),
        (&[5, 3], &[2, 3], 1, 5),
        (&[5, 3], &[2, 2], 1, 5),
        (&[], &[], 3, 1),
    ] {
        let layout = layout(lens, chunk, components);
        let (region, len) = (Region::of_shape(layout.grid.shape), 30 * components);
        let count = len * layout.outer.volumes() as usize;
        let source = MemorySource::new(layout.clone(), (0..count as u16).collect());
        let mut seen = Vec::new();
        for n in 0..entries {
            let entry = ViewSource::entry(&source, entries, n);
            let outer = &Source::<u16>::layout(&entry).outer;
            for group in 0..outer.groups() {
                let volumes = outer.members(group).len() * components;
                let mut voxels = vec![0u16; volumes * 30];
                entry.read(group, BlockMut::new(region, volumes, &mut voxels)).unwrap();
                seen.extend(voxels);
            }
        }
        assert_eq!(seen, (0..count as u16).collect::<Vec<_>>(), "{lens:?} in chunks of {chunk:?}");
    }
}

#[test]
fn whole_groups_of_chunks_count_as_memory() {
    assert_eq!(entry_layout::<u16>(&layout(&[5], &[1], 1), 5).transfer_bytes, 0);
    assert_eq!(entry_layout::<u16>(&layout(&[5], &[4], 1), 5).transfer_bytes, 30 * 4 * 2);
    assert_eq!(entry_layout::<u16>(&layout(&[5, 3], &[1, 3], 1), 5).transfer_bytes, 0);
}

/// All voxels of a view, volume by volume.
fn voxels(view: &ViewSource<'_, u16>) -> Vec<u16> {
    let (outer, region) = (&view.layout().outer, Region::of_shape([2, 3, 5]));
    let mut seen = vec![0u16; outer.volumes() as usize * 30];
    for group in 0..outer.groups() {
        let members = outer.members(group);
        let mut block = vec![0u16; members.len() * 30];
        view.read(group, BlockMut::new(region, members.len(), &mut block)).unwrap();
        for (volume, part) in members.into_iter().zip(block.chunks_exact(30)) {
            seen[volume as usize * 30..][..30].copy_from_slice(part);
        }
    }
    seen
}

#[test]
fn picks_and_orders_are_those_volumes_whatever_shares_a_chunk() {
    for chunk in [[1, 1], [2, 3], [4, 2], [5, 7], [3, 4]] {
        let layout = layout(&[5, 7], &chunk, 1);
        let source = || Box::new(MemorySource::new(layout.clone(), (0..5 * 7 * 30).collect()));
        let all = || View::all(&layout.outer);
        let volume = |t: u64, c: u64| ((t * 7 + c) * 30..(t * 7 + c) * 30 + 30).map(|v| v as u16);
        let seen = |view: View| voxels(&ViewSource::owned(source(), view));
        for (first, end) in [(0, 7), (2, 5), (3, 4), (1, 7), (4, 7)] {
            let picked = all().pick(1, Pick::Range(first, end)).unwrap();
            let expected: Vec<u16> = (0..5).flat_map(|t| (first..end).flat_map(move |c| volume(t, c))).collect();
            assert_eq!(seen(picked.clone()), expected, "{first}:{end} in chunks of {chunk:?}");
            let one = picked.pick(0, Pick::Index(3)).unwrap();
            assert_eq!((one.outer().axes.len(), one.outer().axes[0].start), (1, first as f64));
            assert_eq!(seen(one), (first..end).flat_map(|c| volume(3, c)).collect::<Vec<_>>());
        }
        let turned = View { axes: vec![(1, 7), (0, 5)], ..all() };
        let expected: Vec<u16> = (0..7).flat_map(|c| (0..5).flat_map(move |t| volume(t, c))).collect();
        assert_eq!(seen(turned), expected, "turned, in chunks of {chunk:?}");
    }
}

#[test]
fn what_is_not_there_cannot_be_picked() {
    let all = || View::all(&layout(&[5, 7], &[1, 1], 1).outer);
    for (axis, pick) in [(0, Pick::Index(5)), (1, Pick::Range(3, 8)), (1, Pick::Range(3, 3)), (2, Pick::Index(0))] {
        assert_eq!(all().pick(axis, pick), None);
    }
    assert_eq!(all().pick(0, Pick::Range(u64::MAX, 0)), None);
}

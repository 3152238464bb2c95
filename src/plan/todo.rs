//! Which part of a target a run makes: all of it, a share of it, what is not done yet.

use std::{collections::BTreeMap, ops::Range};

use crate::region::{Boxes, Region};

/// What is to be made. Regions are unions of the target's write units.
#[derive(Clone, Debug)]
pub struct Todo {
    /// Of every volume, where there is no share.
    whole: [Region; 1],
    share: Option<Share>,
    /// What is stored already, of the level that is made and of those that are made along with it.
    done: Vec<DoneLevel>,
}

/// A part of a target that is made by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// Runs of groups (of volumes, for targets that are streams), ascending, with disjoint regions of each.
    pub runs: Vec<(Range<u64>, Vec<Region>)>,
}

/// Stored regions of one level, by volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DoneLevel {
    /// Voxels of the level that is made which one voxel of this level spans.
    pub factors: [u64; 3],
    pub volumes: BTreeMap<u64, Boxes>,
}

impl Share {
    fn regions(&self, key: u64) -> &[Region] {
        let after = self.runs.partition_point(|(keys, _)| keys.end <= key);
        self.runs.get(after).filter(|(keys, _)| keys.contains(&key)).map_or(&[], |(_, regions)| regions)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl DoneLevel {
    /// Whether a region of the level that is made is stored in this one.
    fn covers(&self, volume: u64, region: Region) -> bool {
        let own = if self.factors == [1; 3] { region } else { region.divided(self.factors) };
        self.covers_own(volume, own)
    }

    fn covers_own(&self, volume: u64, region: Region) -> bool {
        self.volumes.get(&volume).is_some_and(|boxes| boxes.cover(region))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.volumes.values().all(Boxes::is_empty)
    }

    /// Forgets stored regions but those that hold (volume, region).
    pub fn keep(&mut self, holds: impl Fn(u64, Region) -> bool) {
        self.volumes.iter_mut().for_each(|(&volume, boxes)| boxes.retain(|&region| holds(volume, region)));
    }
}

impl Todo {
    /// Everything: `target` of each volume.
    pub fn everything(target: Region) -> Todo {
        Todo { whole: [target], share: None, done: Vec::new() }
    }

    /// Only what lies in `share`.
    pub fn within(self, share: Share) -> Todo {
        Todo { share: Some(share), ..self }
    }

    /// Only what is not in every one of `done`: the level that is made comes first, then those made along with it.
    pub fn without(self, done: Vec<DoneLevel>) -> Todo {
        let done = if done.iter().any(DoneLevel::is_empty) { Vec::new() } else { done };
        Todo { done, ..self }
    }

    /// Whether there is no share: when all is made, the target is complete.
    pub fn is_whole(&self) -> bool {
        self.share.is_none()
    }

    /// Whether nothing of it is there yet.
    pub fn is_fresh(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether all of the target is made, and nothing of it is there yet.
    pub fn is_everything(&self) -> bool {
        self.is_whole() && self.is_fresh()
    }

    /// The regions of one group, or of one volume of a stream; disjoint.
    pub fn regions(&self, key: u64) -> &[Region] {
        self.share.as_ref().map_or(&self.whole, |share| share.regions(key))
    }

    /// A region that holds all that is to be made of any volume.
    pub fn hull(&self) -> Region {
        let Some(share) = &self.share else { return self.whole[0] };
        let regions = share.runs.iter().flat_map(|(_, regions)| regions);
        regions.copied().reduce(|hull, region| hull.hull(&region)).unwrap_or(Region::EMPTY)
    }

    /// The most regions that a group has.
    pub fn most_regions(&self) -> u64 {
        let most = |share: &Share| share.runs.iter().map(|(_, regions)| regions.len() as u64).max();
        self.share.as_ref().map_or(1, |share| most(share).unwrap_or(0))
    }

    /// The first group, or volume, from `key` on that has regions; `end` is the number of them all.
    pub fn next_key(&self, key: u64, end: u64) -> Option<u64> {
        let next = match &self.share {
            None => Some(key),
            Some(share) => share.runs.iter().find(|(keys, _)| keys.end > key).map(|(keys, _)| keys.start.max(key)),
        };
        next.filter(|&next| next < end)
    }

    /// Whether `region` of `volume` is stored, and whatever is made along with it.
    pub fn is_done(&self, volume: u64, region: Region) -> bool {
        !self.done.is_empty() && self.done.iter().all(|level| level.covers(volume, region))
    }

    /// Whether `unit` is stored: of the level that is made, or of the one that is made along with it.
    pub fn is_unit_done(&self, along: bool, volume: u64, unit: Region) -> bool {
        self.done.get(usize::from(along)).is_some_and(|level| level.covers_own(volume, unit))
    }

    /// Whether some of `volume` may be stored.
    pub fn knows(&self, volume: u64) -> bool {
        self.done.iter().any(|level| level.volumes.contains_key(&volume))
    }

    /// The same for a volume, or several, as a target of their own.
    pub fn of_volumes(&self, volumes: Range<u64>) -> Todo {
        let shifted = |run: &Range<u64>| {
            run.start.max(volumes.start).saturating_sub(volumes.start)
                ..run.end.min(volumes.end).saturating_sub(volumes.start)
        };
        let share = self.share.as_ref().map(|share| Share {
            runs: share
                .runs
                .iter()
                .map(|(keys, regions)| (shifted(keys), regions.clone()))
                .filter(|(keys, _)| !keys.is_empty())
                .collect(),
        });
        let own = |level: &DoneLevel| DoneLevel {
            factors: level.factors,
            volumes: level
                .volumes
                .range(volumes.clone())
                .map(|(volume, boxes)| (volume - volumes.start, boxes.clone()))
                .collect(),
        };
        let whole = Todo { whole: self.whole, share, done: Vec::new() };
        whole.without(self.done.iter().map(own).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(z: Range<i64>) -> Region {
        Region::new([z.start, 0, 0], [z.end, 4, 4])
    }

    #[test]
    fn a_share_has_regions_of_its_own_groups() {
        let share = Share { runs: vec![(2..3, vec![region(3..8)]), (3..6, vec![region(0..8)])] };
        let todo = Todo::everything(region(0..8)).within(share);
        assert!(!todo.is_whole() && todo.regions(1).is_empty() && todo.regions(6).is_empty());
        assert_eq!((todo.regions(2), todo.regions(5)), (&[region(3..8)][..], &[region(0..8)][..]));
        assert_eq!((todo.next_key(0, 9), todo.next_key(4, 9), todo.next_key(6, 9)), (Some(2), Some(4), None));
        let entry = todo.of_volumes(2..4);
        assert_eq!((entry.regions(0), entry.regions(1)), (&[region(3..8)][..], &[region(0..8)][..]));
        assert!(entry.regions(2).is_empty());
    }

    #[test]
    fn done_is_what_every_level_has() {
        let level = |factors: [u64; 3], to: i64| {
            let mut boxes = Boxes::default();
            boxes.insert(region(0..to));
            DoneLevel { factors, volumes: [(1, boxes)].into() }
        };
        let todo = Todo::everything(region(0..8)).without(vec![level([1; 3], 6), level([2, 1, 1], 2)]);
        assert!(todo.is_done(1, region(0..4)) && !todo.is_done(1, region(2..6)) && !todo.is_done(0, region(0..1)));
        assert!(todo.is_unit_done(false, 1, region(4..6)) && !todo.is_unit_done(true, 1, region(2..3)));
        assert!(todo.of_volumes(1..2).is_done(0, region(0..4)));
        // Nothing of the coarser level: no block is done.
        let todo = Todo::everything(region(0..8)).without(vec![level([1; 3], 6), DoneLevel::default()]);
        assert!(todo.is_everything());
    }
}

//! Places in a schedule: which block of which volume comes after which, of those that are to be made, and which of them needs a
//! chunk next.

use std::cell::Cell;

use super::{Chunk, ChunkMap, Order};
use crate::region::Region;

/// The place in the order of a use that does not come.
pub(super) const NEVER: u128 = u128::MAX;

/// A box of blocks: lower and upper corner, half-open.
type BlockBox = ([u64; 3], [u64; 3]);

/// One block, or a part of one, of one volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Visit {
    pub group: u64,
    pub member: u64,
    pub members: u64,
    pub volume: u64,
    pub at: [u64; 3],
    /// Number of the region that this part of the block lies in.
    pub part: usize,
}

/// The blocks to be made, in their order.
#[derive(Clone, Debug)]
pub(super) struct Schedule<'a> {
    touch: &'a ChunkMap,
    order: &'a Order,
    /// Regions of the source that were asked for, where there are no tables.
    looks: Cell<u64>,
}

impl<'a> Schedule<'a> {
    /// The blocks of an order, with what is left out.
    pub(super) fn new(touch: &'a ChunkMap, order: &'a Order) -> Schedule<'a> {
        Schedule { touch, order, looks: Cell::new(0) }
    }

    /// How many regions of the source were asked for so far: what dry runs without tables cost.
    pub(super) fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// The next place to be made: after `last`, or the first, which lies as far on as block `start` where that is given.
    pub(super) fn next(&self, last: Option<Visit>, start: Option<[u64; 3]>) -> Option<Visit> {
        let mut place = match last {
            None => self.first(start)?,
            Some(place) => self.following(place)?,
        };
        while !self.is_open(&place) {
            place = self.following(place)?;
        }
        Some(place)
    }

    fn first(&self, start: Option<[u64; 3]>) -> Option<Visit> {
        let key = self.touch.todo.next_key(0, self.keys())?;
        let Some(start) = start else { return self.first_of(key) };
        let regions = self.touch.todo.regions(key);
        let (part, region) = regions.iter().enumerate().max_by_key(|(_, region)| region.voxels())?;
        let (lo, hi) = self.touch.blocks_of(*region);
        let at = std::array::from_fn(|a| lo[a] + start[a] * (hi[a] - lo[a]) / self.touch.counts[a].max(1));
        Some(self.enter(key, 0, at, part))
    }

    /// Groups, or volumes where one is finished before the next begins.
    fn keys(&self) -> u64 {
        let outer = &self.touch.outer;
        if self.touch.volumes_outermost { outer.volumes() } else { outer.groups() }
    }

    /// The first place of a group or volume.
    fn first_of(&self, key: u64) -> Option<Visit> {
        let at = self.next_block(key, None, ([0; 3], self.touch.counts))?;
        Some(self.enter(key, 0, at, self.next_part(key, at, 0)?))
    }

    /// The place after `place`, to be made or not.
    fn following(&self, place: Visit) -> Option<Visit> {
        if let Some(place) = self.following_here(place) {
            return Some(place);
        }
        let key = self.key(&place);
        if let Some(at) = self.next_block(key, Some(place.at), ([0; 3], self.touch.counts)) {
            return Some(self.enter(key, 0, at, self.next_part(key, at, 0)?));
        }
        let mut next = key + 1;
        loop {
            next = self.touch.todo.next_key(next, self.keys())?;
            if let Some(place) = self.first_of(next) {
                return Some(place);
            }
            next += 1;
        }
    }

    fn key(&self, place: &Visit) -> u64 {
        if self.touch.volumes_outermost { place.volume } else { place.group }
    }

    /// The first block after `after` that has a part in the regions of `key`, among the blocks of a box.
    fn next_block(&self, key: u64, after: Option<[u64; 3]>, within: BlockBox) -> Option<[u64; 3]> {
        self.first_of_regions(key, within, |(lo, hi)| self.order.next(after, lo, hi))
    }

    /// The same among those blocks whose region of the source has voxels in `chunk`.
    fn next_to_need(&self, chunk: [u64; 3], key: u64, after: Option<[u64; 3]>, within: BlockBox) -> Option<[u64; 3]> {
        let needs = |lo, hi| {
            self.looks.set(self.looks.get() + 1);
            self.touch.any_needs(lo, hi, chunk)
        };
        self.first_of_regions(key, within, |(lo, hi)| self.order.next_where(after, lo, hi, &needs))
    }

    /// The first, in the order, of the blocks that `next` finds in the regions of `key`, as far as they lie in a box of blocks.
    fn first_of_regions(
        &self,
        key: u64,
        (lo, hi): BlockBox,
        next: impl Fn(BlockBox) -> Option<[u64; 3]>,
    ) -> Option<[u64; 3]> {
        if self.touch.todo.is_whole() {
            return next((lo, std::array::from_fn(|a| hi[a].min(self.touch.counts[a]))));
        }
        let within = |region: &Region| {
            let (from, to) = self.touch.blocks_of(*region);
            next((std::array::from_fn(|a| from[a].max(lo[a])), std::array::from_fn(|a| to[a].min(hi[a]))))
        };
        match self.touch.todo.regions(key) {
            [only] => within(only),
            regions => {
                let found = regions.iter().filter_map(within);
                found.min_by_key(|&at| self.order.code(at, self.touch.counts))
            }
        }
    }

    /// The first region of `key` from number `from` on that the block has voxels in.
    fn next_part(&self, key: u64, at: [u64; 3], from: usize) -> Option<usize> {
        let regions = self.touch.todo.regions(key);
        if from >= regions.len() {
            return None;
        }
        let block = self.touch.region(at);
        (from..regions.len()).find(|&part| !regions[part].intersect(&block).is_empty())
    }

    /// The voxels of a place: those of its block that lie in its region.
    pub(super) fn region(&self, place: &Visit) -> Region {
        let regions = self.touch.todo.regions(self.key(place));
        regions.get(place.part).map_or(Region::EMPTY, |region| self.touch.region(place.at).intersect(region))
    }

    /// Whether the place is to be made.
    fn is_open(&self, place: &Visit) -> bool {
        self.touch.todo.is_fresh() || !self.touch.todo.is_done(place.volume, self.region(place))
    }

    fn enter(&self, key: u64, member: u64, at: [u64; 3], part: usize) -> Visit {
        let outer = &self.touch.outer;
        let (group, member) = match self.touch.volumes_outermost {
            true => outer.locate(key),
            false => (key, member as usize),
        };
        let member = member as u64;
        Visit { group, member, members: outer.members_of(group), volume: outer.member(group, member), at, part }
    }

    /// Place in the order of the next use of `chunk` after `place`; [`NEVER`] when there is none.
    pub(super) fn next_use(&self, chunk: Chunk, place: Visit) -> u128 {
        let parts = self.touch.todo.most_regions().max(1);
        if self.touch.volumes_outermost {
            let per_volume = self.touch.counts.iter().map(|&n| u128::from(n)).product::<u128>();
            let code = |volume: u64, at, part| {
                (u128::from(volume) * per_volume + self.order.code(at, self.touch.counts)) * u128::from(parts) + part
            };
            if chunk.group == place.group {
                if let Some(later) = self.later_here(chunk, place) {
                    return code(place.volume, place.at, later.part as u128);
                }
                if let Some(at) = self.next_user(place.volume, Some(place.at), chunk) {
                    return code(place.volume, at, 0);
                }
            }
            let members =
                (0..self.touch.outer.members_of(chunk.group)).map(|n| self.touch.outer.member(chunk.group, n));
            let mut later = members.filter(|&volume| volume > place.volume);
            let first = later.find_map(|v| self.next_user(v, None, chunk).map(|at| code(v, at, 0)));
            return first.unwrap_or(NEVER);
        }
        let code = |at, rank: u64| {
            self.order.code(at, self.touch.counts) * u128::from(place.members * parts) + u128::from(rank)
        };
        if let Some(later) = self.later_here(chunk, place) {
            return code(place.at, later.part as u64 * place.members + later.member);
        }
        self.next_user(place.group, Some(place.at), chunk).map_or(NEVER, |at| code(at, 0))
    }

    /// A later place of the same block that needs `chunk`.
    fn later_here(&self, chunk: Chunk, place: Visit) -> Option<Visit> {
        let mut later = self.following_here(place)?;
        let (lo, hi) = self.touch.users(chunk.at);
        let is_user = (0..3).all(|a| lo[a] <= place.at[a] && place.at[a] < hi[a]);
        if !is_user || !self.touch.needs(place.at, chunk.at) {
            return None;
        }
        while !self.is_open(&later) {
            later = self.following_here(later)?;
        }
        Some(later)
    }

    /// The next place of the same block, to be made or not: other volumes of the group, then other parts of the block.
    fn following_here(&self, place: Visit) -> Option<Visit> {
        let key = self.key(&place);
        if !self.touch.volumes_outermost && place.member + 1 < place.members {
            return Some(self.enter(key, place.member + 1, place.at, place.part));
        }
        self.next_part(key, place.at, place.part + 1).map(|part| self.enter(key, 0, place.at, part))
    }

    /// The first block after `after` in the order, of those to be made of a group or volume, that needs `chunk`.
    pub(super) fn next_user(&self, key: u64, mut after: Option<[u64; 3]>, chunk: Chunk) -> Option<[u64; 3]> {
        let users = self.touch.users(chunk.at);
        loop {
            let at = match self.touch.has_tables() {
                true => self.next_block(key, after, users)?,
                false => self.next_to_need(chunk.at, key, after, users)?,
            };
            let needs = !self.touch.has_tables() || self.touch.needs(at, chunk.at);
            if needs && self.is_any_open(key, at) {
                return Some(at);
            }
            after = Some(at);
        }
    }

    /// Whether any place of a block, one that has voxels in the regions of `key`, is to be made.
    fn is_any_open(&self, key: u64, at: [u64; 3]) -> bool {
        self.touch.todo.is_fresh() || self.first_here(key, at).is_some()
    }

    /// Whether `place` is the first of its block that is to be made.
    fn is_first_here(&self, place: Visit) -> bool {
        let key = self.key(&place);
        if self.touch.todo.is_fresh() {
            let is_first_volume = self.touch.volumes_outermost || place.member == 0;
            return is_first_volume && self.next_part(key, place.at, 0) == Some(place.part);
        }
        self.first_here(key, place.at) == Some(place)
    }

    /// The first place of a block that is to be made.
    fn first_here(&self, key: u64, at: [u64; 3]) -> Option<Visit> {
        let first = self.enter(key, 0, at, self.next_part(key, at, 0)?);
        let mut place = Some(first);
        while let Some(here) = place {
            if self.is_open(&here) {
                return Some(here);
            }
            place = self.following_here(here);
        }
        None
    }

    /// Whether nothing that is made before `place` needs `chunk`.
    pub(super) fn is_first_use(&self, chunk: Chunk, place: Visit) -> bool {
        let first_user = self.next_user(self.key(&place), None, chunk);
        if first_user != Some(place.at) || !self.is_first_here(place) {
            return false;
        }
        let before = self.touch.outer.members(chunk.group).into_iter().filter(|&volume| volume < place.volume);
        !self.touch.volumes_outermost || before.into_iter().all(|volume| self.next_user(volume, None, chunk).is_none())
    }
}

//! Plans of anything, and a walk to their end that holds every step to what a plan promises.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use reslice::{
    layout::{Access, Layout},
    plan::{Chunk, ChunkMap, DoneLevel, Partition, Passes, Plan, Request, Share, Todo, slabs},
    region::{Boxes, Region},
    resample::{BlockOp, block_op},
    voxel::Dtype,
};

use super::{
    cases::{self, Case},
    rng::Rng,
    runs::{budget, target_layout},
    volumes,
};

/// Everything a plan is made from, owned.
pub(crate) struct Setting {
    pub case: Case,
    pub op: Box<dyn BlockOp<u16>>,
    pub source: Layout,
    pub target: Layout,
}

impl Setting {
    pub(crate) fn new(case: Case, source: Layout, target: Layout) -> Setting {
        let op = block_op::<u16>(&case.request);
        Setting { case, op, source, target }
    }

    pub(crate) fn random(rng: &mut Rng) -> Setting {
        let kernel = *rng.one_of(&cases::kernels());
        let case = cases::random(kernel, rng);
        let chunk = |shape: [u64; 3], access, rng: &mut Rng| match access {
            Access::Chunked => shape.map(|n| rng.within(n.div_ceil(5), n)),
            _ if rng.below(2) == 0 => [1, rng.within(1, shape[1]), shape[2]],
            _ => [rng.within(1, shape[0]), shape[1], shape[2]],
        };
        let accesses = [Access::Random, Access::Chunked, Access::Chunked, Access::Ascending];
        let (from, to) = (*rng.one_of(&accesses), *rng.one_of(&accesses));
        let source_chunk = chunk(case.source_shape, from, rng);
        let mut source = volumes::layout(Dtype::U16, case.source_shape, from, source_chunk);
        if rng.below(3) == 0 {
            let together = if from == Access::Chunked { rng.within(1, 2) } else { 1 };
            source.outer = volumes::outer(&[rng.within(1, 3), rng.within(1, 3)], &[together, together]);
        }
        let target_chunk = chunk(case.request.target_shape, to, rng);
        let mut target = target_layout::<u16>(&case, &source, to, target_chunk);
        if to == Access::Chunked && rng.below(2) == 0 {
            target.shard = Some(target.chunk.map(|n| n * rng.within(1, 3)));
        }
        Setting::new(case, source, target)
    }

    pub(crate) fn request(&self, memory_bytes: u64, threads: usize) -> Request<'_> {
        Request {
            footprint: self.op.as_ref(),
            source: &self.source,
            target: &self.target,
            sample_bytes: 2,
            budget: budget(memory_bytes, threads),
            todo: None,
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("{:?} to {:?}, {:?}", self.source, self.target, self.case)
    }

    fn whole(&self) -> Region {
        Region::of_shape(self.case.request.target_shape)
    }

    /// The group of a volume, or the volume itself where the target is a stream.
    fn key(&self, volume: u64) -> u64 {
        if self.target.access == Access::Ascending { volume } else { self.source.outer.locate(volume).0 }
    }

    /// The share of each of `of` ranks, which together are all of the target, once.
    pub(crate) fn shares(&self, of: u64) -> Vec<Share> {
        let cut = Partition::new(&self.request(0, 1), of);
        let shares: Vec<Share> = (0..of).map(|index| cut.share(index)).collect();
        for volume in 0..self.source.outer.volumes() {
            let mut all = Boxes::default();
            for share in &shares {
                let todo = Todo::everything(self.whole()).within(share.clone());
                for &region in todo.regions(self.key(volume)) {
                    assert_eq!(all.missing(region), [region], "{region} twice, {of} ranks: {}", self.describe());
                    all.insert(region);
                }
            }
            assert!(all.cover(self.whole()), "{of} ranks leave a hole in volume {volume}: {}", self.describe());
        }
        shares
    }

    /// What earlier runs may have stored: some write units of some volumes, of a coarser level that is made along too, or of none.
    pub(crate) fn random_done(&self, rng: &mut Rng) -> Vec<DoneLevel> {
        let outer = &self.source.outer;
        let level = |factors: [u64; 3], rng: &mut Rng| {
            let shape: [u64; 3] = std::array::from_fn(|a| self.case.request.target_shape[a].div_ceil(factors[a]));
            let all = Region::of_shape(shape);
            let per_unit = rng.below(5);
            let mut level = DoneLevel { factors, ..DoneLevel::default() };
            for volume in (0..outer.volumes()).filter(|_| per_unit > 0) {
                let tiles = all.tiles(self.target.chunk.map(|n| n as usize)).filter(|_| rng.below(5) < per_unit);
                let tiles: Vec<Region> = tiles.collect();
                if tiles.is_empty() {
                    continue;
                }
                let boxes = level.volumes.entry(volume).or_default();
                for tile in tiles {
                    boxes.insert(tile);
                }
            }
            level
        };
        match rng.below(4) {
            0 => Vec::new(),
            1 => vec![level([1; 3], rng), level([rng.within(1, 2), 2, rng.within(1, 2)], rng)],
            _ => vec![level([1; 3], rng)],
        }
    }
}

/// What walking a plan to its end showed.
pub(crate) struct Walked {
    /// Chunks of each block, in order.
    pub uses: Vec<Vec<Chunk>>,
    pub decodes: u64,
    /// What was made of each volume.
    pub made: HashMap<u64, Boxes>,
}

/// Walks a plan as the pipeline would and checks every promise of its steps.
pub(crate) fn simulate(setting: &Setting, plan: &Plan, touch: &ChunkMap) -> Walked {
    if let Some(passes) = plan.passes(touch, setting.op.as_ref(), &setting.source) {
        return simulate_passing(setting, plan, touch, passes);
    }
    let mut walk = plan.walk(touch);
    let mut held: HashMap<Chunk, u64> = HashMap::new();
    let mut seen: HashSet<(u64, Region)> = HashSet::new();
    let mut walked = Walked { uses: Vec::new(), decodes: 0, made: HashMap::new() };
    let mut last = None;
    let capacity = plan.window_bytes / touch.chunk_bytes;
    let what = || format!("{:?}, {}", touch.todo, setting.describe());
    while let Some(step) = walk.step().unwrap_or_else(|_| panic!("left the plan: {}", what())) {
        assert_eq!(step.number, walked.uses.len() as u64);
        assert!(seen.insert((step.volume, step.region)), "{} twice: {}", step.region, what());
        check_region(setting, touch, step.volume, step.region, &what);
        walked.made.entry(step.volume).or_default().insert(step.region);
        assert_eq!(setting.source.outer.locate(step.volume), (step.group, step.member as usize));
        for chunk in &step.frees {
            let last_use = held.remove(chunk).unwrap_or_else(|| panic!("{chunk:?} freed, not held: {}", what()));
            assert!(last_use + plan.workers.gate <= step.number, "{chunk:?} freed while pinned: {}", what());
        }
        for &chunk in &step.loads {
            assert!(held.insert(chunk, step.number).is_none(), "{chunk:?} loaded, but held: {}", what());
            if setting.source.access == Access::Ascending {
                assert!(last < Some(chunk), "{chunk:?} after {last:?}: {}", what());
                last = Some(chunk);
            }
        }
        assert!(held.len() as u64 <= capacity, "{} chunks held, not {capacity}: {}", held.len(), what());
        let uses: Vec<Chunk> = step.chunks.iter().map(|at| Chunk { group: step.group, at }).collect();
        for chunk in &uses {
            *held.get_mut(chunk).unwrap_or_else(|| panic!("{chunk:?} is needed, not held: {}", what())) = step.number;
        }
        if setting.source.access != Access::Random {
            let needed = setting.op.source_region(step.region);
            let hull = uses.iter().fold(Region::EMPTY, |hull, c| hull.hull(&setting.source.chunk_region(c.at)));
            assert!(hull.contains(&needed), "{needed} is not in the chunks of {}: {}", step.region, what());
        }
        walked.decodes += step.loads.len() as u64;
        walked.uses.push(uses);
    }
    let made: u64 = walked.made.values().map(Boxes::voxels).sum();
    assert_eq!(made, seen.iter().map(|(_, region)| region.voxels()).sum::<u64>(), "voxels made twice: {}", what());
    assert_eq!((seen.len() as u64, walked.decodes), (plan.blocks, plan.totals.decodes), "{}", what());
    let distinct: HashSet<&Chunk> = walked.uses.iter().flatten().collect();
    assert_eq!(distinct.len() as u64, plan.totals.distinct, "{}", what());
    check_all_made(setting, touch, &walked.made, &what);
    walked
}

/// The same where chunks pass by: each comes once for a column, and the blocks of all columns are all that is to be made.
fn simulate_passing(setting: &Setting, plan: &Plan, touch: &ChunkMap, passes: Passes<'_>) -> Walked {
    let what = || format!("{:?}, {}", touch.todo, setting.describe());
    let mut walked = Walked { uses: Vec::new(), decodes: 0, made: HashMap::new() };
    let (mut blocks, mut number) = (0, 0);
    let mut seen: HashSet<Chunk> = HashSet::new();
    for pass in passes {
        assert_eq!(pass.number, number);
        number += 1;
        assert!(seen.insert(pass.chunk.unwrap_or(Chunk { group: u64::MAX, at: [0; 3] })), "twice: {}", what());
        walked.decodes += u64::from(pass.chunk.is_some());
        walked.uses.push(pass.chunk.into_iter().collect());
        if pass.ends_column {
            seen.clear();
            let column = &pass.column;
            let looks = setting.op.carrying().unwrap();
            let (slabs, _) = slabs(looks, column.region, plan.block, setting.source.chunk);
            for (volume, slab) in column.volumes.iter().flat_map(|&volume| slabs.iter().map(move |slab| (volume, slab)))
            {
                blocks += 1;
                assert!(walked.made.entry(volume).or_default().missing(slab.region) == [slab.region], "{}", what());
                walked.made.entry(volume).or_default().insert(slab.region);
            }
        }
    }
    assert_eq!((blocks, walked.decodes), (plan.blocks, plan.totals.decodes), "{}", what());
    let distinct: HashSet<&Chunk> = walked.uses.iter().flatten().collect();
    assert_eq!(distinct.len() as u64, plan.totals.distinct, "{}", what());
    check_all_made(setting, touch, &walked.made, &what);
    walked
}

/// Holds the region of a step to what is to be made, and to whole write units.
fn check_region(setting: &Setting, touch: &ChunkMap, volume: u64, region: Region, what: &dyn Fn() -> String) {
    assert!(!region.is_empty() && touch.target.contains(&region), "{region}: {}", what());
    for a in 0..3 {
        let unit = setting.target.chunk[a] as i64;
        let ends = region.hi[a] % unit == 0 || region.hi[a] == touch.target.hi[a];
        assert!(region.lo[a] % unit == 0 && ends, "{region} cuts a write unit: {}", what());
    }
    let own = touch.todo.regions(setting.key(volume));
    assert!(own.iter().any(|own| own.contains(&region)), "{region} is another's: {}", what());
    assert!(!touch.todo.is_done(volume, region), "{region} is done: {}", what());
}

/// Whatever is to be made and is not stored yet was made.
fn check_all_made(setting: &Setting, touch: &ChunkMap, made: &HashMap<u64, Boxes>, what: &dyn Fn() -> String) {
    let none = Boxes::default();
    for volume in 0..setting.source.outer.volumes() {
        let made = made.get(&volume).unwrap_or(&none);
        for &region in touch.todo.regions(setting.key(volume)) {
            for missing in made.missing(region) {
                // Voxel by voxel, since parts of it may lie in blocks of their own.
                let left = missing.tiles([1; 3]).find(|&voxel| !touch.todo.is_done(volume, voxel));
                assert!(left.is_none(), "{left:?} of volume {volume} was left out: {}", what());
            }
        }
    }
}

/// A request for what is left of a share.
pub(crate) fn left(setting: &Setting, share: Option<&Share>, done: Vec<DoneLevel>) -> Arc<Todo> {
    let todo = Todo::everything(setting.whole());
    let todo = match share {
        Some(share) => todo.within(share.clone()),
        None => todo,
    };
    Arc::new(todo.without(done))
}

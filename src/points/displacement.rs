//! Displacements of single points, from a field of any size.
//!
//! A field that can be read anywhere is read at each point, eight voxels of each component. Any other is passed over once
//! for many points, in ascending order, chunk by chunk; chunks that no point needs are left out.

use std::path::Path;

use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::{
        Source,
        convert::Conversion,
        input::{Input, IoMode},
        reader::reads_directly,
    },
    layout::Layout,
    region::Region,
    sys,
    transform::{Beyond, FieldFile, FieldGrid, FieldKind, Stencil},
};

/// An opened displacement field; its voxels are read when points ask for them.
#[derive(Debug)]
pub struct Displacement {
    input: Input,
    grid: FieldGrid,
    is_random: bool,
}

impl Displacement {
    /// Takes the opened image of a file for a displacement field.
    ///
    /// # Errors
    /// An image that is none.
    pub fn open(input: Input, file: &FieldFile) -> Result<Displacement> {
        let grid = FieldGrid::of(file, &input)?;
        let mut field = Displacement { input, grid, is_random: false };
        let source = field.source()?;
        field.is_random = reads_directly(source.layout());
        if !field.is_random {
            check_chunk(source.layout(), &file.path)?;
        }
        Ok(field)
    }

    /// What the vectors are in the file.
    pub fn kind(&self) -> FieldKind {
        self.grid.kind
    }

    /// Whether each point is read by itself.
    pub fn is_random(&self) -> bool {
        self.is_random
    }

    /// Where it lies.
    pub fn grid(&self) -> &FieldGrid {
        &self.grid
    }

    /// The displacements (RAS mm) where points are (RAS mm), interpolated; 0 beyond the field, or those of its edge.
    ///
    /// Memory beside the points: at most some 300 bytes for each, and a chunk. Errors: those of reading.
    pub fn at(&self, points: &[[f64; 3]], beyond: Beyond) -> Result<Vec<[f64; 3]>> {
        let source = self.source()?;
        let stencils: Vec<Option<Stencil>> = points.iter().map(|&point| self.grid.stencil(point, beyond)).collect();
        let vectors =
            if self.is_random { self.read_each(&*source, &stencils)? } else { self.pass_over(&*source, &stencils)? };
        Ok(vectors.into_iter().map(|vector| self.grid.displacement(vector)).collect())
    }

    /// Voxels as real values: a stream begins anew with each call.
    fn source(&self) -> Result<Box<dyn Source<f64>>> {
        let conversion = Conversion { slope: self.input.slope(), ..self.input.conversion() };
        Ok(self.grid.displacements(self.input.source(conversion, IoMode::Auto)?))
    }

    fn read_each(&self, source: &dyn Source<f64>, points: &[Option<Stencil>]) -> Result<Vec<[f64; 3]>> {
        let mut vectors = vec![[0.0; 3]; points.len()];
        let mut voxels = Vec::new();
        for (point, vector) in points.iter().zip(&mut vectors) {
            let Some(stencil) = point else { continue };
            let region = region(stencil);
            voxels.resize(region.voxels() as usize, 0.0);
            for (component, sum) in vector.iter_mut().enumerate() {
                let (group, _) = source.layout().outer.locate(component as u64);
                source.read(group, BlockMut::new(region, 1, &mut voxels))?;
                let mut corners = [0.0; 8];
                gather(stencil, BlockRef::new(region, 1, &voxels), 0, &mut corners);
                *sum = weighted(stencil, &corners);
            }
        }
        Ok(vectors)
    }

    fn pass_over(&self, source: &dyn Source<f64>, points: &[Option<Stencil>]) -> Result<Vec<[f64; 3]>> {
        let layout = source.layout();
        let visits = visits(layout, points);
        let mut vectors = vec![[0.0; 3]; points.len()];
        let mut voxels = Vec::new();
        for group in 0..layout.outer.groups() {
            let members = layout.outer.members(group);
            // Summed when all are there, so that sums do not depend on chunks.
            let mut corners = vec![[0.0; 8]; points.len() * members.len()];
            for visit in visits.chunk_by(|a, b| a.chunk == b.chunk) {
                let region = layout.chunk_region(place(layout.chunk_counts(), visit[0].chunk));
                voxels.resize(region.voxels() as usize * members.len(), 0.0);
                source.read(group, BlockMut::new(region, members.len(), &mut voxels))?;
                let block = BlockRef::new(region, members.len(), &voxels);
                for &Visit { point, .. } in visit {
                    let Some(stencil) = &points[point as usize] else { continue };
                    for member in 0..members.len() {
                        gather(stencil, block, member, &mut corners[point as usize * members.len() + member]);
                    }
                }
            }
            for (point, corners) in corners.chunks_exact(members.len()).enumerate() {
                let Some(stencil) = &points[point] else { continue };
                for (corners, &component) in corners.iter().zip(&members) {
                    vectors[point][component as usize] = weighted(stencil, corners);
                }
            }
        }
        Ok(vectors)
    }
}

/// Which chunks the points look into, in storage order; a point at a border of chunks looks into several.
fn visits(layout: &Layout, points: &[Option<Stencil>]) -> Vec<Visit> {
    let counts = layout.chunk_counts();
    let mut visits = Vec::with_capacity(points.len());
    for (point, stencil) in points.iter().enumerate() {
        let Some(stencil) = stencil else { continue };
        let [first, last] = [0, 1]
            .map(|side| -> [u64; 3] { std::array::from_fn(|a| stencil.voxels[a][side] as u64 / layout.chunk[a]) });
        for z in first[0]..=last[0] {
            for y in first[1]..=last[1] {
                for x in first[2]..=last[2] {
                    visits.push(Visit { chunk: (z * counts[1] + y) * counts[2] + x, point: point as u32 });
                }
            }
        }
    }
    visits.sort_unstable();
    visits
}

/// One chunk is held at a time.
fn check_chunk(layout: &Layout, path: &Path) -> Result<()> {
    let volumes = layout.outer.largest_group().saturating_mul(layout.components as u64);
    let voxels = layout.chunk.iter().fold(volumes, |n, &extent| n.saturating_mul(extent));
    let bytes = voxels.saturating_mul(size_of::<f64>() as u64).saturating_add(layout.transfer_bytes);
    let most_bytes = sys::memory_limit().bytes / 2;
    if bytes <= most_bytes {
        return Ok(());
    }
    Err(Error::Unsupported {
        path: path.to_path_buf(),
        what: format!("reading one chunk takes {bytes} bytes of memory, of {most_bytes} that there are"),
        hint: Some("store the field in smaller chunks".into()),
    })
}

/// A point that needs voxels of a chunk, which is numbered in C order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Visit {
    chunk: u64,
    point: u32,
}

/// The chunk of this number.
fn place(counts: [u64; 3], chunk: u64) -> [u64; 3] {
    let [_, ny, nx] = counts;
    [chunk / (ny * nx), chunk / nx % ny, chunk % nx]
}

fn region(stencil: &Stencil) -> Region {
    Region::new(stencil.voxels.map(|axis| axis[0]), stencil.voxels.map(|axis| axis[1] + 1))
}

/// Notes those voxels of a stencil that volume `volume` of a block holds, in the order of its taps.
fn gather(stencil: &Stencil, block: BlockRef<'_, f64>, volume: usize, corners: &mut [f64; 8]) {
    let Region { lo, hi } = block.region;
    for (corner, ([z, y, x], _)) in corners.iter_mut().zip(stencil.taps()) {
        if (0..3).all(|a| (lo[a]..hi[a]).contains(&[z, y, x][a])) {
            *corner = block.row(volume, z, y, x..x + 1)[0];
        }
    }
}

fn weighted(stencil: &Stencil, corners: &[f64; 8]) -> f64 {
    stencil.taps().zip(corners).map(|((_, weight), value)| weight * value).sum()
}

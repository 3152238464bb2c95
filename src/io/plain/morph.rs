//! FreeSurfer's morphs (`.m3z`, and `.m3d` without gzip): nodes on the grid of an atlas, each with the voxel of the image that it leads to.
//!
//! 24 bytes of header, big-endian, then nine numbers of 32 bits a node, the third axis fastest: its voxel in the image before the morph, that
//! after it, and three that are not needed here; then tags. A node whose numbers are all 0 leads nowhere.
//!
//! Source: FreeSurfer, `gcamorph.cpp` (`GCAMread`, `GCAMsampleMorph`).

use std::{io::Read, path::Path};

use flate2::read::GzDecoder;

use super::{
    Data, Description, Numbers, Place, PlainFile, Warp, finish,
    mgh::Fields,
    warp::{self, Behind},
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::Unit,
    io::{Source, gzip::Coding, view::components::Components},
    layout::{Layout, Outer},
    storage::nfs,
    voxel::{Dtype, Rounding, Voxel},
};

const HEADER_BYTES: u64 = 24;
const VERSION: [u8; 4] = 1f32.to_be_bytes();
/// Numbers of a node; those before `PLACE + 3` say whether it leads anywhere.
pub const NUMBERS: usize = 9;
const PLACE: usize = 3;

/// Opens a morph; `None` where a file is none.
///
/// # Errors
/// Those of reading, and of a header or tags that make no sense.
pub fn open(path: &Path) -> Result<Option<PlainFile>> {
    let name = path.to_string_lossy().to_lowercase();
    let gzip = name.ends_with(".m3z");
    if !gzip && !name.ends_with(".m3d") {
        return Ok(None);
    }
    let file = nfs::open(path).map_err(Error::io("open", path))?;
    let mut head = Vec::new();
    let stream: Box<dyn Read> = if gzip { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    stream.take(HEADER_BYTES).read_to_end(&mut head).map_err(Error::io("read", path))?;
    if !head.starts_with(&VERSION) {
        return Ok(None);
    }
    let fields = Fields(&head);
    let positive = |name: &str, at: usize| match fields.int(at) {
        n if n > 0 => Ok(u64::from(n.unsigned_abs())),
        n => Err(Error::malformed(path, name, n, "at least 1")),
    };
    let [width, height, depth] = [positive("width", 4)?, positive("height", 8)?, positive("depth", 12)?];
    let spacing = positive("spacing", 16)? as f64;
    let bytes = [width, height, depth].iter().fold((NUMBERS * 4) as u64, |bytes, &n| bytes.saturating_mul(n));
    let found = warp::behind(path, gzip, &Behind { skipped: HEADER_BYTES.saturating_add(bytes), is_morph: true })?;
    if let Some(kind) = found.kind.filter(|&kind| kind != warp::OF_VOXELS) {
        return Err(Error::malformed(path, "the type of the morph", kind, "1, of voxels"));
    }
    let (Some(source), Some(atlas)) = (found.source, found.target) else {
        return Err(Error::malformed(
            path,
            "the tags behind the nodes",
            "no geometries of both images",
            "TAG_GCAMORPH_GEOM",
        ));
    };
    let column = |c: usize| atlas.column(c).map(|x| x * spacing);
    let mut file = finish(
        path,
        Description {
            format: "M3Z",
            shape: vec![depth, height, width],
            columns: [column(2), column(1), column(0)],
            origin: atlas.translation(),
            unit: Unit::Millimetre,
            anatomical: true,
            outer: Vec::new(),
            interleaved: None,
            components: NUMBERS,
            stored: Dtype::F32,
            big_endian: true,
            data: Data {
                path: path.to_path_buf(),
                place: if gzip { Place::InStream(HEADER_BYTES) } else { Place::At(HEADER_BYTES) },
                coding: gzip.then_some(Coding::Gzip),
            },
            is_label: false,
            segments: Vec::new(),
            warnings: Vec::new(),
        },
    )?;
    file.warp = Some(Warp { numbers: Numbers::Voxels, source: Some(source) });
    Ok(Some(file))
}

/// The voxels of the image that nodes lead to, as three volumes: NaN where a node leads nowhere.
pub struct Nodes<T> {
    /// A volume for each number.
    numbers: Components<T>,
    layout: Layout,
}

impl<T: Voxel> Nodes<T> {
    /// Of a source with [`NUMBERS`] components.
    pub fn new(nodes: Box<dyn Source<T>>) -> Nodes<T> {
        let numbers = Components::new(nodes);
        let mut layout = numbers.layout().clone();
        layout.outer = Outer { chunk: vec![3], axes: layout.outer.axes };
        layout.outer.axes.iter_mut().for_each(|axis| axis.len = 3);
        // A chunk is read with all of its numbers.
        let voxels = layout.chunk.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
        layout.transfer_bytes =
            layout.transfer_bytes.saturating_add(voxels.saturating_mul((NUMBERS * size_of::<T>()) as u64));
        Nodes { numbers, layout }
    }
}

impl<T: Voxel> Source<T> for Nodes<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let voxels = into.region.voxels() as usize;
        let mut numbers = vec![T::default(); voxels * NUMBERS];
        self.numbers.read(group, BlockMut { region: into.region, volumes: NUMBERS, voxels: &mut numbers })?;
        let nowhere = T::from_f64(f64::NAN, Rounding::Nearest);
        let of = |number: usize, n: usize| numbers[number * voxels + n];
        for n in 0..voxels {
            let leads = (0..PLACE + 3).any(|number| of(number, n).to_f64() != 0.0);
            for c in 0..3 {
                into.voxels[c * voxels + n] = if leads { of(PLACE + c, n) } else { nowhere };
            }
        }
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.numbers.missing_chunks()
    }
}

//! HDF5 files made by hand, as the HDF5 library makes them by default: symbol tables, trees of chunks. Images of Imaris and BigDataViewer in them.
#![allow(dead_code)]

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

const NOWHERE: u64 = u64::MAX;
/// Chunks of one node of a tree.
const PER_NODE: usize = 3;

/// A file that is being made.
pub(crate) struct Hdf5 {
    bytes: Vec<u8>,
}

/// Volumes of words of 16 bits in chunks, z, y, x.
#[derive(Clone)]
pub(crate) struct Cells {
    pub shape: [usize; 3],
    /// Stored, at least as many: whole chunks.
    pub stored: [usize; 3],
    pub chunk: [usize; 3],
    pub is_signed: bool,
    /// 0 raw, 1 deflate, 2 shuffle and deflate.
    pub packing: u8,
    /// Chunks that are not stored.
    pub absent: Vec<usize>,
    pub fill: u16,
    /// Added to each voxel.
    pub base: u16,
}

impl Cells {
    pub(crate) fn new(shape: [usize; 3], chunk: [usize; 3]) -> Cells {
        Cells { shape, stored: shape, chunk, is_signed: false, packing: 1, absent: Vec::new(), fill: 0, base: 0 }
    }

    /// The voxels, z, y, x, of which those beyond the image are 65535.
    pub(crate) fn voxel(&self, at: [usize; 3]) -> u16 {
        let [_, ny, nx] = self.shape;
        if (0..3).any(|a| at[a] >= self.shape[a]) {
            return 65535;
        }
        self.base.wrapping_add((((at[0] * ny + at[1]) * nx + at[2]) * 7) as u16)
    }

    /// What a reader gets.
    pub(crate) fn expected(&self) -> Vec<u16> {
        let counts: [usize; 3] = std::array::from_fn(|a| self.stored[a].div_ceil(self.chunk[a]));
        let mut all = Vec::new();
        for z in 0..self.shape[0] {
            for y in 0..self.shape[1] {
                for x in 0..self.shape[2] {
                    let [cz, cy, cx] = [z / self.chunk[0], y / self.chunk[1], x / self.chunk[2]];
                    let number = (cz * counts[1] + cy) * counts[2] + cx;
                    let is_absent = self.absent.contains(&number);
                    all.push(if is_absent { self.fill } else { self.voxel([z, y, x]) });
                }
            }
        }
        all
    }

    fn raw(&self, first: [usize; 3]) -> Vec<u8> {
        let [cz, cy, cx] = self.chunk;
        let mut raw = Vec::new();
        for n in 0..cz * cy * cx {
            let at = [first[0] + n / (cy * cx), first[1] + n / cx % cy, first[2] + n % cx];
            raw.extend(self.voxel(at).to_le_bytes());
        }
        raw
    }

    fn packed(&self, raw: Vec<u8>) -> Vec<u8> {
        let raw = match self.packing {
            2 => (0..2).flat_map(|k| raw.iter().skip(k).step_by(2).copied()).collect(),
            _ => raw,
        };
        if self.packing == 0 {
            return raw;
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&raw).unwrap();
        zlib.finish().unwrap()
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    all.resize(bytes.len().next_multiple_of(8), 0);
    all
}

fn words(all: &[u64]) -> Vec<u8> {
    all.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn space(shape: &[usize]) -> Vec<u8> {
    let head = [1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    [head.to_vec(), words(&shape.iter().map(|&n| n as u64).collect::<Vec<_>>())].concat()
}

impl Default for Hdf5 {
    fn default() -> Hdf5 {
        Hdf5 { bytes: vec![0; 96] }
    }
}

impl Hdf5 {
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        self.bytes.extend(padded(bytes));
        at
    }

    fn header(&mut self, messages: Vec<(u16, Vec<u8>)>) -> u64 {
        let mut body = Vec::new();
        for (kind, message) in &messages {
            let message = padded(message);
            body.extend(kind.to_le_bytes());
            body.extend((message.len() as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(message);
        }
        let mut head = vec![1, 0];
        head.extend((messages.len() as u16).to_le_bytes());
        head.extend(1u32.to_le_bytes());
        head.extend((body.len() as u32).to_le_bytes());
        head.extend([0; 4]);
        self.put(&[head, body].concat())
    }

    /// A group with attributes of single characters.
    pub(crate) fn group(&mut self, children: &[(String, u64)], attributes: &[(&str, String)]) -> u64 {
        let mut children = children.to_vec();
        children.sort();
        let (mut names, mut entries) = (vec![0u8; 8], Vec::new());
        for (name, at) in &children {
            entries.push([words(&[names.len() as u64, *at]), vec![0; 24]].concat());
            names.extend(padded(&[name.as_bytes(), b"\0"].concat()));
        }
        let segment = self.put(&names);
        let heap = [b"HEAP\0\0\0\0".to_vec(), words(&[names.len() as u64, NOWHERE, segment])].concat();
        let heap = self.put(&heap);
        let mut tree = Vec::new();
        for part in entries.chunks(8) {
            let node = [b"SNOD\x01\0".to_vec(), (part.len() as u16).to_le_bytes().to_vec(), part.concat()].concat();
            tree.push([words(&[0]), words(&[self.put(&node)])].concat());
        }
        let count = (tree.len() as u16).to_le_bytes().to_vec();
        let head = [b"TREE\0\0".to_vec(), count, words(&[NOWHERE, NOWHERE])].concat();
        let tree = self.put(&[head, tree.concat(), words(&[0])].concat());
        let mut messages = vec![(0x11, words(&[tree, heap]))];
        for (name, text) in attributes {
            let name = [name.as_bytes(), b"\0"].concat();
            let kind = [0x13, 0, 0, 0, 1, 0, 0, 0];
            let space = space(&[text.len()]);
            let mut body = vec![1, 0];
            for len in [name.len(), kind.len(), space.len()] {
                body.extend((len as u16).to_le_bytes());
            }
            messages.push((0x0c, [body, padded(&name), kind.to_vec(), space, text.as_bytes().to_vec()].concat()));
        }
        self.header(messages)
    }

    /// A dataset of three axes.
    pub(crate) fn cells(&mut self, of: &Cells) -> u64 {
        let counts: [usize; 3] = std::array::from_fn(|a| of.stored[a].div_ceil(of.chunk[a]));
        let mut entries = Vec::new();
        for n in 0..counts.iter().product() {
            if of.absent.contains(&n) {
                continue;
            }
            let at = [n / (counts[1] * counts[2]), n / counts[2] % counts[1], n % counts[2]];
            let first: [usize; 3] = std::array::from_fn(|a| at[a] * of.chunk[a]);
            let packed = of.packed(of.raw(first));
            let at = self.put(&packed);
            let key =
                [(packed.len() as u64).to_le_bytes().to_vec(), words(&first.map(|n| n as u64)), words(&[0])].concat();
            entries.push((key, at));
        }
        let tree = self.tree(entries);
        let sign = if of.is_signed { 8 } else { 0 };
        let layout = [
            vec![3, 2, 4],
            words(&[tree]),
            [of.chunk[0], of.chunk[1], of.chunk[2], 2].iter().flat_map(|&n| (n as u32).to_le_bytes()).collect(),
        ]
        .concat();
        let fill = [vec![2, 3, 0, 1], 2u32.to_le_bytes().to_vec(), of.fill.to_le_bytes().to_vec()].concat();
        let mut messages = vec![
            (0x01, space(&of.stored)),
            (0x03, vec![0x10, sign, 0, 0, 2, 0, 0, 0, 0, 0, 16, 0]),
            (0x05, fill),
            (0x08, layout),
        ];
        let shuffle = [2u16.to_le_bytes(), [0; 2], [0; 2], [1, 0], [2, 0], [0; 2], [0; 2], [0; 2]].concat();
        let deflate = [1u16.to_le_bytes(), [0; 2], [0; 2], [1, 0], [6, 0], [0; 2], [0; 2], [0; 2]].concat();
        let filters = match of.packing {
            0 => None,
            1 => Some([vec![1, 1, 0, 0, 0, 0, 0, 0], deflate].concat()),
            _ => Some([vec![1, 2, 0, 0, 0, 0, 0, 0], shuffle, deflate].concat()),
        };
        messages.extend(filters.map(|filters| (0x0b, filters)));
        self.header(messages)
    }

    fn tree(&mut self, entries: Vec<(Vec<u8>, u64)>) -> u64 {
        let (mut level, mut nodes) = (0u8, entries);
        if nodes.is_empty() {
            return NOWHERE;
        }
        loop {
            let mut above = Vec::new();
            for part in nodes.chunks(PER_NODE) {
                let mut node = [b"TREE\x01".to_vec(), vec![level]].concat();
                node.extend((part.len() as u16).to_le_bytes());
                node.extend(words(&[NOWHERE, NOWHERE]));
                part.iter().for_each(|(key, at)| node.extend([key.clone(), words(&[*at])].concat()));
                node.extend([0xff; 40]);
                above.push((part[0].0.clone(), self.put(&node)));
            }
            if above.len() == 1 {
                return above[0].1;
            }
            (level, nodes) = (level + 1, above);
        }
    }

    /// A table of numbers in one piece.
    pub(crate) fn table(&mut self, rows: &[[f64; 3]]) -> u64 {
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let at = self.put(&bytes);
        let kind = vec![0x11, 0x20, 63, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0];
        let layout = [vec![3, 1], words(&[at, bytes.len() as u64])].concat();
        self.header(vec![(0x01, space(&[rows.len(), 3])), (0x03, kind), (0x08, layout)])
    }

    /// The file, with its root.
    pub(crate) fn finish(mut self, root: u64) -> Vec<u8> {
        let head = [b"\x89HDF\r\n\x1a\n".to_vec(), vec![0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]].concat();
        let end = self.bytes.len() as u64;
        let all = [head, words(&[0, NOWHERE, end, NOWHERE, 0, root])].concat();
        self.bytes[..all.len()].copy_from_slice(&all);
        self.bytes
    }
}

/// An image of Imaris: levels of times of channels.
pub(crate) fn imaris(levels: &[Vec<Vec<Cells>>], image: &[(&str, &str)]) -> Vec<u8> {
    let mut file = Hdf5::default();
    let mut of_levels = Vec::new();
    for (r, times) in levels.iter().enumerate() {
        let mut of_times = Vec::new();
        for (t, channels) in times.iter().enumerate() {
            let mut of_channels = Vec::new();
            for (c, cells) in channels.iter().enumerate() {
                let data = file.cells(cells);
                let [z, y, x] = cells.shape.map(|n| n.to_string());
                let sizes = [("ImageSizeX", x), ("ImageSizeY", y), ("ImageSizeZ", z)];
                of_channels.push((format!("Channel {c}"), file.group(&[("Data".into(), data)], &sizes)));
            }
            of_times.push((format!("TimePoint {t}"), file.group(&of_channels, &[])));
        }
        of_levels.push((format!("ResolutionLevel {r}"), file.group(&of_times, &[])));
    }
    let data = file.group(&of_levels, &[]);
    let attributes: Vec<(&str, String)> = image.iter().map(|(name, value)| (*name, (*value).to_string())).collect();
    let image = file.group(&[], &attributes);
    let times =
        [("TimePoint1", "2012-01-01 00:00:00.000".to_string()), ("TimePoint2", "2012-01-01 00:00:02.500".into())];
    let time = file.group(&[], &times);
    let info = file.group(&[("Image".into(), image), ("TimeInfo".into(), time)], &[]);
    let root = file
        .group(&[("DataSet".into(), data), ("DataSetInfo".into(), info)], &[("ImarisVersion", "5.5.0".to_string())]);
    file.finish(root)
}

/// An image of BigDataViewer: times of setups of levels, and the factors of the levels.
pub(crate) fn bdv(times: &[Vec<Vec<Cells>>], factors: &[[f64; 3]]) -> Vec<u8> {
    let mut file = Hdf5::default();
    let mut root = Vec::new();
    for (t, setups) in times.iter().enumerate() {
        let mut of_setups = Vec::new();
        for (s, levels) in setups.iter().enumerate() {
            let mut of_levels = Vec::new();
            for (l, cells) in levels.iter().enumerate() {
                let cells = file.cells(cells);
                of_levels.push((l.to_string(), file.group(&[("cells".into(), cells)], &[])));
            }
            of_setups.push((format!("s{s:02}"), file.group(&of_levels, &[])));
        }
        root.push((format!("t{t:05}"), file.group(&of_setups, &[])));
    }
    for s in 0..times[0].len() {
        let table = file.table(factors);
        root.push((format!("s{s:02}"), file.group(&[("resolutions".into(), table)], &[])));
    }
    let root = file.group(&root, &[]);
    file.finish(root)
}

/// The document of such an image, with voxels of 0.5 x 0.5 x 2 um; each setup has its channel and its angle.
pub(crate) fn xml(file: &str, size: [usize; 3], setups: &[[usize; 2]]) -> String {
    let [z, y, x] = size;
    let setup = |(n, [channel, angle]): (usize, &[usize; 2])| {
        format!(
            "<ViewSetup><id>{n}</id><name>setup {n}</name><size>{x} {y} {z}</size><voxelSize><unit>µm</unit><size>0.5 0.5 2.0</size></voxelSize>\
             <attributes><illumination>0</illumination><channel>{channel}</channel><angle>{angle}</angle></attributes></ViewSetup>"
        )
    };
    let setups: String = setups.iter().enumerate().map(setup).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SpimData version=\"0.2\"><BasePath type=\"relative\">.</BasePath><SequenceDescription>\
         <ImageLoader format=\"bdv.hdf5\"><hdf5 type=\"relative\">{file}</hdf5></ImageLoader><ViewSetups>{setups}</ViewSetups>\
         <Timepoints type=\"range\"><first>0</first><last>1</last></Timepoints></SequenceDescription><ViewRegistrations>\
         <ViewRegistration timepoint=\"0\" setup=\"0\"><ViewTransform type=\"affine\"><affine>1.0 0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0 4.0 0.0</affine>\
         </ViewTransform></ViewRegistration></ViewRegistrations></SpimData>"
    )
}

//! TIFF files made by hand: pages in strips or tiles, in any byte order, classic and BigTIFF.
#![allow(dead_code)]

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

/// A file to be made. Pages hold their samples as they stand in the file, rows after rows.
#[derive(Clone)]
pub(crate) struct Tiff {
    pub big_endian: bool,
    pub wide: bool,
    pub size: [usize; 2],
    /// Bytes of a sample, samples of a voxel, 1 unsigned, 2 signed, 3 float.
    pub sample: [usize; 3],
    pub pages: Vec<Vec<u8>>,
    pub compression: u16,
    /// Rows of a strip; rows and columns of a tile.
    pub strip: usize,
    pub tile: Option<[usize; 2]>,
    pub photometric: u16,
    pub description: String,
    /// Voxels per unit of x and y, as quotients, and the unit.
    pub resolution: Option<([u32; 4], u16)>,
    /// Coarser versions of each page: size, and the samples of all pages.
    pub levels: Vec<([usize; 2], Vec<Vec<u8>>)>,
    /// One directory for all pages, which stand behind each other.
    pub is_one: bool,
    pub more: Vec<(u16, u16, Vec<u64>)>,
}

impl Tiff {
    /// `pages` planes of `rows` x `columns` words of 16 bits: 0, 1, 2 and so on, times 7.
    pub(crate) fn new([pages, rows, columns]: [usize; 3]) -> Tiff {
        Tiff::of([pages, rows, columns], false)
    }

    pub(crate) fn of([pages, rows, columns]: [usize; 3], big_endian: bool) -> Tiff {
        let word = |n: usize| if big_endian { (7 * n as u16).to_be_bytes() } else { (7 * n as u16).to_le_bytes() };
        let page = |p: usize| (0..rows * columns).flat_map(|n| word(p * rows * columns + n)).collect();
        Tiff {
            big_endian,
            wide: false,
            size: [rows, columns],
            sample: [2, 1, 1],
            pages: (0..pages).map(page).collect(),
            compression: 1,
            strip: rows,
            tile: None,
            photometric: 1,
            description: String::new(),
            resolution: None,
            levels: Vec::new(),
            is_one: false,
            more: Vec::new(),
        }
    }

    fn number(&self, value: u64, bytes: usize) -> Vec<u8> {
        let mut number = value.to_le_bytes()[..bytes].to_vec();
        if self.big_endian {
            number.reverse();
        }
        number
    }

    fn compressed(&self, raw: &[u8]) -> Vec<u8> {
        match self.compression {
            8 => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(raw).unwrap();
                encoder.finish().unwrap()
            }
            50000 => zstd::bulk::compress(raw, 1).unwrap(),
            32773 => raw.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect(),
            _ => raw.to_vec(),
        }
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        let width = if self.wide { 8 } else { 4 };
        file.extend(self.number(if self.wide { 43 } else { 42 }, 2));
        if self.wide {
            file.extend(self.number(8, 2));
            file.extend([0, 0]);
        }
        let mut link = file.len();
        file.extend(vec![0; width]);
        let described = if self.is_one { 1 } else { self.pages.len() };
        let all: Vec<u8> = self.pages.concat();
        for p in 0..described {
            let levels: Vec<u64> = self
                .levels
                .iter()
                .map(|(size, pages)| {
                    let fields = self.fields(&mut file, *size, &pages[p], p, &[]);
                    self.directory(&mut file, fields).0
                })
                .collect();
            let page = if self.is_one { &all } else { &self.pages[p] };
            let fields = self.fields(&mut file, self.size, page, p, &levels);
            let (at, next) = self.directory(&mut file, fields);
            file[link..link + width].copy_from_slice(&self.number(at, width));
            link = next;
        }
        file
    }

    /// Writes the voxels of a page, and says what its directory has: tag, type, values.
    fn fields(
        &self,
        file: &mut Vec<u8>,
        size: [usize; 2],
        page: &[u8],
        p: usize,
        levels: &[u64],
    ) -> Vec<(u16, u16, Vec<u64>)> {
        let [rows, columns] = size;
        let [bytes, samples, kind] = self.sample;
        let voxel = bytes * samples;
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        let mut put = |raw: &[u8]| {
            let stored = self.compressed(raw);
            offsets.push(file.len() as u64);
            counts.push(stored.len() as u64);
            file.extend(stored);
        };
        match self.tile {
            None if self.is_one => put(page),
            None => page.chunks(self.strip * columns * voxel).for_each(&mut put),
            Some([high, wide]) => {
                for y in (0..rows).step_by(high) {
                    for x in (0..columns).step_by(wide) {
                        let mut tile = vec![0; high * wide * voxel];
                        for row in 0..high.min(rows - y) {
                            let len = wide.min(columns - x) * voxel;
                            let from = ((y + row) * columns + x) * voxel;
                            tile[row * wide * voxel..][..len].copy_from_slice(&page[from..from + len]);
                        }
                        put(&tile);
                    }
                }
            }
        }
        let long = if self.wide { 16 } else { 4 };
        let mut fields = vec![
            (256, 4, vec![columns as u64]),
            (257, 4, vec![rows as u64]),
            (258, 3, vec![8 * bytes as u64; samples]),
            (259, 3, vec![u64::from(self.compression)]),
            (262, 3, vec![u64::from(self.photometric)]),
            (277, 3, vec![samples as u64]),
            (339, 3, vec![kind as u64; samples]),
        ];
        match self.tile {
            None => {
                fields.push((273, long, offsets));
                fields.push((278, 4, vec![self.strip as u64]));
                fields.push((279, long, counts));
            }
            Some([high, wide]) => {
                fields.push((322, 4, vec![wide as u64]));
                fields.push((323, 4, vec![high as u64]));
                fields.push((324, long, offsets));
                fields.push((325, long, counts));
            }
        }
        if p == 0 && !self.description.is_empty() {
            let text = self.description.bytes().chain([0]).map(u64::from).collect();
            fields.push((270, 2, text));
        }
        if let Some(([a, b, c, d], unit)) = self.resolution {
            fields.push((282, 5, vec![a.into(), b.into()]));
            fields.push((283, 5, vec![c.into(), d.into()]));
            fields.push((296, 3, vec![unit.into()]));
        }
        if !levels.is_empty() {
            fields.push((330, long, levels.to_vec()));
        }
        fields.extend(self.more.iter().cloned());
        fields.sort_by_key(|field| field.0);
        fields
    }

    /// Writes a directory: where it stands, and where the place of the next one is to be.
    fn directory(&self, file: &mut Vec<u8>, fields: Vec<(u16, u16, Vec<u64>)>) -> (u64, usize) {
        let (width, count_bytes) = if self.wide { (8, 8) } else { (4, 2) };
        let mut entries = self.number(fields.len() as u64, count_bytes);
        for (tag, kind, values) in fields {
            let size = match kind {
                2 => 1,
                3 => 2,
                16 => 8,
                _ => 4,
            };
            let count = if kind == 5 { values.len() / 2 } else { values.len() };
            let mut text: Vec<u8> = values.iter().flat_map(|&value| self.number(value, size)).collect();
            entries.extend(self.number(tag.into(), 2));
            entries.extend(self.number(kind.into(), 2));
            entries.extend(self.number(count as u64, width));
            if text.len() > width {
                let at = file.len() as u64;
                file.extend(text);
                text = self.number(at, width);
            }
            text.resize(width, 0);
            entries.extend(text);
        }
        file.resize(file.len().next_multiple_of(2), 0);
        let at = file.len();
        file.extend(entries);
        let next = file.len();
        file.extend(vec![0; width]);
        (at as u64, next)
    }
}

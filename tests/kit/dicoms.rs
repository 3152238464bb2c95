//! DICOM files, written by hand.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};

use super::jpeg_lossless;

/// One file of a series.
#[derive(Clone)]
pub(crate) struct Slice {
    pub syntax: &'static str,
    pub uid: &'static str,
    pub size: [u16; 2],
    pub position: [f64; 3],
    pub orientation: &'static str,
    /// Allocated, stored, highest, signed.
    pub bits: [u16; 4],
    pub samples: u16,
    /// PhotometricInterpretation, where it is not that of grey or RGB.
    pub colours: Option<&'static str>,
    pub slope: Option<(f64, f64)>,
    pub extra: Vec<(u32, &'static [u8; 2], Vec<u8>)>,
    pub voxels: Vec<u16>,
    /// Fragments, where they are not made of the voxels.
    pub streams: Vec<Vec<u8>>,
}

pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const BIG: &str = "1.2.840.10008.1.2.2";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";
pub(crate) const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
pub(crate) const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
pub(crate) const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
pub(crate) const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
pub(crate) const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
pub(crate) const JPEG_2000_LOSSY: &str = "1.2.840.10008.1.2.4.91";
pub(crate) const HTJ2K: &str = "1.2.840.10008.1.2.4.201";

/// Slice `k` of a series of 3 columns and 2 rows, 0.5 mm by 1.5 mm, with steps of 2 mm.
pub(crate) fn slice(k: u16) -> Slice {
    Slice {
        syntax: EXPLICIT,
        uid: "1.2.3",
        size: [3, 2],
        position: [10.0, -20.0, 30.0 + 2.0 * f64::from(k)],
        orientation: "1\\0\\0\\0\\1\\0",
        bits: [16, 16, 15, 0],
        samples: 1,
        colours: None,
        slope: None,
        extra: Vec::new(),
        voxels: (0..6).map(|n| 100 * k + n).collect(),
        streams: Vec::new(),
    }
}

/// Voxels of so many of these slices, as NIfTI has them.
pub(crate) fn voxels(count: u16) -> Vec<u8> {
    (0..count).flat_map(|k| slice(k).voxels).flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn text(text: impl ToString) -> Vec<u8> {
    let mut bytes = text.to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(2), b' ');
    bytes
}

impl Slice {
    fn is_big(&self) -> bool {
        self.syntax == BIG
    }

    pub(crate) fn u16(&self, n: u16) -> Vec<u8> {
        if self.is_big() { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() }
    }

    pub(crate) fn element(&self, tag: u32, vr: &[u8; 2], value: &[u8], len: Option<u32>) -> Vec<u8> {
        let len = len.unwrap_or(value.len() as u32);
        let mut bytes = [self.u16((tag >> 16) as u16), self.u16(tag as u16)].concat();
        let long = if self.is_big() { len.to_be_bytes() } else { len.to_le_bytes() };
        let is_long = [*b"OB", *b"OW", *b"SQ", *b"UN"].contains(vr);
        match () {
            () if self.syntax == IMPLICIT || tag >> 16 == 0xfffe => bytes.extend(long),
            () if is_long => bytes.extend([&vr[..], &[0, 0], &long].concat()),
            () => bytes.extend([&vr[..], &self.u16(len as u16)].concat()),
        }
        bytes.extend(value);
        bytes
    }

    fn stored_voxels(&self) -> Vec<u8> {
        if self.bits[0] == 8 {
            let mut bytes: Vec<u8> = self.voxels.iter().map(|&voxel| voxel as u8).collect();
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            // Words of 16 bits, with the first voxel in the lower half.
            if self.is_big() {
                bytes.chunks_mut(2).for_each(|word| word.swap(0, 1));
            }
            return bytes;
        }
        self.voxels.iter().flat_map(|&voxel| self.u16(voxel)).collect()
    }

    fn pixels(&self) -> Vec<u8> {
        let fragments = match self.syntax {
            _ if !self.streams.is_empty() => self.streams.clone(),
            RLE => vec![self.runs()],
            JPEG_LOSSLESS => {
                let coding =
                    jpeg_lossless::Coding { precision: self.bits[1].into(), ..jpeg_lossless::Coding::default() };
                vec![jpeg_lossless::encode(&self.voxels, self.size, self.samples.into(), coding)]
            }
            JPEG_LS => vec![self.jpeg_ls()],
            _ => return self.element(0x7fe0_0010, b"OW", &self.stored_voxels(), None),
        };
        let item = |value: &[u8]| self.element(0xfffe_e000, b"  ", value, None);
        let items = fragments.iter().map(|fragment| {
            let mut fragment = fragment.clone();
            fragment.resize(fragment.len().next_multiple_of(2), 0);
            item(&fragment)
        });
        let end = self.element(0xfffe_e0dd, b"  ", &[], None);
        [self.element(0x7fe0_0010, b"OB", &[], Some(u32::MAX)), item(&[]), items.collect::<Vec<_>>().concat(), end]
            .concat()
    }

    fn jpeg_ls(&self) -> Vec<u8> {
        let [columns, rows] = self.size.map(u32::from);
        let mut stream = Vec::new();
        let mut options = jpegls::EncodeOptions::default();
        options.precision = Some(self.bits[1].clamp(2, 16) as u8);
        jpegls::encode_with_options(&self.voxels, columns, rows, &options, &mut stream).unwrap();
        stream
    }

    fn runs(&self) -> Vec<u8> {
        // Runs where two bytes are alike, and pieces as they stand.
        let plane = |shift: u16| {
            let mut runs = Vec::new();
            let bytes: Vec<u8> = self.voxels.iter().map(|voxel| (voxel >> shift) as u8).collect();
            for run in bytes.chunk_by(|a, b| a == b) {
                match run {
                    [one] => runs.extend([0, *one]),
                    _ => runs.extend([(257 - run.len()) as u8, run[0]]),
                }
            }
            runs.resize(runs.len().next_multiple_of(2), 128);
            runs
        };
        let (high, low) = (plane(8), plane(0));
        let mut header = [2, 64, 64 + high.len() as u32].to_vec();
        header.resize(16, 0);
        let header: Vec<u8> = header.iter().flat_map(|n| n.to_le_bytes()).collect();
        [header, high, low].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let [x, y, z] = self.position;
        let [columns, rows] = self.size;
        let mut elements = vec![
            (0x0008_0060, b"CS", text("CT")),
            (0x0008_103e, b"LO", text(format!("series {}", self.uid))),
            (0x0020_000e, b"UI", text(self.uid)),
            (0x0020_0032, b"DS", text(format!("{x}\\{y}\\{z}"))),
            (0x0020_0037, b"DS", text(self.orientation)),
            (0x0028_0002, b"US", self.u16(self.samples)),
            (0x0028_0004, b"CS", text(self.colours.unwrap_or(if self.samples == 3 { "RGB" } else { "MONOCHROME2" }))),
            (0x0028_0010, b"US", self.u16(rows)),
            (0x0028_0011, b"US", self.u16(columns)),
            (0x0028_0030, b"DS", text("1.5\\0.5")),
        ];
        elements.extend(self.bits.iter().zip(0x0028_0100..).map(|(&n, tag)| (tag, b"US", self.u16(n))));
        if let Some((slope, intercept)) = self.slope {
            elements.extend([(0x0028_1052, b"DS", text(intercept)), (0x0028_1053, b"DS", text(slope))]);
        }
        elements.extend(self.extra.clone());
        elements.sort_by_key(|(tag, ..)| *tag);
        let mut set: Vec<u8> =
            elements.iter().flat_map(|(tag, vr, value)| self.element(*tag, vr, value, None)).collect();
        set.extend(self.pixels());
        if self.syntax == DEFLATED {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&set).unwrap();
            set = encoder.finish().unwrap();
        }
        let mut uid = self.syntax.as_bytes().to_vec();
        uid.resize(uid.len().next_multiple_of(2), 0);
        let meta = [&[2, 0, 0x10, 0], &b"UI"[..], &(uid.len() as u16).to_le_bytes(), &uid].concat();
        [&[0; 128], &b"DICM"[..], &meta, &set].concat()
    }
}

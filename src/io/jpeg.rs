//! JPEG streams: what stands before the samples of a frame, whatever the process.
//!
//! Source: ITU-T T.81, annex B; ITU-T T.87, annex C.

mod colours;
pub(super) mod dct;
pub(super) mod huffman;
mod inverse_dct;
pub(super) mod lossless;
mod tables;

pub(super) use colours::rgb;

/// Segments of one frame.
const MOST_SEGMENTS: u32 = 1 << 10;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
/// Of Adobe: what its components are.
const APP14: u8 = 0xEE;
/// Of the sequential processes by DCT and Huffman codes: baseline and extended.
pub(super) const SOF_DCT: [u8; 2] = [0xC0, 0xC1];
/// Of the progressive process.
pub(super) const SOF_PROGRESSIVE: u8 = 0xC2;
/// Of lossless JPEG by Huffman codes.
pub(super) const SOF_LOSSLESS: u8 = 0xC3;
/// Of JPEG-LS.
pub(super) const SOF_LS: u8 = 0xF7;

/// Of the samples of a voxel, one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// What scans call it by.
    pub id: u8,
    /// How many samples of it there are along a row and a column, beside those of the others.
    pub sampling: [u8; 2],
    /// The place of its table of quantisers.
    pub quantisers: u8,
}

/// The header of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The marker that says by which process it is coded.
    pub process: u8,
    pub precision: u32,
    pub rows: u32,
    pub columns: u32,
    pub components: Vec<Component>,
    /// Whether there is one of each for each voxel.
    pub is_whole: bool,
}

impl Component {
    fn new([id, sampling, quantisers]: [u8; 3]) -> Component {
        Component { id, sampling: [sampling >> 4, sampling & 15], quantisers }
    }
}

impl Frame {
    /// Reads the body of the segment.
    fn parse(process: u8, body: &[u8]) -> Option<Frame> {
        let [precision, a, b, c, d, count, rest @ ..] = body else { return None };
        let specs: Vec<&[u8]> = rest.chunks_exact(3).take(usize::from(*count)).collect();
        Some(Frame {
            process,
            precision: u32::from(*precision),
            rows: u32::from(u16::from_be_bytes([*a, *b])),
            columns: u32::from(u16::from_be_bytes([*c, *d])),
            is_whole: specs.iter().all(|spec| spec[1] == 0x11),
            components: specs.iter().map(|spec| Component::new([spec[0], spec[1], spec[2]])).collect(),
        })
        .filter(|frame| frame.components.len() == usize::from(*count) && (1..=4).contains(count))
    }

    /// Whether the frame is of one of these processes, and what the data set says of it; `bits` are the least and the most of a sample.
    ///
    /// # Errors
    /// Both, where they differ.
    pub(super) fn check(
        &self,
        processes: &[u8],
        rows: u32,
        columns: u32,
        samples: u32,
        bits: (u32, u32),
    ) -> Result<(), String> {
        let Frame { precision, .. } = *self;
        let found = (self.rows, self.columns, self.components.len() as u32);
        let (least, most) = (bits.0, bits.1.min(16));
        let is_process = processes.contains(&self.process);
        if is_process && found == (rows, columns, samples) && (least..=most).contains(&precision) {
            return Ok(());
        }
        let process = processes[0];
        let Frame { process: own, rows: height, columns: width, components, .. } = self;
        let count = components.len();
        Err(format!(
            "a stream of process {own:#04x}, {width}x{height} voxels of {count} samples of {precision} bits, where the data set has \
             process {process:#04x}, {columns}x{rows} voxels of {samples} samples of {least} to {most} bits"
        ))
    }
}

/// A part of a stream: a marker and what stands behind it, without its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub marker: u8,
    pub body: &'a [u8],
    /// Where what follows it begins.
    pub end: usize,
}

/// Segments of a stream, from some place on.
pub(super) struct Segments<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    count: u32,
}

impl<'a> Segments<'a> {
    /// Behind the marker with which any stream begins.
    ///
    /// # Errors
    /// Another beginning.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Segments<'a>, String> {
        match bytes {
            [0xFF, SOI, ..] => Ok(Segments { bytes, at: 2, count: 0 }),
            _ => Err("no beginning of a JPEG stream".into()),
        }
    }

    /// The next one; `None` at the end of the stream.
    ///
    /// # Errors
    /// Bytes that are no segment, or one that is cut off.
    pub(super) fn next(&mut self) -> Result<Option<Segment<'a>>, String> {
        self.count += 1;
        let fill = self.bytes.get(self.at..).unwrap_or_default().iter().take_while(|&&byte| byte == 0xFF).count();
        let marker = self.bytes.get(self.at + fill).copied();
        let (Some(marker), 1.., 0..=MOST_SEGMENTS) = (marker, fill, self.count) else {
            return Err(format!("no marker of JPEG at byte {}", self.at));
        };
        if marker == EOI {
            return Ok(None);
        }
        let begin = self.at + fill + 1;
        let len = self.bytes.get(begin..begin + 2).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])));
        let body = len.and_then(|len| self.bytes.get(begin + 2..begin + len.max(2)));
        let Some(body) = body else { return Err(format!("a segment of JPEG that is cut off at byte {begin}")) };
        self.at = begin + 2 + body.len();
        Ok(Some(Segment { marker, body, end: self.at }))
    }
}

impl Segment<'_> {
    /// Whether samples follow.
    pub(super) fn is_scan(&self) -> bool {
        self.marker == SOS
    }

    /// The header of a frame, where it is one.
    ///
    /// # Errors
    /// One that is too short.
    pub(super) fn frame(&self) -> Result<Option<Frame>, String> {
        // Of these, three are tables.
        let is_frame = matches!(self.marker, 0xC0..=0xCF | SOF_LS) && !matches!(self.marker, 0xC4 | 0xC8 | 0xCC);
        if !is_frame {
            return Ok(None);
        }
        Frame::parse(self.marker, self.body).map(Some).ok_or_else(|| "a header of a frame that is cut off".into())
    }
}

/// The header of the frame of a stream.
///
/// # Errors
/// None before the samples.
pub(super) fn frame_of(bytes: &[u8]) -> Result<Frame, String> {
    let mut segments = Segments::of(bytes)?;
    while let Some(segment) = segments.next()?.filter(|segment| !segment.is_scan()) {
        if let Some(frame) = segment.frame()? {
            return Ok(frame);
        }
    }
    Err("no header of a frame before the samples".into())
}

/// What is told of a volume whose voxels are decoded from lossy streams of this codec.
pub(super) fn lossy_warning(codec: &str) -> String {
    format!("voxels are decoded from lossy {codec}: they are near those that were coded, not equal")
}

/// Whether three components are red, green and blue, and not luminance and differences: as Adobe's segment says or, without one, as they
/// are called.
///
/// # Errors
/// Bytes that are no stream.
pub(super) fn is_rgb(bytes: &[u8], frame: &Frame) -> Result<bool, String> {
    let mut segments = Segments::of(bytes)?;
    while let Some(segment) = segments.next()?.filter(|segment| !segment.is_scan()) {
        if let (APP14, [b'A', b'd', b'o', b'b', b'e', .., transform]) = (segment.marker, segment.body) {
            return Ok(*transform == 0);
        }
    }
    Ok(frame.components.iter().map(|component| component.id).eq(*b"RGB"))
}

//! The document `info` of a volume: sample type, channels, and the scales with their chunks.
//!
//! Source: Neuroglancer, "Precomputed volume format", `src/datasource/precomputed/volume.md`.

use serde_json::Value;

use super::shard::Sharding;
use crate::{io::tiff::fault::Fault, voxel::Dtype};

/// Scales of a volume, channels, and voxels along an axis, at most.
const MOST_SCALES: usize = 64;
const MOST_CHANNELS: u64 = 1 << 16;
const MOST_EXTENT: u64 = 1 << 31;

/// How the samples of a chunk stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Raw,
    /// Labels in blocks of this extent, x, y, z.
    Segmentation([u64; 3]),
    Jpeg,
    Png,
}

impl Encoding {
    /// Its name in documents.
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Segmentation(_) => "compressed_segmentation",
            Encoding::Jpeg => "jpeg",
            Encoding::Png => "png",
        }
    }

    /// Whether chunks are images.
    pub(super) fn is_image(self) -> bool {
        matches!(self, Encoding::Jpeg | Encoding::Png)
    }

    /// An error where chunks of such samples cannot be encoded so.
    fn check(self, dtype: Dtype, channels: u64) -> Result<(), Fault> {
        let (types, most): (&[Dtype], u64) = match self {
            Encoding::Raw => return Ok(()),
            Encoding::Segmentation(_) => (&[Dtype::U32, Dtype::U64], MOST_CHANNELS),
            Encoding::Jpeg => (&[Dtype::U8], 3),
            Encoding::Png => (&[Dtype::U8, Dtype::U16], 4),
        };
        if !types.contains(&dtype) {
            let names: Vec<String> = types.iter().map(ToString::to_string).collect();
            return Err(Fault::wrong("data_type", dtype, format!("{} for {}", names.join(" or "), self.name())));
        }
        if channels > most || (self, channels) == (Encoding::Jpeg, 2) {
            let expected = if self == Encoding::Jpeg { "1 or 3 for jpeg".into() } else { format!("1 to {most}") };
            return Err(Fault::wrong("num_channels", channels, expected));
        }
        Ok(())
    }
}

/// One scale, triples along x, y, z.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub key: String,
    pub size: [u64; 3],
    /// Nanometres.
    pub steps: [f64; 3],
    pub offset: [i64; 3],
    pub chunk: [u64; 3],
    pub encoding: Encoding,
    pub sharding: Option<Sharding>,
}

/// What all scales have in common, and one of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Info {
    pub dtype: Dtype,
    pub channels: u64,
    pub is_label: bool,
    /// The names of all scales, in their order.
    pub keys: Vec<String>,
    /// The step of the finest scale, x, y, z.
    pub finest: [f64; 3],
    pub scale: Scale,
}

/// Whether a document is the `info` of a volume.
pub(super) fn is_volume(document: &Value) -> bool {
    let kind = document.get("@type").and_then(Value::as_str);
    let has_scales = document.get("scales").is_some_and(Value::is_array) && document.get("data_type").is_some();
    has_scales && kind.is_none_or(|kind| kind == "neuroglancer_multiscale_volume")
}

impl Info {
    /// Reads a document, and scale `level` of it.
    ///
    /// # Errors
    /// A member that lies; what is not read, by its name; no such scale.
    pub(super) fn read(document: &Value, level: usize) -> Result<Info, Fault> {
        let name = document.get("data_type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let dtype = match name.as_str() {
            "uint8" => Dtype::U8,
            "int8" => Dtype::I8,
            "uint16" => Dtype::U16,
            "int16" => Dtype::I16,
            "uint32" => Dtype::U32,
            "int32" => Dtype::I32,
            "uint64" => Dtype::U64,
            "int64" => Dtype::I64,
            "float32" => Dtype::F32,
            "float64" => Dtype::F64,
            other => return Err(Fault::wrong("data_type", short(other), "an integer or float type")),
        };
        let channels = document.get("num_channels").map_or(Some(1), Value::as_u64);
        let channels = channels.filter(|&n| (1..=MOST_CHANNELS).contains(&n)).ok_or_else(|| {
            Fault::wrong("num_channels", short(&document["num_channels"].to_string()), format!("1 to {MOST_CHANNELS}"))
        })?;
        let scales = document.get("scales").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if scales.is_empty() || scales.len() > MOST_SCALES {
            return Err(Fault::wrong("scales", format!("{} of them", scales.len()), format!("1 to {MOST_SCALES}")));
        }
        let Some(own) = scales.get(level) else {
            let what = format!("--level {level} is not there: the volume has {}", scales.len());
            return Err(Fault::Asked(what, format!("use a level from 0 to {}", scales.len() - 1)));
        };
        let key = |scale: &Value| scale.get("key").and_then(Value::as_str).map(str::to_string);
        let keys: Option<Vec<String>> = scales.iter().map(key).collect();
        let keys = keys.ok_or_else(|| Fault::wrong("a scale", "without a key", "a name"))?;
        let scale = Scale::read(own)?;
        scale.encoding.check(dtype, channels)?;
        Ok(Info {
            dtype,
            channels,
            is_label: document.get("type").and_then(Value::as_str) == Some("segmentation"),
            keys,
            finest: steps(&scales[0])?,
            scale,
        })
    }
}

/// The beginning of a text, in quotes.
pub(super) fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

fn steps(scale: &Value) -> Result<[f64; 3], Fault> {
    let is_step = |step: &f64| step.is_finite() && *step > 0.0;
    three(scale, "resolution", |value| value.as_f64().filter(is_step))
}

impl Scale {
    fn read(scale: &Value) -> Result<Scale, Fault> {
        let extent = |value: &Value| value.as_u64().filter(|n| (1..=MOST_EXTENT).contains(n));
        let chunks = scale.get("chunk_sizes").and_then(|sizes| sizes.get(0)).unwrap_or(&Value::Null);
        let name = scale.get("encoding").and_then(Value::as_str).unwrap_or_default();
        let encoding = match name {
            "raw" => Encoding::Raw,
            "compressed_segmentation" => {
                Encoding::Segmentation(three(scale, "compressed_segmentation_block_size", extent)?)
            }
            "jpeg" => Encoding::Jpeg,
            "png" => Encoding::Png,
            other => return Err(Fault::Unread(format!("has chunks encoded as {}, which is not read", short(other)))),
        };
        let offset = match scale.get("voxel_offset") {
            None | Some(Value::Null) => [0; 3],
            Some(_) => {
                let is_near = |n: &i64| n.unsigned_abs() <= 1 << 52;
                three(scale, "voxel_offset", |value| value.as_i64().filter(is_near))?
            }
        };
        let sharding = match scale.get("sharding") {
            None | Some(Value::Null) => None,
            Some(sharding) => Some(Sharding::read(sharding)?),
        };
        Ok(Scale {
            key: scale.get("key").and_then(Value::as_str).unwrap_or_default().to_string(),
            size: three(scale, "size", extent)?,
            steps: steps(scale)?,
            offset,
            chunk: of_three(chunks, "chunk_sizes", extent)?,
            encoding,
            sharding,
        })
    }

    /// Chunks along x, y, z.
    pub(super) fn counts(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.size[a].div_ceil(self.chunk[a]))
    }

    /// Voxels of a chunk along x, y, z: fewer at the far faces.
    pub(super) fn extent(&self, at: [u64; 3]) -> [u64; 3] {
        std::array::from_fn(|a| self.chunk[a].min(self.size[a].saturating_sub(at[a] * self.chunk[a])))
    }

    /// The name of a chunk that is a file of its own: the voxels that it has.
    pub(super) fn name(&self, at: [u64; 3]) -> String {
        let extent = self.extent(at);
        let part = |a: usize| {
            let first = self.offset[a] + (at[a] * self.chunk[a]) as i64;
            format!("{first}-{}", first + extent[a] as i64)
        };
        [part(0), part(1), part(2)].join("_")
    }
}

fn three<T>(object: &Value, name: &str, of: impl Fn(&Value) -> Option<T>) -> Result<[T; 3], Fault> {
    of_three(object.get(name).unwrap_or(&Value::Null), name, of)
}

fn of_three<T>(list: &Value, name: &str, of: impl Fn(&Value) -> Option<T>) -> Result<[T; 3], Fault> {
    let found =
        list.as_array().filter(|list| list.len() == 3).and_then(|list| list.iter().map(of).collect::<Option<Vec<T>>>());
    let found = found.and_then(|found| found.try_into().ok());
    found.ok_or_else(|| Fault::wrong(name, short(&list.to_string()), "three numbers of its kind: x, y, z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        serde_json::json!({
            "@type": "neuroglancer_multiscale_volume", "type": "segmentation", "data_type": "uint64", "num_channels": 1,
            "scales": [
                {"key": "8_8_30", "size": [100, 70, 9], "resolution": [8, 8, 30], "voxel_offset": [-5, 3, 0],
                 "chunk_sizes": [[64, 64, 4]], "encoding": "raw"},
                {"key": "16", "size": [50, 35, 9], "resolution": [16, 16, 30.5], "chunk_sizes": [[64, 64, 4]],
                 "encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8]}
            ]
        })
    }

    #[test]
    fn scales_have_names_of_chunks() {
        let info = Info::read(&document(), 0).unwrap();
        assert!(is_volume(&document()) && info.is_label && info.dtype == Dtype::U64);
        assert_eq!(info.scale.counts(), [2, 2, 3]);
        assert_eq!(info.scale.name([0, 0, 0]), "-5-59_3-67_0-4");
        assert_eq!(info.scale.name([1, 1, 2]), "59-95_67-73_8-9");
        let coarse = Info::read(&document(), 1).unwrap();
        assert_eq!((coarse.scale.encoding, coarse.finest), (Encoding::Segmentation([8; 3]), [8.0, 8.0, 30.0]));
        assert!(matches!(Info::read(&document(), 2), Err(Fault::Asked(..))));
    }

    #[test]
    fn members_that_lie_are_told() {
        let told = |name: &str, value: Value| {
            let mut changed = document();
            changed["scales"][0][name] = value;
            match Info::read(&changed, 0) {
                Err(Fault::Wrong { field, .. }) => field,
                Err(Fault::Unread(what)) => what,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told("size", serde_json::json!([1, 2])), "size");
        assert_eq!(told("size", serde_json::json!([1, 2, -3])), "size");
        assert_eq!(told("size", serde_json::json!([1, 2, 1u64 << 40])), "size");
        assert_eq!(told("resolution", serde_json::json!([1, 0, 1])), "resolution");
        assert_eq!(told("chunk_sizes", serde_json::json!([])), "chunk_sizes");
        assert_eq!(told("voxel_offset", serde_json::json!([0, 0, 1.5])), "voxel_offset");
        assert!(told("encoding", "jxl".into()).contains("\"jxl\", which is not read"));
        assert_eq!(told("encoding", "jpeg".into()), "data_type");
        assert!(told("sharding", serde_json::json!({"@type": "other"})).contains("sharding"));
    }
}

//! The documents of OME-Zarr 0.4 on Zarr v2 (NGFF 0.4, "multiscales"; Zarr storage specification version 2).

use serde_json::{Map, Value, json};

use super::ZarrTarget;
use crate::io::{
    ome::{OWN_ATTRIBUTE, OmeMetadata, OmeVersion},
    zarr::sample::v2_name,
};

impl ZarrTarget {
    /// `.zarray` and `.zattrs` of the array, by their keys. `empty_chunks` is known at the end.
    pub(super) fn array_documents_v2(&self, empty_chunks: Option<u64>) -> Vec<(String, Value)> {
        let stored = self.conversion.stored;
        let order = self.outer_order();
        let array = json!({
            "zarr_format": 2,
            "shape": self.along(&|axis| axis.len, self.level_grid().shape),
            "chunks": self.along(&|_| 1, self.chunk),
            "dtype": v2_name(stored),
            "compressor": self.codec.metadata_v2(stored.bytes()),
            "fill_value": if stored.is_float() { json!(0.0) } else { json!(0) },
            "order": "C",
            "filters": null,
            "dimension_separator": "/",
        });
        let mut attributes = json!({"_ARRAY_DIMENSIONS": self.axis_names(&order)});
        if let Some(n) = empty_chunks {
            attributes[OWN_ATTRIBUTE] = json!({"empty_chunks": n});
        }
        let path = self.level_path();
        vec![(format!("{path}/.zattrs"), attributes), (format!("{path}/.zarray"), array)]
    }

    /// `.zattrs` and `.zgroup` of the group, by their keys.
    pub(super) fn group_documents_v2(&self) -> Result<Vec<(String, Value)>, serde_json::Error> {
        let mut multiscale = self.multiscale(&self.outer_order());
        // In front, where it also stands when levels are added later.
        multiscale.other.shift_insert(0, "version".into(), json!(OmeVersion::V04.name()));
        let ome = OmeMetadata { version: None, multiscales: vec![multiscale], other: self.carried.ome.clone() };
        let mut attributes = Map::new();
        if let Value::Object(members) = serde_json::to_value(ome)? {
            attributes.extend(members);
        }
        self.add_attributes(&mut attributes);
        Ok(vec![(".zattrs".into(), Value::Object(attributes)), (".zgroup".into(), json!({"zarr_format": 2}))])
    }
}

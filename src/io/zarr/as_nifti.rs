//! What an image says as NIfTI: the header beside its levels, or the attribute of earlier versions of ours.

use crate::io::{
    nifti::{Header, LoneHeader},
    ome::NiftiAttribute,
};

/// What an image says as NIfTI.
#[derive(Clone, Debug, PartialEq)]
pub enum AsNifti {
    Header(Box<LoneHeader>),
    Attribute(NiftiAttribute),
}

impl AsNifti {
    /// The codes of sform and qform.
    pub fn codes(&self) -> (i32, i32) {
        match self {
            AsNifti::Header(lone) => (lone.header.sform_code, lone.header.qform_code),
            AsNifti::Attribute(attribute) => (attribute.sform_code.into(), attribute.qform_code.into()),
        }
    }

    /// Whether one of the two forms counts.
    pub fn has_forms(&self) -> bool {
        let (sform, qform) = self.codes();
        sform > 0 || qform > 0
    }

    pub fn header(&self) -> Option<&Header> {
        match self {
            AsNifti::Header(lone) => Some(&lone.header),
            AsNifti::Attribute(_) => None,
        }
    }
}

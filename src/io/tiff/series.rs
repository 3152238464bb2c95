//! How pages become volumes: axes of pages, steps between voxels, and the order in which planes are read.

use crate::{geometry::Unit, layout::Axis};

/// An axis along which pages follow each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lead {
    /// `z`, `t`, `c`, or another.
    pub name: String,
    pub len: u64,
    pub step: f64,
    pub unit: Option<String>,
}

impl Lead {
    /// Without a step of its own.
    pub(super) fn new(name: &str, len: u64) -> Lead {
        Lead { name: name.into(), len, step: 1.0, unit: None }
    }
}

/// What the metadata of a file say.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// `OME-TIFF`, `ImageJ TIFF`, `TIFF`
    pub kind: &'static str,
    /// Slowest first, in the order of the pages.
    pub leads: Vec<Lead>,
    /// Along z, y and x, where the file states them.
    pub steps: [Option<f64>; 3],
    /// What numbers along z, y and x are multiplied by to be in `unit`, where each has a unit of its own.
    pub scales: [f64; 3],
    pub unit: Unit,
    /// Where the first voxel is along z, y and x: not 0 in coarser levels only.
    pub origin: [f64; 3],
    pub warnings: Vec<String>,
}

impl Described {
    /// How many pages there are to be; `None` where that is no number.
    pub(super) fn pages(&self) -> Option<u64> {
        self.leads.iter().try_fold(1u64, |n, lead| n.checked_mul(lead.len))
    }

    /// Planes of a volume.
    pub(super) fn depth(&self) -> u64 {
        self.leads.iter().find(|lead| lead.name == "z").map_or(1, |lead| lead.len)
    }

    /// The axes of volumes, slowest first: time before channels, others before both. Those of length 1 go.
    pub(super) fn outer(&self) -> Vec<Axis> {
        let axis = |lead: &Lead| Axis {
            name: lead.name.clone(),
            len: lead.len,
            step: lead.step,
            start: 0.0,
            unit: lead.unit.clone(),
        };
        self.outer_leads().into_iter().map(|n| axis(&self.leads[n])).collect()
    }

    fn outer_leads(&self) -> Vec<usize> {
        let rank = |lead: &Lead| ["t", "c"].iter().position(|name| *name == lead.name).map_or(0, |n| n + 1);
        let is_outer = |lead: &Lead| lead.name != "z" && lead.len > 1;
        let mut outer: Vec<usize> = (0..self.leads.len()).filter(|&n| is_outer(&self.leads[n])).collect();
        outer.sort_by_key(|&n| rank(&self.leads[n]));
        outer
    }

    /// The page of each plane, volume by volume.
    pub(super) fn order(&self) -> impl Iterator<Item = u64> + use<> {
        let strides: Vec<u64> = (0..self.leads.len())
            .map(|n| self.leads[n + 1..].iter().fold(1, |stride: u64, lead| stride.saturating_mul(lead.len)))
            .collect();
        let mut axes: Vec<(u64, u64)> =
            self.outer_leads().into_iter().map(|n| (self.leads[n].len, strides[n])).collect();
        axes.extend(self.leads.iter().zip(&strides).find(|(lead, _)| lead.name == "z").map(|(lead, &s)| (lead.len, s)));
        let total = axes.iter().fold(1u64, |n, (len, _)| n.saturating_mul(*len));
        (0..total).map(move |plane| {
            let (mut rest, mut page) = (plane, 0);
            for &(len, stride) in axes.iter().rev() {
                page += rest % len * stride;
                rest /= len;
            }
            page
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(leads: &[(&str, u64)]) -> Described {
        let leads = leads.iter().map(|(name, len)| Lead::new(name, *len)).collect();
        Described {
            kind: "TIFF",
            leads,
            steps: [None; 3],
            scales: [1.0; 3],
            unit: Unit::Unknown,
            origin: [0.0; 3],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn planes_are_found_in_pages_of_any_order() {
        let hyperstack = described(&[("t", 2), ("z", 3), ("c", 2)]);
        assert_eq!(hyperstack.outer().iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>(), ["t", "c"]);
        assert_eq!(hyperstack.order().collect::<Vec<_>>(), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
        let stack = described(&[("z", 4)]);
        assert_eq!((stack.order().collect::<Vec<_>>(), stack.depth()), (vec![0, 1, 2, 3], 4));
        let turned = described(&[("c", 2), ("z", 1), ("t", 2), ("angle", 1)]);
        assert_eq!(turned.order().collect::<Vec<_>>(), [0, 2, 1, 3]);
        assert_eq!(turned.pages(), Some(4));
    }
}

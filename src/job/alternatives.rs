//! What a refusal offers beside more memory: methods whose sums can be carried on, so that the source's chunks go by one after the
//! other and none is kept.

use crate::{
    error::{Error, Instead, PlanError, Result, mebibytes},
    geometry::Mapping,
    resample::{Area, KernelShape, Method, OpRequest},
};

/// Reductions along an axis below this are none that chunks would have to be held for.
const STRONG: f64 = 1.5;
/// Where less than this is named, nobody needs another method for it.
const LARGE_BYTES: u64 = 48 << 20;
/// Less memory than this share of what is named is worth another method.
const WORTH_TELLING: u64 = 2;
/// Budgets tried for one method.
const MOST_TRIES: usize = 2;

/// Methods instead of that of `op`, each of which `plan` accepts with the budget that is told with them: the given one, or the
/// smallest for the first of them, where that is at most half of what is `named`. `parts` says whether voxels have parts that belong
/// together.
pub(super) fn instead(
    op: &OpRequest,
    parts: bool,
    (given_bytes, named_bytes): (u64, u64),
    plan: impl Fn(&OpRequest, u64) -> Result<()>,
) -> Option<Instead> {
    if !is_strong(&op.mapping) || named_bytes < LARGE_BYTES {
        return None;
    }
    let others = others(op, parts);
    let mut memory_bytes = given_bytes;
    for _ in 0..=MOST_TRIES {
        if memory_bytes > named_bytes / WORTH_TELLING {
            return None;
        }
        let mut methods = Vec::new();
        let mut least = u64::MAX;
        for (method, antialias) in &others {
            match plan(&OpRequest { method: *method, antialias: *antialias, ..op.clone() }, memory_bytes) {
                Ok(()) => methods.push(told(*method, *antialias)),
                Err(Error::Plan(PlanError::TooSmall { smallest_bytes, .. })) => least = least.min(smallest_bytes),
                Err(_) => {}
            }
        }
        if !methods.is_empty() {
            return Some(Instead { methods, memory_bytes: memory_bytes >> 20 << 20 })
                .filter(|_| memory_bytes >= 1 << 20);
        }
        memory_bytes = mebibytes(least).saturating_mul(1 << 20).max(memory_bytes);
    }
    None
}

fn is_strong(mapping: &Mapping) -> bool {
    matches!(mapping, Mapping::AxisAligned(maps) if maps.iter().any(|map| map.scale.abs() > STRONG))
}

/// Methods of the same kind, the most alike first: of names only those that mix none.
fn others(op: &OpRequest, parts: bool) -> Vec<(Method, bool)> {
    let of_values = [
        (Method::Area(Area::Mean), false),
        (Method::Kernel(KernelShape::Linear), true),
        (Method::Area(Area::Min), false),
        (Method::Area(Area::Max), false),
    ];
    let of_names = [(Method::Area(Area::Mode), false), (Method::Nearest, false)];
    let is_of_names = !op.method.mixes() && !matches!(op.method, Method::Area(Area::Min | Area::Max));
    let all = if is_of_names { &of_names[..] } else { &of_values[..] };
    let differs = |(method, antialias): &&(Method, bool)| *method != op.method || *antialias != op.antialias;
    all.iter().filter(differs).filter(|(method, _)| !parts || !method.picks()).copied().collect()
}

fn told(method: Method, antialias: bool) -> String {
    if antialias { format!("{method} --antialias") } else { method.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::AxisMap,
        region::Region,
        resample::{LabelWeights, Order, Outside},
        voxel::Rounding,
    };

    const MIB: u64 = 1 << 20;

    fn op(method: Method, scale: f64) -> OpRequest {
        let maps = std::array::from_fn(|a| AxisMap { source_axis: a, scale, offset: 0.0 });
        OpRequest {
            method,
            antialias: false,
            mapping: Mapping::AxisAligned(maps),
            target_shape: [9; 3],
            bounds: Region::of_shape([90; 3]),
            outside: Outside::Value(0.0),
            rounding: Rounding::Nearest,
            order: Order::Rising,
        }
    }

    /// What is told where methods need so many mebibytes.
    fn told(method: Method, scale: f64, given: u64, named: u64, needed: impl Fn(Method) -> u64) -> Option<Instead> {
        instead(&op(method, scale), false, (given * MIB, named * MIB), |op, memory_bytes| {
            let smallest_bytes = needed(op.method) * MIB;
            let refusal = PlanError::TooSmall {
                memory_bytes,
                smallest_bytes,
                block: [1; 3],
                window_bytes: 0,
                has_chunks: true,
                instead: None,
            };
            if memory_bytes < smallest_bytes { Err(refusal.into()) } else { Ok(()) }
        })
    }

    const MEDIAN: Method = Method::Area(Area::Median);

    #[test]
    fn methods_are_named_that_the_budget_is_enough_for() {
        let needed = |method| if method == Method::Area(Area::Max) { 400 } else { 30 };
        let found = told(MEDIAN, 10.0, 64, 900, needed).unwrap();
        assert_eq!((found.methods.join("; "), found.memory_bytes), ("mean; linear --antialias; min".into(), 64 * MIB));
        let found = told(Method::Label(LabelWeights::Linear), 10.0, 64, 900, needed).unwrap();
        assert_eq!(found.methods, ["mode", "nearest"], "names are not mixed");
    }

    #[test]
    fn a_larger_budget_is_named_where_it_is_much_less_and_was_tried() {
        let found = told(MEDIAN, 10.0, 8, 900, |_| 30).unwrap();
        assert_eq!(found.memory_bytes, mebibytes(30 * MIB) * MIB);
        assert_eq!(told(MEDIAN, 10.0, 8, 50, |_| 30), None, "hardly less");
        assert_eq!(told(MEDIAN, 1.2, 64, 900, |_| 30), None, "no strong reduction");
        assert_eq!(told(MEDIAN, 10.0, 64, 900, |_| u64::MAX >> 20), None, "nothing can be planned");
    }
}

//! Small NIfTI-1 files by a line of text, with whatever is wrong in them.

use std::{collections::HashMap, fs, path::Path};

/// Code and bytes of a type.
fn sample(name: &str) -> (i16, usize) {
    match name {
        "u8" => (2, 1),
        "i16" => (4, 2),
        "f32" => (16, 4),
        "rgb" => (128, 3),
        "i64" => (1024, 8),
        other => panic!("no type {other}"),
    }
}

fn numbers(text: &str) -> Vec<f32> {
    text.split(',').map(|part| part.parse().unwrap()).collect()
}

/// Writes `NAME EXTENTS TYPE PATTERN [key=value] ...` into `folder`.
pub(crate) fn write(folder: &Path, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, extents, kind, pattern, ..] = words[..] else { panic!("{line}") };
    let keys: HashMap<&str, &str> = words[4..].iter().map(|word| word.split_once('=').unwrap()).collect();
    let dims: Vec<usize> = extents.split(',').map(|part| part.parse().unwrap()).collect();
    let mut bytes = header(&dims, kind, &keys);
    let mut state = 12345u64;
    for n in 0..dims.iter().product::<usize>() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = [n % dims[0], n / dims[0] % dims[1], n / (dims[0] * dims[1])];
        push(&mut bytes, kind, pattern, (at, n, state >> 33), [dims[0], dims[1]]);
    }
    fs::write(folder.join(name), bytes).unwrap();
}

fn header(dims: &[usize], kind: &str, keys: &HashMap<&str, &str>) -> Vec<u8> {
    let mut header = vec![0u8; 352];
    let (code, bytes) = sample(kind);
    let mut put = |at: usize, value: &[u8]| header[at..at + value.len()].copy_from_slice(value);
    let (of_i16, of_f32) = (i16::to_le_bytes, f32::to_le_bytes);
    let step = numbers(keys.get("step").unwrap_or(&"1,1,1"));
    let origin = numbers(keys.get("origin").unwrap_or(&"-7,8,9.5"));
    let slope = numbers(keys.get("slope").unwrap_or(&"1,0"));
    let shear = keys.get("shear").map_or(0.0, |shear| shear.parse().unwrap());
    put(0, &348i32.to_le_bytes());
    put(40, &of_i16(dims.len() as i16));
    (0..7).for_each(|n| put(42 + 2 * n, &of_i16(dims.get(n).map_or(1, |&len| len as i16))));
    put(68, &of_i16(keys.get("intent").map_or(0, |code| code.parse().unwrap())));
    put(70, &of_i16(code));
    put(72, &of_i16(8 * bytes as i16));
    let pixdim = [1.0, step[0], step[1], step[2], 1.0, 1.0, 1.0, 1.0];
    pixdim.iter().enumerate().for_each(|(n, &value)| put(76 + 4 * n, &of_f32(value)));
    put(108, &of_f32(352.0));
    put(112, &[of_f32(slope[0]), of_f32(slope[1])].concat());
    put(123, &[10]);
    put(254, &of_i16(keys.get("codes").map_or(1, |code| code.parse().unwrap())));
    let rows = [step[0], shear, 0.0, origin[0], 0.0, step[1], 0.0, origin[1], 0.0, 0.0, step[2], origin[2]];
    rows.iter().enumerate().for_each(|(n, &value)| put(280 + 4 * n, &of_f32(value)));
    put(328, keys.get("name").unwrap_or(&"").as_bytes());
    put(344, b"n+1\0");
    if let Some(poke) = keys.get("poke") {
        let parts: Vec<&str> = poke.split(':').collect();
        let at = parts[0].parse().unwrap();
        match parts[1] {
            "i16" => put(at, &of_i16(parts[2].parse().unwrap())),
            _ => put(at, &of_f32(parts[2].parse().unwrap())),
        }
    }
    header
}

fn push(
    bytes: &mut Vec<u8>,
    kind: &str,
    pattern: &str,
    (at, n, random): ([usize; 3], usize, u64),
    extents: [usize; 2],
) {
    let [x, y, z] = at;
    let block = (x / 5 * 7 + y / 5 * 3 + z / 5 * 4) % 5;
    let label = [0u8, 1, 3, 17, 53][block];
    if kind == "rgb" {
        let noise = [random as u8, (random >> 8) as u8, (random >> 16) as u8];
        return bytes.extend(if pattern == "blocks" { [label; 3] } else { noise });
    }
    let is_in_mask = || {
        let from_centre = |at: usize, extent: usize| (at as f64 - extent as f64 / 2.0).powi(2);
        from_centre(x, extents[0]) + from_centre(y, extents[1]) < 40.0
    };
    let value = match pattern {
        "noise" if kind == "u8" => (random % 256) as f64,
        "noise" => (random % 1000) as f64,
        "blocks" => f64::from(label),
        "mask" => f64::from(u8::from(is_in_mask())),
        "nan" if n.is_multiple_of(50) => f64::NAN,
        "nan" => (random % 1000) as f64,
        "small" => (random % 1000) as f64 / 2000.0,
        other => panic!("no pattern {other}"),
    };
    match kind {
        "u8" => bytes.push(value as u8),
        "i16" => bytes.extend((value as i16).to_le_bytes()),
        "i64" => bytes.extend((value as i64).to_le_bytes()),
        _ => bytes.extend((value as f32).to_le_bytes()),
    }
}

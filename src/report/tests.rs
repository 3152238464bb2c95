use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    Phantom, PicturesRequest, Request,
    geometry::{GridRequest, Sizing},
    job::{GridChoice, Job},
};

/// A run whose request asks for pictures, of a phantom to 2 mm.
fn run(change: impl FnOnce(&mut Request)) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let (scan, target) = (folder.path().join("a<b>.nii.gz"), folder.path().join("out.nii"));
    Phantom::new([20, 60, 60], [3.0, 1.0, 1.0]).write(&scan).unwrap();
    let mut request = Request::new(&scan, &target, 1 << 30, 2);
    request.grid = GridChoice::Rules(GridRequest { sizing: Sizing::Spacing([2.0; 3]), ..GridRequest::default() });
    request.pictures = Some(PicturesRequest::default());
    change(&mut request);
    Job::resolve(request).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap()
}

#[test]
fn a_page_has_everything_and_nothing_of_the_network() {
    let summary = run(|_| {});
    let page = of_run(&summary, &["resample".into(), "a<b>.nii.gz".into()], &["look <here>".into()]).unwrap();
    let data: Value = serde_json::from_str(&page.json).unwrap();
    assert_eq!((&data["schema"], &data["content"]), (&json!(1), &json!("intensities")));
    assert_eq!(data["pictures"].as_array().unwrap().len(), 3);
    assert_eq!(page.html.matches("data:image/png;base64,").count(), 6);
    for text in ["a&lt;b&gt;.nii.gz", "look &lt;here&gt;", "Volumes were resampled with reslice", "id=\"data\""] {
        assert!(page.html.contains(text), "{text}");
    }
    let outside = page.html.replace("data:image", "");
    assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("a<b>"));
    let (_, rest) = page.html.split_once("id=\"data\">").unwrap();
    let (inside, _) = rest.split_once("</script>").unwrap();
    assert_eq!(serde_json::from_str::<Value>(inside).unwrap(), data);
}

#[test]
fn sprites_hold_the_samples_of_the_target() {
    let summary = run(|_| {});
    let pictures = summary.pictures.as_deref().unwrap();
    let seen = Seen::of(pictures);
    let sprites = encode::sprites(pictures, &seen, Content::Intensities).unwrap();
    assert!(sprites.notes().is_empty());
    for (pair, images) in pictures.pairs.iter().zip(&sprites.images) {
        let file = images[1].as_deref().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(pair.after.lacking(), 0);
        for (n, pixel) in bytes.chunks(3).enumerate() {
            let code = f64::from(u16::from_be_bytes([pixel[0], pixel[1]]));
            assert_eq!(pair.after.get(n).map(f64::from), Some(sprites.code.offset + code * sprites.code.step));
        }
    }
}

#[test]
fn large_noise_is_made_to_fit_a_page() {
    let pictures = |whole: bool| {
        let grid = crate::Grid::with_spacing([768; 3], [1.0; 3], Unit::Millimetre);
        let mapping = crate::geometry::Mapping::between(&grid, &grid).unwrap().mapping;
        let values = crate::pictures::Values { stored: Dtype::F32, rounding: crate::Rounding::Nearest, slope: None };
        let scene = crate::pictures::Scene {
            source: &grid,
            target: &grid,
            mapping: &mapping,
            bounds: crate::Region::of_shape(grid.shape),
            has_outside: false,
            values: [values; 2],
            is_label: false,
            pixels: 768,
        };
        let pictures = Pictures::new(&scene);
        for pair in &pictures.pairs {
            for raster in pair.before.iter().chain([&pair.after]) {
                raster.take(crate::Region::of_shape(grid.shape), &|[z, y, x]| {
                    let mixed = ((z as u64) << 40 ^ (y as u64) << 20 ^ x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let mixed = (mixed ^ mixed >> 31).wrapping_mul(0x2545_f491_4f6c_dd1d);
                    let noise = (mixed >> 40) as f64;
                    if whole { noise } else { noise / 7.0 }
                });
            }
        }
        pictures
    };
    for whole in [true, false] {
        let pictures = pictures(whole);
        let seen = Seen::of(&pictures);
        let sprites = encode::sprites(&pictures, &seen, Content::Microscopy).unwrap();
        let bytes: usize = sprites.images.iter().flatten().flatten().map(Vec::len).sum();
        assert!(bytes < 2_100_000 && !sprites.notes().is_empty(), "{bytes}");
    }
}

#[test]
fn windows_suit_what_is_seen() {
    let summary = run(|_| {});
    let pictures = summary.pictures.as_deref().unwrap();
    let seen = Seen::of(pictures);
    let small = seen.content(false, false, &Unit::Micrometre);
    assert_eq!((small, seen.content(true, true, &Unit::Millimetre)), (Content::Microscopy, Content::Labels));
    for content in [Content::Labels, Content::Ct, Content::Intensities, Content::Microscopy] {
        let windows = seen::windows(content, &seen);
        assert!(windows.iter().all(|window| window.high > window.low && !window.name.is_empty()), "{windows:?}");
        assert_eq!(windows[0].colours, content == Content::Labels);
    }
    assert_eq!(seen::windows(Content::Ct, &seen)[0].low, -160.0);
    assert!(seen.percentile(0.01, false) <= seen.percentile(0.5, false));
    assert!(seen.percentile(0.01, true) > 0.0);
}

#[test]
fn a_preview_shows_planes_or_projections() {
    let size = |file: &[u8]| {
        let reader = png::Decoder::new(std::io::Cursor::new(file.to_vec())).read_info().unwrap();
        [reader.info().width, reader.info().height]
    };
    let summary = run(|_| {});
    let planes = preview(&summary).unwrap();
    let projected = run(|request| request.pictures = Some(PicturesRequest { highest: true }));
    let highest = preview(&projected).unwrap();
    let [columns, rows]: [usize; 2] = [60 + 60 + 60 + 24, 60 + 12];
    assert_eq!([size(&planes), size(&highest)], [[columns as u32, rows as u32]; 2]);
    assert_ne!(planes, highest);
    let none = run(|request| request.pictures = None);
    assert!(preview(&none).is_err() && of_run(&none, &[], &[]).is_err());
}

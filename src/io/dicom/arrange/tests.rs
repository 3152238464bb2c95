use std::convert::Infallible;

use super::*;

const PLANE: Plane = Plane { orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], spacing: [0.5, 0.5], step: 3.0 };

fn slice(file: u32, position: [f64; 3], number: f64) -> Slice {
    let mut keys = Keys::default();
    keys.0[0] = number;
    Slice { file, offset: 0, len: 0, position, slope: 1.0, intercept: 0.0, keys, days: Days::default() }
}

fn at(places: &[f64]) -> Vec<Slice> {
    places.iter().enumerate().map(|(n, &z)| slice(n as u32, [1.0, 2.0, z], f64::NAN)).collect()
}

fn arranged(slices: Vec<Slice>, is_same: bool) -> Result<Arranged, String> {
    arrange(slices, &PLANE, |_, _| Ok::<_, Infallible>(is_same)).unwrap().map_err(|refusal| refusal.0)
}

fn files(arranged: &Arranged) -> Vec<u32> {
    arranged.slices.iter().map(|slice| slice.file).collect()
}

#[test]
fn slices_come_in_the_order_of_their_places() {
    let found = arranged(at(&[10.0, 4.0, 8.0, 6.0]), false).unwrap();
    assert_eq!(files(&found), [1, 3, 2, 0]);
    assert_eq!((found.origin, found.step), ([1.0, 2.0, 4.0], [0.0, 0.0, 2.0]));
    let one = arranged(at(&[10.0]), false).unwrap();
    assert_eq!((one.step, one.volumes), ([0.0, 0.0, 3.0], 1));
    // Rounded positions, and a tilted gantry.
    assert!(arranged(at(&[0.0, 2.001, 3.999, 6.0]), false).is_ok());
    let tilted = (0..4).map(|n| slice(n, [1.0, 0.2 * f64::from(n), f64::from(n)], 0.0)).collect();
    let found = arranged(tilted, false).unwrap();
    assert!((found.tilt - 0.2f64.atan().to_degrees()).abs() < 1e-6, "{}", found.tilt);
}

#[test]
fn what_makes_no_grid_is_told_with_its_places() {
    let told = |places: &[f64]| arranged(at(places), false).unwrap_err();
    assert_eq!(told(&[0.0, 2.0, 6.0, 8.0]), "lacks slices between 2.000 and 6.000 mm (steps of 2.000 mm)");
    assert!(
        told(&[0.0, 2.0, 4.3, 6.0]).starts_with("has uneven steps: 2.000 mm, and 2.300 mm between 2.000 and 4.300 mm")
    );
    assert_eq!(told(&[0.0, 2.0, 2.0, 4.0]), "has 1 slice at most places and 2 at 2.000 mm");
    assert!(told(&[0.0, 0.0, 2.0, 2.0]).contains("which no one of temporal position, echo time"));
    let mut bent = at(&[0.0, 2.0, 4.0, 6.0]);
    bent[1].position[0] += 1.0;
    assert!(arranged(bent, false).unwrap_err().contains("off the line"));
    let same = arranged(at(&[0.0, 2.0, 2.0, 4.0]), true).unwrap();
    assert_eq!((files(&same), same.dropped), (vec![0, 1, 3], 1));
}

#[test]
fn volumes_of_the_same_places_are_told_apart() {
    let slices: Vec<Slice> = [(3.0, 0.0), (1.0, 2.0), (3.0, 2.0), (1.0, 0.0)]
        .iter()
        .enumerate()
        .map(|(n, &(t, z))| slice(n as u32, [0.0, 0.0, z], t))
        .collect();
    let found = arranged(slices.clone(), false).unwrap();
    assert_eq!((files(&found), found.volumes, found.key), (vec![3, 1, 0, 2], 2, Some("temporal position")));
    // The other way round at one place: what counts is the key.
    let mut odd = slices;
    odd[1].keys.0[0] = 2.0;
    assert!(arranged(odd, false).is_err());
}

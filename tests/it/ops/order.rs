//! Samples that fall as the values rise that they stand for: a negative slope.

use reslice::{
    geometry::AxisMap,
    resample::{Area, LabelWeights, Method, OpRequest, Order, Outside},
    voxel::Voxel,
};

use crate::kit::{apply::whole, cases, oblique, rng::Rng, volumes::count};

fn picking() -> Vec<Method> {
    let labels = [LabelWeights::Linear, LabelWeights::Gaussian { sigma: 1.0 }].map(Method::Label);
    let covers = [Area::Mode, Area::Min, Area::Max].map(Method::Area);
    std::iter::once(Method::Nearest).chain(labels).chain(covers).collect()
}

/// Few values, so that there are many ties.
fn samples(len: usize, rng: &mut Rng) -> Vec<i16> {
    (0..len).map(|_| *rng.one_of(&[-7, -1, 0, 3, 20])).collect()
}

/// The same values, stored with a slope of 1 and of -1, make the same target values.
fn assert_same<T: Voxel + std::ops::Neg<Output = T>>(request: &OpRequest, shape: [u64; 3], source: &[T]) {
    // The edge has no sign of its own.
    let request = OpRequest { outside: Outside::Edge, ..request.clone() };
    let negated: Vec<T> = source.iter().map(|&v| -v).collect();
    let rising = whole(&request, source, shape);
    let falling = whole(&OpRequest { order: Order::Falling, ..request.clone() }, &negated, shape);
    let differ = rising.iter().zip(&falling).filter(|&(&a, &b)| a != -b).count();
    assert_eq!(differ, 0, "{} of {} voxels of {request:?}", differ, rising.len());
}

#[test]
fn a_negative_slope_makes_the_same_values_by_every_method() {
    let mut rng = Rng::new("falling floats");
    for method in cases::kernels().into_iter().chain(picking()) {
        for _ in 0..6 {
            let case = cases::random(method, &mut rng);
            let source = samples(count(case.source_shape), &mut rng).into_iter().map(f32::from).collect::<Vec<_>>();
            assert_same(&case.request, case.source_shape, &source);
        }
    }
    for method in oblique::methods() {
        let shape = [5, 6, 7];
        for _ in 0..6 {
            let request = oblique::request(method, shape, &mut rng);
            let source = samples(count(shape), &mut rng).into_iter().map(f32::from).collect::<Vec<_>>();
            assert_same(&request, shape, &source);
        }
    }
}

#[test]
fn a_negative_slope_makes_the_same_integers_by_every_method_that_picks() {
    let mut rng = Rng::new("falling integers");
    for method in picking() {
        for _ in 0..20 {
            let case = cases::random(method, &mut rng);
            let source = samples(count(case.source_shape), &mut rng);
            assert_same(&case.request, case.source_shape, &source);
            let oblique = oblique::request(method, case.source_shape, &mut rng);
            assert_same(&oblique, case.source_shape, &source);
        }
    }
}

/// Without the order of values, every one of these would be another voxel.
#[test]
fn ties_and_extremes_go_by_the_value() {
    let shape = [1, 1, 2];
    for (cover, rising, falling) in [(Area::Mode, 10, 20), (Area::Min, 10, 20), (Area::Max, 20, 10)] {
        let map = |source_axis, scale, offset| AxisMap { source_axis, scale, offset };
        let maps = [map(0, 1.0, 0.0), map(1, 1.0, 0.0), map(2, 2.0, 0.5)];
        let request = cases::request(Method::Area(cover), maps, [1; 3], shape);
        assert_eq!(whole(&request, &[10i16, 20], shape), [rising], "{cover:?}");
        let request = OpRequest { order: Order::Falling, ..request };
        assert_eq!(whole(&request, &[10i16, 20], shape), [falling], "{cover:?}");
    }
}

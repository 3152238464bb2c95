//! Runs that end early and are gone on with, and runs that share a target: the same bytes as one run from end to end.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

mod jobs;
use crate::kit::{nifti::Said, rng::Rng, timeout::within, volumes::random_voxels};
use jobs::*;
use reslice::{
    error::{Error, Result},
    geometry::{GridRequest, Sizing},
    io::gzip::Framing,
    job::{
        Event, GridChoice, InPlace, InPlaceRequest, Job, PyramidRequest, Request, Summary, TargetOptions, TargetState,
    },
    rank::Rank,
    resample::{KernelShape, Method},
    voxel::Dtype,
};

#[test]
fn stopped_and_killed_runs_are_gone_on_with_to_the_same_bytes() {
    within(300, || {
        let (set, mut rng) = (Set::new(), Rng::new("stops"));
        for case in CASES.into_iter().chain(PYRAMIDS) {
            let expected = set.expected(case);
            for _ in 0..4 {
                let mut stops = 0;
                for _ in 0..rng.within(1, 4) {
                    let most = rng.within(1, 12);
                    let request = set.of(case, memory(&mut rng), rng.within(1, 3) as usize);
                    if rng.below(4) == 0 {
                        killed(request, most);
                    } else {
                        match run(request, most as usize) {
                            Err(Error::Stopped { .. }) => stops += 1,
                            Ok(_) => break,
                            Err(error) => panic!("{case:?}: {error}"),
                        }
                    }
                }
                let summary = run(set.of(case, memory(&mut rng), 2), usize::MAX).unwrap();
                assert!(stops == 0 || summary.stored_before <= summary.voxels);
                let again = run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
                assert_eq!(again.target_state, TargetState::FinishedBefore, "{case:?}");
                assert!(set.take(case) == expected, "{case:?}");
            }
        }
    });
}

#[test]
fn what_is_stored_is_not_made_again() {
    let set = Set::new();
    for case in CASES {
        let whole = run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
        set.take(case);
        let Err(Error::Stopped { .. }) = run(set.of(case, 1 << 30, 1), 1) else { continue };
        let rest = run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
        let voxels = |summary: &Summary| {
            summary.passes.iter().filter_map(|pass| pass.done).map(|done| done.voxels_done).sum::<u64>()
        };
        assert!(rest.stored_before > 0, "{case:?}");
        assert_eq!(voxels(&rest) + rest.stored_before, voxels(&whole), "{case:?}");
        set.take(case);
    }
}

#[test]
fn ranks_make_the_same_bytes_in_any_order() {
    within(300, || {
        let (set, mut rng) = (Set::new(), Rng::new("ranks"));
        for case in CASES {
            let expected = set.expected(case);
            for of in [1, 2, 5, 16] {
                let mut order: Vec<u64> = (0..of).collect();
                for n in (1..order.len()).rev() {
                    order.swap(n, rng.below(n as u64 + 1) as usize);
                }
                let mut last = None;
                for &index in &order {
                    let mut request = set.of(case, memory(&mut rng), rng.within(1, 3) as usize);
                    request.rank = Some(Rank { index, of });
                    if rng.below(3) == 0 {
                        let _ = run(request.clone(), rng.within(1, 3) as usize);
                    }
                    last = Some(run(request.clone(), usize::MAX).unwrap());
                    if rng.below(4) == 0 {
                        run(request, usize::MAX).unwrap();
                    }
                }
                let last = last.unwrap().target_state;
                assert!([TargetState::Complete, TargetState::FinishedBefore].contains(&last), "{case:?} {last:?}");
                assert!(set.take(case) == expected, "{case:?} by {of}");
            }
        }
    });
}

#[test]
fn another_number_of_ranks_goes_on_with_what_is_there() {
    let (set, mut rng) = (Set::new(), Rng::new("other ranks"));
    for case in CASES {
        let expected = set.expected(case);
        for (index, of) in [(1, 3), (0, 2)] {
            let mut request = set.of(case, memory(&mut rng), 2);
            request.rank = Some(Rank { index, of });
            run(request, usize::MAX).unwrap();
        }
        run(set.of(case, memory(&mut rng), 2), usize::MAX).unwrap();
        assert!(set.take(case) == expected, "{case:?}");
    }
}

#[test]
fn another_job_is_refused_with_what_differs() {
    let set = Set::new();
    let case = CASES[0];
    let Err(Error::Stopped { .. }) = run(set.of(case, 1 << 30, 1), 1) else { panic!("no block to stop after") };
    let mut other = set.of(case, 1 << 30, 1);
    other.method = Some(Method::Nearest);
    let refused = run(other.clone(), usize::MAX).unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("interpolation: linear, and now nearest"), "{refused}");
    run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
    assert!(matches!(run(other, usize::MAX), Err(Error::OtherJob { .. })));
    // Made by nobody who left a note.
    fs::remove_dir_all(set.state(case)).unwrap();
    assert!(matches!(run(set.of(case, 1 << 30, 1), usize::MAX), Err(Error::TargetExists { .. })));
}

#[test]
fn levels_in_place_are_gone_on_with() {
    let (set, mut rng) = (Set::new(), Rng::new("levels"));
    let case = Case { input: "a.nii", output: "out.zarr", adapt: small_shards };
    let request = |overwrite, resume| InPlaceRequest {
        checks_disk: true,
        store: set.at("out.zarr"),
        levels: Some(2),
        method: None,
        overwrite,
        resume,
        restart: false,
        memory_bytes: 1 << 30,
        threads: 2,
    };
    let make = || run(Request { resume: false, ..set.of(case, 1 << 30, 2) }, usize::MAX).unwrap();
    make();
    InPlace::resolve(request(false, false)).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
    let expected = set.take(case);
    for _ in 0..6 {
        make();
        for _ in 0..3 {
            let (stop, most) = (AtomicBool::new(false), rng.within(1, 20));
            let mut blocks = 0;
            let result = InPlace::resolve(request(false, true)).unwrap().run(&stop, |event| {
                if let Event::Progress { progress, .. } = event {
                    blocks = progress.blocks_done.max(blocks);
                    stop.store(blocks >= most, Ordering::SeqCst);
                }
            });
            assert!(matches!(result, Ok(_) | Err(Error::Stopped { .. })), "{result:?}");
        }
        InPlace::resolve(request(false, true)).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
        let again = InPlace::resolve(request(false, true)).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
        assert!(again.finished_before);
        assert!(set.take(case) == expected);
    }
}

#[test]
fn a_forgotten_resume_throws_nothing_away() {
    let set = Set::new();
    for case in [CASES[0], CASES[2], CASES[7], PYRAMIDS[0]] {
        let begin = || {
            let stopped = run(Request { resume: false, ..set.of(case, 1 << 30, 1) }, 1);
            assert!(matches!(stopped, Err(Error::Stopped { .. })), "{case:?}");
        };
        begin();
        for overwrite in [false, true] {
            let mut again = Request { resume: false, ..set.of(case, 1 << 30, 1) };
            again.target.overwrite = overwrite;
            let refused = run(again.clone(), usize::MAX).unwrap_err();
            assert_eq!(
                (refused.exit_code(), refused.hint().unwrap().as_str()),
                (2, "--resume goes on, --restart begins anew")
            );
            assert!(
                matches!(refused, Error::Unfinished { share, difference: None, .. } if share > 0.0 && share <= 1.0),
                "{refused}"
            );
            again.method = Some(Method::Nearest);
            let refused = run(again, usize::MAX).unwrap_err();
            assert!(refused.to_string().contains("interpolation: linear, and now nearest"), "{refused}");
        }
        // The hints do what they say.
        let rest = run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
        assert!(rest.stored_before > 0, "{case:?}");
        let expected = set.take(case);
        begin();
        let anew = Request { resume: false, restart: true, ..set.of(case, 1 << 30, 1) };
        assert_eq!(run(anew, usize::MAX).unwrap().stored_before, 0);
        assert!(set.take(case) == expected, "{case:?}");
    }
}

#[test]
fn a_run_that_overwrites_is_gone_on_with() {
    let set = Set::new();
    let case = CASES[0];
    let expected = set.expected(case);
    fs::write(set.at("out.nii"), "old").unwrap();
    let mut request = set.of(case, 1 << 30, 1);
    request.target.overwrite = true;
    assert!(matches!(run(request.clone(), 1), Err(Error::Stopped { .. })));
    assert_eq!(fs::read(set.at("out.nii")).unwrap(), b"old");
    assert!(run(request.clone(), usize::MAX).unwrap().stored_before > 0);
    assert_eq!(run(request.clone(), usize::MAX).unwrap().target_state, TargetState::FinishedBefore);
    // Another job replaces it.
    request.method = Some(Method::Nearest);
    assert_eq!(run(request, usize::MAX).unwrap().target_state, TargetState::Complete);
    assert!(set.take(case) != expected);
}

#[test]
fn a_note_of_a_finished_job_is_no_unfinished_work() {
    let set = Set::new();
    let case = CASES[0];
    run(set.of(case, 1 << 30, 1), usize::MAX).unwrap();
    let mut again = Request { resume: false, ..set.of(case, 1 << 30, 1) };
    again.target.overwrite = true;
    let mut cleared = 0;
    let stop = AtomicBool::new(false);
    Job::resolve(again)
        .unwrap()
        .run(&stop, |event| cleared += usize::from(matches!(event, Event::Cleared(_))))
        .unwrap();
    assert_eq!(cleared, 0);
}

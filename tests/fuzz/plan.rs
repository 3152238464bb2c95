//! The plan of anything: it tiles what is to be made, with every chunk at hand, or tells the smallest budget.

use reslice::{
    error::PlanError,
    plan::{Plan, Request},
};

use super::kit::{
    plans::{Setting, left, simulate},
    rng::Rng,
};

pub(super) fn body(bytes: &[u8]) {
    let rng = &mut Rng::of_bytes(bytes);
    let setting = Setting::random(rng);
    let (of, threads) = (rng.within(1, 7), rng.within(1, 5) as usize);
    let shares = setting.shares(of);
    let share = &shares[rng.below(of) as usize];
    let todo = left(&setting, Some(share), setting.random_done(rng));
    let memory = rng.below(9 << 20);
    let request = Request { todo: Some(&todo), ..setting.request(memory, threads) };
    match Plan::new(&request) {
        Ok(plan) => hold(&setting, &plan, &request),
        Err(PlanError::TooSmall { smallest_bytes, .. }) => {
            assert!(
                smallest_bytes > memory,
                "{smallest_bytes} would do, and {memory} would not: {}",
                setting.describe()
            );
            let enough = Request { todo: Some(&todo), ..setting.request(smallest_bytes, threads) };
            let plan = Plan::new(&enough).unwrap_or_else(|e| panic!("{e:?}: {}", setting.describe()));
            hold(&setting, &plan, &enough);
        }
        Err(error) => panic!("{error:?}: {}", setting.describe()),
    }
}

fn hold(setting: &Setting, plan: &Plan, request: &Request<'_>) {
    assert!(plan.projected_bytes() <= request.budget.memory_bytes, "{plan:?}: {}", setting.describe());
    simulate(setting, plan, &plan.touch(request));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let rng = &mut Rng::of(11);
    (0..40).map(|_| (0..160).map(|_| rng.bits() as u8).collect()).collect()
}

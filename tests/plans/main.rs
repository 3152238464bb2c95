//! The planner on volumes of any size: what it promises, and that it ends in time. A program of its own, for it measures itself.

#[path = "../kit/kit.rs"]
mod kit;

mod plan;
mod plan_ends;
mod plan_scale;

//! Runs one body for some seconds over changed seeds, watches for hangs, and makes what fails small.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::{Arc, Mutex, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    bodies::{Target, kit::rng},
    mutate::mutated,
};

/// An execution that takes longer has hung.
const HANG: Duration = Duration::from_secs(30);
/// For making an input that fails smaller.
const SHRINK: Duration = Duration::from_secs(20);
const QUIET: &str = "fuzzed";

/// What is under way, and since when.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

pub(crate) fn fuzz(target: &'static Target) {
    be_quiet();
    let current = Current::default();
    let own = current.clone();
    let worker = thread::Builder::new().name(QUIET.into()).spawn(move || work(target, &own)).unwrap();
    while !worker.is_finished() {
        thread::sleep(Duration::from_millis(20));
        if let Some((since, bytes)) = &*lock(&current) {
            assert!(since.elapsed() < HANG, "{} hangs: RESLICE_FUZZ_INPUT={}", target.name, hex(bytes));
        }
    }
    match worker.join() {
        Ok(None) => {}
        Ok(Some(failure)) => panic!("{failure}"),
        Err(panic) => panic!("{}: its seeds: {}", target.name, said(panic.as_ref())),
    }
}

/// The failure, if there is one.
fn work(target: &Target, current: &Current) -> Option<String> {
    let seconds = env::var("RESLICE_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2.0);
    let fails = |bytes: &[u8]| {
        *lock(current) = Some((Instant::now(), bytes.to_vec()));
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.body)(bytes)));
        *lock(current) = None;
        outcome.err().map(|panic| said(panic.as_ref()))
    };
    if let Ok(input) = env::var("RESLICE_FUZZ_INPUT") {
        return fails(&unhex(&input));
    }
    let (seed, seeds) = (rng::seed(), (target.seeds)());
    if let Ok(corpus) = env::var("RESLICE_FUZZ_CORPUS") {
        for (n, bytes) in seeds.iter().enumerate() {
            std::fs::write(format!("{corpus}/seed-{n:04}"), bytes).expect("a folder for the corpus");
        }
    }
    let rng = &mut rng::Rng::of(target.name.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b))));
    let (begun, mut executions) = (Instant::now(), 0u64);
    let failed = |n: u64, bytes: &[u8]| {
        let message = fails(bytes)?;
        let small = shrunk(bytes, &fails);
        let small_message = fails(&small).unwrap_or_default();
        Some(format!(
            "{} failed at execution {n}, RESLICE_SEED={seed}\n{message}\nsmallest: {small_message}\nRESLICE_FUZZ_INPUT={}",
            target.name,
            hex(&small)
        ))
    };
    for bytes in &seeds {
        executions += 1;
        if let Some(failure) = failed(executions, bytes) {
            return Some(failure);
        }
    }
    while begun.elapsed().as_secs_f64() < seconds {
        executions += 1;
        if let Some(failure) = failed(executions, &mutated(&seeds, rng)) {
            return Some(failure);
        }
    }
    let took = begun.elapsed().as_secs_f64();
    eprintln!("fuzz {} {executions} executions {took:.0} s {} seeds RESLICE_SEED={seed}", target.name, seeds.len());
    None
}

/// Shorter inputs that fail too: without ever smaller parts of it.
fn shrunk(bytes: &[u8], fails: &dyn Fn(&[u8]) -> Option<String>) -> Vec<u8> {
    let (mut small, begun) = (bytes.to_vec(), Instant::now());
    let mut part = small.len().div_ceil(2);
    while part > 0 && begun.elapsed() < SHRINK {
        let (mut at, before) = (0, small.len());
        while at < small.len() && begun.elapsed() < SHRINK {
            let without = [&small[..at], &small[(at + part).min(small.len())..]].concat();
            match fails(&without) {
                Some(_) => small = without,
                None => at += part,
            }
        }
        if small.len() == before || part > small.len() {
            part /= 2;
        }
    }
    small
}

/// Panics of bodies are told at the end only.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = take_hook();
        set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(QUIET) {
                return told(panic);
            }
            *lock(&WHERE) = panic.location().map(ToString::to_string).unwrap_or_default();
        }));
    });
}

/// Where the last panic of a body was.
static WHERE: Mutex<String> = Mutex::new(String::new());

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
    format!("{}: {}", lock(&WHERE), text.chars().take(2000).collect::<String>())
}

fn lock<V>(mutex: &Mutex<V>) -> std::sync::MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

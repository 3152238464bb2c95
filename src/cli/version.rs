//! `reslice --version --verbose`: what this program was built with, and what it finds here. `--version` alone is one line, by clap.

use std::ffi::OsString;

use super::words;
use reslice::sys;

/// Whether the arguments are `--version` and `--verbose`, in short or long.
pub(super) fn is_asked_for(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<String> = args.take(3).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let [a, b] = &args[..] else { return matches!(&args[..], [both] if both == "-Vv" || both == "-vV") };
    let is_version = |arg: &str| ["--version", "-V"].contains(&arg);
    let is_verbose = |arg: &str| ["--verbose", "-v"].contains(&arg);
    (is_version(a) && is_verbose(b)) || (is_verbose(a) && is_version(b))
}

/// Version, features, system and CPU, a line each.
pub(super) fn at_length() -> String {
    let libc = if cfg!(target_env = "musl") { "musl, static" } else { "glibc" };
    let sys::MemoryLimit { bytes, set_by } = sys::memory_limit();
    [
        format!("reslice {}", env!("CARGO_PKG_VERSION")),
        format!("features  {}", features().join(", ")),
        format!("system    {}, {}, {libc}", std::env::consts::OS, std::env::consts::ARCH),
        format!("CPU       vector instructions: {}", instructions().join(", ")),
        format!("threads   {} for a job", sys::threads()),
        format!("memory    {} for a job, half of {} ({set_by})", words::bytes(bytes / 2), words::bytes(bytes)),
    ]
    .join("\n")
}

fn features() -> Vec<&'static str> {
    let all = [("cli", true), ("remote", cfg!(feature = "remote"))];
    all.iter().filter(|(_, is_in)| *is_in).map(|(name, _)| *name).collect()
}

/// Sets of vector instructions that this CPU has and the loops are built for.
fn instructions() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let all = [
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ];
        found.extend(all.iter().filter(|(_, has)| *has).map(|(name, _)| *name));
    }
    if cfg!(target_arch = "aarch64") {
        found.push("neon");
    }
    if found.is_empty() {
        found.push("none beyond those that all have");
    }
    found
}

#[test]
fn version_at_length_is_asked_for_in_any_order() {
    let asked = |args: &[&str]| is_asked_for(args.iter().map(OsString::from));
    assert!(
        asked(&["--version", "--verbose"]) && asked(&["-v", "--version"]) && asked(&["-V", "-v"]) && asked(&["-Vv"])
    );
    assert!(!asked(&["--version"]) && !asked(&["-v"]) && !asked(&["--version", "--verbose", "info"]) && !asked(&[]));
}

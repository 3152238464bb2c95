//! Signals, a terminal that goes away, and a source that is cut while it is mapped: exit codes, messages, and in time.
#![allow(unsafe_code, reason = "signals are sent by the C library")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStderr, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::kit::{folder::Folder, nifti::Said};

/// Long enough to be still under way when its first line of progress is read.
const SLOW: [&str; 9] = ["--interp", "median", "--scale", "0.05", "--threads", "1", "--progress", "json", "--memory"];

/// A run under way.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(folder: &Folder, args: &[&str]) -> Running {
        let mut child = folder.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr }
    }

    /// A slow run that has told how far it is.
    fn slow(folder: &Folder, edge: u64, more: &[&str]) -> Running {
        Said::new([edge; 3]).write_hole::<u16>(&folder.path("slow.nii"));
        let mut running =
            Running::start(folder, &[&["resample", "slow.nii", "out.nii"], &SLOW[..], &["256MiB"], more].concat());
        let mut line = String::new();
        while !line.starts_with(r#"{"event":"progress""#) {
            line.clear();
            assert_ne!(running.stderr.read_line(&mut line).unwrap(), 0, "no progress");
        }
        assert!(running.child.try_wait().unwrap().is_none(), "not slow enough: {line}");
        running
    }

    fn signal(&self, signal: i32) {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// How it ended, how long that took, and the rest of what it said.
    fn end(mut self, seconds: u64) -> (ExitStatus, Duration, String) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed().as_secs() >= seconds => {
                    self.child.kill().unwrap();
                    panic!("still running after {seconds} s");
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        assert!(!text.contains("panicked"), "{text}");
        (status, start.elapsed(), text)
    }
}

/// A run that waits for a table that never comes, as from a server that has gone away.
fn stuck(folder: &Folder) -> Running {
    let mut command = folder.command(&["batch", "/dev/stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let running = Running { child, stderr };
    // Until its handlers are set.
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim).unwrap_or("0");
        u64::from_str_radix(mask, 16).unwrap() >> (libc::SIGALRM - 1) & 1 == 1
    };
    while !caught() {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(200));
    running
}

#[test]
fn stop_signals_end_a_slow_run_within_10_s() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
        let folder = Folder::new();
        let running = Running::slow(&folder, 900, &[]);
        running.signal(signal);
        let (status, took, text) = running.end(10);
        assert_eq!(status.code(), Some(75), "{signal}: {text}");
        assert!(text.contains(r#""event":"error","text":"stopped after"#), "{text}");
        assert!(took < Duration::from_secs(10) && !folder.path("out.nii").exists());
    }
}

#[test]
fn what_does_not_answer_is_given_up_within_10_s() {
    let folder = Folder::new();
    let running = stuck(&folder);
    running.signal(libc::SIGTERM);
    thread::sleep(Duration::from_millis(300));
    // A launcher sends one too.
    running.signal(libc::SIGTERM);
    let (status, took, text) = running.end(10);
    assert_eq!((status.code(), text.starts_with("error: stopped, ")), (Some(75), true), "{text}");
    assert!(took > Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let folder = Folder::new();
    let running = stuck(&folder);
    running.signal(libc::SIGINT);
    thread::sleep(Duration::from_millis(300));
    running.signal(libc::SIGINT);
    let (status, took, _) = running.end(10);
    assert_eq!(status.signal(), Some(libc::SIGINT));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_run_outlives_its_terminal_and_who_listens() {
    let folder = Folder::new();
    let mut running = Running::slow(&folder, 400, &[]);
    running.signal(libc::SIGHUP);
    // The read end of stderr goes too: what is written there is lost, and SIGPIPE ends nothing.
    drop(running.stderr);
    let start = Instant::now();
    let status = running.child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "after {:?}", start.elapsed());
    assert!(folder.path("out.nii").exists());
}

#[test]
fn a_source_cut_under_its_map_is_an_error() {
    for left in [352, 5_000_001] {
        let folder = Folder::new();
        let running = Running::slow(&folder, 900, &["--io", "mmap"]);
        fs::OpenOptions::new().write(true).open(folder.path("slow.nii")).unwrap().set_len(left).unwrap();
        let (status, _, text) = running.end(60);
        assert_eq!(status.code(), Some(1), "{status:?}: {text}");
        let last = text.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n");
        assert!(last.starts_with("error: ") && last.contains("became shorter while it was read"), "{last}");
        assert!(!folder.path("out.nii").exists());
    }
}

//! The command under a budget: how it ended, and what the kernel says of its memory.

use std::{
    fs::{self, File},
    thread,
    time::Duration,
};

use super::folder::{Answer, Folder};

impl Folder {
    /// Runs `args` with these variables; with the highest resident memory of the process, in bytes.
    ///
    /// That is VmHWM, looked at each millisecond: what is counted when a child is waited for begins at the mark of its parent. So does a
    /// child, until it bears the name of the command.
    pub(crate) fn run_measured(&self, args: &[&str], variables: &[(&str, &str)]) -> (Answer, u64) {
        let [out, err] = ["stdout.txt", "stderr.txt"].map(|name| self.path(name));
        let mut command = self.command(args);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak_bytes = 0;
        let code = loop {
            peak_bytes = peak_bytes.max(mark(&fs::read_to_string(&status).unwrap_or_default()));
            if let Some(status) = child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            thread::sleep(Duration::from_millis(1));
        };
        let text = |path| fs::read_to_string(path).unwrap();
        (Answer { code, stdout: text(out), stderr: text(err) }, peak_bytes)
    }
}

/// VmHWM of `/proc/PID/status` in bytes; 0 where there is none, as for a process that has ended, or of another name.
fn mark(status: &str) -> u64 {
    if !status.starts_with("Name:\treslice\n") {
        return 0;
    }
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

//! The command under a budget: how it ended, and what the kernel says of its memory.

use std::{
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use super::folder::{Answer, Folder};

impl Folder {
    /// Runs `args` with these variables; with the highest resident memory of the process, in bytes.
    pub fn run_measured(&self, args: &[&str], variables: &[(&str, &str)]) -> (Answer, u64) {
        let [out, err] = ["stdout.txt", "stderr.txt"].map(|name| self.path(name));
        let mut command = self.command(args);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.envs(variables.iter().copied()).spawn().unwrap();
        let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
        // SAFETY: both places outlive the call, and the child is ours and waited for here alone.
        while unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) } < 0 {
            assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
        }
        // SAFETY: a structure of numbers, which the kernel has filled.
        let peak_bytes = unsafe { usage.assume_init() }.ru_maxrss as u64 * 1024;
        let code = ExitStatus::from_raw(status).code().unwrap_or(-1);
        let text = |path| fs::read_to_string(path).unwrap();
        (Answer { code, stdout: text(out), stderr: text(err) }, peak_bytes)
    }
}

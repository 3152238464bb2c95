//! The command, run in a folder of its own.

use std::{fs, path::PathBuf, process::Command};

use reslice::phantom::Phantom;
use serde_json::Value;
use tempfile::TempDir;

/// What a run of the command gave.
pub(crate) struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub(crate) fn expect(self, code: i32) -> Answer {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The smallest budget that a refusal names, in MiB.
    pub(crate) fn named_mib(&self) -> u64 {
        let number = self.stderr.split("use --memory ").nth(1).and_then(|rest| rest.split("MiB").next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no budget is named: {}", self.stderr))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A folder for one test, in which the command is run.
pub(crate) struct Folder(pub TempDir);

impl Folder {
    /// A phantom of `shape` voxels (i, j, k) in the file `name`.
    pub(crate) fn phantom(&self, name: &str, shape: [u64; 3]) -> PathBuf {
        let path = self.path(name);
        Phantom::new(shape, [3.0, 0.75, 0.5]).write(&path).unwrap();
        path
    }

    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reslice"));
        command.args(args).current_dir(self.0.path()).env_remove("RESLICE_MEMORY").env_remove("RESLICE_THREADS");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Answer { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// What `info` says of a file, and the voxels of a copy.
pub(crate) fn read(folder: &Folder, name: &str) -> (Value, Vec<u8>) {
    let info = folder.run(&["info", name, "--json"]).expect(0).json();
    folder.run(&["resample", name, "copy.nii", "--scale", "1", "--overwrite", "-q"]).expect(0);
    (info, fs::read(folder.path("copy.nii")).unwrap()[352..].to_vec())
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
}

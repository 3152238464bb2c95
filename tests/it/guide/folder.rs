//! The folder of a page, with the files that the pages name.

use std::{env, fs, path::Path, process::Command};

use crate::{advice::images, kit::folder::Folder};

const MATRIX: &str = "0.995 -0.0998 0 0.3\n0.0998 0.995 0 -0.2\n0 0 1 0.1\n0 0 0 1\n";
const ITK: &str = "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n\
    Parameters: 0.995 -0.0998 0 0.0998 0.995 0 0 0 1 0.3 -0.2 0.1\nFixedParameters: 0 0 0\n";

/// A folder with scans, labels, transforms, points and a table of jobs.
pub(super) fn prepared() -> Folder {
    let folder = Folder::new();
    let root = folder.path("");
    for (name, line) in [
        ("scan", "scan.nii 29,23,20 i16 noise step=0.5,0.75,3"),
        ("reference", "reference.nii 25,20,24 i16 noise step=0.6,0.8,2.5"),
        ("labels", "labels.nii 30,25,20 u8 blocks intent=1002"),
        ("warp", "warp.nii 9,8,12,1,3 f32 small intent=1007 step=3,3,6 origin=-12,4,4"),
    ] {
        images::write(&root, line);
        folder.run(&["resample", &format!("{name}.nii"), &format!("{name}.nii.gz"), "-q"]).expect(0);
        fs::remove_file(folder.path(&format!("{name}.nii"))).unwrap();
    }
    for (name, text) in [
        ("turn.mat", MATRIX),
        ("turn.tfm", ITK),
        ("points.csv", "x,y,z,name\n1,2,3,a\n-4,5,6,b\n"),
        ("jobs.tsv", "input\toutput\nscan.nii.gz\tone.nii.gz\nreference.nii.gz\ttwo.nii.gz\n"),
    ] {
        fs::write(folder.path(name), text).unwrap();
    }
    fs::write(folder.path("scan.mgz"), mgh()).unwrap();
    folder
}

/// 3 x 4 x 5 voxels of 8 bits, as FreeSurfer has them.
fn mgh() -> Vec<u8> {
    let mut file: Vec<u8> = [1i32, 3, 4, 5, 1, 0, 0].iter().flat_map(|n| n.to_be_bytes()).collect();
    file.extend(1i16.to_be_bytes());
    let floats = [2.0f32, 2.0, 2.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    floats.iter().for_each(|x| file.extend(x.to_be_bytes()));
    file.resize(284, 0);
    file.extend(0..60);
    file
}

/// Runs a script by `sh`, with the command on the path: its exit code, and what it says on stdout and stderr, as it comes.
pub(super) fn run(folder: &Folder, script: &str) -> (i32, String) {
    let commands = Path::new(env!("CARGO_BIN_EXE_reslice")).parent().unwrap();
    let path = format!("{}:{}", commands.display(), env::var("PATH").unwrap_or_default());
    let said = folder.path(".said");
    let file = fs::File::create(&said).unwrap();
    let status = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder.path(""))
        .env("PATH", path)
        .env("HOME", folder.path(""))
        .env_remove("RESLICE_MEMORY")
        .env_remove("RESLICE_THREADS")
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .status()
        .unwrap();
    (status.code().unwrap_or(-1), fs::read_to_string(said).unwrap())
}

//! The commands of the guides in docs/ do what they say: each line is run as it stands, in a folder with the files that it names.

use std::fs;

use crate::{advice::images, kit::folder::Folder};

const MATRIX: &str = "0.995 -0.0998 0 0.3\n0.0998 0.995 0 -0.2\n0 0 1 0.1\n0 0 0 1\n";
const ITK: &str = "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n\
    Parameters: 0.995 -0.0998 0 0.0998 0.995 0 0 0 1 0.3 -0.2 0.1\nFixedParameters: 0 0 0\n";

fn prepared() -> Folder {
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
    }
    fs::write(folder.path("turn.mat"), MATRIX).unwrap();
    fs::write(folder.path("turn.tfm"), ITK).unwrap();
    fs::write(folder.path("points.csv"), "x,y,z,name\n1,2,3,a\n-4,5,6,b\n").unwrap();
    fs::write(folder.path("jobs.tsv"), "input\toutput\nscan.nii.gz\tone.nii.gz\nreference.nii.gz\ttwo.nii.gz\n")
        .unwrap();
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

/// The lines of the shell blocks of a page.
fn commands(page: &str) -> Vec<String> {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().map(str::to_string)).collect()
}

#[test]
fn every_command_of_the_guides_runs() {
    for (page, least) in [("coming-from.md", 20), ("questions.md", 15), ("report.md", 5)] {
        let (folder, commands) = (prepared(), commands(page));
        assert!(commands.len() >= least, "{page} has {} commands", commands.len());
        for command in commands {
            let words: Vec<&str> = command.split(' ').collect();
            assert_eq!(words[0], "reslice", "{command}");
            let answer = folder.run(&words[1..]);
            assert_eq!(answer.code, 0, "{page}: {command}: {}{}", answer.stdout, answer.stderr);
        }
    }
}

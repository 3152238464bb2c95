//! AFNI's matrices, which are told from those of others.

use std::fs;

use crate::kit::folder::Folder;

/// AFNI has one matrix of twelve numbers a line, or three rows: in DICOM order, which is no RAS.
#[test]
fn matrices_of_afni_are_refused_with_the_way_out() {
    let folder = Folder::new();
    folder.phantom("a.nii", [5, 6, 7]);
    let rows = "1 0 0 3\n0 1 0 4\n0 0 1 5\n";
    fs::write(folder.path("rows.1D"), rows).unwrap();
    fs::write(folder.path("line.aff12.1D"), format!("# 3dvolreg\n{0}\n{0}\n", rows.trim().replace('\n', " "))).unwrap();
    for [option, file] in [
        ["--transform", "rows.1D"],
        ["--transform", "line.aff12.1D"],
        ["--transform", "line.aff12.1D,ras"],
        ["--transform-list", "line.aff12.1D"],
    ] {
        let refused = folder.run(&["resample", "a.nii", "b.nii", option, file]).expect(1);
        assert!(refused.stderr.contains("AFNI") && refused.stderr.contains("write an ITK text"), "{}", refused.stderr);
    }
    folder.run(&["resample", "a.nii", "b.nii", "--transform", "rows.1D,ras"]).expect(0);
}

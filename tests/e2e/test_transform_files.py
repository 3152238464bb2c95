"""What transform files are told by, and what is said of them: each message with the way out that it names."""

import json

import nibabel as nib
import numpy as np

from command import refused, reslice

SHAPE = (9, 8, 7)


def image(path, samples, affine=None, **fields):
    made = nib.Nifti1Image(samples, np.diag([-2.0, 2, 2, 1]) if affine is None else affine)
    made.header.set_xyzt_units("mm")
    for name, value in fields.items():
        made.header[name] = value
    nib.save(made, path)
    return path


def ramp(*shape):
    return np.random.default_rng(3).uniform(1, 100, shape).astype(np.float32)


def values(path):
    return np.asarray(nib.load(path).dataobj)


def test_an_itk_text_without_a_composite_is_a_list(resample, tmp_path):
    """One transform for each volume, as fMRIPrep writes them (nipreps/fmriprep#2860)."""
    samples = ramp(*SHAPE, 3)
    series = image(tmp_path / "bold.nii", samples)
    records = [
        f"#Transform {n}\nTransform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: 1 0 0 0 1 0 0 0 1 {2 * n} 0 0\nFixedParameters: 0 0 0\n"
        for n in range(3)
    ]
    file = tmp_path / "hmc.txt"
    file.write_text("#Insight Transform File V1.0\n" + "".join(records))
    says = ["holds 3 transforms that no composite joins", f"--transform-list {file}"]
    refused("resample", series, tmp_path / "a.nii", "--transform", file, says=says)
    run = resample(series, tmp_path / "a.nii", "--transform-list", file)
    assert f"chain   target -> each volume's of {file} (ITK, LPS) -> source" in run.stderr
    moved = values(tmp_path / "a.nii")
    for n in range(3):
        np.testing.assert_array_equal(moved[: 9 - n, ..., n], samples[n:, ..., n])


def test_a_matrix_called_mat_says_what_it_was_taken_for(resample, tmp_path):
    source, like = image(tmp_path / "in.nii", ramp(*SHAPE)), image(tmp_path / "like.nii", ramp(*SHAPE))
    matrix, shift = tmp_path / "a.mat", np.eye(4)
    shift[0, 3] = 2
    np.savetxt(matrix, shift)
    says = ["not said which", f"{matrix},src=IN.nii,ref=REF.nii", f"{matrix},ras"]
    refused("resample", source, tmp_path / "a.nii", "--transform", matrix, says=says)
    run = resample(source, tmp_path / "a.nii", "--like", like, "--transform", matrix)
    assert f"taken for an FSL matrix, of -in {source} and -ref {like}" in run.stderr and f"{matrix},ras" in run.stderr
    named = f"{matrix},src={source},ref={like}"
    run = resample(source, tmp_path / "b.nii", "--transform", named, "--summary", tmp_path / "s.json")
    assert "taken for" not in run.stderr and f"a.mat (FSL, src={source}, ref={like})" in run.stderr
    np.testing.assert_array_equal(values(tmp_path / "a.nii"), values(tmp_path / "b.nii"))
    step = json.loads((tmp_path / "s.json").read_text())["chain"][0]
    expected = {"file": str(matrix), "inverse": False, "convention": "fsl", "source": str(source), "reference": str(like)}
    assert step == expected
    run = resample(source, tmp_path / "c.nii", "--transform", f"{matrix},ras")
    assert "a.mat (matrix, RAS)" in run.stderr
    # RAS x + 2 is i - 1 here; FSL's own shift moves the image the other way.
    np.testing.assert_array_equal(values(tmp_path / "c.nii")[1:], values(source)[:-1])
    np.testing.assert_array_equal(values(tmp_path / "b.nii")[2:], values(source)[1:-1])


def test_suffixes_that_have_no_use_are_refused(tmp_path, resample):
    source = image(tmp_path / "in.nii", ramp(*SHAPE))
    plain = tmp_path / "m.txt"
    np.savetxt(plain, np.eye(4))
    says = ["is not an FSL matrix", f"--transform {plain}"]
    refused("resample", source, tmp_path / "a.nii", "--transform", f"{plain},src={source}", says=says)
    refused("resample", source, tmp_path / "a.nii", "--transform", f"{plain},lps", says=[",inverse ,ras ,fsl"])
    resample(source, tmp_path / "a.nii", "--transform", plain)


def test_a_field_over_the_target_is_met_first_or_told(resample, tmp_path):
    source = image(tmp_path / "in.nii", ramp(*SHAPE))
    field = image(tmp_path / "w.nii", np.zeros((*SHAPE, 1, 3), np.float32), intent_code=1007)
    matrix = tmp_path / "m.txt"
    np.savetxt(matrix, np.eye(4))
    run = resample(source, tmp_path / "a.nii", "--transform", matrix, "--transform", field)
    assert "w.nii lies over the target grid" in run.stderr and f"give --transform {field} first" in run.stderr
    run = resample(source, tmp_path / "b.nii", "--transform", field, "--transform", matrix)
    assert "lies over" not in run.stderr
    assert f"chain   target -> {field} (displacement field, LPS) -> {matrix} (matrix, RAS) -> source" in run.stderr


def test_positions_end_at_their_faces_and_where_they_are_nan(resample, tmp_path):
    """SPM's y_*.nii: places in RAS mm, NaN where there is none."""
    affine = np.diag([2.0, 2, 2, 1])
    samples = ramp(*SHAPE)
    source = image(tmp_path / "in.nii", samples, affine)
    index = np.moveaxis(np.indices((5, 8, 7)), 0, -1).astype(np.float32)
    places = 2 * index + (2, 0, 0)
    places[1, 2, 3] = np.nan
    fields = {"intent_code": 1007, "intent_name": b"Mapping"}
    for name in ("y.nii", "y.nii.gz"):
        field = image(tmp_path / name, places[:, :, :, None].astype(np.float32), affine, **fields)
        run = resample(source, tmp_path / "out.nii", "--transform", field, "--overwrite")
        assert f"{field} (field of positions, RAS)" in run.stderr
        expected = np.zeros(SHAPE, np.float32)
        expected[:5] = samples[1:6]
        expected[1, 2, 3] = 0
        np.testing.assert_allclose(values(tmp_path / "out.nii"), expected, rtol=1e-5)
    table = tmp_path / "p.csv"
    table.write_text("x,y,z\n4,2,2\n")
    assert "6,2,2" in reslice("points", table, "--transform", field).stdout
    table.write_text("x,y,z\n4,2,2\n40,2,2\n")
    refused("points", table, "--transform", field, says=["40, 2, 2 (RAS)", "ends before it"])

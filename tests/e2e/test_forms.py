"""Where targets stand: sform, qform and pixdim of what we write, as nibabel and SimpleITK read them."""

import nibabel as nib
import numpy as np
import SimpleITK as sitk

CODES = [(1, 1), (1, 0), (0, 1), (2, 1), (4, 4), (1, 2), (0, 0)]
NEAR = [(0, 0, 0), (180, 0, 0), (0, 180, 0), (0, 0, 180), (90, 0, 180), (90, 90, 0)]
FIELDS = ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"]
SHAPE = (9, 8, 7)
CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * np.subtract(SHAPE, 1)


def turned(x, y, z):
    """Rotation by degrees about x, then y, then z."""
    x, y, z = np.deg2rad([x, y, z])
    c, s = np.cos, np.sin
    about_x = np.array([[1, 0, 0], [0, c(x), -s(x)], [0, s(x), c(x)]])
    about_y = np.array([[c(y), 0, s(y)], [0, 1, 0], [-s(y), 0, c(y)]])
    about_z = np.array([[c(z), -s(z), 0], [s(z), c(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def source(path, rng, n):
    """A file of any place and any codes, written by nibabel; half of them near half and quarter turns."""
    sform, qform = CODES[n % len(CODES)]
    affine = np.eye(4)
    steps = rng.uniform(0.2, 5, 3)
    if (sform, qform) == (0, 0):
        affine[:3, :3] = np.diag(steps)
    else:
        noise = rng.normal(size=3) * 10.0 ** rng.uniform(-8, -1)
        angles = np.add(NEAR[n % len(NEAR)], noise) if n % 2 else rng.uniform(-180, 180, 3)
        affine[:3, :3] = turned(*angles) @ np.diag(steps * rng.choice([-1, 1], 3))
        affine[:3, 3] = rng.uniform(-400, 400, 3)
    image = nib.Nifti1Image(rng.integers(0, 1000, SHAPE).astype("i2"), None)
    image.header.set_qform(affine, qform)
    image.header.set_sform(affine, sform)
    image.header["qform_code"], image.header["sform_code"] = qform, sform
    image.header["pixdim"][1:4] = steps
    image.header.set_xyzt_units("mm")
    image.header["vox_offset"] = 352
    path.write_bytes(image.header.binaryblock + bytes(4) + np.asarray(image.dataobj).tobytes(order="F"))
    return path


def header_of(path):
    with open(path, "rb") as f:
        return nib.Nifti1Header.from_fileobj(f)


def same_field(a, b, name):
    return a[name].tobytes() == b[name].tobytes()


def itk_affine(path):
    """Index to world (RAS) as ITK reads it."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ affine


def apart(a, b):
    """Farthest distance between the corners by two affines."""
    homogeneous = np.c_[CORNERS, np.ones(8)].T
    return np.abs((a @ homogeneous - b @ homogeneous)[:3]).max()


def test_the_same_grid_is_the_same_bytes(resample, tmp_path):
    """A copy, and --like: every field that says where voxels are, bit for bit, so that ITK sees one physical space."""
    rng = np.random.default_rng(1)
    moving = source(tmp_path / "moving.nii", rng, 0)
    for n in range(60):
        reference = source(tmp_path / "reference.nii", rng, n)
        for name, first, options in (("copy", reference, []), ("like", moving, ["--like", reference])):
            out = tmp_path / f"{name}.nii"
            resample(first, out, *options, "--overwrite")
            theirs, ours = header_of(reference), header_of(out)
            for field in FIELDS + ["qform_code", "sform_code"]:
                assert same_field(theirs, ours, field), (n, name, field, theirs[field], ours[field])
            assert theirs["pixdim"][:4].tobytes() == ours["pixdim"][:4].tobytes(), (n, name)
            sitk.Add(*(sitk.ReadImage(str(p), sitk.sitkFloat32) for p in (reference, out)))


def test_places_stay_in_every_reader(resample, tmp_path):
    """Other steps, crops and flips of files of any codes: each form of the target is where that of the source is."""
    rng = np.random.default_rng(2)
    changes = [
        (["--spacing", "0.7"], None),
        (["--region", "2:8,1:7,3:6"], (2, 1, 3)),
        (["--scale", "0.5"], (0, 0, 0)),
    ]
    # Where b2 + c2 + d2 is within 1e-7 of 1, nibabel and the C library complete a quaternion by up to 3e-4 rad apart.
    allowed = {"nibabel": 1e-3, "nibabel by qform": 0.05, "ITK": 1e-2}
    worst = dict.fromkeys(allowed, 0.0)
    for n in range(500):
        file = source(tmp_path / "in.nii", rng, n)
        options, first = changes[n % len(changes)]
        out = tmp_path / "out.nii"
        resample(file, out, *options, "--overwrite")
        theirs, ours = header_of(file), header_of(out)
        assert all(same_field(theirs, ours, f) for f in ("qform_code", "sform_code")), n
        if (theirs["sform_code"], theirs["qform_code"]) == (0, 0):
            continue
        assert all(same_field(theirs, ours, f) for f in FIELDS[:3]) or theirs["qform_code"] == 0, n
        origin = np.array([*(first or (0, 0, 0)), 1.0])
        for reader, affine in (("nibabel", lambda p: nib.load(p).affine), ("ITK", itk_affine)):
            before, after = affine(file), affine(out)
            steps = np.linalg.norm(before[:3, :3], axis=0)
            new = np.linalg.norm(after[:3, :3], axis=0)
            expected = np.eye(4)
            expected[:3, :3] = before[:3, :3] / steps * new
            expected[:3, 3] = (before @ origin)[:3]
            kind = f"{reader} by qform" if reader == "nibabel" and theirs["sform_code"] == 0 else reader
            worst[kind] = max(worst[kind], apart(expected, after) / new.min())
    assert all(worst[kind] < limit for kind, limit in allowed.items()), worst


def test_orientation_moves_both_forms(resample, tmp_path):
    """A flip or permutation of a file whose forms mean two places: a scanner's and a template's."""
    rng = np.random.default_rng(3)
    for n in range(40):
        file = source(tmp_path / "in.nii", rng, 6 * n + 1)
        header = header_of(file)
        scanner, template = header.get_qform(), header.get_sform()
        template[:3, 3] += [30, -20, 10]
        header.set_sform(template, 4)
        header.set_qform(scanner, 1)
        file.write_bytes(header.binaryblock + file.read_bytes()[348:])
        out = tmp_path / "out.nii"
        resample(file, out, "--orient", ["RAS", "LPI", "SAR", "ASL"][n % 4], "--overwrite")
        moved = header_of(out)
        assert (moved["qform_code"], moved["sform_code"]) == (1, 4)
        step = np.linalg.inv(header.get_sform()) @ moved.get_sform()
        assert np.abs(step[:3] - np.round(step[:3])).max() < 1e-3
        assert apart(header.get_qform() @ np.round(step), moved.get_qform()) < 0.05

"""One job by one peer, from file to file: the other side of benches/jobs.py.

    peers.py PEER INPUT OUTPUT SPEC

SPEC is JSON: `method` by its name in reslice, `grid` a file on the target's grid, `threads`, and maybe `turned` (a rigid transform by ITK),
`field` (a displacement field) and `antialias`. Prints one JSON line: seconds and CPU seconds of reading, resampling and writing, and the seconds
of the imports before. Ends with 3 where the peer is not installed.
"""

import json
import os
import shutil
import subprocess
import sys
import time


class Clock:
    """Seconds and CPU seconds, those of children included."""

    def __init__(self):
        self.begun = self.now()

    @staticmethod
    def now():
        times = os.times()
        return time.perf_counter(), times.user + times.system + times.children_user + times.children_system

    def lap(self):
        before, self.begun = self.begun, self.now()
        return [after - earlier for after, earlier in zip(self.begun, before)]


def main():
    peer, source, out, spec = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    clock = Clock()
    try:
        work = PEERS[peer](spec)
    except ImportError as error:
        print(f"not installed ({error})", file=sys.stderr)
        sys.exit(3)
    imports, _ = clock.lap()
    work(source, out)
    seconds, cpu_seconds = clock.lap()
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "import_seconds": imports}))


def simpleitk(spec):
    import SimpleITK as sitk

    names = {"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor, "bspline3": sitk.sitkBSpline3}

    def work(source, out):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(spec["threads"])
        image, grid = sitk.ReadImage(source), sitk.ImageFileReader()
        grid.SetFileName(spec["grid"])
        grid.ReadImageInformation()
        if spec["antialias"]:
            # The full width at half maximum of a voxel becomes that of the target's.
            sigmas = [0.4247 * (new**2 - old**2) ** 0.5 for new, old in zip(grid.GetSpacing(), image.GetSpacing())]
            image = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), sigmas)
        resampler = sitk.ResampleImageFilter()
        resampler.SetSize(grid.GetSize())
        resampler.SetOutputSpacing(grid.GetSpacing())
        resampler.SetOutputOrigin(grid.GetOrigin())
        resampler.SetOutputDirection(grid.GetDirection())
        resampler.SetInterpolator(names[spec["method"]])
        if not spec.get("field"):
            resampler.SetOutputPixelType(sitk.sitkUInt16)
        if spec.get("turned"):
            resampler.SetTransform(sitk.ReadTransform(spec["turned"]))
        if spec.get("field"):
            resampler.SetTransform(sitk.DisplacementFieldTransform(sitk.ReadImage(spec["field"], sitk.sitkVectorFloat64)))
        sitk.WriteImage(resampler.Execute(image), out)

    return work


def mrgrid(spec):
    program = shutil.which("mrgrid")
    if not program:
        raise ImportError("no mrgrid, which Debian has in mrtrix3")
    names = {"linear": "linear", "nearest": "nearest", "cubic": "cubic", "lanczos3": "sinc"}

    def work(source, out):
        argv = [program, source, "regrid", out, "-template", spec["grid"], "-interp", names[spec["method"]]]
        argv += ["-nthreads", str(spec["threads"]), "-datatype", "uint16", "-quiet", "-force"]
        # By itself it takes the mean of several points of each coarser voxel.
        subprocess.run(argv + ([] if spec["antialias"] else ["-oversample", "1"]), check=True)

    return work


def transform_of(spec, nib, np):
    """From target voxels to source voxels, both x, y, z; the rigid transform is of LPS."""
    grid = nib.load(spec["grid"])
    world = np.eye(4)
    if spec.get("turned"):
        lines = dict(line.split(": ", 1) for line in open(spec["turned"]).read().splitlines() if ": " in line)
        numbers, centre = ([float(n) for n in lines[key].split()] for key in ("Parameters", "FixedParameters"))
        (a, b, c), (sin, cos) = numbers[:3], (np.sin, np.cos)
        x = np.array([[1, 0, 0], [0, cos(a), -sin(a)], [0, sin(a), cos(a)]])
        y = np.array([[cos(b), 0, sin(b)], [0, 1, 0], [-sin(b), 0, cos(b)]])
        z = np.array([[cos(c), -sin(c), 0], [sin(c), cos(c), 0], [0, 0, 1]])
        turn, middle = z @ x @ y, np.array(centre[:3])
        world[:3, :3], world[:3, 3] = turn, middle + numbers[3:6] - turn @ middle
        flip = np.diag([-1, -1, 1, 1])
        world = flip @ world @ flip
    return grid, world


def nilearn(spec):
    import nibabel as nib
    import numpy as np
    from nilearn.image import resample_img

    names = {"linear": "linear", "nearest": "nearest", "bspline3": "continuous"}

    def work(source, out):
        image = nib.load(source)
        grid, world = transform_of(spec, nib, np)
        made = resample_img(image, world @ grid.affine, grid.shape, names[spec["method"]], copy_header=True, force_resample=True)
        nib.save(nib.Nifti1Image(np.asarray(made.dataobj).astype(np.uint16), grid.affine), out)

    return work


def scipy(spec):
    import nibabel as nib
    import numpy as np
    from scipy import ndimage

    def work(source, out):
        image, grid = nib.load(source), nib.load(spec["grid"])
        voxels = np.asarray(image.dataobj)
        zoom = [new / old for new, old in zip(grid.shape, voxels.shape)]
        order = {"nearest": 0, "linear": 1, "bspline3": 3}[spec["method"]]
        made = ndimage.zoom(voxels, zoom, order=order, grid_mode=True, mode="nearest")
        nib.save(nib.Nifti1Image(made, grid.affine), out)

    return work


def skimage(spec):
    import nibabel as nib
    import numpy as np
    from skimage.transform import resize

    def work(source, out):
        image, grid = nib.load(source), nib.load(spec["grid"])
        made = resize(np.asarray(image.dataobj), grid.shape, order=1, anti_aliasing=True, preserve_range=True)
        nib.save(nib.Nifti1Image(np.rint(made).astype(np.uint16), grid.affine), out)

    return work


def ngff_zarr(spec):
    import nibabel as nib
    import ngff_zarr as nz
    import numpy as np

    def work(source, out):
        image, grid = nib.load(source), nib.load(spec["grid"])
        scale = dict(zip("zyx", [float(step) for step in image.header.get_zooms()[::-1]]))
        base = nz.to_ngff_image(np.asarray(image.dataobj).T, dims=["z", "y", "x"], scale=scale)
        levels = nz.to_multiscales(base, scale_factors=[4], method=nz.Methods.DASK_IMAGE_GAUSSIAN)
        made = np.asarray(levels.images[1].data).T
        nib.save(nib.Nifti1Image(made.astype(np.uint16), grid.affine), out)

    return work


def tensorstore(spec):
    import nibabel as nib
    import numpy as np
    import tensorstore as ts

    def work(source, out):
        image, grid = nib.load(source), nib.load(spec["grid"])
        context = ts.Context({"data_copy_concurrency": {"limit": spec["threads"]}})
        # Boxes of two voxels along each axis: the nearest to what is asked that it makes.
        voxels = ts.array(np.asarray(image.dataobj), context=context)
        made = ts.downsample(voxels, [2, 2, 2], method=spec["method"]).read().result()
        nib.save(nib.Nifti1Image(made, grid.affine), out)

    return work


def vtk(spec):
    import nibabel as nib
    import numpy as np
    import vtk as v

    def interpolate(reslice):
        method = spec["method"]
        if method == "bspline3":
            reslice.SetInterpolator(v.vtkImageBSplineInterpolator())
        elif method == "lanczos3":
            made = v.vtkImageSincInterpolator()
            made.SetWindowFunctionToLanczos()
            made.SetWindowHalfWidth(3)
            reslice.SetInterpolator(made)
        else:
            # The mode of a vtkImageInterpolator that is given to it would be set back to nearest.
            {"nearest": reslice.SetInterpolationModeToNearestNeighbor, "linear": reslice.SetInterpolationModeToLinear,
             "cubic": reslice.SetInterpolationModeToCubic}[method]()

    def work(source, out):
        v.vtkMultiThreader.SetGlobalMaximumNumberOfThreads(spec["threads"])
        v.vtkSMPTools.Initialize(spec["threads"])
        grid, world = transform_of(spec, nib, np)
        image = nib.load(source)
        reader = v.vtkNIFTIImageReader()
        reader.SetFileName(source)
        reader.Update()
        # VTK's images have spacing and origin alone: the matrix leads from target voxels to those of the source, in steps of the source.
        steps = np.diag([*reader.GetOutput().GetSpacing(), 1.0])
        matrix = steps @ np.linalg.inv(image.affine) @ world @ grid.affine
        transform, numbers = v.vtkTransform(), v.vtkMatrix4x4()
        numbers.DeepCopy(matrix.ravel())
        transform.SetMatrix(numbers)
        coefficients = reader
        if spec["method"] == "bspline3":
            coefficients = v.vtkImageBSplineCoefficients()
            coefficients.SetInputConnection(reader.GetOutputPort())
        reslice = v.vtkImageReslice()
        reslice.SetInputConnection(coefficients.GetOutputPort())
        interpolate(reslice)
        reslice.SetResliceTransform(transform)
        reslice.SetOutputOrigin(0, 0, 0)
        reslice.SetOutputSpacing(1, 1, 1)
        reslice.SetOutputExtent(0, grid.shape[0] - 1, 0, grid.shape[1] - 1, 0, grid.shape[2] - 1)
        reslice.SetOutputScalarType(v.VTK_UNSIGNED_SHORT)
        writer = v.vtkNIFTIImageWriter()
        writer.SetInputConnection(reslice.GetOutputPort())
        writer.SetFileName(out)
        writer.Write()

    return work


def torchio(spec):
    import torch
    import torchio as tio

    names = {"linear": "linear", "nearest": "nearest", "bspline3": "bspline"}

    def work(source, out):
        torch.set_num_threads(spec["threads"])
        tio.Resample(spec["grid"], image_interpolation=names[spec["method"]])(tio.ScalarImage(source)).save(out)

    return work


def monai(spec):
    import torch
    from monai.transforms import LoadImage, SaveImage, Spacing

    def work(source, out):
        import nibabel as nib

        torch.set_num_threads(spec["threads"])
        steps = nib.load(spec["grid"]).header.get_zooms()[:3]
        image = LoadImage(ensure_channel_first=True, dtype=torch.float32)(source)
        mode = {"linear": "bilinear", "nearest": "nearest", "bspline3": 3}[spec["method"]]
        made = Spacing([float(step) for step in steps], mode=mode, padding_mode="border")(image)
        SaveImage(output_dtype="uint16", resample=False, print_log=False, separate_folder=False)(made, filename=out.removesuffix(".nii"))

    return work


PEERS = {
    "SimpleITK": simpleitk, "mrgrid": mrgrid, "nilearn": nilearn, "scipy": scipy, "skimage": skimage, "ngff-zarr": ngff_zarr,
    "tensorstore": tensorstore, "VTK": vtk, "TorchIO": torchio, "MONAI": monai,
}

if __name__ == "__main__":
    main()

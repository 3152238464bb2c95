"""Sources of random jobs in the formats beside NIfTI and Zarr, written by the programs of others."""

import h5py
import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk
import tifffile

# Every plane of a TIFF has a directory, and every line of an axis a call.
MOST_EXTENT = 3000
MGH_TYPES = ("u1", "i2", "i4", "f4")
TIFF_TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")
HDF5_TYPES = ("u1", "u2", "i2", "u4", "f4")


def choose(rng, source):
    """What writes the source in another format, or nothing where none has room for it."""
    if source.kind != "scalars" or max(source.shape) > MOST_EXTENT:
        return None
    kinds = [write_tiff] if source.dtype.str[1:] in TIFF_TYPES else []
    if not source.outer:
        kinds += [write_nrrd, write_metaimage]
        kinds += [write_imaris] if source.dtype.str[1:] in HDF5_TYPES else []
    kinds += [write_mgh] if len(source.outer) < 2 and source.dtype.str[1:] in MGH_TYPES else []
    return rng.choice(kinds) if kinds else None


def named(stem, source, suffix, **said):
    source.said |= {"form": suffix} | said
    return stem.with_name(stem.name + suffix)


def write_nrrd(rng, stem, source, values):
    encoding = rng.choice(["raw", "gzip"])
    path = named(stem, source, rng.choice([".nrrd", ".nhdr"]), encoding=encoding)
    directions = np.diag(source.spacing)[rng.sample(range(3), 3)]
    header = {"space": "left-posterior-superior", "space directions": directions, "space origin": [1.5, -20, 3], "encoding": encoding}
    nrrd.write(str(path), values[..., 0], header)
    return path


def write_metaimage(rng, stem, source, values):
    packed = rng.random() < 0.5
    path = named(stem, source, rng.choice([".mha", ".mhd"]), packed=packed)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values[..., 0].T))
    image.SetSpacing(source.spacing)
    sitk.WriteImage(image, str(path), packed)
    return path


def write_mgh(rng, stem, source, values):
    path = named(stem, source, rng.choice([".mgh", ".mgz"]))
    affine = np.diag([*source.spacing, 1])
    samples = values[..., 0].astype(source.dtype.newbyteorder(">"))
    nib.save(nib.MGHImage(samples, affine), path)
    return path


def write_tiff(rng, stem, source, values):
    """Planes by k, and further axes before them."""
    way = rng.choice([{}, {"rowsperstrip": rng.randint(1, 40)}, {"tile": (16 * rng.randint(1, 8), 16 * rng.randint(1, 8))}])
    way |= {"compression": rng.choice([None, "zlib", "lzw", "zstd", "packbits"])}
    is_float = source.dtype.kind == "f"
    if way["compression"] not in (None, "packbits") and rng.random() < 0.5:
        way["predictor"] = 3 if is_float else 2
    way |= {"bigtiff": rng.random() < 0.3, "byteorder": rng.choice("<>")}
    path = named(stem, source, rng.choice([".tif", ".ome.tif"]), **{name: str(value) for name, value in way.items()})
    samples = values[..., 0].T
    axes = ["T", "C"][: len(source.outer)] + ["Z", "Y", "X"]
    # ("t", "c") of the values are the second and the first of the axes here.
    metadata = {"axes": "".join(axes)}
    if path.name.endswith(".ome.tif"):
        metadata |= {f"PhysicalSize{axis}": step for axis, step in zip("XYZ", source.spacing)}
    tifffile.imwrite(path, samples, photometric="minisblack", ome=path.name.endswith(".ome.tif"), metadata=metadata, **way)
    return path


def write_imaris(rng, stem, source, values):
    samples = values[..., 0].T
    chunk = tuple(rng.choice([3, 8, 16, 40]) for _ in range(3))
    way = rng.choice([{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"fletcher32": True}])
    path = named(stem, source, ".ims", chunks=chunk, packing=str(way))
    padded = np.pad(samples, [(0, -n % k) for n, k in zip(samples.shape, chunk)])
    with h5py.File(path, "w") as file:
        group = file.create_group("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0")
        for name, size in zip("ZYX", samples.shape):
            group.attrs[f"ImageSize{name}"] = str(size)
        group.create_dataset("Data", data=padded, chunks=chunk, **way)
        image = file.create_group("DataSetInfo/Image")
        for a, (step, size) in enumerate(zip(source.spacing, source.shape)):
            image.attrs[f"ExtMin{a}"] = "0"
            image.attrs[f"ExtMax{a}"] = str(step * size)
        image.attrs["Unit"] = "mm"
    return path

"""OME-Zarr through readers that are not ours: each function opens a store and gives its levels, finest first."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import ngff_zarr
import numpy as np
import ome_zarr_models.v04
import ome_zarr_models.v05
import tensorstore as ts
import zarr
from napari_ome_zarr._reader import napari_get_reader
from ome_zarr.io import parse_url
from ome_zarr.reader import Multiscales, Reader

MODELS = {"0.4": ome_zarr_models.v04.Image, "0.5": ome_zarr_models.v05.Image}


@dataclass
class Level:
    """Voxels, and per axis the step and the place of the first voxel; None where the reader does not say."""

    axes: tuple
    voxels: np.ndarray
    scale: list | None
    translation: list | None
    unit: str | None = None


def by_zarr_python(store):
    group = zarr.open_group(store, mode="r")
    multiscale = multiscale_of(group.attrs)
    return [level_of(multiscale, d, group[d["path"]][...]) for d in multiscale["datasets"]]


def by_tensorstore(store):
    attributes, driver = attributes_of(store)
    multiscale = multiscale_of(attributes)
    levels = []
    for dataset in multiscale["datasets"]:
        kvstore = {"driver": "file", "path": f"{store}/{dataset['path']}/"}
        opened = ts.open({"driver": driver, "kvstore": kvstore}, read=True).result()
        if driver == "zarr3":
            assert list(opened.domain.labels) == [axis["name"] for axis in multiscale["axes"]]
        levels.append(level_of(multiscale, dataset, opened.read().result()))
    return levels


def by_ome_zarr_py(store):
    nodes = [n for n in Reader(parse_url(store))() if n.load(Multiscales)]
    assert len(nodes) == 1
    axes = nodes[0].metadata["axes"]
    levels = []
    for voxels, steps in zip(nodes[0].data, nodes[0].metadata["coordinateTransformations"], strict=True):
        multiscale = {"axes": axes}
        levels.append(level_of(multiscale, {"coordinateTransformations": steps}, voxels.compute()))
    return levels


def by_ngff_zarr(store):
    levels = []
    for image in ngff_zarr.from_ngff_zarr(str(store)).images:
        axes = tuple(image.dims)
        scale, translation = [image.scale[a] for a in axes], [image.translation[a] for a in axes]
        levels.append(Level(axes, image.data.compute(), scale, translation, (image.axes_units or {}).get("x")))
    return levels


def by_napari(store):
    """What napari would show: one layer of all levels. Of a level's transformations its reader takes the scale only."""
    with contextlib.redirect_stdout(io.StringIO()):
        layers = napari_get_reader(str(store))()
    assert len(layers) == 1 and layers[0][2] == "image"
    data, how, _ = layers[0]
    units = how.get("units") or (None,)
    levels = [Level(how["axis_labels"], voxels.compute(), None, None, units[-1]) for voxels in data]
    levels[0].scale = how["scale"]
    return levels


READERS = {
    "zarr-python": by_zarr_python,
    "tensorstore": by_tensorstore,
    "ome-zarr-py": by_ome_zarr_py,
    "ngff-zarr": by_ngff_zarr,
    "napari-ome-zarr": by_napari,
}


def validate(store, version):
    """The whole image, arrays and all, against the model of its version."""
    image = MODELS[version].from_zarr(zarr.open_group(store, mode="r"))
    return image.ome_attributes.multiscales[0] if version == "0.5" else image.attributes.multiscales[0]


def attributes_of(store):
    """Attributes of the root, read as plain JSON, and tensorstore's name of the format."""
    store = Path(store)
    if (store / "zarr.json").exists():
        return json.loads((store / "zarr.json").read_text())["attributes"], "zarr3"
    return json.loads((store / ".zattrs").read_text()), "zarr"


def multiscale_of(attributes):
    return attributes.get("ome", attributes)["multiscales"][0]


def level_of(multiscale, dataset, voxels):
    """A level with both lists of transformations composed."""
    axes = multiscale["axes"]
    scale, translation = np.ones(len(axes)), np.zeros(len(axes))
    for step in dataset["coordinateTransformations"] + multiscale.get("coordinateTransformations", []):
        if step["type"] == "scale":
            scale, translation = scale * step["scale"], translation * step["scale"]
        else:
            translation = translation + step["translation"]
    units = [axis.get("unit") for axis in axes if axis["type"] == "space"]
    return Level(tuple(axis["name"] for axis in axes), voxels, list(scale), list(translation), units[0])

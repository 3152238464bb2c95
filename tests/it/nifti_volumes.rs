//! Volumes and headers of the `nifti` crate, as sources and grids: the same as this library's own reading of the file.

use std::{
    fs::File,
    io::{BufReader, Seek, SeekFrom},
    path::Path,
    sync::atomic::AtomicBool,
};

use nifti::{InMemNiftiVolume, NiftiHeader, NiftiObject, ReaderOptions, StreamedNiftiVolume};
use reslice::{
    Budget, Error, Grid, Layout, MemorySink, NiftiStreamSource, NiftiVolumeSource, Resampling, Source,
    block::BlockMut,
    dispatch,
    io::{
        convert::Conversion,
        input::{Input, IoMode},
        reader::RegionReader,
        zarr::OpenOptions,
    },
    nifti_header,
    region::Region,
    resample,
    voxel::{Dtype, Rounding, Voxel},
};

use crate::kit::{folder::Folder, nifti::Said};

/// Scalars, colours, complex numbers and series, with and without a slope.
fn cases() -> Vec<(Said, Dtype)> {
    let said = || Said::new([5, 7, 9]);
    vec![
        (said(), Dtype::I16),
        (Said { slope: Some((0.25, -3.0)), ..said() }, Dtype::I16),
        (Said { components: 3, ..said() }, Dtype::U8),
        (Said { components: 2, ..said() }, Dtype::F32),
        (said().with_outer(&[("t", 4)]), Dtype::U16),
        (Said { slope: Some((2.0, 0.5)), ..said().with_outer(&[("dim5", 2), ("t", 3)]) }, Dtype::F64),
    ]
}

fn write(said: &Said, dtype: Dtype, path: &Path) {
    dispatch!(dtype, T => {
        let voxel = |n: usize| T::from_f64((n * 7919 % 1013) as f64 * 0.2, Rounding::Nearest);
        said.write::<T>(path, &(0..said.samples()).map(voxel).collect::<Vec<_>>());
    });
}

/// Real values, `[volume][component][z][y][x]`.
fn values(source: &dyn Source<f64>) -> Vec<f64> {
    let mut reader = RegionReader::new(source);
    let layout = reader.layout();
    let whole = Region::of_shape(layout.grid.shape);
    let mut all = Vec::new();
    for volume in 0..layout.outer.volumes() {
        let mut voxels = vec![0.0; whole.voxels() as usize * layout.components];
        reader.read(volume, BlockMut::new(whole, layout.components, &mut voxels)).unwrap();
        all.extend(voxels);
    }
    all
}

fn in_memory(path: &Path) -> (NiftiHeader, InMemNiftiVolume) {
    let object = ReaderOptions::new().read_file(path).unwrap();
    (object.header().clone(), object.into_volume())
}

fn stream(path: &Path, rank: u16) -> (NiftiHeader, StreamedNiftiVolume<BufReader<File>>) {
    let header = NiftiHeader::from_file(path).unwrap();
    let mut file = BufReader::new(File::open(path).unwrap());
    file.seek(SeekFrom::Start(header.vox_offset as u64)).unwrap();
    let volume = StreamedNiftiVolume::from_reader_rank(file, &header, rank).unwrap();
    (header, volume)
}

#[test]
fn volumes_of_the_crate_are_read_as_files_are() {
    let folder = Folder::new();
    for (n, (said, dtype)) in cases().into_iter().enumerate() {
        let path = folder.path(&format!("{n}.nii"));
        write(&said, dtype, &path);
        let input = Input::open(&path, &OpenOptions::default()).unwrap();
        let conversion = Conversion { slope: said.slope, ..input.conversion() };
        let expected = values(input.source::<f64>(conversion, IoMode::Auto).unwrap().as_ref());
        assert!(expected.iter().any(|&value| value != expected[0]));

        let (header, volume) = in_memory(&path);
        let source = NiftiVolumeSource::<f64>::new(&header, volume).unwrap();
        assert_eq!(source.layout().grid, input.layout().grid, "{n}");
        assert_eq!(source.layout().outer, input.layout().outer, "{n}");
        assert_eq!(values(&source), expected, "{n}");
        for rank in 1..=3 {
            let (header, volume) = stream(&path, rank.min(header.dim[0] - 1));
            let source = NiftiStreamSource::<f64, _>::new(&header, volume).unwrap();
            assert_eq!(values(&source), expected, "{n} by slices of rank {rank}");
        }
    }
}

#[test]
fn a_stream_is_resampled_to_the_bytes_of_the_volume() {
    let folder = Folder::new();
    let (said, path) = (Said::new([40, 33, 29]), folder.path("scan.nii"));
    write(&said, Dtype::I16, &path);
    let fine = Grid::new([63, 50, 44], said.grid.index_to_world, said.grid.unit.clone());
    let made = |source: &dyn Source<f32>| {
        let sink = MemorySink::<f32>::new(Layout::of(fine.clone(), Dtype::F32));
        let (how, budget) = (Resampling::default(), Budget::beside_now(64 << 20, 2));
        resample(source, &sink, &how, budget, &AtomicBool::new(false), |_| {}).unwrap();
        sink.into_voxels()
    };
    let (header, volume) = in_memory(&path);
    let whole = made(&NiftiVolumeSource::new(&header, volume).unwrap());
    let (header, volume) = stream(&path, 2);
    assert_eq!(made(&NiftiStreamSource::new(&header, volume).unwrap()), whole);
    assert!(whole.iter().any(|&value| value != 0.0));
}

#[test]
fn a_header_goes_to_a_grid_and_back() {
    let folder = Folder::new();
    for (n, (said, dtype)) in cases().into_iter().enumerate() {
        let path = folder.path(&format!("{n}.nii"));
        write(&said, dtype, &path);
        let mut header = NiftiHeader::from_file(&path).unwrap();
        header.descrip = b"a scan".to_vec();
        header.cal_max = 900.0;
        let layout = Layout::try_from(&header).unwrap();
        let back = nifti_header(&layout, Some(&header)).unwrap();
        assert_eq!(Grid::try_from(&back).unwrap(), Grid::try_from(&header).unwrap(), "{n}");
        assert_eq!((back.dim, back.datatype, back.bitpix), (header.dim, header.datatype, header.bitpix), "{n}");
        assert_eq!((&back.descrip[..6], back.cal_max), (&b"a scan"[..], 900.0));
        let alone = nifti_header(&layout, None).unwrap();
        assert_eq!(Grid::try_from(&alone).unwrap(), layout.grid, "{n}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_its_field() {
    let folder = Folder::new();
    let (said, path) = (Said::new([5, 7, 9]), folder.path("scan.nii"));
    write(&said, Dtype::I16, &path);
    let (header, volume) = in_memory(&path);
    let other = NiftiHeader { dim: [3, 9, 7, 4, 1, 1, 1, 1], ..header.clone() };
    let error = NiftiVolumeSource::<f32>::new(&other, volume).unwrap_err().to_string();
    assert!(error.contains("504 bytes of voxels") && error.contains("630"), "{error}");
    let strange = NiftiHeader { datatype: 1536, ..header.clone() };
    assert!(matches!(Grid::try_from(&strange), Err(Error::Unsupported { .. })));
    let long = Layout::of(Grid::new([1, 1, 40_000], said.grid.index_to_world, said.grid.unit.clone()), Dtype::U8);
    assert!(nifti_header(&long, None).unwrap_err().to_string().contains("NIfTI-2"));
    let (header, mut volume) = stream(&path, 2);
    volume.read_slice().unwrap();
    assert!(NiftiStreamSource::<f32, _>::new(&header, volume).unwrap_err().to_string().contains("1 slices"));
}

//! The source of a job: which format it is, and how its voxels are reached.

use std::{io::ErrorKind, path::Path, sync::Arc};

use crate::{
    error::{Error, Result},
    geometry::Grid,
    io::{
        Source,
        convert::Conversion,
        dicom::{self, DicomSeries, DicomSource},
        foreign,
        gzip::{BgzfSource, GzipSource, Start, is_bgzf},
        hdf5::{self, Hdf5File, Hdf5Source},
        itk::{FieldSource, ItkField},
        nifti::{self, Header, NiftiFile},
        own::OwnSource,
        packed::Packed,
        plain::{self, PlainFile},
        precomputed::{self, PrecomputedFile, PrecomputedSource},
        ranged::RangedSource,
        raw::{RawAccess, RawSource},
        tiff::{self, TiffFile, TiffSource},
        view::{View, ViewSource, components::Components},
        zarr::{self, OpenOptions, ZarrFile, ZarrSource},
    },
    layout::Layout,
    storage::{InArchive, Location, Store, split_image},
    voxel::Voxel,
};

mod files;
mod picked;

/// How uncompressed files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoMode {
    /// By position: measured faster than maps, with less memory, and safe where files shrink (docs/architecture.md).
    #[default]
    Auto,
    Map,
    Position,
}

/// An opened source: metadata only, no voxel was read.
#[derive(Debug)]
pub enum Input {
    Nifti(Box<NiftiFile>),
    Zarr(Box<ZarrFile>),
    /// NRRD, MetaImage or MGH.
    Plain(Box<PlainFile>),
    /// A series of DICOM files, or one file with several frames.
    Dicom(Box<DicomSeries>),
    /// TIFF, OME-TIFF or a stack of ImageJ.
    Tiff(Box<TiffFile>),
    /// Imaris, or BigDataViewer in HDF5.
    Hdf5(Box<Hdf5File>),
    /// A precomputed volume of Neuroglancer.
    Precomputed(Box<PrecomputedFile>),
    /// A displacement field in a file of ITK's transforms.
    Field(Box<ItkField>),
    /// No file at all.
    Own(Box<OwnSource>),
}

impl Input {
    /// Opens whatever the file is, by its content.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Input> {
        let (path, image) = split_image(path);
        let path = path.as_path();
        let options = &OpenOptions { image: image.or_else(|| options.image.clone()), ..options.clone() };
        let location = Location::of(path)?;
        let Some(path) = location.local() else {
            files::refuse_what_urls_lack(path)?;
            if nifti::is_file_name(path) {
                return Input::of_nifti(nifti::open_with(path, options.spacing_in)?, options)?.picked(path, options);
            }
            let store = zarr::store_at(path)?;
            let opened = zarr::open_in(store.clone(), options);
            if let Some(file) = Input::in_place_of(&opened, &store, options)? {
                return file.picked(path, options);
            }
            let text = |name: &str, limit| store.get(name, limit).ok().flatten();
            return Input::Zarr(Box::new(foreign::explained_remote(path, opened, text)?)).picked(path, options);
        };
        if InArchive::of(&location)?.is_some() {
            let opened = zarr::open(path, options);
            return Input::Zarr(Box::new(foreign::explained(path, opened)?)).picked(path, options);
        }
        if foreign::kind_of(path)?.is_dir() {
            return Input::of_folder(path, options)?.picked(path, options);
        }
        if let Some(mut file) = tiff::open(path, options.image.as_deref(), options.level)? {
            if let Some(spacing) = options.spacing_in {
                respace(&mut file.layout.grid, spacing, true, &mut file.warnings)?;
            }
            return Input::Tiff(Box::new(file)).picked(path, options);
        }
        if let Some(image) = Input::hdf5(path, options)? {
            return image.picked(path, options);
        }
        if options.level.is_some() {
            return Err(Error::usage("--level is for multiscale images, and this is a single file"));
        }
        if let Some(field) = ItkField::open(path, options.image.as_deref())? {
            return Input::Field(Box::new(field)).picked(path, options);
        }
        if let Some(image) = &options.image {
            let what = format!("?image={image} is for groups of several images, and this is a single file");
            return Err(Error::usage_hint(what, "leave it out"));
        }
        if let Some(mut file) = plain::open(path)? {
            if let Some(spacing) = options.spacing_in {
                respace(&mut file.layout.grid, spacing, true, &mut file.warnings)?;
            }
            return Input::Plain(Box::new(file)).picked(path, options);
        }
        if let Some(series) = dicom::open_file(path)? {
            return Input::of_series(series, options)?.picked(path, options);
        }
        let opened = nifti::open_with(path, options.spacing_in);
        Input::of_nifti(foreign::explained(path, opened)?, options)?.picked(path, options)
    }

    /// An image in HDF5; what cannot be read as such may hold transforms of ITK.
    fn hdf5(path: &Path, options: &OpenOptions) -> Result<Option<Input>> {
        let mut file = match hdf5::open(path, options.image.as_deref(), options.level) {
            Err(error) if matches!(ItkField::open(path, None), Ok(None)) => return Err(error),
            Ok(Some(file)) => file,
            _ => return Ok(None),
        };
        if let Some(spacing) = options.spacing_in {
            respace(&mut file.layout.grid, spacing, true, &mut file.warnings)?;
        }
        Ok(Some(Input::Hdf5(Box::new(file))))
    }

    fn of_nifti(mut file: NiftiFile, options: &OpenOptions) -> Result<Input> {
        if let Some(spacing) = options.spacing_in {
            let has_forms = file.header.qform_code > 0 || file.header.sform_code > 0;
            respace(&mut file.layout.grid, spacing, has_forms, &mut file.warnings)?;
        }
        Ok(Input::Nifti(Box::new(file)))
    }

    /// A Zarr, or DICOM files where there is none.
    fn of_folder(path: &Path, options: &OpenOptions) -> Result<Input> {
        let opened = zarr::open(path, options);
        if matches!(&opened, Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound) {
            if let Some(volume) = Input::in_place_of(&opened, &zarr::store_at(path)?, options)? {
                return Ok(volume);
            }
            let image = options.image.as_deref();
            if options.level.is_none()
                && let Some(series) = dicom::open_folder(path, image)?
            {
                return Input::of_series(series, options);
            }
        }
        Ok(Input::Zarr(Box::new(foreign::explained(path, opened)?)))
    }

    /// A volume of Neuroglancer, where there is no Zarr.
    fn in_place_of(zarr: &Result<ZarrFile>, store: &Arc<dyn Store>, options: &OpenOptions) -> Result<Option<Input>> {
        // Servers that hide their keys refuse the documents of Zarr that are absent.
        let absent = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
        if !matches!(zarr, Err(Error::Io { source, .. }) if absent.contains(&source.kind())) {
            return Ok(None);
        }
        let Some(mut file) = precomputed::open_in(store.clone(), options)? else { return Ok(None) };
        if let Some(spacing) = options.spacing_in {
            respace(&mut file.layout.grid, spacing, true, &mut file.warnings)?;
        }
        Ok(Some(Input::Precomputed(Box::new(file))))
    }

    fn of_series(mut series: DicomSeries, options: &OpenOptions) -> Result<Input> {
        if let Some(spacing) = options.spacing_in {
            respace(&mut series.layout.grid, spacing, true, &mut series.warnings)?;
        }
        Ok(Input::Dicom(Box::new(series)))
    }

    /// The NIfTI file, where it is one.
    pub fn nifti(&self) -> Option<&NiftiFile> {
        if let Input::Nifti(file) = self { Some(file) } else { None }
    }

    /// The NIfTI header and its extensions: of a NIfTI file, or beside the levels of an image.
    pub fn nifti_header(&self) -> Option<(&Header, &[u8])> {
        match self {
            Input::Nifti(file) => Some((&file.header, &file.extensions)),
            Input::Zarr(file) => file.header().map(|lone| (&lone.header, &lone.extensions[..])),
            _ => None,
        }
    }

    /// The Zarr array or image, where it is one.
    pub fn zarr(&self) -> Option<&ZarrFile> {
        if let Input::Zarr(file) = self { Some(file) } else { None }
    }

    fn view(&self) -> Option<&View> {
        match self {
            Input::Nifti(file) => file.view.as_ref(),
            Input::Zarr(file) => file.view.as_ref(),
            Input::Plain(file) => file.view.as_ref(),
            Input::Dicom(series) => series.view.as_ref(),
            Input::Tiff(file) => file.view.as_ref(),
            Input::Hdf5(file) => file.view.as_ref(),
            Input::Precomputed(file) => file.view.as_ref(),
            Input::Field(field) => field.view.as_ref(),
            Input::Own(_) => None,
        }
    }

    /// Grid, volumes, sample type and chunks.
    pub fn layout(&self) -> &Layout {
        match self {
            Input::Nifti(file) => &file.layout,
            Input::Zarr(file) => &file.layout,
            Input::Plain(file) => &file.layout,
            Input::Dicom(series) => &series.layout,
            Input::Tiff(file) => &file.layout,
            Input::Hdf5(file) => &file.layout,
            Input::Precomputed(file) => &file.layout,
            Input::Field(field) => &field.layout,
            Input::Own(source) => source.layout(),
        }
    }

    /// How stored samples become voxels, without slope.
    pub fn conversion(&self) -> Conversion {
        match self {
            Input::Nifti(file) => file.conversion,
            Input::Zarr(file) => file.conversion,
            Input::Plain(file) => file.conversion,
            Input::Dicom(series) => series.conversion,
            Input::Tiff(file) => file.conversion,
            Input::Hdf5(file) => file.conversion,
            Input::Precomputed(file) => file.conversion,
            Input::Field(field) => Conversion::plain(field.layout.stored),
            Input::Own(source) => Conversion::plain(source.layout().stored),
        }
    }

    /// `(slope, intercept)` from stored samples to real values.
    pub fn slope(&self) -> Option<(f64, f64)> {
        match self {
            Input::Nifti(file) => file.header.slope(),
            Input::Dicom(series) => series.slope,
            Input::Zarr(file) => file.header().and_then(|lone| lone.header.slope()),
            _ => None,
        }
    }

    /// What is wrong with the metadata, without being in the way.
    pub fn warnings(&self) -> &[String] {
        match self {
            Input::Nifti(file) => &file.warnings,
            Input::Zarr(file) => &file.warnings,
            Input::Plain(file) => &file.warnings,
            Input::Dicom(series) => &series.warnings,
            Input::Tiff(file) => &file.warnings,
            Input::Hdf5(file) => &file.warnings,
            Input::Precomputed(file) => &file.warnings,
            Input::Field(_) | Input::Own(_) => &[],
        }
    }

    /// Whether voxels are names and not quantities, as far as the file says.
    pub fn is_label(&self) -> bool {
        match self {
            Input::Nifti(file) => file.header.is_label(),
            Input::Zarr(file) => file.is_label,
            Input::Plain(file) => file.is_label,
            Input::Precomputed(file) => file.is_label(),
            Input::Dicom(_) | Input::Tiff(_) | Input::Hdf5(_) | Input::Field(_) | Input::Own(_) => false,
        }
    }

    /// Whether this is a NIfTI file whose codes say that neither of its forms counts.
    pub fn lacks_forms(&self) -> bool {
        self.nifti().is_some_and(|file| file.header.qform_code <= 0 && file.header.sform_code <= 0)
    }

    /// Axes that the file does not have, storage order.
    pub fn lacking(&self) -> [bool; 3] {
        match self {
            Input::Nifti(file) => std::array::from_fn(|a| (3 - a) as i64 > file.header.dim[0]),
            Input::Zarr(file) => file.lacking(),
            Input::Plain(file) => file.lacking,
            Input::Tiff(file) => file.lacking,
            Input::Dicom(_) | Input::Hdf5(_) | Input::Precomputed(_) | Input::Field(_) | Input::Own(_) => [false; 3],
        }
    }

    /// The voxels as type `T`; `conversion` is this input's own, perhaps with a slope.
    pub fn source<T: Voxel>(&self, conversion: Conversion, io: IoMode) -> Result<Box<dyn Source<T>>> {
        let Some(view) = self.view() else { return self.source_of(self.layout(), conversion, io) };
        let whole = Layout { outer: view.behind().clone(), ..self.layout().clone() };
        let source = self.source_of(&whole, conversion, io)?;
        Ok(Box::new(ViewSource::owned(source, view.clone())))
    }

    fn source_of<T: Voxel>(&self, layout: &Layout, conversion: Conversion, io: IoMode) -> Result<Box<dyn Source<T>>> {
        match self {
            Input::Own(source) => source.source(),
            Input::Field(field) => Ok(Box::new(FieldSource::new(field, layout.clone(), conversion))),
            Input::Dicom(series) => Ok(Box::new(DicomSource::new(series, layout.clone(), conversion))),
            Input::Hdf5(file) => Ok(Box::new(Hdf5Source::new(file, layout.clone(), conversion))),
            Input::Precomputed(file) => Ok(Box::new(PrecomputedSource::new(file, layout.clone(), conversion))),
            Input::Tiff(file) => match file.data_offset {
                Some(offset) => {
                    let packed = Packed::new(layout, offset, conversion);
                    Ok(Box::new(RawSource::open(&file.path, layout.clone(), packed, reach(io))?))
                }
                None => Ok(Box::new(TiffSource::new(file, layout.clone(), conversion))),
            },
            Input::Plain(file) => {
                let (layout, together) = file.as_stored(layout);
                let packed = Packed::new(&layout, file.data_offset, conversion);
                let path = &file.data_path;
                let source: Box<dyn Source<T>> = match file.stream {
                    Some(start) => Box::new(GzipSource::open_at(path, start, layout, packed)?),
                    None => Box::new(RawSource::open(path, layout, packed, reach(io))?),
                };
                Ok(match together {
                    Some(axis) => Box::new(Components::along(source, axis)),
                    None => source,
                })
            }
            Input::Zarr(file) => {
                let mut file = ZarrFile::clone(file);
                (file.conversion, file.layout) = (conversion, layout.clone());
                Ok(Box::new(ZarrSource::<T>::new(file)))
            }
            Input::Nifti(file) => {
                let packed = Packed::new(layout, file.data_offset, conversion);
                let (path, layout) = (&file.data_path, layout.clone());
                if let Some(remote) = &file.remote {
                    if !file.compressed {
                        return Ok(Box::new(RangedSource::new(remote.clone(), layout, packed)));
                    }
                    return Ok(Box::new(GzipSource::of(path, file.data(0)?, Start::FILE, layout, packed)));
                }
                if !file.compressed {
                    return Ok(Box::new(RawSource::open(path, layout, packed, reach(io))?));
                }
                if is_bgzf(path)? {
                    return Ok(Box::new(BgzfSource::open(path, layout, packed)?));
                }
                Ok(Box::new(GzipSource::open(path, layout, packed)?))
            }
        }
    }

    /// How the format is called in summaries.
    pub fn format_name(&self) -> String {
        match self {
            Input::Nifti(file) => file.format_name(),
            Input::Zarr(file) => format!("Zarr v{}, {}", file.zarr_format, file.codecs),
            Input::Plain(file) => file.format_name(),
            Input::Dicom(series) => series.format_name(),
            Input::Tiff(file) => file.format_name(),
            Input::Hdf5(file) => file.format_name(),
            Input::Precomputed(file) => file.format_name(),
            Input::Field(_) => "displacement field of ITK, HDF5".into(),
            Input::Own(_) => "a source of the program's own".into(),
        }
    }
}

fn reach(io: IoMode) -> RawAccess {
    match io {
        IoMode::Map => RawAccess::Map,
        IoMode::Position | IoMode::Auto => RawAccess::Position,
    }
}

/// Gives the grid these steps; direction and origin stay. Says what the file states otherwise.
fn respace(grid: &mut Grid, spacing: [f64; 3], has_forms: bool, warnings: &mut Vec<String>) -> Result<()> {
    let in_file_order = |[z, y, x]: [f64; 3]| format!("{x}x{y}x{z}");
    if !spacing.iter().all(|step| step.is_finite() && *step > 0.0) {
        return Err(Error::usage(format!("--spacing-in {} is no step between voxels", in_file_order(spacing))));
    }
    let stated = grid.spacing();
    if (has_forms || stated != [1.0; 3]) && stated != spacing {
        warnings.push(format!(
            "--spacing-in {} takes the place of the steps of {} {} that the file states",
            in_file_order(spacing),
            in_file_order(stated),
            grid.unit.symbol()
        ));
    }
    grid.set_spacing(spacing);
    Ok(())
}

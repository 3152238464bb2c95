//! How a target voxel is made of source voxels, by the names of the command line.

use std::{fmt, str::FromStr};

use super::{KernelShape, Order, Window, bspline};

/// Radius of the windowed sincs unless it is given.
const SINC_RADIUS: u8 = 5;
/// Sigma of the smoothing Gaussian unless it is given, in source voxels.
const GAUSSIAN_SIGMA: f64 = 0.8;
/// Sigma of the Gaussian that labels are weighed by unless it is given, in source voxels.
const LABEL_SIGMA: f64 = 1.0;

/// How a target voxel is made of source voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The nearest voxel, its bits copied.
    Nearest,
    /// The sum of the voxels around it, weighed by a kernel.
    Kernel(KernelShape),
    /// Over the voxels that it covers.
    Area(Area),
    /// The label whose weights sum highest.
    Label(LabelWeights),
}

/// What a target voxel is, of the source voxels that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Their mean, weighed by the overlap.
    Mean,
    /// The most frequent, weighed by the overlap; ties to the lower.
    Mode,
    Min,
    Max,
    /// The middle one, or the mean of the two middle ones; of integers rounded.
    Median,
}

/// How the labels around a point are weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LabelWeights {
    /// Of the eight next to it, as linear interpolation weighs them.
    Linear,
    /// A Gaussian of `sigma` source voxels, cut at 1 sigma.
    Gaussian { sigma: f64 },
}

impl Method {
    /// Whether `--antialias` may stretch it.
    pub fn stretches(self) -> bool {
        matches!(self, Method::Kernel(shape) if shape.stretches())
    }

    /// Whether values are mixed that are not names: what must not be done to labels.
    pub fn mixes(self) -> bool {
        match self {
            Method::Nearest | Method::Label(_) => false,
            Method::Area(cover) => matches!(cover, Area::Mean | Area::Median),
            Method::Kernel(_) => true,
        }
    }

    /// Whether a target voxel is one of several source voxels by their values, so that components of a voxel could come from
    /// different ones.
    pub fn picks(self) -> bool {
        match self {
            Method::Nearest | Method::Kernel(_) => false,
            Method::Area(cover) => cover != Area::Mean,
            Method::Label(_) => true,
        }
    }

    /// Whether source voxels between those that target voxels look at are passed over when an axis is down-sampled.
    pub fn skips(self) -> bool {
        !matches!(self, Method::Area(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Nearest => f.write_str("nearest"),
            Method::Kernel(KernelShape::Linear) => f.write_str("linear"),
            Method::Kernel(KernelShape::CatmullRom) => f.write_str("cubic"),
            Method::Kernel(KernelShape::BSpline { order }) => write!(f, "bspline{order}"),
            Method::Kernel(KernelShape::Lanczos { lobes }) => write!(f, "lanczos{lobes}"),
            Method::Kernel(KernelShape::Sinc { window, radius }) => write!(f, "sinc-{}:{radius}", window.name()),
            Method::Kernel(KernelShape::Gaussian { sigma }) => write!(f, "gaussian:{sigma}"),
            Method::Area(cover) => f.write_str(cover.name()),
            Method::Label(LabelWeights::Linear) => f.write_str("label"),
            Method::Label(LabelWeights::Gaussian { sigma }) => write!(f, "label-gaussian:{sigma}"),
        }
    }
}

impl Area {
    /// What this is of stored samples: where they fall as values rise, the smallest value is the largest sample.
    pub fn of_samples(self, order: Order) -> Area {
        match (self, order) {
            (Area::Min, Order::Falling) => Area::Max,
            (Area::Max, Order::Falling) => Area::Min,
            _ => self,
        }
    }

    /// Every one.
    pub const ALL: [Area; 5] = [Area::Mean, Area::Mode, Area::Min, Area::Max, Area::Median];

    /// As `--interp` has it.
    pub fn name(self) -> &'static str {
        match self {
            Area::Mean => "mean",
            Area::Mode => "mode",
            Area::Min => "min",
            Area::Max => "max",
            Area::Median => "median",
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Method, String> {
        let (name, parameter) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        if let Some(method) = plain(name) {
            return match parameter {
                None => Ok(method),
                Some(_) => Err(format!("'{name}' has no parameter")),
            };
        }
        match name {
            "gaussian" => Ok(Method::Kernel(KernelShape::Gaussian { sigma: sigma(parameter, GAUSSIAN_SIGMA)? })),
            "label-gaussian" => Ok(Method::Label(LabelWeights::Gaussian { sigma: sigma(parameter, LABEL_SIGMA)? })),
            _ => sinc(name, parameter),
        }
    }
}

/// The methods without a parameter.
fn plain(name: &str) -> Option<Method> {
    let digit = |prefix: &str| name.strip_prefix(prefix).filter(|rest| rest.len() == 1)?.parse::<u8>().ok();
    Some(match name {
        "nearest" => Method::Nearest,
        "linear" => Method::Kernel(KernelShape::Linear),
        "cubic" => Method::Kernel(KernelShape::CatmullRom),
        "bspline" => Method::Kernel(KernelShape::BSpline { order: 3 }),
        "lanczos" => Method::Kernel(KernelShape::Lanczos { lobes: 3 }),
        "label" => Method::Label(LabelWeights::Linear),
        _ => {
            if let Some(cover) = Area::ALL.into_iter().find(|cover| cover.name() == name) {
                return Some(Method::Area(cover));
            }
            if let Some(order) = digit("bspline").filter(|order| bspline::ORDERS.contains(order)) {
                return Some(Method::Kernel(KernelShape::BSpline { order }));
            }
            let lobes = digit("lanczos").filter(|lobes| (2..=6).contains(lobes))?;
            Method::Kernel(KernelShape::Lanczos { lobes })
        }
    })
}

fn sinc(name: &str, parameter: Option<&str>) -> Result<Method, String> {
    let window = Window::ALL.into_iter().find(|window| name.strip_prefix("sinc-") == Some(window.name()));
    let window = window.ok_or(
        "expected nearest, linear, cubic, bspline2 to bspline5, lanczos2 to lanczos6, sinc-hamming, sinc-cosine, \
         sinc-welch, sinc-lanczos, sinc-blackman (:RADIUS), gaussian (:SIGMA), label, label-gaussian (:SIGMA), mean, \
         mode, min, max, median or auto",
    )?;
    let radius = parameter.map_or(Ok(SINC_RADIUS), str::parse).ok().filter(|radius| (1..=16).contains(radius));
    let radius = radius.ok_or("the radius of a windowed sinc is a whole number from 1 to 16")?;
    Ok(Method::Kernel(KernelShape::Sinc { window, radius }))
}

fn sigma(parameter: Option<&str>, default: f64) -> Result<f64, String> {
    let sigma = parameter.map_or(Ok(default), str::parse).ok().filter(|sigma| (0.1..=16.0).contains(sigma));
    sigma.ok_or("sigma is a number of source voxels from 0.1 to 16".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        let names = ["nearest", "linear", "cubic", "bspline2", "bspline5", "lanczos2", "lanczos6", "sinc-hamming:5"];
        let more =
            ["sinc-blackman:3", "gaussian:0.8", "label", "label-gaussian:1", "mean", "mode", "min", "max", "median"];
        for name in names.into_iter().chain(more) {
            assert_eq!(name.parse::<Method>().map(|method| method.to_string()), Ok(name.to_string()));
        }
        assert_eq!("bspline".parse::<Method>().unwrap().to_string(), "bspline3");
        assert_eq!("sinc-welch".parse::<Method>().unwrap().to_string(), "sinc-welch:5");
        assert_eq!("gaussian".parse::<Method>().unwrap().to_string(), "gaussian:0.8");
        for wrong in
            ["", "bspline6", "bspline22", "lanczos1", "sinc", "sinc-lanczos:0", "gaussian:-1", "mean:2", "label:3"]
        {
            assert!(wrong.parse::<Method>().is_err(), "{wrong}");
        }
        assert!("gaussian:nan".parse::<Method>().is_err() && "label-gaussian:1e9".parse::<Method>().is_err());
    }
}

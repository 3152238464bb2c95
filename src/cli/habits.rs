//! Options and values of other programs, and common mistakes: each is answered with the option of this program.
//!
//! Pure: from what was typed to the answer. Names of values are in [`names`].

mod names;

pub(super) use names::{column, dtype, interp, is_near, near};

/// What was typed and is not known, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub what: String,
    pub hint: String,
}

/// Ours for the options of others that name input and output.
const PATHS: &str = "the names alone";

/// Options of other programs: their names, whose they are, and ours. `N` stands for numbers that follow, `FILE` for a file, `METHOD`
/// for a way to interpolate.
const OPTIONS: [(&[&str], &str, &str); 42] = [
    (&["-voxel", "-voxel_size"], "mrgrid's", "--spacing N"),
    (&["-tr"], "gdalwarp's", "--spacing N"),
    (&["-vs", "--voxsize"], "mri_convert's", "--spacing N"),
    (&["-dxyz"], "3dresample's", "--spacing N"),
    (&["-resample-mm"], "c3d's", "--spacing N"),
    (
        &["--voxel", "--voxel-size", "--voxels", "--vox", "--resolution", "--res", "--pixdim", "--step"],
        "",
        "--spacing N",
    ),
    (&["-resample"], "c3d's", "--scale N"),
    (&["-reslice-itk", "-reslice-matrix"], "c3d's", "--transform FILE with --like"),
    (&["-int"], "c3d's", "--interp METHOD"),
    (&["-n"], "antsApplyTransforms's", "--interp METHOD"),
    (&["-t"], "antsApplyTransforms's", "--transform FILE"),
    (&["-r"], "gdalwarp's or antsApplyTransforms's", "--interp for a method, or --like for a grid"),
    (&["-te"], "gdalwarp's", "--region in voxels: --region 0:10,0:10,0:10"),
    (&["-co"], "gdalwarp's", "--codec for .zarr, or --gzip for .nii.gz"),
    (&["-dstnodata", "-background"], "", "--outside N"),
    (&["--target-affine"], "nilearn's", "--like FILE, or --spacing for a step"),
    (&["--target-shape"], "nilearn's", "--size N"),
    (&["-ts"], "gdalwarp's", "--size N"),
    (&["--shape", "--dims", "--dim"], "", "--size N"),
    (&["--zoom", "--factor", "--resize", "--downsample", "--shrink"], "", "--scale N"),
    (&["-applyisoxfm"], "flirt's", "--isotropic=N with --transform and --like"),
    (&["-ref"], "flirt's", "--like FILE"),
    (&["-init"], "flirt's", "--transform FILE"),
    (&["-rl"], "mri_convert's", "--like FILE"),
    (&["-master"], "3dresample's", "--like FILE"),
    (&["-template"], "mrgrid's", "--like FILE"),
    (&["-reslice-identity"], "c3d's", "--like FILE"),
    (
        &["--reference", "--reference-image", "--ref", "--template", "--target", "--master", "--fixed"],
        "",
        "--like FILE",
    ),
    (&["-force", "--force", "-f", "-y", "--yes", "--clobber", "-clobber"], "", "--overwrite"),
    (&["-oversample", "--oversample"], "mrgrid's", "--antialias"),
    (&["--conform", "-c", "-conform"], "mri_convert's", "--orient LIA --isotropic=1, or --like with a conformed image"),
    (&["-rt"], "mri_convert's", "--interp METHOD"),
    (&["-rmode"], "3dresample's", "--interp METHOD"),
    (&["--interpolation", "-interpolation", "--order", "--resampling", "--mode"], "", "--interp METHOD"),
    (&["-odt", "--out_data_type", "-ot", "-datatype", "--datatype", "--type", "--data-type"], "", "--dtype TYPE"),
    (&["-wm", "--mem", "--max-memory", "--memory-limit"], "", "--memory SIZE"),
    (&["-nthreads", "--nthreads", "--n-jobs", "--jobs", "--workers", "--num-threads", "-j"], "", "--threads"),
    (
        &[
            "--input", "--in", "-in", "-i", "--output", "--out", "-out", "-o", "-prefix", "-inset", "-res", "-flo",
            "-of",
        ],
        "",
        PATHS,
    ),
    (&["--cval", "--fill", "--default-value", "--padding-value", "--background"], "", "--outside N"),
    (&["--chunks", "--chunk-size"], "", "--chunk N"),
    (&["--compression", "--compress", "--compressor"], "", "--codec"),
    (&["--levels"], "", "--pyramid=N"),
];

/// Options whose value is one number or three, with commas.
const TRIPLES: [&str; 6] = ["--spacing", "--size", "--scale", "--spacing-in", "--chunk", "--shard"];
/// Options whose value stands behind `=`.
const OPTIONAL: [&str; 3] = ["--isotropic", "--pyramid", "--dry-run"];

/// What to say to arguments of `resample` or `batch` that were refused; nothing where no habit is known. `ours` are the options
/// that there are, without their dashes.
pub(super) fn answer(typed: &[String], ours: &[String]) -> Option<Answer> {
    let (command, rest) = typed.split_first()?;
    if !matches!(command.as_str(), "resample" | "batch") {
        return None;
    }
    let of_one = |n: usize| slip(&rest[n], &rest[n + 1..]).or_else(|| of_another(&rest[n], &rest[n + 1..], ours));
    (0..rest.len()).find_map(of_one)
}

/// Ours, with its value in another form.
fn slip(option: &str, following: &[String]) -> Option<Answer> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let mut values = value.into_iter().chain(following.iter().map(String::as_str));
    if TRIPLES.contains(&name) || name == "--isotropic" {
        let first = values.clone().next()?;
        if numbers(first).is_some_and(|numbers| numbers.iter().any(|number| *number <= 0.0)) {
            return Some(Answer { what: format!("{name} {first}: numbers must be positive"), hint: example(name) });
        }
    }
    if TRIPLES.contains(&name) {
        let three: Vec<&str> = values.take_while(|value| value.parse::<f64>().is_ok()).take(3).collect();
        let hint = format!("three numbers have commas between them: {name} {}", three.join(","));
        return (three.len() > 1).then(|| Answer { what: format!("{name} takes one value"), hint });
    }
    let next = values.next().filter(|_| value.is_none() && OPTIONAL.contains(&name))?;
    let fits = if name == "--dry-run" { next == "json" } else { next.parse::<f64>().is_ok() };
    fits.then(|| Answer { what: format!("the value of {name} stands behind '='"), hint: format!("{name}={next}") })
}

/// A file, or another program's command, where a command of ours belongs.
pub(super) fn no_command(word: &str) -> Answer {
    let hint = "reslice resample INPUT OUTPUT makes another grid; `reslice --help` has all commands";
    Answer { what: format!("there is no command {word}"), hint: hint.into() }
}

/// A file more than the command takes.
pub(super) fn too_many(command: &str, word: &str) -> Option<Answer> {
    if word.starts_with('-') {
        return None;
    }
    let what = format!("{word} is one name too many");
    let hint = match command {
        "resample" => {
            "resample takes INPUT and OUTPUT; for many files write a table, as `reslice batch --help` shows it"
        }
        "batch" => "batch takes one table, whose first line is input, a tab, output: `reslice batch --help` shows one",
        _ => return None,
    };
    Some(Answer { what, hint: hint.into() })
}

fn example(name: &str) -> String {
    match name {
        "--size" | "--chunk" | "--shard" => format!("{name} 64, or {name} 64,64,32"),
        "--isotropic" => "--isotropic=1".into(),
        _ => format!("{name} 0.5, or {name} 0.5,0.5,2"),
    }
}

/// One number, or three with commas.
fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',').map(|part| part.trim().parse().ok()).collect()
}

/// Another program's option, or ours with one dash.
fn of_another(option: &str, following: &[String], ours: &[String]) -> Option<Answer> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let what = format!("there is no option {name}");
    let values: Vec<&str> = value.into_iter().chain(following.iter().map(String::as_str)).collect();
    if let Some((_, whose, here)) = OPTIONS.iter().find(|(names, ..)| names.contains(&name)) {
        let here = filled(here, &values);
        let hint = match *whose {
            _ if here == PATHS => {
                "INPUT and OUTPUT stand without an option: reslice resample scan.nii.gz new.nii.gz".into()
            }
            "" => format!("here it is {here}"),
            whose => format!("it is {whose}: here {here}"),
        };
        return Some(Answer { what, hint });
    }
    let word = name.strip_prefix('-').filter(|word| word.len() > 2 && !word.starts_with('-'))?;
    ours.iter().any(|ours| ours == word).then(|| Answer { what, hint: format!("options have two dashes: --{word}") })
}

/// `--spacing N` with the numbers that follow, `--like FILE` with the file.
fn filled(ours: &str, values: &[&str]) -> String {
    let first = values.first().copied().filter(|value| !value.starts_with('-'));
    let parts: Vec<&str> = first
        .map_or_else(Vec::new, |first| first.trim_end_matches("mm").trim_end_matches('%').split([',', 'x']).collect());
    let is_number = |value: &&str| value.parse::<f64>().is_ok();
    let mut three: Vec<&str> = values.iter().copied().take_while(is_number).take(3).collect();
    if three.is_empty() && parts.iter().all(is_number) {
        three = parts;
    }
    let percent = if first.is_some_and(|first| first.ends_with('%')) { "%" } else { "" };
    // Pictures have two axes.
    if three.len() == 2 {
        three.push("1");
    }
    let mut text = ours.to_string();
    if let Some(numbers) = (!three.is_empty()).then(|| three.join(",")) {
        text = text.replace(" N", &format!(" {numbers}{percent}")).replace("=N", &format!("={}", three[0]));
    }
    if let Some(first) = first {
        text = text.replace("FILE", first);
        text = text.replace("METHOD", interp(first).unwrap_or(first));
        text = text.replace("TYPE", dtype(first).unwrap_or(first));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options_of;

    fn hint(line: &str) -> String {
        let typed: Vec<String> = line.split(' ').map(String::from).collect();
        answer(&typed, &options_of("resample")).map_or_else(String::new, |answer| answer.hint)
    }

    #[test]
    fn options_of_other_programs_are_answered_with_ours() {
        for (line, ours) in [
            ("resample a.nii b.nii -voxel 1", "it is mrgrid's: here --spacing 1"),
            ("resample a.nii b.nii -voxel 1,1,2", "it is mrgrid's: here --spacing 1,1,2"),
            ("resample a.nii -resample-mm 1x1x2mm -o b.nii", "it is c3d's: here --spacing 1,1,2"),
            ("resample a.nii b.nii -resample 50%", "it is c3d's: here --scale 50%"),
            ("resample a.nii b.nii -tr 2 2", "it is gdalwarp's: here --spacing 2,2,1"),
            ("resample a.nii b.nii -n NearestNeighbor", "it is antsApplyTransforms's: here --interp nearest"),
            ("resample a.nii b.nii -dxyz 1 1 2", "it is 3dresample's: here --spacing 1,1,2"),
            ("resample a.nii b.nii --reference r.nii", "here it is --like r.nii"),
            ("resample a.nii b.nii --template=r.nii", "here it is --like r.nii"),
            ("resample a.nii b.nii --target-affine", "it is nilearn's: here --like FILE, or --spacing for a step"),
            ("resample a.nii b.nii -force", "here it is --overwrite"),
            ("resample -rt nearest a.nii b.nii", "it is mri_convert's: here --interp nearest"),
            ("resample a.nii b.nii --interpolation NearestNeighbor", "here it is --interp nearest"),
            ("resample a.nii b.nii -ot Float32", "here it is --dtype f32"),
            ("resample a.nii b.nii -spacing 2", "options have two dashes: --spacing"),
            ("batch jobs.tsv --force", "here it is --overwrite"),
        ] {
            assert_eq!(hint(line), ours, "{line}");
        }
        assert!(hint("resample --input a.nii --output b.nii").starts_with("INPUT and OUTPUT stand without"));
        for line in ["resample a.nii b.nii", "info a.nii --force", "resample a b --nonsense", "resample a b -vq"] {
            assert_eq!(hint(line), "", "{line}");
        }
    }

    #[test]
    fn values_in_another_form_are_answered_with_ours() {
        for (line, ours) in [
            ("resample a b --spacing 1 1 2", "three numbers have commas between them: --spacing 1,1,2"),
            ("resample --size 9 9 9 a b", "three numbers have commas between them: --size 9,9,9"),
            ("resample a b --isotropic 1", "--isotropic=1"),
            ("resample a b --pyramid 3", "--pyramid=3"),
            ("resample a b --dry-run json", "--dry-run=json"),
            ("resample a b --spacing -1", "--spacing 0.5, or --spacing 0.5,0.5,2"),
            ("resample a b --size=-4,4,4", "--size 64, or --size 64,64,32"),
        ] {
            assert_eq!(hint(line), ours, "{line}");
        }
        assert_eq!(hint("resample a b --spacing 1 --dry-run out.nii"), "");
        assert!(too_many("batch", "b.nii").is_some_and(|answer| answer.what == "b.nii is one name too many"));
        assert!(too_many("resample", "--odd").is_none() && too_many("info", "b.nii").is_none());
    }

    /// No name stands twice, and what is advised is an option.
    #[test]
    fn the_table_advises_options_that_are_there() {
        let names: Vec<&str> = OPTIONS.iter().flat_map(|(names, ..)| names.iter().copied()).collect();
        let distinct: std::collections::HashSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        let options = options_of("resample");
        let is_ours = |name: &str| options.iter().any(|option| option == name);
        for (names, _, ours) in OPTIONS {
            assert!(!names.iter().filter_map(|name| name.strip_prefix("--")).any(is_ours), "{names:?}");
            let options = ours.split(' ').filter_map(|word| word.strip_prefix("--"));
            for option in options.map(|word| word.split(['=', ',']).next().unwrap_or(word)) {
                assert!(is_ours(option), "{option} in '{ours}'");
            }
        }
    }
}

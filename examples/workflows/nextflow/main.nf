// nextflow run main.nf --scans 'scans/*.nii.gz' --spacing 1 --outdir resampled

include { RESLICE_RESAMPLE } from './modules/reslice/resample/main'

params.scans   = null
params.spacing = 1
params.outdir  = 'resampled'

workflow {
    scans = channel.fromPath(params.scans, checkIfExists: true)
        .map { scan -> [[id: scan.name.replaceFirst(/\.nii(\.gz)?$/, '')], scan, []] }
    RESLICE_RESAMPLE(scans)
}

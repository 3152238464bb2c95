process RESLICE_RESAMPLE {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "reslice:0.1.0"

    input:
    tuple val(meta), path(scan), path(reference, arity: '0..1')

    output:
    tuple val(meta), path("${prefix}.${suffix}")  , emit: image
    tuple val(meta), path("${prefix}.summary.json"), emit: summary
    tuple val("${task.process}"), val('reslice'), eval("reslice --version | sed 's/reslice //'"), topic: versions, emit: versions_reslice

    when:
    task.ext.when == null || task.ext.when

    script:
    def args   = task.ext.args ?: ''
    def like   = reference ? "--like ${reference}" : ''
    def memory = task.memory ? "--memory ${(task.memory.toMega() * 3).intdiv(4)}MiB" : ''
    prefix     = task.ext.prefix ?: "${meta.id}_resampled"
    suffix     = task.ext.suffix ?: 'nii.gz'
    if ("${scan}" == "${prefix}.${suffix}") error "Input and output have the same name: set ext.prefix"
    """
    reslice resample ${scan} ${prefix}.${suffix} \\
        ${like} \\
        ${args} \\
        --threads ${task.cpus} \\
        ${memory} \\
        --progress lines \\
        --summary ${prefix}.summary.json
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}_resampled"
    suffix = task.ext.suffix ?: 'nii.gz'
    """
    if [ "${suffix}" = nii.gz ]; then echo | gzip > ${prefix}.${suffix}; else touch ${prefix}.${suffix}; fi
    touch ${prefix}.summary.json
    """
}

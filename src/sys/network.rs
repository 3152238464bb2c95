//! Which file systems are reached over a network.

use std::path::Path;

use super::file_system_type;

/// File system types by the number that statfs(2) gives.
const NETWORKS: [(u64, &str); 15] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x00c3_6400, "CephFS"),
    (0x1983_0326, "BeeGFS"),
    (0x6573_5546, "FUSE"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x0102_1997, "9P"),
    (0xaad7_aaea, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x7375_7245, "Coda"),
];

/// What the network file system that holds `path` is called; none for a local one, or where `path` is not there.
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    name(file_system_type(path)?)
}

fn name(kind: u64) -> Option<&'static str> {
    NETWORKS.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_by_number() {
        assert_eq!(
            (name(0x6969), name(0x0bd0_0bd0), name(0xef53), name(0x0102_1994)),
            (Some("NFS"), Some("Lustre"), None, None)
        );
        assert_eq!(name(i32::from_ne_bytes(0xff53_4d42u32.to_ne_bytes()) as u64 & 0xffff_ffff), Some("SMB"));
        assert_eq!(network_file_system(Path::new("/proc/self/status")), None);
        assert_eq!(network_file_system(Path::new("/nowhere/at/all")), None);
    }
}

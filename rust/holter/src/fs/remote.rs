//! Detects network file systems.

use std::path::Path;

/// Magic numbers of file systems that several machines can write to, or whose shared mappings are unreliable.
const REMOTE: [u32; 13] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS
    0x5346_414F, // AFS
    0x00C3_6400, // Ceph
    0x6573_5546, // FUSE
    0x0102_1997, // 9P
    0x1983_0326, // BeeGFS
    0x1803_1977, // WekaFS
    0xAAD7_AAEA, // PanFS
];

/// Whether `path` is on a network file system.
pub(crate) fn is_remote(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| REMOTE.contains(&(found.f_type as u32)))
}

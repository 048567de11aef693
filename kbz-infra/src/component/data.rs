//! Directories for data.

use crate::ident::HostName;
use crate::primitive::Directory;
use crate::program::Settings;

/// A directory for data: on XFS, unless the environment tolerates another file system.
pub fn data_directory(host: &HostName, path: &str, settings: &Settings) -> Directory {
    let directory = Directory::on(host, path).requires_filesystem("xfs");
    if settings.tolerate_other_filesystems {
        directory.tolerate_other_filesystem()
    } else {
        directory
    }
}

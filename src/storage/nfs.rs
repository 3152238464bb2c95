//! File servers: retries after a stale handle (ESTALE), and recognises a repeated request whose first try was done.

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    thread,
    time::Duration,
};

use crate::error::Error;

/// Tries of what a server has no handle for.
const TRIES: u32 = 5;
/// Before the second try; twice as long before each that follows.
const PAUSE: Duration = Duration::from_millis(50);

/// Does `attempt` again while its error is a stale handle, five times at most.
pub fn again<R, E>(mut attempt: impl FnMut() -> Result<R, E>, is_stale: impl Fn(&E) -> bool) -> Result<R, E> {
    for tries in 1..TRIES {
        match attempt() {
            Err(error) if is_stale(&error) => thread::sleep(PAUSE * (1 << (tries - 1))),
            other => return other,
        }
    }
    attempt()
}

/// Whether a file server has forgotten a handle (ESTALE).
pub fn is_stale(error: &io::Error) -> bool {
    error.kind() == ErrorKind::StaleNetworkFileHandle
}

/// What is under a name, a link that leads nowhere too; `None` where nothing is.
pub fn look_at(path: &Path) -> Result<Option<Metadata>, Error> {
    match uninterrupted(|| path.symlink_metadata()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(Error::io("look at", path)),
    }
}

/// A file that is read by position, and opened anew where its handle became stale.
#[derive(Debug)]
pub struct SteadyFile {
    path: PathBuf,
    identity: Identity,
    file: RwLock<File>,
}

/// What stays the same while a file is neither written nor replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    len: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(found: &Metadata) -> Identity {
        let modified = (found.mtime(), found.mtime_nsec());
        Identity { inode: (found.dev(), found.ino()), len: found.len(), modified }
    }
}

impl SteadyFile {
    /// Opens a file to read.
    pub fn open(path: &Path) -> io::Result<SteadyFile> {
        let file = open(path)?;
        let identity = Identity::of(&file.metadata()?);
        Ok(SteadyFile { path: path.to_path_buf(), identity, file: RwLock::new(file) })
    }

    /// Bytes when it was opened.
    pub fn bytes(&self) -> u64 {
        self.identity.len
    }

    /// Fills `bytes` from `offset` on.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|file| file.read_exact_at(bytes, offset))
    }

    /// Does something with the file; once more with a new handle where the old one became stale.
    ///
    /// # Errors
    /// Those of `act`; another file is there now.
    pub fn with<R>(&self, mut act: impl FnMut(&File) -> io::Result<R>) -> io::Result<R> {
        let mut reopen = false;
        let attempt = || {
            if std::mem::replace(&mut reopen, true) {
                self.reopen()?;
            }
            act(&self.file.read().unwrap_or_else(PoisonError::into_inner))
        };
        again(attempt, is_stale)
    }

    fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        if Identity::of(&file.metadata()?) != self.identity {
            return Err(io::Error::other("the file was changed or replaced while it was read"));
        }
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

/// Opens a file to read it: without waiting for whoever might write into a pipe, and nothing but a file.
///
/// # Errors
/// Those of opening; it is a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = file.map_err(|error| match fs::metadata(path) {
        // A socket cannot be opened at all.
        Ok(meta) if !meta.is_file() && !meta.is_dir() => not_a_file(meta.file_type()),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(not_a_file(kind)) }
}

/// The same for what is read once, from its beginning to its end: what this process was given open, as `/dev/stdin` or by a shell's `<(...)`,
/// may be a pipe.
pub fn open_once(path: &Path) -> io::Result<File> {
    let is_given = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|given| path.starts_with(given));
    if is_given { File::open(path) } else { open(path) }
}

fn not_a_file(kind: FileType) -> io::Error {
    let what = kind_name(kind);
    io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a file"))
}

/// What a file that is none is called, with its article.
pub fn kind_name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_file() => "a file",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_symlink() => "a link",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// Options that open no link and do not wait for a pipe: for names in folders where others may write.
pub fn unlinked() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Creates a file that is not there yet; whatever bears its name, which is nobody else's, is removed and not followed.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match uninterrupted(|| File::create_new(path)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            uninterrupted(|| fs::remove_file(path))?;
            uninterrupted(|| File::create_new(path))
        }
        other => other,
    }
}

/// Does `attempt` again while a signal interrupts it: file servers interrupt more calls than disks do.
pub fn uninterrupted<R>(mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Renames, and is content where that was done already: a request that is sent again after the answer to it was lost finds
/// nothing under the old name, and what stood there under the new one.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let what = uninterrupted(|| fs::symlink_metadata(from))?;
    settled(uninterrupted(|| fs::rename(from, to)), || Ok(what), to)
}

/// The same for a file that is open, which costs nothing where all goes well.
pub fn rename_open(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    settled(uninterrupted(|| fs::rename(from, to)), || file.metadata(), to)
}

fn settled(renamed: io::Result<()>, what: impl FnOnce() -> io::Result<Metadata>, to: &Path) -> io::Result<()> {
    match renamed {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let inode = |found: &Metadata| (found.dev(), found.ino());
            match (what(), fs::symlink_metadata(to)) {
                (Ok(what), Ok(there)) if inode(&what) == inode(&there) => Ok(()),
                _ => Err(error),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [precious, link] = ["precious", "link"].map(|name| dir.path().join(name));
        fs::write(&precious, b"abc").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        assert!(unlinked().write(true).create(true).truncate(true).open(&link).is_err());
        assert!(unlinked().append(true).create(true).open(&link).is_err());
        create_anew(&link).unwrap();
        assert!(!link.is_symlink() && link.is_file());
        assert_eq!(fs::read(&precious).unwrap(), b"abc");
    }

    fn stale() -> io::Error {
        io::Error::from_raw_os_error(libc::ESTALE)
    }

    #[test]
    fn stale_handles_are_tried_again_and_nothing_else() {
        let tries = Cell::new(0);
        let failing = |times: u32, error: fn() -> io::Error| {
            tries.set(0);
            let attempt = || {
                tries.set(tries.get() + 1);
                if tries.get() <= times { Err(error()) } else { Ok(7) }
            };
            (again(attempt, is_stale).map_err(|error| error.kind()), tries.get())
        };
        assert_eq!(failing(0, stale), (Ok(7), 1));
        assert_eq!(failing(2, stale), (Ok(7), 3));
        assert_eq!(failing(9, stale), (Err(ErrorKind::StaleNetworkFileHandle), TRIES));
        let full = || io::Error::from(ErrorKind::StorageFull);
        assert_eq!(failing(9, full), (Err(ErrorKind::StorageFull), 1));
    }

    #[test]
    fn the_same_file_is_opened_anew_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"abcdef").unwrap();
        let file = SteadyFile::open(&path).unwrap();
        let stale_once = || {
            let mut tries = 0;
            let mut bytes = [0; 2];
            let read = file.with(|file| {
                tries += 1;
                if tries == 1 { Err(stale()) } else { file.read_exact_at(&mut bytes, 3) }
            });
            read.map(|()| (bytes, tries))
        };
        assert_eq!(stale_once().unwrap(), (*b"de", 2));
        fs::write(dir.path().join("other"), b"ABCDEF").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(stale_once().unwrap_err().to_string().contains("changed or replaced"));
        let mut bytes = [0; 6];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes, file.bytes()), (b"abcdef", 6));
    }

    #[test]
    fn a_rename_that_was_done_already_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        let absent = || Err(io::Error::from(ErrorKind::NotFound));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"old").unwrap();
        let file = File::open(&from).unwrap();
        // Nothing was renamed: what is there is something else.
        assert!(settled(absent(), || file.metadata(), &to).is_err());
        rename_open(&file, &from, &to).unwrap();
        assert!(settled(absent(), || file.metadata(), &to).is_ok());
        assert!(settled(absent(), || file.metadata(), &dir.path().join("none")).is_err());
        assert!(rename_open(&file, &from, &to).is_ok() && rename(&from, &to).is_err());
        fs::write(&from, b"newer").unwrap();
        rename(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"newer");
    }
}

//! The log of a node that runs by itself: one file and two older ones, each of a bounded size.
//!
//! Invariant: at most [`KEPT`] + 1 files of [`FILE_BYTES`] and one line more. A disk that takes no line loses the line, never the node.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of one file: some 30,000 lines, weeks of a quiet node.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Older files beside the newest.
const KEPT: usize = 2;

/// Writes lines, and begins a new file when one is full.
pub(super) struct RotatedLog {
    path: PathBuf,
    file: File,
    written: u64,
    limit: u64,
}

impl RotatedLog {
    /// Goes on where the log ended; makes the folder if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, FILE_BYTES)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder)?;
        }
        let file = Self::file(path)?;
        Ok(Self {
            written: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            limit,
        })
    }

    /// One that others do not read, if it is made: it names machines, people and addresses.
    fn file(path: &Path) -> io::Result<File> {
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// `log.1` is the latest of the older ones.
    fn older(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            // The first rotations find no older one.
            let _none = fs::rename(self.older(number), self.older(number + 1));
        }
        fs::rename(&self.path, self.older(1))?;
        self.file = Self::file(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

impl Write for RotatedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written >= self.limit {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_ends_with_the_latest_line_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log").join("studiovault.log");
        for run in 0..4 {
            let mut log = RotatedLog::with_limit(&path, 1_000).expect("it opens");
            for line in 0..100 {
                writeln!(log, "run {run}, line {line:04}").expect("it is written");
            }
        }
        let files = fs::read_dir(path.parent().expect("a folder")).expect("it is there");
        let sizes = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len());
        let sizes: Vec<u64> = sizes.collect();
        assert_eq!(sizes.len(), KEPT + 1);
        assert!(sizes.iter().all(|size| *size <= 1_000 + 17), "{sizes:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| {
                let facts = fs::metadata(path).expect("it is there");
                facts.permissions().mode() & 0o777
            };
            assert_eq!(mode(&path), 0o600, "nobody else reads it");
            assert_eq!(mode(path.parent().expect("a folder")), 0o700);
        }
        let text = fs::read_to_string(&path).expect("it reads");
        assert!(text.ends_with("run 3, line 0099\n"), "{text}");
    }
}

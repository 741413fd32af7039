//! The source tree as the rules see it: every text file of the repository, the Rust files parsed.
//! It walks the folders itself, so it works in a plain archive as well as in a clone.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::facts::Facts;
use super::{Finding, Rule};

/// Files above this size are data, not text that people write.
const TEXT_LIMIT_BYTES: u64 = 400_000;

/// One Rust file.
pub struct SourceFile {
    /// Relative to the root of the repository.
    pub path: PathBuf,
    pub text: String,
    pub(super) facts: Facts,
}

/// Everything the rules look at.
#[derive(Default)]
pub struct SourceTree {
    pub rust: Vec<SourceFile>,
    /// Path and text of every file that is UTF-8, the Rust files included.
    pub texts: Vec<(PathBuf, String)>,
    /// Rust files that could not be parsed.
    pub unparsed: Vec<Finding>,
}

impl SourceFile {
    /// Parses one file; a finding if it is not Rust.
    pub fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let facts = Facts::of(text).map_err(|error| Finding {
            rule: Rule::Syntax,
            path: PathBuf::from(path),
            line: error.span().start().line,
            item: String::new(),
            message: format!("does not parse: {error}; run `cargo check`"),
        })?;
        Ok(SourceFile {
            path: PathBuf::from(path),
            text: text.to_owned(),
            facts,
        })
    }

    /// True if the file holds nothing but tests: it lies below the lab, in a `tests` folder, or is named for tests.
    pub fn is_test_code(&self) -> bool {
        let name = self
            .path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        self.is_below("tests") || name == "tests" || name.ends_with("_tests")
    }

    /// True if any folder on the way to the file has that name.
    pub fn is_below(&self, folder: &str) -> bool {
        let folders = self.path.parent().unwrap_or(Path::new(""));
        folders
            .components()
            .any(|part| part == Component::Normal(folder.as_ref()))
    }

    pub(super) fn finding(&self, rule: Rule, place: (usize, &str), message: String) -> Finding {
        Finding {
            rule,
            path: self.path.clone(),
            line: place.0,
            item: place.1.to_owned(),
            message,
        }
    }
}

impl SourceTree {
    /// Reads the repository below `root`; fails only if a folder or file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = SourceTree::default();
        tree.read_folder(root, root)?;
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) -> io::Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            if name == "target" || name == ".git" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.read_folder(root, &path)?;
            } else if entry.file_type()?.is_file() && entry.metadata()?.len() <= TEXT_LIMIT_BYTES {
                let short = path
                    .strip_prefix(root)
                    .expect("the walk stays below its root");
                self.take(short, std::fs::read(&path)?);
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, bytes: Vec<u8>) {
        let Ok(text) = String::from_utf8(bytes) else {
            return;
        };
        if path.extension().is_some_and(|extension| extension == "rs") {
            match SourceFile::parse(&path.to_string_lossy(), &text) {
                Ok(file) => self.rust.push(file),
                Err(finding) => self.unparsed.push(finding),
            }
        }
        self.texts.push((path.to_owned(), text));
    }
}

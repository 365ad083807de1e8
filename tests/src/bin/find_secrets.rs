//! Searches files, and all files of directories, for secrets: `find_secrets PATH…`.
//!
//! Fails when it finds one, and when it finds nothing to search.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use lockattr_tests::find_secret;

fn main() -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for path in env::args_os().skip(1).map(PathBuf::from) {
        let (mut files, mut bytes) = (0, 0);
        for file in files_of(&path)? {
            let text = fs::read(&file)?;
            files += 1;
            bytes += text.len();
            if let Some(found) = find_secret(&text) {
                eprintln!("{}: {found}", file.display());
                code = ExitCode::FAILURE;
            }
        }
        println!("searched {} ({files} files, {bytes} bytes)", path.display());
        if bytes == 0 {
            eprintln!("{}: nothing to search", path.display());
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
}

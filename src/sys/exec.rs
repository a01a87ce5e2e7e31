//! Running another program in place of ipcbox.
//!
//! This calls execve(2) directly: `exec` of `std` resets SIGPIPE, and CMD must inherit the state that ipcbox inherited.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr::null;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{AccessFlags, access};

use super::file_limit;

/// Finds the file of a program, as execvp(3) does: a path with a slash, or a name in `PATH` (default: `/bin:/usr/bin`).
///
/// # Errors
/// `ENOENT`: there is no such file. `EACCES`: there is one, but it cannot be executed.
pub fn find(name: &OsStr) -> Result<CString> {
    let c_path = |path: Vec<u8>| CString::new(path).map_err(|_| Errno::ENOENT);
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if name.as_bytes().contains(&b'/') {
        executable(Path::new(name))?;
        return c_path(name.as_bytes().to_vec());
    }
    let dirs = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut denied = false;
    for dir in std::env::split_paths(&dirs) {
        let path = if dir.as_os_str().is_empty() { Path::new(".").join(name) } else { dir.join(name) };
        match executable(&path) {
            Ok(()) => return c_path(path.into_os_string().into_vec()),
            // EACCES from an unsearchable directory does not show that the file exists.
            Err(Errno::EACCES) => denied |= access(&path, AccessFlags::F_OK).is_ok(),
            Err(_) => {}
        }
    }
    Err(if denied { Errno::EACCES } else { Errno::ENOENT })
}

fn executable(path: &Path) -> Result<()> {
    access(path, AccessFlags::X_OK)?;
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err(Errno::EACCES);
    }
    Ok(())
}

/// The number of interpreters the kernel follows if each is itself a script.
const INTERPRETERS: usize = 5;
/// The number of bytes the kernel reads of a script's first line.
const FIRST_LINE: usize = 256;

/// Checks that the interpreters named after `#!` can be executed, starting with the file at `path`.
///
/// # Errors
/// `ENOENT`, `EACCES`: an interpreter is missing or cannot be executed. `ENOEXEC`: no interpreter is named after `#!`.
pub fn interpreter(path: &CStr) -> Result<()> {
    let mut path = OsStr::from_bytes(path.to_bytes()).to_owned();
    for _ in 0..INTERPRETERS {
        let mut line = Vec::new();
        // An executable file need not be readable.
        let Ok(file) = File::open(&path) else { return Ok(()) };
        if file.take(FIRST_LINE as u64).read_to_end(&mut line).is_err() {
            return Ok(());
        }
        let Some(rest) = line.strip_prefix(b"#!") else { return Ok(()) };
        let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = rest.split(|byte| b" \t\0".contains(byte)).filter(|word| !word.is_empty());
        OsStr::from_bytes(words.next().ok_or(Errno::ENOEXEC)?).clone_into(&mut path);
        executable(Path::new(&path))?;
    }
    Ok(())
}

/// Returns whether the file at `path` looks like a script: not empty, and no NUL in what the kernel reads of it.
pub fn is_text(path: &CStr) -> bool {
    let mut head = Vec::new();
    let read = File::open(OsStr::from_bytes(path.to_bytes()))
        .and_then(|file| file.take(FIRST_LINE as u64).read_to_end(&mut head));
    read.is_ok_and(|length| length > 0) && !head.contains(&0)
}

/// A program with its arguments and its environment, ready to be executed: a child that allocates nothing more copies
/// fewer pages of its parent.
#[derive(Debug)]
pub struct Ready<'a> {
    path: &'a CStr,
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// What the arrays point to, except for the inherited variables.
    _strings: Vec<CString>,
}

impl<'a> Ready<'a> {
    /// The environment is the inherited one, unchanged except for `added`.
    ///
    /// # Errors
    /// `EINVAL`: a word has a NUL.
    pub fn new(path: &'a CStr, argv: &[OsString], added: &[(&str, String)]) -> Result<Self> {
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
        let words = argv.iter().map(|word| c_string(word.as_bytes().to_vec()));
        let variables = added.iter().map(|(name, value)| c_string(format!("{name}={value}").into_bytes()));
        let strings: Vec<CString> = words.chain(variables).collect::<Result<_>>()?;
        let (words, variables) = strings.split_at(argv.len());
        let is_replaced = |entry: &&CStr| {
            let name = entry.to_bytes().split(|byte| *byte == b'=').next();
            added.iter().any(|(new, _)| name == Some(new.as_bytes()))
        };
        let inherited = environment().filter(|entry| !is_replaced(entry)).map(CStr::as_ptr);
        let at = |strings: &[CString]| strings.iter().map(|string| string.as_ptr()).collect::<Vec<_>>();
        let argv = [at(words), vec![null()]].concat();
        let environment = inherited.chain(at(variables)).chain([null()]).collect();
        Ok(Self { path, argv, environment, _strings: strings })
    }

    /// Replaces this process with the program, execve(2). The signal mask, the dispositions and the open descriptors are
    /// inherited unchanged.
    ///
    /// Returns only if that failed.
    pub fn execute(&self) -> Errno {
        // SAFETY: both arrays end in a null pointer and point to terminated strings, which live as long as they do, or
        // until the process exits.
        unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.environment.as_ptr()) };
        Errno::last()
    }
}

/// Replaces this process with the program at `path`, with `added` in its environment.
///
/// Returns only if that failed.
pub fn replace(path: &CStr, argv: &[OsString], added: &[(&str, String)]) -> Errno {
    let run = || file_limit::hand_on().and_then(|()| Ok(Ready::new(path, argv, added)?.execute()));
    run().unwrap_or_else(|errno| errno)
}

/// Returns the environment as inherited, including entries without `=`, environ(7).
fn environment() -> impl Iterator<Item = &'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library sets it before main, and ipcbox never changes it.
    let first = unsafe { environ };
    let entry = move |n| {
        // SAFETY: the array is terminated by a null pointer, at which the iterator stops.
        let at = unsafe { first.add(n) };
        // SAFETY: as above, this is an element of the array.
        let entry = unsafe { *at };
        // SAFETY: a pointer that is not null points to a terminated string, which nothing changes.
        (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry) })
    };
    (0..).map_while(entry).take(if first.is_null() { 0 } else { usize::MAX })
}

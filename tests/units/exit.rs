use super::*;
use anyhow::Context;

#[test]
fn errno_sets_words_and_status() {
    let error = Err::<(), _>(Errno::EACCES).context("cannot open x").unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Denied);
    assert_eq!(lines("sem", &error), "sem: cannot open x: permission denied (EACCES)\n");
}

#[test]
fn first_of_several_failures_sets_the_status() {
    let act = |n: u8| match n {
        1 => Ok(()),
        2 => Err(Cause::new(Exit::Exists, "two").hint("less").into()),
        _ => Err(Error::from(Errno::EPERM)),
    };
    let error = each([1, 2, 3], act).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Exists);
    assert_eq!(lines("sem", &error), "sem: two\nhint: less\nsem: operation not permitted (EPERM)\n");
}

#[test]
fn descriptor_limit_always_has_a_hint() {
    let message = "sem: cannot read x: too many open files (EMFILE)\nhint: ";
    let bare = Error::from(Errno::EMFILE).context("cannot read x");
    let wrapped = Error::from(std::io::Error::from_raw_os_error(Errno::EMFILE as i32));
    let worded = Error::from(Cause::plain(Errno::EMFILE));
    for error in [bare, wrapped.context("cannot read x"), worded.context("cannot read x")] {
        let printed = lines("sem", &error);
        assert!(printed.starts_with(message) && printed.contains("ulimit -n"), "{printed}");
    }
    let other = Cause::plain(Errno::EMFILE).hint("less");
    assert!(lines("sem", &other.into()).ends_with("hint: less\n"));
    assert!(lines("sem", &Errno::ENFILE.into()).contains("fs.file-max"));
}

#[test]
fn newline_in_a_name_is_escaped() {
    let cause = Cause::new(Exit::Failed, "no a\nsem: b\x1b[2J").hint("c\rd");
    assert_eq!(lines("sem", &cause.into()), "sem: no a\\nsem: b\\u{1b}[2J\nhint: c\\rd\n");
}

#[test]
fn failure_before_a_command_is_125() {
    assert_eq!(Exit::Denied.before_command().code(), 125);
    assert_eq!(Exit::NotFound.before_command().code(), 127);
    assert_eq!(Exit::NotInTime(7).before_command().code(), 7);
}

#[test]
fn errno_reads_as_plain_english() {
    for (errno, plain) in [
        (Errno::EACCES, "permission denied"),
        (Errno::ENOENT, "no such file or directory"),
        (Errno::EIDRM, "the object was removed"),
        (Errno::EIO, "I/O error"),
        (Errno::ENOTTY, "not a terminal"),
        (Errno::EBADF, "bad file descriptor"),
    ] {
        assert_eq!(words(errno), plain);
    }
}

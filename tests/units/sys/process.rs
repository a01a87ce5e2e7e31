use super::{hides, system_call};

#[test]
fn hidepid_of_topmost_mount_counts() {
    let plain = "23 28 0:22 / /proc rw,nosuid shared:13 - proc proc rw\n";
    let hides_some = "99 23 0:40 / /proc rw - proc proc rw,gid=4,hidepid=invisible\n";
    assert!(!hides("") && !hides(plain) && hides(hides_some));
    assert!(hides(&format!("{plain}{hides_some}")) && !hides(&format!("{hides_some}{plain}")));
    assert!(!hides(&hides_some.replace(" /proc ", " /mnt/proc ")));
}

#[test]
fn any_mountinfo_is_parsed_for_proc_options() {
    use proptest::prelude::*;
    let line = prop_oneof![
        "[ -~]{0,60}",
        "[0-9]{1,3} [0-9]{1,3} 0:[0-9]{1,3} / /[a-z]{0,6} [,=a-z]{0,20} - [a-z]{1,5} [a-z]{1,5} [,=a-z0-9]{0,20}"
    ];
    crate::fuzz::fuzz(2000, &proptest::collection::vec(line, 0..8), |lines| {
        hides(&lines.join("\n"));
        let plain = "23 28 0:22 / /proc rw - proc proc rw";
        let last = [&lines[..], &[plain.to_owned()]].concat().join("\n");
        prop_assert!(!hides(&last));
        prop_assert!(hides(&(last + ",hidepid=2")));
        Ok(())
    });
}

#[test]
fn line_of_proc_syscall_is_parsed() {
    assert_eq!(system_call("220 0x8 0x7ffd0 0x2 0x0 0x0 0x0 0x7ffc 0x7f3b\n"), Some((220, [8, 0x7ffd0, 2, 0, 0, 0])));
    for no_call in ["running\n", "-1 0x7ffc 0x7f3b\n", "", "220 0x8", "x"] {
        assert_eq!(system_call(no_call), None, "{no_call}");
    }
}

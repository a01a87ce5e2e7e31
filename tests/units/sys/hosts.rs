use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn hosts_file_is_read() {
    let text =
        "# comment\n127.0.0.1 localhost\n\n10.0.0.1\tdb.example.org db # primary other\n::1 DB\nbad db\n10.0.0.1 db\n";
    assert_eq!(in_hosts(text, "db"), [ip("10.0.0.1"), ip("::1")]);
    assert_eq!(in_hosts(text, "Db.Example.Org"), [ip("10.0.0.1")]);
    for name in ["other", "127.0.0.1", "comment", "d", ""] {
        assert!(in_hosts(text, name).is_empty(), "{name}");
    }
}

#[test]
fn answer_of_getent_has_each_address_once() {
    let text = "10.0.0.2       STREAM db\n10.0.0.2       DGRAM  \nfe80::1%eth0 STREAM\n::2 STREAM\n::2 RAW\n";
    assert_eq!(in_answer(text), [ip("10.0.0.2"), ip("::2")]);
    assert!(in_answer("").is_empty());
}

#[test]
fn unknown_name_has_no_address() {
    // RFC 6761: this domain has no names. Without getent(1), the answer is another one.
    let answer = find("nothing.invalid", Deadline::Forever);
    assert!(matches!(answer, Err(Unresolved::Unknown | Unresolved::NoGetent)), "{answer:?}");
    assert_eq!(find("nothing.invalid", Deadline::Now), Err(Unresolved::Failed(Errno::EAGAIN)));
}

//! Wrong addresses on the command line, and what was probably meant.

use crate::support::World;

#[test]
fn wrong_address_is_status_2_with_the_nearest_form() {
    let world = World::new();
    for (address, words) in [
        ("8080", "not '8080'\nhint: ipcbox sock connect tcp:localhost:8080 -n\n"),
        ("localhost:80", "not 'localhost:80'\nhint: ipcbox sock connect tcp:localhost:80 -n\n"),
        (":80", "hint: ipcbox sock connect tcp:localhost:80 -n\n"),
        ("::1:80", "hint: ipcbox sock connect 'tcp:[::1]:80' -n\n"),
        ("http://localhost/", "http:// is not the address of a socket\nhint: curl http://localhost/\n"),
        ("TCP-LISTEN:80", "a socat address\nhint: write ipcbox sock serve tcp:localhost:80 -- CMD [ARG]...\n"),
        ("TCP:db:5432", "a socat address\nhint: ipcbox sock connect tcp:db:5432 -n\n"),
        ("~/s", "hint: ipcbox sock connect \"$HOME/s\" -n\n"),
        ("dgram:~/s", "hint: ipcbox sock connect \"dgram:$HOME/s\" -n\n"),
        ("tcp:localhost:http", "'http' is not a port from 0 to 65535\nhint: getent services http\n"),
        ("tcp:localhost:65536", "'65536' is not a port from 0 to 65535\n"),
        ("tcp:localhost:0", "port 0 is only for a server, which gets a free port\n"),
        ("tcp::80", "the host is empty\nhint: ipcbox sock connect tcp:localhost:80 -n\n"),
        ("[::1", "']'"),
        ("[fe80::1%eth0]:80", "a zone such as %eth0 is not supported"),
        ("$SOCKET", "the shell did not expand '$SOCKET'"),
        ("", "ADDR is empty (an unset variable?)\n"),
        ("a b", "hint: ipcbox sock connect './a b' -n\n"),
        ("70000", "'70000' is not a port from 0 to 65535\n"),
        ("UNIX-LISTEN:my sock", "hint: write ipcbox sock serve 'unix:my sock' -- CMD [ARG]...\n"),
        ("OPENSSL:x;rm -rf y:443", "hint: openssl s_client -connect 'x;rm -rf y:443'\n"),
    ] {
        world.call("sock connect").arg(address).arg("-n").fails(2, words);
    }
    for (host, address) in [
        ("localhost", "tcp:localhost:80"),
        ("127.0.0.1", "tcp:127.0.0.1:80"),
        ("db.example.org", "tcp:db.example.org:80"),
        ("::1", "'tcp:[::1]:80'"),
    ] {
        let words = format!("HOST and PORT are one word: tcp:HOST:PORT\nhint: ipcbox sock connect {address} -n\n");
        world.call("sock connect").args([host, "80", "-n"]).fails(2, &words);
    }
    let long = "x".repeat(108);
    world.call("sock connect").arg(format!("@{long}")).fails(2, "an abstract name has at most 107 bytes, not 108");
    world.call("sock connect").arg(&long).fails(2, "a name has at most 64 bytes, not 108");
    world.call("sock connect").fails(2, "ADDR is missing");
}

#[test]
fn help_explains_the_forms() {
    let help = World::new().call("sock connect --help").ok();
    for form in ["ADDR:\n", "./x, /run/x", "tcp:HOST:PORT", "fd:N", "seqpacket:PATH"] {
        assert!(help.contains(form), "{form}\n{help}");
    }
}

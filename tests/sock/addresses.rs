//! Wrong addresses on the command line, and what was probably meant.

use super::stale;
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
        ("tcp:localhost:65536", "'65536' is not a port from 0 to 65535\nhint: write tcp:localhost:PORT\n"),
        ("127.0.0.1:99999", "'99999' is not a port from 0 to 65535\nhint: write tcp:127.0.0.1:PORT\n"),
        ("[::1]:99999", "'99999' is not a port from 0 to 65535\nhint: write 'tcp:[::1]:PORT'\n"),
        (
            "127.0.0.1:",
            "expected a port after the host, as in 127.0.0.1:80, not '127.0.0.1:'\nhint: write tcp:127.0.0.1:",
        ),
        (
            "127.0.0.1",
            "expected a port after the host, as in 127.0.0.1:80, not '127.0.0.1'\nhint: write tcp:127.0.0.1:",
        ),
        ("tcp:localhost", "expected HOST:PORT, not 'tcp:localhost'\nhint: write tcp:localhost:PORT\n"),
        ("256.1.1.1:1", "numbers from 0 to 255, not '256.1.1.1:1'\nhint: write tcp:HOST:1\n"),
        ("tcp:256.1.1.1:1", "numbers from 0 to 255, not 'tcp:256.1.1.1:1'\nhint: write tcp:HOST:1\n"),
        ("tpc:localhost:80", "hint: ipcbox sock connect tcp:localhost:80 -n\n"),
        ("udpp:localhost:80", "hint: ipcbox sock connect udp:localhost:80 -n\n"),
        ("inet:localhost:80", "hint: ipcbox sock connect tcp:localhost:80 -n\n"),
        ("unit:80", "hint: ipcbox sock connect tcp:unit:80 -n\n"),
        ("stream:./x", "not 'stream:./x'\nhint: ipcbox sock connect unix:./x -n\n"),
        ("unx:/run/x", "hint: ipcbox sock connect unix:/run/x -n\n"),
        ("datagram:@x", "hint: ipcbox sock connect dgram:@x -n\n"),
        ("seqpackets:x", "hint: ipcbox sock connect seqpacket:x -n\n"),
        ("a:1x", "hint: ipcbox sock connect ./a:1x -n\n"),
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
    // A directory can have the name of a scheme.
    world.call("sock connect file:a/b").fails(3, "the parent directory does not exist");
    let long = "x".repeat(108);
    world.call("sock connect").arg(format!("@{long}")).fails(2, "an abstract name has at most 107 bytes, not 108");
    world.call("sock connect").arg(&long).fails(2, "a name has at most 64 bytes, not 108");
    world.call("sock connect").fails(2, "ADDR is missing");
}

#[test]
fn name_of_a_socket_file_hints_at_the_file() {
    let world = World::new();
    stale(&world.dir().join("known.sock"));
    let hint = "\nhint: use ./known.sock for the file\n";
    for (line, status) in [
        ("connect known.sock", 3),
        ("connect known.sock --await -n", 124),
        ("connect known.sock --await -w 0.05", 124),
        ("send known.sock text", 3),
        ("send known.sock text --await -n", 124),
        ("call known.sock", 125),
        ("call known.sock --await -n", 124),
        ("wait known.sock -n", 124),
        ("wait known.sock -w 0.05", 124),
        ("with known.sock -n -- sleep 9 ::: true", 124),
        ("stat known.sock", 3),
    ] {
        world.call(&format!("sock {line}")).fails(status, hint);
    }
    for line in ["connect known.sock --await -v -w 0.05", "wait known.sock -v -w 0.05"] {
        let notice = "waiting for known.sock: no server yet (use ./known.sock for the file)\n";
        let output = world.call(&format!("sock {line}")).output();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(printed.contains(notice) && printed.ends_with(hint), "{line}: {printed}");
    }
    world.file("file", "");
    for address in ["file", "@known.sock", "./known.sock"] {
        let output = world.call("sock wait").arg(address).arg("-n").output();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hint"), "{address}");
    }
}

#[test]
fn missing_dashes_are_added_after_the_addresses() {
    let world = World::new();
    for (typed, meant, status) in [
        ("serve ./x cat", "serve ./x -- cat", 2),
        ("serve -j 4 ./x tr a-z A-Z", "serve -j 4 ./x -- tr a-z A-Z", 2),
        ("serve name dgram:./d cat -n", "serve name dgram:./d -- cat -n", 2),
        ("serve ./x tcp:localhost:0 cat", "serve ./x tcp:localhost:0 -- cat", 2),
        ("activate ./x cat", "activate ./x -- cat", 125),
        ("with ./x cat ::: true", "with ./x -- cat ::: true", 125),
    ] {
        let words = format!("sock: the command goes after '--'\nhint: ipcbox sock {meant}\n");
        world.call(&format!("sock {typed}")).fails(status, &words);
    }
    world.call("sock serve ./x").fails(2, "CMD is missing\nhint: write ipcbox sock serve ");
}

#[test]
fn help_explains_the_forms() {
    let help = World::new().call("sock connect --help").ok();
    for form in ["ADDR:\n", "./x, /run/x", "tcp:HOST:PORT", "fd:N", "seqpacket:PATH"] {
        assert!(help.contains(form), "{form}\n{help}");
    }
}

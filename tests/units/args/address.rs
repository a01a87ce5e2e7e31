use super::*;

fn parse(text: &str) -> Result<Endpoint, NoAddress> {
    Address::parse(text.into()).map(|address| address.endpoint().clone())
}

fn path(kind: Type, path: &str) -> Endpoint {
    Endpoint::Path(kind, path.into())
}

fn named(kind: Type, name: &str) -> Endpoint {
    Endpoint::Abstract(kind, name.into())
}

fn port(kind: Type, host: &str, port: u16) -> Endpoint {
    let host = match host {
        "localhost" => Host::Localhost,
        host => host.parse().map_or_else(|_| Host::Name(host.into()), Host::Number),
    };
    Endpoint::Inet(kind, host, port)
}

#[test]
fn path_is_a_unix_stream() {
    for text in ["./x", "/run/x", "a/b", "../x", "./~x", "/a:b", "./tcp:x", "./a://b", "/run/x://y", "1a://b"] {
        assert_eq!(parse(text), Ok(path(Type::Stream, text)), "{text}");
    }
    assert_eq!(parse("unix:x"), Ok(path(Type::Stream, "x")));
    assert_eq!(parse("unix:///run/x"), Ok(path(Type::Stream, "///run/x")));
    assert_eq!(parse("unix:tcp:a:1"), Ok(path(Type::Stream, "tcp:a:1")));
    assert_eq!(parse("dgram:x"), Ok(path(Type::Dgram, "x")));
    assert_eq!(parse("dgram:/run/x"), Ok(path(Type::Dgram, "/run/x")));
    assert_eq!(parse("seqpacket:./x"), Ok(path(Type::Seqpacket, "./x")));
    let long = format!("/{}", "x".repeat(4000));
    assert_eq!(parse(&long), Ok(path(Type::Stream, &long)));
    // A path is bytes.
    let bytes = OsString::from_vec(b"./\xff".to_vec());
    assert_eq!(*Address::parse(bytes.clone()).unwrap().endpoint(), Endpoint::Path(Type::Stream, bytes.into()));
}

#[test]
fn name_is_abstract() {
    assert_eq!(parse("@x"), Ok(named(Type::Stream, "x")));
    assert_eq!(parse("@/run/x y"), Ok(named(Type::Stream, "/run/x y")));
    assert_eq!(parse("@tcp:a:1"), Ok(named(Type::Stream, "tcp:a:1")));
    assert_eq!(parse("unix:@x"), Ok(named(Type::Stream, "x")));
    assert_eq!(parse("dgram:@x"), Ok(named(Type::Dgram, "x")));
    assert_eq!(parse("seqpacket:@x"), Ok(named(Type::Seqpacket, "x")));
    assert_eq!(parse("tagger"), Ok(named(Type::Stream, "ipcbox.tagger")));
    assert_eq!(parse("_.a-9"), Ok(named(Type::Stream, "ipcbox._.a-9")));
    assert_eq!(parse("localhost"), Ok(named(Type::Stream, "ipcbox.localhost")));
    let name = "x".repeat(64);
    assert_eq!(parse(&name), Ok(named(Type::Stream, &format!("ipcbox.{name}"))));
    let name = "x".repeat(107);
    assert_eq!(parse(&format!("@{name}")), Ok(named(Type::Stream, &name)));
}

#[test]
fn host_and_port_are_tcp_or_udp() {
    for (text, host, number) in [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:80", "::1", 80),
        ("[::]:65535", "::", 65535),
    ] {
        assert_eq!(parse(text), Ok(port(Type::Stream, host, number)), "{text}");
        assert_eq!(parse(&format!("tcp:{text}")), Ok(port(Type::Stream, host, number)), "{text}");
        assert_eq!(parse(&format!("udp:{text}")), Ok(port(Type::Dgram, host, number)), "{text}");
    }
    assert_eq!(parse("tcp:localhost:80"), Ok(port(Type::Stream, "localhost", 80)));
    assert_eq!(parse("tcp:LocalHost:80"), Ok(port(Type::Stream, "localhost", 80)));
    assert_eq!(parse("udp:db:53"), Ok(port(Type::Dgram, "db", 53)));
    assert_eq!(parse("tcp:my_db.example-1.org.:53"), Ok(port(Type::Stream, "my_db.example-1.org.", 53)));
}

#[test]
fn inherited_descriptor_is_a_number() {
    assert_eq!(parse("fd:3"), Ok(Endpoint::Inherited(3)));
    assert_eq!(parse("fd:0"), Ok(Endpoint::Inherited(0)));
    for text in ["fd:", "fd:x", "fd:-1", "fd:2147483648", "fd:3x"] {
        assert!(parse(text).unwrap_err().to_string().contains("descriptor"), "{text}");
    }
}

#[test]
fn wrong_address_has_the_nearest_form() {
    for (text, words, meant) in [
        ("8080", "expected an address", "tcp:localhost:8080"),
        (":8080", "the host is empty", "tcp:localhost:8080"),
        ("localhost:80", "expected an address", "tcp:localhost:80"),
        ("db:5432", "expected an address", "tcp:db:5432"),
        ("::1:80", "brackets", "tcp:[::1]:80"),
        ("tcp:80", "HOST:PORT", "tcp:localhost:80"),
        ("tcp::80", "host is empty", "tcp:localhost:80"),
        ("tcp:::1:80", "brackets", "tcp:[::1]:80"),
        ("tcp:*:80", "'*' is not a host", "tcp:0.0.0.0:80"),
        ("*:80", "'*' is not a host", "tcp:0.0.0.0:80"),
        ("udp:53", "HOST:PORT", "udp:localhost:53"),
        ("tcp://127.0.0.1:80", "not an address", "tcp:127.0.0.1:80"),
        ("my socket", "expected an address", "./my socket"),
        ("1abc", "expected an address", "./1abc"),
        ("a:b:c!", "expected an address", "./a:b:c!"),
        ("TCP:localhost:80", "socat", "tcp:localhost:80"),
        ("TCP4:localhost:80,nodelay", "socat", "tcp:localhost:80"),
        ("TCP-CONNECT:[::1]:80", "socat", "tcp:[::1]:80"),
        ("UDP4-SENDTO:localhost:53", "socat", "udp:localhost:53"),
        ("UNIX-CONNECT:/run/x", "socat", "unix:/run/x"),
        ("UNIX:x", "socat", "unix:x"),
        ("UNIX-SENDTO:/dev/log", "socat", "dgram:/dev/log"),
        ("ABSTRACT-CONNECT:x", "socat", "@x"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert_eq!(error.meant, Some(Meant::Address(meant.into())), "{text}: {error}");
        parse(meant).unwrap();
    }
}

#[test]
fn other_tool_is_named_for_its_address() {
    for (text, line) in [
        ("http://localhost:8080/a?b=c", "curl 'http://localhost:8080/a?b=c'"),
        ("HTTPS://x", "curl HTTPS://x"),
        ("ws://x", "websocat ws://x"),
        ("TCP-LISTEN:80,fork", "write ipcbox sock serve tcp:localhost:80 -- CMD [ARG]..."),
        ("TCP4-LISTEN:80", "write ipcbox sock serve tcp:localhost:80 -- CMD [ARG]..."),
        ("UNIX-LISTEN:./x,fork", "write ipcbox sock serve unix:./x -- CMD [ARG]..."),
        ("ABSTRACT-LISTEN:x", "write ipcbox sock serve @x -- CMD [ARG]..."),
        ("UDP-RECV:53", "ipcbox sock recv udp:localhost:53"),
        ("UNIX-RECV:x", "ipcbox sock recv dgram:x"),
        ("OPENSSL:x:443", "openssl s_client -connect x:443"),
        ("tcp:localhost:http", "getent services http"),
        // What is pasted runs nothing else.
        ("UNIX-LISTEN:my sock", "write ipcbox sock serve 'unix:my sock' -- CMD [ARG]..."),
        ("UNIX-RECV:a;b", "ipcbox sock recv 'dgram:a;b'"),
        ("OPENSSL:x;rm -rf y:443", "openssl s_client -connect 'x;rm -rf y:443'"),
        ("http://x/$(id)", "curl 'http://x/$(id)'"),
    ] {
        assert_eq!(parse(text).unwrap_err().meant, Some(Meant::Line(line.into())), "{text}");
    }
    assert_eq!(parse("~/x").unwrap_err().meant, Some(Meant::Expanded("\"$HOME/x\"".into())));
    assert_eq!(parse("unix:~/x").unwrap_err().meant, Some(Meant::Expanded("\"unix:$HOME/x\"".into())));
    let injected = Meant::Expanded("\"dgram:$HOME\"'/a\"; id \"$(id)'".into());
    assert_eq!(parse("dgram:~/a\"; id \"$(id)").unwrap_err().meant, Some(injected));
    assert_eq!(parse("dgram:~").unwrap_err().meant, Some(Meant::Expanded("\"dgram:$HOME\"".into())));
}

#[test]
fn malformed_address_is_explained() {
    for (text, words) in [
        ("", "expected an address"),
        ("@", "a name after '@'"),
        ("unix:", "after ':'"),
        ("dgram:", "after ':'"),
        ("unix:@", "a name after '@'"),
        ("~root/x", "~ only at the start"),
        ("tcp:", "HOST:PORT"),
        ("tcp:localhost", "HOST:PORT"),
        ("tcp:localhost:", "expected a port after the host"),
        ("tcp:localhost:65536", "'65536' is not a port"),
        ("tcp:localhost:-1", "'-1' is not a port"),
        ("tcp:localhost:+1", "'+1' is not a port"),
        ("70000", "'70000' is not a port from 0 to 65535"),
        ("99999999999999999999999", "is not a port from 0 to 65535"),
        ("tcp:localhost: 1", "' 1' is not a port"),
        ("tcp:[::1", "']'"),
        ("[::1", "']'"),
        ("[::1]", "a port after ']'"),
        ("[::1]80", "a port after ']'"),
        ("[x]:80", "brackets"),
        ("[127.0.0.1]:80", "brackets"),
        ("[fe80::1%eth0]:80", "zone"),
        ("::1", "brackets"),
        ("tcp:1:2:80", "brackets"),
        ("127.0.0.1", "a port"),
        ("tcp:127.1:80", "four numbers"),
        ("tcp:256.0.0.1:80", "four numbers"),
        ("tcp:010.0.0.1:80", "four numbers"),
        ("tcp:a b:80", "not a valid host name"),
        ("tcp:-x:80", "not a valid host name"),
        ("tcp:a..b:80", "not a valid host name"),
        ("tcp:a/b:80", "not a valid host name"),
        ("redis://x", "redis://"),
        ("EXEC:ls", "socat"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    assert!(parse(&"x".repeat(65)).unwrap_err().to_string().contains("at most 64 bytes, not 65"));
    assert!(parse(&format!("@{}", "x".repeat(108))).unwrap_err().to_string().contains("at most 107 bytes, not 108"));
    assert!(parse(&format!("tcp:{}:80", "x".repeat(254))).is_err());
}

#[test]
fn port_0_is_for_servers() {
    for text in ["tcp:localhost:0", "udp:[::1]:0", "127.0.0.1:0"] {
        assert!(Address::parse(text.into()).is_ok());
        assert!(Address::of_server(text.into()).unwrap_err().to_string().contains("port 0"));
    }
    assert_eq!(Address::of_server("tcp:db:1".into()).unwrap().to_string(), "tcp:db:1");
}

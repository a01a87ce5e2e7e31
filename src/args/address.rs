//! Addresses of sockets. The text alone decides which form an address has; nothing is looked up.
//!
//! | written | is |
//! |---|---|
//! | `./x` `/run/x` `a/b` `unix:x` | a unix stream socket at that path |
//! | `@name` `unix:@name` | one with an abstract name |
//! | `tagger` | a name as in [`target`](crate::target), short for `@ipcbox.tagger` |
//! | `dgram:PATH` `dgram:@n` `seqpacket:PATH` `seqpacket:@n` | unix sockets of the other two types |
//! | `tcp:HOST:PORT` `udp:HOST:PORT` `127.0.0.1:80` `[::1]:80` | HOST is a number, `localhost` or a name |
//! | `fd:3` | a socket that the caller has inherited |

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TryMapValueParser, TypedValueParser};

use super::numbers::digits;
use crate::sys::socket::{ABSTRACT_MAX, Type};
use crate::text::{NAME_MAX, in_home, is_name, nearest, quote};

/// The longest host name, in bytes.
const HOST_MAX: usize = 253;
/// Comes before a name, so that it does not meet the names of other programs.
const PREFIX: &[u8] = b"ipcbox.";

/// The address of a socket, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    typed: OsString,
    endpoint: Endpoint,
}

/// The forms of an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket at a path.
    Path(Type, PathBuf),
    /// A unix socket with an abstract name.
    Abstract(Type, Vec<u8>),
    /// TCP, or UDP for [`Type::Dgram`].
    Inet(Type, Host, u16),
    /// An inherited descriptor.
    Inherited(i32),
}

/// The host of an internet address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A number.
    Number(IpAddr),
    /// This machine, in both families.
    Localhost,
    /// A name to look up.
    Name(String),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAddress {
    words: String,
    /// What was probably meant.
    pub meant: Option<Meant>,
}

/// What was probably meant by a text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// This address.
    Address(OsString),
    /// This word, which the shell expands.
    Expanded(String),
    /// This line.
    Line(String),
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for NoAddress {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.typed.display())
    }
}

/// The parser of an address on the command line.
type Parser = TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Address, NoAddress>>;

/// Parses the address of a server on the command line, for a client.
pub fn of_server() -> Parser {
    OsStringValueParser::new().try_map(Address::of_server)
}

/// Parses an address to listen at, on the command line.
pub fn of_listener() -> Parser {
    OsStringValueParser::new().try_map(Address::parse)
}

/// Parses the address of a server that is called, on the command line.
pub fn of_called() -> Parser {
    OsStringValueParser::new().try_map(Address::of_called)
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// The form that the text resembles most.
    pub fn parse(typed: OsString) -> Result<Self, NoAddress> {
        let endpoint = endpoint(typed.as_bytes())?;
        Ok(Self { typed, endpoint })
    }

    /// Parses an address to connect to.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse), and port 0, which asks for a free one.
    pub fn of_server(typed: OsString) -> Result<Self, NoAddress> {
        let address = Self::parse(typed)?;
        match address.endpoint {
            Endpoint::Inet(.., 0) => Err(no("port 0 is only for a server, which gets a free port")),
            _ => Ok(address),
        }
    }

    /// Parses an address to call.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse), and any but a unix stream socket.
    pub fn of_called(typed: OsString) -> Result<Self, NoAddress> {
        let address = Self::parse(typed)?;
        match address.endpoint {
            Endpoint::Path(Type::Stream, _) | Endpoint::Abstract(Type::Stream, _) => Ok(address),
            _ => Err(no("a call needs a unix stream socket, such as NAME or ./PATH")),
        }
    }

    /// Its form.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The text as typed.
    pub fn typed(&self) -> &OsStr {
        &self.typed
    }
}

/// Returns the address of a unix socket from the name that the kernel has: a path, or a NUL and an abstract name.
/// `None`: the socket has no name.
pub fn of_unix(kind: Type, name: &[u8]) -> Option<String> {
    let prefix = match kind {
        Type::Stream => "",
        Type::Dgram => "dgram:",
        Type::Seqpacket => "seqpacket:",
    };
    let text = String::from_utf8_lossy(name);
    Some(match name {
        [] => return None,
        [0, short @ ..] => {
            let short = short.strip_prefix(PREFIX).filter(|_| kind == Type::Stream).map(String::from_utf8_lossy);
            match short.filter(|short| self::name(short).is_ok()) {
                Some(short) => short.into_owned(),
                // As in /proc/net/unix.
                None => format!("{prefix}{}", text.replace('\0', "@")),
            }
        }
        _ if kind == Type::Stream && !matches!(endpoint(name), Ok(Endpoint::Path(..))) => format!("unix:{text}"),
        _ => format!("{prefix}{text}"),
    })
}

fn no(words: impl Into<String>) -> NoAddress {
    NoAddress { words: words.into(), meant: None }
}

impl NoAddress {
    fn meant(self, address: impl Into<OsString>) -> Self {
        Self { meant: Some(Meant::Address(address.into())), ..self }
    }

    fn use_line(self, line: impl Into<String>) -> Self {
        Self { meant: Some(Meant::Line(line.into())), ..self }
    }
}

fn endpoint(text: &[u8]) -> Result<Endpoint, NoAddress> {
    let whole = String::from_utf8_lossy(text);
    if let Some((prefix, rest)) = split(text, b':') {
        match prefix {
            b"unix" => return unix(Type::Stream, text, rest),
            b"dgram" => return unix(Type::Dgram, text, rest),
            b"seqpacket" => return unix(Type::Seqpacket, text, rest),
            b"tcp" => return inet(Type::Stream, "tcp:", &whole[4..]),
            b"udp" => return inet(Type::Dgram, "udp:", &whole[4..]),
            b"fd" => return inherited(&whole[3..]),
            _ => {}
        }
        if let Some(misspelt) = misspelt(prefix, &String::from_utf8_lossy(rest)) {
            return Err(misspelt);
        }
    }
    if let Some((scheme, _)) = whole.split_once("://")
        && is_scheme(scheme)
    {
        return Err(url(scheme, &whole));
    }
    if let Some(of_socat) = socat(&whole) {
        return Err(of_socat);
    }
    match text {
        [b'@' | b'~', ..] => unix(Type::Stream, text, text),
        [b'[', ..] => inet(Type::Stream, "", &whole),
        _ if text.contains(&b'/') => unix(Type::Stream, text, text),
        _ if whole.contains(':') => with_colon(&whole),
        _ => name(&whole),
    }
}

/// Refuses a scheme that is nearly one of ours, or that other programs use, if the rest fits. A path in a directory
/// `x:` is only refused where `x:` can hardly be a name, as in `stream:./x`.
fn misspelt(scheme: &[u8], rest: &str) -> Option<NoAddress> {
    let scheme = std::str::from_utf8(scheme).ok().filter(|scheme| is_scheme(scheme))?;
    let ours = match scheme {
        "stream" | "sock" | "socket" | "local" | "file" => "unix",
        "datagram" => "dgram",
        "packet" => "seqpacket",
        "inet" => "tcp",
        _ => nearest(scheme, &["unix", "dgram", "seqpacket", "tcp", "udp"])?,
    };
    let meant = format!("{ours}:{rest}");
    let is_place = rest.starts_with(['.', '/', '@']) || !rest.contains('/') && digits(rest).is_none();
    let fits = match endpoint(meant.as_bytes()).ok()? {
        Endpoint::Path(..) | Endpoint::Abstract(..) => is_place && !rest.starts_with("//"),
        _ => true,
    };
    fits.then(|| expected().meant(meant))
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// Parses what follows `unix:`, `dgram:` or `seqpacket:`; `whole` is for the hint.
fn unix(kind: Type, whole: &[u8], text: &[u8]) -> Result<Endpoint, NoAddress> {
    match text {
        [] => Err(no("expected a path, or '@' and a name, after ':'")),
        [b'@'] => Err(no("expected a name after '@'")),
        [b'@', name @ ..] if name.len() > ABSTRACT_MAX => {
            Err(no(format!("an abstract name has at most {ABSTRACT_MAX} bytes, not {}", name.len())))
        }
        [b'@', name @ ..] => Ok(Endpoint::Abstract(kind, name.to_vec())),
        [b'~', rest @ ..] => {
            let prefix = &whole[..whole.len() - text.len()];
            let [prefix, rest] = [prefix, rest].map(String::from_utf8_lossy);
            let words = no("the shell expands ~ only at the start of a word without quotes");
            let is_home = rest.is_empty() || rest.starts_with('/');
            let meant = is_home.then(|| Meant::Expanded(in_home(&prefix, &rest)));
            Err(NoAddress { meant, ..words })
        }
        path => Ok(Endpoint::Path(kind, OsString::from_vec(path.to_vec()).into())),
    }
}

/// Parses HOST:PORT. `prefix` is for the hint.
fn inet(kind: Type, prefix: &str, text: &str) -> Result<Endpoint, NoAddress> {
    let meant = |host: &str, port: &str| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let prefix = if prefix.is_empty() { "tcp:" } else { prefix };
        format!("{prefix}{host}:{port}")
    };
    let write = |host: &str, port: &str| format!("write {}", quote(&meant(host, port)));
    if let Some(rest) = text.strip_prefix("//") {
        return Err(no(format!("{prefix}// is not an address")).meant(format!("{prefix}{rest}")));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or_else(|| no("expected ']' after the IPv6 address"))?;
            (host, rest.strip_prefix(':').ok_or_else(|| no("expected ':' and a port after ']'"))?)
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None if digits(text).is_some() => return Err(no("expected HOST:PORT").meant(meant("localhost", text))),
            None if is_host(text) => return Err(no("expected HOST:PORT").use_line(write(text, "PORT"))),
            None => return Err(no("expected HOST:PORT")),
        },
    };
    let number = digits(port).and_then(|port| u16::try_from(port).ok());
    let Some(number) = number else {
        let words = no_port(port);
        let is_service = port.starts_with(|c: char| c.is_ascii_alphabetic()) && is_host(port);
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        return Err(match host {
            _ if is_service => words.use_line(format!("getent services {port}")),
            host if is_number && (is_host(host) || text.starts_with('[')) => words.use_line(write(host, "PORT")),
            _ => words,
        });
    };
    let host = match host {
        "" => return Err(no("the host is empty").meant(meant("localhost", port))),
        "*" => return Err(no("'*' is not a host").meant(meant("0.0.0.0", port))),
        _ if text.starts_with('[') && host.contains('%') => return Err(no("a zone such as %eth0 is not supported")),
        _ if text.starts_with('[') => Host::Number(host.parse::<Ipv6Addr>().map_err(|_| six())?.into()),
        _ if host.contains(':') => {
            let is_six = host.parse::<Ipv6Addr>().is_ok();
            return Err(if is_six { six().meant(meant(host, port)) } else { six() });
        }
        _ if host.eq_ignore_ascii_case("localhost") => Host::Localhost,
        _ if host.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()) => {
            let four = host.parse::<Ipv4Addr>();
            let words = || no("expected an IPv4 address of four numbers from 0 to 255").use_line(write("HOST", port));
            Host::Number(four.map_err(|_| words())?.into())
        }
        _ if is_host(host) => Host::Name(host.to_owned()),
        _ => return Err(no(format!("'{host}' is not a valid host name"))),
    };
    Ok(Endpoint::Inet(kind, host, number))
}

fn no_port(text: &str) -> NoAddress {
    match text {
        "" => no("expected a port after the host, as in 127.0.0.1:80"),
        text => no(format!("'{text}' is not a port from 0 to 65535")),
    }
}

fn six() -> NoAddress {
    no("expected an IPv6 address in brackets, as in [::1]:80")
}

fn is_host(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= HOST_MAX && text.bytes().all(is_part) && !text.starts_with(['-', '.']) && !text.contains("..")
}

fn inherited(text: &str) -> Result<Endpoint, NoAddress> {
    let number = digits(text).and_then(|number| i32::try_from(number).ok());
    number.map(Endpoint::Inherited).ok_or_else(|| no("expected a descriptor number after fd:"))
}

/// A text with a colon that no known word precedes.
fn with_colon(text: &str) -> Result<Endpoint, NoAddress> {
    match inet(Type::Stream, "", text) {
        Ok(number @ Endpoint::Inet(_, Host::Number(_), _)) => Ok(number),
        Ok(_) => Err(expected().meant(format!("tcp:{text}"))),
        Err(guessed) if guessed.meant.is_some() => Err(guessed),
        Err(_) if text.parse::<Ipv6Addr>().is_ok() => Err(six()),
        Err(_) => Err(expected().meant(format!("./{text}"))),
    }
}

fn expected() -> NoAddress {
    no("expected an address such as ./PATH, NAME, @NAME or tcp:HOST:PORT")
}

fn name(text: &str) -> Result<Endpoint, NoAddress> {
    match text.as_bytes() {
        [] => Err(expected()),
        _ if digits(text).is_some_and(|port| port <= u16::MAX.into()) => {
            Err(expected().meant(format!("tcp:localhost:{text}")))
        }
        all if all.iter().all(u8::is_ascii_digit) => Err(no_port(text)),
        _ if text.parse::<Ipv4Addr>().is_ok() => Err(no_port("").use_line(format!("write tcp:{text}:PORT"))),
        name if is_name(name) && name.len() > NAME_MAX => {
            Err(no(format!("a name has at most {NAME_MAX} bytes, not {}", name.len())))
        }
        name if is_name(name) => Ok(Endpoint::Abstract(Type::Stream, [PREFIX, name].concat())),
        _ => Err(expected().meant(format!("./{text}"))),
    }
}

/// Returns whether a text is the scheme of a URL, RFC 3986.
fn is_scheme(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_part)
}

fn url(scheme: &str, whole: &str) -> NoAddress {
    let words = no(format!("{scheme}:// is not the address of a socket"));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => words.use_line(format!("curl {}", quote(whole))),
        "ws" | "wss" => words.use_line(format!("websocat {}", quote(whole))),
        _ => words,
    }
}

/// Returns the counterpart of an address of socat(1).
fn socat(text: &str) -> Option<NoAddress> {
    let (word, rest) = text.split_once(':')?;
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-') {
        return None;
    }
    // Options follow.
    let operand = rest.split(',').next().unwrap_or_default();
    let words = no(format!("{word}: is a socat address"));
    let serve = |address: String| format!("write ipcbox sock serve {} -- CMD [ARG]...", quote(&address));
    let recv = |address: String| format!("ipcbox sock recv {}", quote(&address));
    let at_port = |kind: &str| format!("{kind}:localhost:{operand}");
    let (family, role) = word.split_once('-').unwrap_or((word, "CONNECT"));
    let family = family.trim_end_matches(['4', '6']);
    Some(match (family, role) {
        ("TCP", "LISTEN" | "L") => words.use_line(serve(at_port("tcp"))),
        ("TCP", _) => words.meant(format!("tcp:{operand}")),
        ("UDP", "LISTEN" | "L" | "RECV" | "RECVFROM") => words.use_line(recv(at_port("udp"))),
        ("UDP", _) => words.meant(format!("udp:{operand}")),
        ("UNIX", "LISTEN" | "L") => words.use_line(serve(format!("unix:{operand}"))),
        ("UNIX", "RECV" | "RECVFROM") => words.use_line(recv(format!("dgram:{operand}"))),
        ("UNIX", "SENDTO") => words.meant(format!("dgram:{operand}")),
        ("UNIX", _) => words.meant(format!("unix:{operand}")),
        ("ABSTRACT", "LISTEN" | "L") => words.use_line(serve(format!("@{operand}"))),
        ("ABSTRACT", _) => words.meant(format!("@{operand}")),
        ("OPENSSL" | "SSL", _) => words.use_line(format!("openssl s_client -connect {}", quote(operand))),
        ("EXEC" | "SYSTEM" | "OPEN" | "FILE" | "GOPEN" | "PIPE" | "PTY" | "FD", _) => words,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "../../tests/units/args/address.rs"]
mod tests;

//! One transfer over HTTP, in a thread of its own, so that a signal never waits for the network.

use super::proxy::proxy_for;
use crate::base::usage::Usage;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use ureq::http::{HeaderMap, HeaderName, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, http};

/// Bytes per message.
const BLOCK: usize = 1 << 16;
/// Messages that may wait.
const WAITING: usize = 16;

/// How long to wait for a server.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Longest time until a connection.
    pub connect: Duration,
    /// Longest time without a byte.
    pub silence: Duration,
    /// Pause after the first failed try; it doubles after each.
    pub pause: Duration,
    /// Tries in turn that bring nothing new before the download fails.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(20), silence: seconds(30), pause: seconds(1), tries: 4 }
    }
}

/// A client of HTTP servers.
#[derive(Clone)]
pub struct Client(Agent);

impl Client {
    /// Makes a client for `url` with the proxy that the environment names. `get` returns the value of
    /// an environment variable.
    ///
    /// The system decides which certificates are valid, so those that a company installs for its
    /// proxy work. On Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` can name others.
    ///
    /// # Errors
    /// `url` is no address, or the environment names no valid proxy.
    pub fn new(url: &str, patience: Patience, get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Usage> {
        let parsed: Uri =
            url.parse().map_err(|_| Usage(format!("{} is no address; correct UCFTRAIN_WEIGHTS_URL", shown(url))))?;
        // Fails if the process has a provider already, and then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy_for(&parsed, get)?)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .user_agent(concat!("ucftrain/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Ok(Self(config.into()))
    }

    /// Requests a file from byte `start` on. The messages arrive in order, and end with
    /// [`Message::End`] or a fault.
    pub fn request(&self, url: &str, start: u64) -> io::Result<Receiver<Result<Message, Fault>>> {
        let (agent, url) = (self.0.clone(), url.to_owned());
        let (sender, receiver) = sync_channel(WAITING);
        let work = move || {
            // A receiver that is gone needs no answer.
            if let Err(fault) = transfer(&agent, &url, start, &sender) {
                let _ = sender.send(Err(fault));
            }
        };
        std::thread::Builder::new().name("download".into()).spawn(work)?;
        Ok(receiver)
    }
}

/// A part of a transfer.
#[derive(Debug)]
pub enum Message {
    /// The server sends the file from byte `start` on.
    Start {
        /// Offset of the first byte that follows.
        start: u64,
        /// Size of the whole file, if the server states it.
        total: Option<u64>,
        /// Type of the file, such as `text/html`.
        kind: Option<String>,
    },
    /// The next bytes.
    Bytes(Vec<u8>),
    /// The server has no bytes from the start on: the file is not longer.
    Nothing,
    /// All bytes were sent.
    End,
}

/// Why a transfer failed.
#[derive(Debug)]
pub struct Fault {
    /// The reason.
    pub reason: String,
    /// Whether another try may succeed.
    pub is_passing: bool,
}

fn transfer(agent: &Agent, url: &str, start: u64, sender: &SyncSender<Result<Message, Fault>>) -> Result<(), Fault> {
    let mut request = agent.get(url).header(ACCEPT_ENCODING, "identity");
    if start > 0 {
        request = request.header(RANGE, format!("bytes={start}-"));
    }
    let response = request.call().map_err(|error| fault(&error))?;
    let send = |message| sender.send(Ok(message)).is_ok();
    if start > 0 && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        send(Message::Nothing);
        return Ok(());
    }
    if !send(first(&response)?) {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut block = vec![0; BLOCK];
        let read = match body.read(&mut block) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fault(&Error::from(error))),
        };
        block.truncate(read);
        let is_wanted = send(if read == 0 { Message::End } else { Message::Bytes(block) });
        if read == 0 || !is_wanted {
            return Ok(());
        }
    }
}

/// Reads the head of a response.
fn first(response: &http::Response<Body>) -> Result<Message, Fault> {
    let (status, headers) = (response.status(), response.headers());
    let number = |name| text(headers, name).and_then(|value| value.trim().parse().ok());
    let (start, total) = match status {
        StatusCode::OK => (0, number(CONTENT_LENGTH)),
        StatusCode::PARTIAL_CONTENT => {
            let range = text(headers, CONTENT_RANGE).and_then(range_of);
            range
                .ok_or_else(|| Fault { reason: "the server sent a part without its range".into(), is_passing: true })?
        }
        _ => {
            // 408, 425 and 429 ask to come back later.
            let is_passing = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
            return Err(Fault { reason: format!("the server answered {status}"), is_passing });
        }
    };
    Ok(Message::Start { start, total, kind: text(headers, CONTENT_TYPE).map(str::to_owned) })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Parses `bytes START-END/TOTAL` (RFC 9110, section 14.4). TOTAL may be `*`.
fn range_of(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    (start <= end && total.is_none_or(|total| end < total)).then_some((start, total))
}

fn fault(error: &Error) -> Fault {
    let lasting = |reason: String| Fault { reason, is_passing: false };
    let passing = |reason: String| Fault { reason, is_passing: true };
    match error {
        Error::HostNotFound => lasting(UNKNOWN_HOST.into()),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => lasting(of_tls(error)),
            // The standard library has no kind of error for this.
            None if error.to_string().starts_with("failed to lookup address") => lasting(UNKNOWN_HOST.into()),
            None => passing(error.to_string()),
        },
        Error::Rustls(error) => lasting(of_tls(error)),
        Error::Timeout(_) => passing("the server does not answer".into()),
        Error::ConnectionFailed => passing("no connection".into()),
        Error::Protocol(_) => passing(error.to_string()),
        _ => lasting(error.to_string()),
    }
}

const UNKNOWN_HOST: &str = "the name of the host is unknown; check the network, or name a proxy in HTTPS_PROXY";

fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(_) => format!(
            "this machine does not trust the certificate of the server ({error}); if a proxy has a certificate of \
             its own, install it in the system, or name its file in SSL_CERT_FILE"
        ),
        rustls::Error::General(text) if text.contains("No CA certificates") => {
            "this machine has no certificates; install the package ca-certificates, or name a file in SSL_CERT_FILE"
                .into()
        }
        _ => format!("no secure connection ({error})"),
    }
}

/// Returns an address without a user name and a password.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_may_pass_are_tried_again() {
        let unknown = io::Error::other("failed to lookup address information: Name or service not known");
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for (error, words, is_passing) in [
            (Error::Io(unknown), "the name of the host is unknown", false),
            (Error::HostNotFound, "the name of the host is unknown", false),
            (Error::Io(io::Error::new(io::ErrorKind::InvalidData, untrusted)), "name its file in SSL_CERT_FILE", false),
            (Error::Io(io::ErrorKind::ConnectionReset.into()), "connection reset", true),
            (Error::Timeout(ureq::Timeout::Connect), "the server does not answer", true),
        ] {
            let fault = fault(&error);
            assert!(fault.reason.contains(words) && fault.is_passing == is_passing, "{fault:?}");
        }
    }

    #[test]
    fn ranges_are_read_as_the_standard_writes_them() {
        assert_eq!(range_of("bytes 42-1233/1234"), Some((42, Some(1234))));
        assert_eq!(range_of("bytes 42-1233/*"), Some((42, None)));
        for wrong in ["bytes 42-1233", "bytes */1234", "bytes 9-8/20", "bytes 0-20/20", "pages 1-2/3", "bytes -5/9"] {
            assert_eq!(range_of(wrong), None, "{wrong}");
        }
    }
}

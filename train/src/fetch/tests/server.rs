//! A small HTTP server and a proxy for tests. Both record what they are asked for.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line, such as `GET /file HTTP/1.1`.
    pub line: String,
    /// Headers by their names in lower case.
    pub headers: HashMap<String, String>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let line = lines.next()?;
        let header = |line: String| line.split_once(':').map(|(k, v)| (k.to_lowercase(), v.trim().to_owned()));
        Some(Self { line, headers: lines.filter_map(header).collect() })
    }

    /// Returns the first byte of a `Range` to the end of the file.
    pub fn start(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body after which the connection is cut.
    pub cut: Option<usize>,
    /// Time before the body.
    pub delay: Duration,
    /// Time between the last byte and the end of the connection.
    pub linger: Duration,
}

impl Reply {
    /// Returns a whole file.
    pub fn whole(file: &[u8]) -> Self {
        let (delay, linger) = (Duration::ZERO, Duration::ZERO);
        Self { status: "200 OK", headers: Vec::new(), body: file.to_vec(), cut: None, delay, linger }
    }

    /// Returns an error without a body.
    pub fn error(status: &'static str) -> Self {
        Self { status, ..Self::whole(b"") }
    }

    /// Returns the bytes that the request asks for.
    pub fn range(file: &[u8], request: &Request) -> Self {
        match request.start() {
            None => Self::whole(file),
            Some(start) if start >= file.len() => Self::error("416 Range Not Satisfiable"),
            Some(start) => Self {
                status: "206 Partial Content",
                headers: vec![("content-range", format!("bytes {start}-{}/{}", file.len() - 1, file.len()))],
                ..Self::whole(&file[start..])
            },
        }
    }
}

/// A server on a port of this machine. Its threads end with the process.
pub struct Server {
    /// Its address, without a slash at the end.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the requests with `reply`, which also gets the number of earlier requests.
    pub fn new(reply: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let reply = Arc::new(reply);
        Self::listen(move |stream, request, earlier| answer(stream, &reply(request, earlier)))
    }

    /// Starts a proxy that connects to the host of each `CONNECT`.
    pub fn proxy() -> Self {
        Self::listen(|mut stream, request, _| {
            let host = request.line.split(' ').nth(1).unwrap_or_default();
            let Ok(mut target) = TcpStream::connect(host) else { return };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let (Ok(mut from), Ok(mut to)) = (stream.try_clone(), target.try_clone()) else { return };
            let up = thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut target, &mut stream);
            let _ = stream.shutdown(Shutdown::Both);
            let _ = up.join();
        })
    }

    fn listen(serve: impl Fn(TcpStream, &Request, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, serve) = (requests.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, serve) = (seen.clone(), serve.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    let Some(request) = Request::read(&stream) else { return };
                    let earlier = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    serve(stream, &request, earlier);
                });
            }
        });
        Self { url, requests }
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Sends a reply. A client that is gone is no error.
fn answer(mut stream: TcpStream, reply: &Reply) {
    let lines: String = reply.headers.iter().flat_map(|(name, value)| [*name, ": ", value.as_str(), "\r\n"]).collect();
    let (status, length) = (reply.status, reply.body.len());
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n");
    let _ = stream.write_all(head.as_bytes());
    thread::sleep(reply.delay);
    let _ = stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())]);
    thread::sleep(reply.linger);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

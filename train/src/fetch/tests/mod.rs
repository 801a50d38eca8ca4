//! Tests of downloads from a server on this machine.

mod server;

use super::Places;
use super::http::Patience;
use crate::base::console::Console;
use crate::base::stop::Stop;
use server::{Reply, Request, Server};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Returns the bytes of a synthetic file, and its name with the start of their digest.
fn file() -> (Vec<u8>, String) {
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let digest = format!("{:x}", Sha256::digest(&bytes));
    (bytes, format!("synthetic-{}.pth", &digest[..8]))
}

/// A server and the folders of a user.
struct Case {
    server: Server,
    temp: TempDir,
    variables: Vec<(&'static str, OsString)>,
    bytes: Vec<u8>,
    name: String,
}

impl Case {
    fn new(reply: impl Fn(&[u8], &Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (bytes, name) = file();
        let served = bytes.clone();
        let server = Server::new(move |request, earlier| reply(&served, request, earlier));
        let temp = tempfile::tempdir().unwrap();
        let variables = vec![
            ("UCFTRAIN_CACHE", temp.path().join("cache").into()),
            ("UCFTRAIN_WEIGHTS_URL", format!("{}/models", server.url).into()),
            ("TORCH_HOME", temp.path().join("torch").into()),
        ];
        Self { server, temp, variables, bytes, name }
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.insert(0, (name, value.into()));
    }

    fn places(&self, offline: bool) -> Places {
        let variables = self.variables.clone();
        let get = move |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let mut places = Places::new(offline, Box::new(get)).unwrap();
        let milliseconds = Duration::from_millis;
        places.patience =
            Patience { connect: milliseconds(2000), silence: milliseconds(1000), pause: milliseconds(5), tries: 3 };
        places
    }

    fn obtain(&self) -> anyhow::Result<PathBuf> {
        self.places(false).obtain(&self.name, Console::new(false), &Stop::default())
    }

    fn error(&self) -> String {
        format!("{:#}", self.obtain().unwrap_err())
    }

    /// Returns the path of a file in the cache.
    fn cached(&self, ending: &str) -> PathBuf {
        self.temp.path().join("cache").join(format!("{}{ending}", self.name))
    }

    /// Writes the part of an earlier download.
    fn with_part(self, bytes: &[u8]) -> Self {
        fs::create_dir_all(self.temp.path().join("cache")).unwrap();
        fs::write(self.cached(".part"), bytes).unwrap();
        self
    }

    /// Checks that the file is complete in the cache, without a part.
    fn check(&self, path: &Path) {
        assert_eq!(path, self.cached(""));
        assert!(fs::read(path).unwrap() == self.bytes && !self.cached(".part").exists());
    }

    fn starts(&self) -> Vec<Option<usize>> {
        self.server.requests().iter().map(Request::start).collect()
    }
}

#[test]
fn a_file_is_downloaded_once() {
    let case = Case::new(|file, _, _| Reply::whole(file));
    case.check(&case.obtain().unwrap());
    case.check(&case.obtain().unwrap());
    let requests = case.server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, format!("GET /models/{} HTTP/1.1", case.name));
    assert!(requests[0].headers["user-agent"].starts_with("ucftrain/"));
}

#[test]
fn a_part_is_continued() {
    let (bytes, _) = file();
    let case = Case::new(|file, request, _| Reply::range(file, request)).with_part(&bytes[..70_001]);
    case.check(&case.obtain().unwrap());
    assert_eq!(case.starts(), [Some(70_001)]);
}

#[test]
fn a_server_that_ignores_the_range_sends_the_whole_file() {
    let (bytes, _) = file();
    let case = Case::new(|file, _, _| Reply::whole(file)).with_part(&bytes[..70_001]);
    case.check(&case.obtain().unwrap());
    assert_eq!(case.starts(), [Some(70_001)]);
}

#[test]
fn a_part_that_is_complete_needs_only_its_name() {
    let (bytes, _) = file();
    let case = Case::new(|file, request, _| Reply::range(file, request)).with_part(&bytes);
    case.check(&case.obtain().unwrap());
    assert_eq!(case.starts(), [Some(bytes.len())]);
}

#[test]
fn a_damaged_part_is_dropped() {
    for length in [70_001, 2_000_000] {
        let case = Case::new(|file, request, _| Reply::range(file, request)).with_part(&vec![1; length]);
        case.check(&case.obtain().unwrap());
        assert_eq!(case.starts(), [Some(length), None]);
    }
}

#[test]
fn the_wrong_range_is_not_appended() {
    let (bytes, _) = file();
    let wrong = |file: &[u8], request: &Request, earlier| {
        let mut reply = Reply::range(file, request);
        if earlier == 0 {
            reply.headers = vec![("content-range", format!("bytes 5-{}/{}", file.len() - 1, file.len()))];
        }
        reply
    };
    let case = Case::new(wrong).with_part(&bytes[..70_001]);
    case.check(&case.obtain().unwrap());
    assert_eq!(case.starts(), [Some(70_001), None]);
}

#[test]
fn another_file_is_removed() {
    let case = Case::new(|_, _, _| Reply {
        headers: vec![("content-type", "text/html".into())],
        ..Reply::whole(b"<html>Please log in</html>")
    });
    let found = format!("{:x}", Sha256::digest(b"<html>Please log in</html>"));
    let error = case.error();
    let expected = format!("the server sent another file of type text/html, whose SHA-256 starts with {}", &found[..8]);
    assert!(error.contains(&expected), "{error}");
    assert!(!case.cached("").exists() && !case.cached(".part").exists());
    assert_eq!(case.starts().len(), 1);
}

#[test]
fn the_error_names_the_address_the_reason_and_the_folder() {
    let case = Case::new(|_, _, _| Reply::error("404 Not Found"));
    let (url, cache) = (&case.server.url, case.temp.path().join("cache"));
    let expected = format!(
        "cannot download {url}/models/{}: the server answered 404 Not Found; download it on another machine and put it \
         into {}, or name a file with --weights FILE",
        case.name,
        cache.display()
    );
    assert_eq!(case.error(), expected);
    assert_eq!(case.starts().len(), 1, "a missing file is not asked for again");
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let case = Case::new(|file, _, earlier| match earlier {
        0 => Reply::error("503 Service Unavailable"),
        1 => Reply::error("429 Too Many Requests"),
        _ => Reply::whole(file),
    });
    case.check(&case.obtain().unwrap());
    let case = Case::new(|_, _, _| Reply::error("503 Service Unavailable"));
    let error = case.error();
    assert!(error.contains("the server answered 503 Service Unavailable; download"), "{error}");
    assert_eq!(case.starts().len(), 3);
}

#[test]
fn no_server_is_an_error() {
    let mut case = Case::new(|file, _, _| Reply::whole(file));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    case.set("UCFTRAIN_WEIGHTS_URL", format!("http://user:secret@{free}"));
    let error = case.error();
    assert!(error.contains(&format!("cannot download http://{free}/{}: ", case.name)), "{error}");
    assert!(error.contains("refused") && !error.contains("secret"), "{error}");
}

#[test]
fn a_cut_connection_is_continued() {
    let case = Case::new(|file, request, earlier| Reply {
        cut: (earlier == 0).then_some(500_000),
        ..Reply::range(file, request)
    });
    case.check(&case.obtain().unwrap());
    let starts = case.starts();
    assert_eq!((starts.len(), starts[0]), (2, None));
    assert_eq!(starts[1], Some(500_000));
}

#[test]
fn a_connection_that_is_always_cut_keeps_its_part() {
    let case = Case::new(|file, request, _| Reply { cut: Some(1000), ..Reply::range(file, request) });
    let error = case.error();
    assert!(error.contains("(after 0.0 MB); download it"), "{error}");
    assert_eq!(case.starts(), [None, Some(1000), Some(2000)]);
    assert!(fs::read(case.cached(".part")).unwrap() == case.bytes[..3000] && !case.cached("").exists());
}

#[test]
fn a_silent_server_is_left() {
    let case = Case::new(|file, request, earlier| Reply {
        delay: Duration::from_secs(if earlier == 0 { 60 } else { 0 }),
        ..Reply::range(file, request)
    });
    let start = Instant::now();
    case.check(&case.obtain().unwrap());
    assert!(start.elapsed() < Duration::from_secs(30) && case.starts().len() == 2);
}

#[test]
fn a_request_to_stop_does_not_wait_for_the_server() {
    let case = Case::new(|file, _, _| Reply { delay: Duration::from_mins(1), ..Reply::whole(file) });
    let (stop, mut places) = (Stop::default(), case.places(false));
    places.patience.silence = Duration::from_mins(1);
    let asker = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        asker.ask();
    });
    let start = Instant::now();
    let error = places.obtain(&case.name, Console::new(false), &stop).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(error.to_string(), "stopped; the same command continues the download");
}

#[test]
fn offline_asks_no_server() {
    let mut case = Case::new(|file, _, _| Reply::whole(file));
    let error = case.places(true).find(&case.name).unwrap_err().to_string();
    let url = &case.server.url;
    assert!(error.contains(&format!("--offline forbids downloading {url}/models/{}; ", case.name)), "{error}");
    assert!(error.contains(&format!("put it into {}", case.temp.path().join("cache").display())), "{error}");
    case.set("UCFTRAIN_OFFLINE", "1");
    let error = case.error();
    assert!(error.contains("UCFTRAIN_OFFLINE forbids"), "{error}");
    assert!(case.starts().is_empty());
    fs::create_dir(case.temp.path().join("cache")).unwrap();
    fs::write(case.cached(""), &case.bytes).unwrap();
    case.check(&case.obtain().unwrap());
}

#[test]
fn a_proxy_is_asked_if_the_environment_names_one() {
    let mut case = Case::new(|file, _, _| Reply::whole(file));
    let proxy = Server::proxy();
    case.set("HTTP_PROXY", &*proxy.url);
    case.check(&case.obtain().unwrap());
    let host = case.server.url.strip_prefix("http://").unwrap();
    let lines: Vec<String> = proxy.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, [format!("CONNECT {host} HTTP/1.1")]);
    fs::remove_file(case.cached("")).unwrap();
    case.set("NO_PROXY", "localhost,127.0.0.1");
    case.check(&case.obtain().unwrap());
    assert_eq!((proxy.requests().len(), case.starts().len()), (1, 2));
}

#[test]
fn a_file_of_pytorch_is_used_if_it_is_right() {
    let case = Case::new(|file, _, _| Reply::whole(file));
    let folder = case.temp.path().join("torch/hub/checkpoints");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(&case.name);
    fs::write(&path, &case.bytes).unwrap();
    assert_eq!(case.obtain().unwrap(), path);
    assert!(case.starts().is_empty());
    fs::write(&path, &case.bytes[1..]).unwrap();
    case.check(&case.obtain().unwrap());
    assert_eq!(case.starts().len(), 1);
}

#[test]
fn a_damaged_file_in_the_cache_is_replaced() {
    let case = Case::new(|file, _, _| Reply::whole(file)).with_part(b"");
    fs::write(case.cached(""), "damaged").unwrap();
    case.check(&case.obtain().unwrap());
}

#[test]
fn a_folder_can_stand_for_the_server() {
    let mut case = Case::new(|file, _, _| Reply::whole(file));
    let mirror = case.temp.path().join("mirror");
    fs::create_dir(&mirror).unwrap();
    case.set("UCFTRAIN_WEIGHTS_URL", mirror.clone());
    let error = case.error();
    let expected = format!("names the folder {}, which has no valid {}", mirror.display(), case.name);
    assert!(error.contains(&expected), "{error}");
    fs::write(mirror.join(&case.name), &case.bytes).unwrap();
    assert_eq!(case.places(true).find(&case.name).unwrap(), Some(mirror.join(&case.name)));
    assert!(case.starts().is_empty());
}

#[test]
fn programs_at_the_same_time_share_one_download() {
    let case = Case::new(|file, request, _| Reply { delay: Duration::from_millis(300), ..Reply::range(file, request) });
    std::thread::scope(|scope| {
        for program in [0; 3].map(|_| scope.spawn(|| case.obtain().unwrap())) {
            case.check(&program.join().unwrap());
        }
    });
    assert_eq!(case.starts(), [None]);
}

#[test]
#[cfg(unix)]
fn the_cache_may_be_a_link() {
    let case = Case::new(|file, _, _| Reply::whole(file));
    fs::create_dir(case.temp.path().join("disk")).unwrap();
    std::os::unix::fs::symlink(case.temp.path().join("disk"), case.temp.path().join("cache")).unwrap();
    case.check(&case.obtain().unwrap());
    assert!(case.temp.path().join("disk").join(&case.name).is_file());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let mut case = Case::new(|file, _, _| Reply::whole(file));
    fs::write(case.temp.path().join("file"), "").unwrap();
    let folder = case.temp.path().join("file/cache");
    case.set("UCFTRAIN_CACHE", folder.clone());
    let error = case.error();
    assert!(error.starts_with(&format!("{}: cannot write the download: ", folder.display())), "{error}");
    assert!(error.ends_with("; name another folder in UCFTRAIN_CACHE"), "{error}");
    assert!(case.starts().is_empty());
}

#[test]
fn a_file_without_an_end_is_refused() {
    let endless = |_: &[u8], _: &Request, _| Reply {
        headers: vec![("content-range", format!("bytes 0-9/{}", 1_u64 << 40))],
        ..Reply { status: "206 Partial Content", ..Reply::whole(&[0; 10]) }
    };
    let case = Case::new(endless);
    let error = case.error();
    assert!(error.contains("the file is larger than 1073.7 MB"), "{error}");
    assert!(!case.cached(".part").exists());
}

//! Where files are on this machine, and where they come from.

use super::digest;
use super::download::{Download, Failure};
use super::http::{Client, Patience, shown};
use super::imagenet::BASE_URL;
use crate::base::console::{Console, note};
use crate::base::stop::Stop;
use crate::base::usage::Usage;
use anyhow::{Result, anyhow, bail};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the downloads.
const CACHE: &str = "UCFTRAIN_CACHE";
/// Address or folder with the files.
const SOURCE: &str = "UCFTRAIN_WEIGHTS_URL";
/// Forbids downloads.
const OFFLINE: &str = "UCFTRAIN_OFFLINE";

/// Returns the value of an environment variable.
type Get = Box<dyn Fn(&str) -> Option<OsString>>;

/// The folders of this machine that may have a file, and where to download it.
pub struct Places {
    /// Folder of the downloads; `None` without a home folder.
    cache: Option<PathBuf>,
    /// Folder of PyTorch's downloads.
    torch: Option<PathBuf>,
    source: Source,
    /// The reason why downloads are forbidden, such as `--offline`.
    offline: Option<&'static str>,
    pub(super) patience: Patience,
    get: Get,
}

/// Where the files come from.
enum Source {
    /// Address of a folder, without a slash at the end.
    Web(String),
    /// A folder on this machine.
    Folder(PathBuf),
}

impl Places {
    /// Returns the places that the environment names. `offline` forbids downloads.
    ///
    /// # Errors
    /// A variable has a value that is not allowed.
    pub fn of_environment(offline: bool) -> Result<Self, Usage> {
        let get = |name: &str| match (name, std::env::var_os(name)) {
            ("HOME", None) => std::env::home_dir().map(PathBuf::into_os_string),
            (_, value) => value,
        };
        Self::new(offline, Box::new(get))
    }

    /// Returns the places that `get`, which returns the value of an environment variable, names.
    pub(super) fn new(offline: bool, get: Get) -> Result<Self, Usage> {
        let get: Get = Box::new(move |name| get(name).filter(|value| !value.is_empty()));
        let offline = match get(OFFLINE).map(|value| value.to_string_lossy().to_lowercase()).as_deref() {
            _ if offline => Some("--offline"),
            None | Some("0" | "false") => None,
            Some("1" | "true") => Some(OFFLINE),
            Some(other) => return Err(Usage(format!("{OFFLINE} is {other}; use 1 or 0"))),
        };
        let source = source(get(SOURCE))?;
        Ok(Self { cache: cache(&get), torch: torch(&get), source, offline, patience: Patience::default(), get })
    }

    /// Returns the path of a file that is on this machine, after a check of its digest. Uses no
    /// network.
    ///
    /// # Errors
    /// A file of this name is not needed from the network, but missing.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>> {
        let mirror = match &self.source {
            Source::Folder(folder) => Some(folder),
            Source::Web(_) => None,
        };
        for folder in [self.cache.as_ref(), self.torch.as_ref(), mirror].into_iter().flatten() {
            let path = folder.join(name);
            match digest::is_right(&path, name) {
                Ok(true) => return Ok(Some(path)),
                Ok(false) => {
                    note(&format!("warning: {} is damaged: its name states another SHA-256", path.display()));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => note(&format!("warning: {}: cannot read it: {error}", path.display())),
            }
        }
        if let Some(folder) = mirror {
            bail!("{SOURCE} names the folder {}, which has no valid {name}; put the file there", folder.display());
        }
        let Some(reason) = self.offline else { return Ok(None) };
        bail!(
            "{name} is not on this machine, and {reason} forbids downloading {}; {}",
            shown(&self.url(name)),
            self.by_hand()
        )
    }

    /// Returns the path of a file, which it downloads if necessary.
    ///
    /// # Errors
    /// The file is neither on this machine nor can it be downloaded, or a signal stopped the download.
    pub fn obtain(&self, name: &str, console: Console, stop: &Stop) -> Result<PathBuf> {
        if let Some(path) = self.find(name)? {
            return Ok(path);
        }
        let Some(folder) = &self.cache else {
            bail!("there is no home folder for the download of {name}; name a folder in {CACHE}");
        };
        let url = self.url(name);
        let get = |variable: &str| (self.get)(variable).and_then(|value| value.into_string().ok());
        let client = Client::new(&url, self.patience, &get)?;
        let shown = shown(&url);
        console.say(&format!("downloading {shown} to {}", folder.display()));
        let patience = self.patience;
        let download = Download { client: &client, url: &url, folder, name, patience, console, stop };
        download.run().map_err(|failure| match failure {
            Failure::Network(reason) => anyhow!("cannot download {shown}: {reason}; {}", self.by_hand()),
            Failure::Folder(error) => {
                anyhow!("{}: cannot write the download: {error}; name another folder in {CACHE}", folder.display())
            }
            Failure::Stopped(error) => error,
        })
    }

    /// Returns where a download would come from and go to, for messages.
    pub fn plan(&self, name: &str) -> String {
        let folder = self.cache.as_deref().unwrap_or(Path::new("."));
        format!("{} to {}", shown(&self.url(name)), folder.display())
    }

    /// Returns the address of a file; the path in a folder on this machine.
    fn url(&self, name: &str) -> String {
        match &self.source {
            Source::Web(base) => format!("{base}/{name}"),
            Source::Folder(folder) => folder.join(name).display().to_string(),
        }
    }

    /// Says what to do without a network.
    fn by_hand(&self) -> String {
        let folder = self.cache.as_ref().map_or_else(|| format!("the folder in {CACHE}"), |f| f.display().to_string());
        format!("download it on another machine and put it into {folder}, or name a file with --weights FILE")
    }
}

/// Returns the folder of the downloads.
fn cache(get: &Get) -> Option<PathBuf> {
    if let Some(folder) = get(CACHE) {
        return std::path::absolute(folder).ok();
    }
    if let Some(folder) = xdg(get) {
        return Some(folder.join("ucftrain"));
    }
    let home = get("HOME").map(PathBuf::from);
    let caches = if cfg!(target_os = "macos") {
        home?.join("Library/Caches")
    } else if cfg!(windows) {
        get("LOCALAPPDATA")?.into()
    } else {
        home?.join(".cache")
    };
    Some(caches.join("ucftrain"))
}

/// Returns the folder of PyTorch's downloads (`torch.hub.get_dir`).
fn torch(get: &Get) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(get("HOME")?).join(".cache"));
    let torch = get("TORCH_HOME").map(PathBuf::from).or_else(|| Some(xdg(get).or_else(home)?.join("torch")));
    Some(torch?.join("hub/checkpoints"))
}

/// Returns `XDG_CACHE_HOME`. The standard ignores relative paths.
fn xdg(get: &Get) -> Option<PathBuf> {
    get("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

fn source(value: Option<OsString>) -> Result<Source, Usage> {
    let Some(value) = value else { return Ok(Source::Web(BASE_URL.into())) };
    let folder = |path: PathBuf| Source::Folder(std::path::absolute(&path).unwrap_or(path));
    match value.to_str().map(|text| (text, text.split_once("://"))) {
        Some((text, Some(("http" | "https", _)))) => Ok(Source::Web(text.trim_end_matches('/').to_owned())),
        Some((_, Some(("file", path)))) => Ok(folder(path.into())),
        Some((text, Some(_))) => {
            Err(Usage(format!("{SOURCE} is {}; use an http or https address, or a folder", shown(text))))
        }
        _ => Ok(folder(value.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Result<Places, Usage> {
        let variables: Vec<_> = variables.iter().map(|(key, value)| (key.to_string(), OsString::from(value))).collect();
        Places::new(false, Box::new(move |name| variables.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone())))
    }

    #[test]
    fn folders_follow_the_usual_variables() {
        let home = ("HOME", "/home/me");
        let folders = |variables: &[_]| {
            let Places { cache, torch, .. } = places(variables).unwrap();
            (cache.unwrap(), torch.unwrap())
        };
        let usual = if cfg!(target_os = "macos") { "/home/me/Library/Caches" } else { "/home/me/.cache" };
        let torch = PathBuf::from("/home/me/.cache/torch/hub/checkpoints");
        if cfg!(unix) {
            assert_eq!(folders(&[home]), (format!("{usual}/ucftrain").into(), torch.clone()));
            let relative = [home, ("XDG_CACHE_HOME", "cache"), ("UCFTRAIN_CACHE", "")];
            assert_eq!(folders(&relative), (format!("{usual}/ucftrain").into(), torch));
            let all = [home, ("XDG_CACHE_HOME", "/x"), ("UCFTRAIN_CACHE", "/c"), ("TORCH_HOME", "/t")];
            assert_eq!(folders(&all), ("/c".into(), "/t/hub/checkpoints".into()));
            assert_eq!(folders(&all[..2]), ("/x/ucftrain".into(), "/x/torch/hub/checkpoints".into()));
        }
        let none = places(&[]).unwrap();
        assert_eq!((none.cache, none.torch), (None, None));
    }

    #[test]
    fn the_source_is_an_address_or_a_folder() {
        let url = |value| places(&[("UCFTRAIN_WEIGHTS_URL", value)]).map(|places| places.url("a-01234567.pth"));
        assert_eq!(url("").unwrap(), "https://download.pytorch.org/models/a-01234567.pth");
        assert_eq!(url("http://host/models/").unwrap(), "http://host/models/a-01234567.pth");
        if cfg!(unix) {
            assert_eq!(url("/mnt/models").unwrap(), "/mnt/models/a-01234567.pth");
            assert_eq!(url("file:///mnt/models").unwrap(), "/mnt/models/a-01234567.pth");
        }
        let error = url("s3://key:secret@bucket/models").unwrap_err().to_string();
        assert!(error.contains("is s3://bucket/models; use an http or https address"), "{error}");
        assert_eq!(shown("https://me:secret@host:1/a@b"), "https://host:1/a@b");
    }

    #[test]
    fn offline_is_1_or_0() {
        let offline = |value| places(&[("UCFTRAIN_OFFLINE", value)]).map(|places| places.offline);
        assert_eq!((offline("1").unwrap(), offline("TRUE").unwrap()), (Some(OFFLINE), Some(OFFLINE)));
        assert_eq!((offline("").unwrap(), offline("0").unwrap()), (None, None));
        assert_eq!(offline("yes").unwrap_err().to_string(), "UCFTRAIN_OFFLINE is yes; use 1 or 0");
    }
}

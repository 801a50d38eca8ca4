//! The proxy that the environment names for an address, by the rules of curl.

use crate::base::usage::Usage;
use ureq::Proxy;
use ureq::http::Uri;

/// Returns the proxy for `url`. `get` returns the value of an environment variable.
///
/// An `https` address uses `https_proxy`, an `http` address `http_proxy`, and both `all_proxy`
/// otherwise. Names in capitals work too. `no_proxy` lists hosts that need no proxy; an entry also
/// stands for the hosts below it, and `*` for all hosts.
///
/// # Errors
/// The variable does not hold the address of a proxy.
pub fn proxy_for(url: &Uri, get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Proxy>, Usage> {
    let either = |name: &str| {
        let upper = name.to_ascii_uppercase();
        get(name).map(|value| (name.to_owned(), value)).or_else(|| get(&upper).map(|value| (upper, value)))
    };
    let host = url.host().unwrap_or_default();
    if either("no_proxy").is_some_and(|(_, list)| needs_none(host, &list)) {
        return Ok(None);
    }
    let own = if url.scheme_str() == Some("https") { "https_proxy" } else { "http_proxy" };
    let Some((name, value)) = either(own).or_else(|| either("all_proxy")) else { return Ok(None) };
    // The value may contain a password, so the message does not show it.
    let fault = |_| Usage(format!("{name} is no address of a proxy; write it as http://HOST:PORT"));
    Proxy::new(&value).map(Some).map_err(fault)
}

/// Returns whether a list of `no_proxy` contains the host.
fn needs_none(host: &str, list: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let entry = entry.trim_start_matches('*').trim_start_matches('.');
        // `*` alone is empty by now.
        entry.is_empty() || host == entry || host.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, Usage> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let proxy = proxy_for(&url.parse().unwrap(), &get)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let proxy = |url, variables: &[_]| host_of(url, variables).unwrap();
        let both = [("https_proxy", "http://secure:1"), ("HTTP_PROXY", "plain:2"), ("ALL_PROXY", "socks5://all:3")];
        assert_eq!(proxy("https://host/x", &both).unwrap(), "secure:1");
        assert_eq!(proxy("http://host/x", &both).unwrap(), "plain:2");
        assert_eq!(proxy("https://host/x", &both[1..]).unwrap(), "all:3");
        assert_eq!(proxy("https://host/x", &[]), None);
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let is_direct = |host: &str, list: &str| {
            let variables = [("ALL_PROXY", "http://proxy:1"), ("NO_PROXY", list)];
            host_of(&format!("https://{host}/x"), &variables).unwrap().is_none()
        };
        for list in ["*", "localhost, mirror.org", ".mirror.org", "*.mirror.org", "MIRROR.ORG", "a.mirror.org"] {
            assert!(is_direct("a.mirror.org", list), "{list}");
        }
        for list in ["", ",", "othermirror.org", "b.a.mirror.org", "org.mirror"] {
            assert!(!is_direct("a.mirror.org", list), "{list}");
        }
        assert!(!is_direct("amirror.org", "mirror.org") && is_direct("127.0.0.1", "127.0.0.1"));
    }

    #[test]
    fn a_variable_that_is_no_address_is_named_without_its_value() {
        let error = host_of("https://host/x", &[("HTTPS_PROXY", "ftp://user:secret@host")]).unwrap_err();
        assert_eq!(error.to_string(), "HTTPS_PROXY is no address of a proxy; write it as http://HOST:PORT");
    }
}

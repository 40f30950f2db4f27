//! Headers that a proxy in front of httpd sets, and whom to believe them (`WSGITrustedProxyHeaders`,
//! `WSGITrustedProxies`).
//!
//! A header counts only if it is configured, and only from a peer that is trusted. Of each category that is configured,
//! everything but the header that was applied is removed, so that an application never sees a header that the client made
//! up (CVE-2022-2255).
//!
//! Source: mod_wsgi 6.1.1, as observed.

use std::net::{IpAddr, Ipv4Addr};

/// What a header tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    Client,
    Host,
    Server,
    Port,
    Script,
    Scheme,
}

/// Every header that can be trusted, with what it tells of.
const HEADERS: [(&str, Category); 15] = [
    ("X-Forwarded-For", Category::Client),
    ("X-Client-IP", Category::Client),
    ("X-Real-IP", Category::Client),
    ("X-Forwarded-Host", Category::Host),
    ("X-Host", Category::Host),
    ("X-Forwarded-Server", Category::Server),
    ("X-Forwarded-Port", Category::Port),
    ("X-Script-Name", Category::Script),
    ("X-Forwarded-Script-Name", Category::Script),
    ("X-Forwarded-Proto", Category::Scheme),
    ("X-Forwarded-Scheme", Category::Scheme),
    ("X-Scheme", Category::Scheme),
    ("X-Forwarded-HTTPS", Category::Scheme),
    ("X-Forwarded-SSL", Category::Scheme),
    ("X-HTTPS", Category::Scheme),
];

/// A header that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header(usize);

impl Header {
    /// The header of that name in any case; `None` for one that tells nothing here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        HEADERS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)).map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        // Made from a position in this table.
        HEADERS[self.0].0
    }

    fn category(self) -> Category {
        HEADERS[self.0].1
    }
}

/// A network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    mask: u128,
    is_v4: bool,
}

impl Network {
    /// Reads an address, an address with a number of bits or a mask behind `/`, or the front of an IPv4 address (`10.1`).
    ///
    /// # Errors
    /// Names the text and what it may be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("'{text}' is not an IP address or network, such as 10.1.2.3, 10.0.0.0/8, 10.1 or 2001:db8::/32");
        let (address, suffix) = text.split_once('/').map_or((text, None), |(address, suffix)| (address, Some(suffix)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let width = if address.is_ipv4() { 32 } else { 128 };
            let mask = suffix.map_or(Some(ones(width, width)), |suffix| mask(suffix, address.is_ipv4(), width));
            let mask = mask.ok_or_else(bad)?;
            return Ok(Self { address: bits(address) & mask, mask, is_v4: address.is_ipv4() });
        }
        let parts: Vec<Option<u8>> = address.trim_end_matches('.').split('.').map(|part| part.parse().ok()).collect();
        if suffix.is_some() || parts.len() > 3 || parts.iter().any(Option::is_none) {
            return Err(bad());
        }
        let mut octets = [0; 4];
        for (octet, part) in octets.iter_mut().zip(parts.iter().flatten()) {
            *octet = *part;
        }
        let mask = ones(parts.len() as u32 * 8, 32);
        Ok(Self { address: bits(Ipv4Addr::from(octets).into()) & mask, mask, is_v4: true })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.is_v4 == address.is_ipv4() && bits(address) & self.mask == self.address
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The first `count` of `width` bits.
fn ones(count: u32, width: u32) -> u128 {
    if count == 0 { 0 } else { (u128::MAX >> (128 - count)) << (width - count) }
}

fn mask(suffix: &str, is_v4: bool, width: u32) -> Option<u128> {
    if let Ok(count) = suffix.parse::<u32>() {
        return (count <= width).then(|| ones(count, width));
    }
    let mask = suffix.parse::<Ipv4Addr>().ok().filter(|_| is_v4)?;
    Some(u128::from(u32::from(mask)))
}

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The headers, in order.
    pub headers: Vec<Header>,
    /// The proxies; `None` trusts every peer.
    pub proxies: Option<Vec<Network>>,
}

/// What the headers of a request mean: each is what a variable becomes, or `None` where it stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// `REMOTE_ADDR`.
    pub remote_addr: Option<Vec<u8>>,
    /// `HTTP_HOST`.
    pub host: Option<Vec<u8>>,
    /// `SERVER_NAME`.
    pub server_name: Option<Vec<u8>>,
    /// `SERVER_PORT`.
    pub server_port: Option<Vec<u8>>,
    /// `SCRIPT_NAME` and `mod_wsgi.mount_point`.
    pub script_name: Option<Vec<u8>>,
    /// Whether the URL scheme is https.
    pub https: Option<bool>,
    /// Whether a header about the scheme was applied, so that the connection's own does not count.
    pub scheme_is_told: bool,
    /// `HTTP_X_FORWARDED_FOR`.
    pub forwarded_for: Option<Vec<u8>>,
    /// Headers that the application must not see.
    pub removed: Vec<Header>,
}

impl Effects {
    /// Whether the application must not see a header.
    #[must_use]
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed.iter().any(|header| header.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Rules {
    fn trusts(&self, text: &[u8]) -> bool {
        match &self.proxies {
            None => true,
            Some(proxies) => {
                address(text).is_some_and(|address| proxies.iter().any(|network| network.contains(address)))
            }
        }
    }

    /// What the headers mean for a request from `peer`; `value` gives the value of a header.
    pub fn apply<'v>(&self, peer: &[u8], value: impl Fn(Header) -> Option<&'v [u8]>) -> Effects {
        let mut effects = Effects::default();
        let mut winners: Vec<(Category, Option<Header>)> = Vec::new();
        let is_trusted = self.trusts(peer);
        for header in &self.headers {
            let category = header.category();
            let at = winners.iter().position(|(claimed, _)| *claimed == category).unwrap_or_else(|| {
                winners.push((category, None));
                winners.len() - 1
            });
            if let Some(value) = value(*header).filter(|_| is_trusted) {
                self.apply_one(*header, value, &mut effects);
                // Found or pushed just above.
                winners[at].1 = Some(*header);
            }
        }
        let all = (0..HEADERS.len()).map(Header);
        effects.removed = all
            .filter(|header| {
                let claimed = winners.iter().find(|(category, _)| *category == header.category());
                claimed.is_some_and(|(_, winner)| *winner != Some(*header))
            })
            .collect();
        effects
    }

    fn apply_one(&self, header: Header, value: &[u8], effects: &mut Effects) {
        let owned = Some(value.to_vec());
        match header.category() {
            Category::Client if header.name() == "X-Forwarded-For" => self.apply_forwarded_for(value, effects),
            Category::Client => effects.remote_addr = owned,
            Category::Host => effects.host = owned,
            Category::Server => effects.server_name = owned,
            Category::Port => effects.server_port = owned,
            Category::Script => effects.script_name = owned,
            Category::Scheme => {
                effects.scheme_is_told = true;
                let (yes, no): (&[&str], &[&str]) = match header.name() {
                    "X-Forwarded-Proto" | "X-Forwarded-Scheme" | "X-Scheme" => (&["https"], &["http"]),
                    _ => (&["on", "true", "1"], &["off", "false", "0"]),
                };
                let says = |words: &[&str]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
                if says(yes) {
                    effects.https = Some(true);
                } else if says(no) {
                    effects.https = Some(false);
                }
            }
        }
    }

    /// The list grows to the right. Without known proxies its first element is the client; with them, the client is the
    /// element that the leftmost proxy of an unbroken row from the right has added.
    fn apply_forwarded_for(&self, value: &[u8], effects: &mut Effects) {
        let elements: Vec<&[u8]> =
            value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty()).collect();
        let Some(last) = elements.len().checked_sub(1) else { return };
        if self.proxies.is_none() {
            effects.remote_addr = elements.first().map(|first| first.to_vec());
            return;
        }
        let trusted = elements.iter().rev().take_while(|element| self.trusts(element)).count();
        let client = match trusted {
            0 => last,
            row => (last + 1 - row).saturating_sub(1),
        };
        let kept = elements.get(client..).unwrap_or_default();
        effects.remote_addr = kept.first().map(|first| first.to_vec());
        effects.forwarded_for = Some(kept.join(&b", "[..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(headers: &[&str], proxies: Option<&[&str]>) -> Rules {
        Rules {
            headers: headers.iter().filter_map(|name| Header::named(name)).collect(),
            proxies: proxies.map(|proxies| proxies.iter().map(|text| Network::parse(text).unwrap()).collect()),
        }
    }

    fn applied(rules: &Rules, peer: &str, sent: &[(&str, &'static str)]) -> Effects {
        rules.apply(peer.as_bytes(), |header| {
            sent.iter().find(|(name, _)| *name == header.name()).map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn networks_are_addresses_prefixes_and_masks() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/255.255.0.0", "10.0.9.9", "10.1.0.0"),
            ("10.1", "10.1.9.9", "10.2.0.0"),
            ("10.", "10.9.9.9", "11.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for bad in ["", "host", "10.1.2.3.4", "10.1/8", "1.2.3.4/33", "::1/129", "::1/255.0.0.0", "300.1"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_from_a_stranger_is_removed_and_has_no_effect() {
        let rules = rules(&["X-Forwarded-For", "X-Forwarded-Proto"], Some(&["10.0.0.1"]));
        let effects = applied(&rules, "1.2.3.4", &[("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "https")]);
        assert_eq!((effects.remote_addr.clone(), effects.https), (None, None));
        assert!(
            effects.removes(b"x-forwarded-for")
                && effects.removes(b"X-Real-IP")
                && effects.removes(b"X-Forwarded-Proto")
        );
        assert!(!effects.removes(b"X-Forwarded-Host"));
    }

    #[test]
    fn the_client_is_left_of_the_row_of_trusted_proxies() {
        let rules = rules(&["X-Forwarded-For"], Some(&["10.0.0.0/8"]));
        for (sent, client, left) in [
            ("1.1.1.1, 2.2.2.2, 10.0.0.2", "2.2.2.2", "2.2.2.2, 10.0.0.2"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2"),
            ("1.1.1.1, 2.2.2.2", "2.2.2.2", "2.2.2.2"),
            ("1.1.1.1, garbage, 10.0.0.2", "garbage", "garbage, 10.0.0.2"),
        ] {
            let effects = applied(&rules, "10.0.0.1", &[("X-Forwarded-For", sent)]);
            assert_eq!(effects.remote_addr.as_deref(), Some(client.as_bytes()), "{sent}");
            assert_eq!(effects.forwarded_for.as_deref(), Some(left.as_bytes()), "{sent}");
        }
    }

    #[test]
    fn without_known_proxies_the_first_element_is_the_client() {
        let rules = rules(&["X-Forwarded-For"], None);
        let effects = applied(&rules, "1.2.3.4", &[("X-Forwarded-For", " , 9.9.9.9, 8.8.8.8")]);
        assert_eq!(effects.remote_addr.as_deref(), Some(&b"9.9.9.9"[..]));
        assert_eq!(effects.forwarded_for, None);
        assert_eq!(applied(&rules, "1.2.3.4", &[("X-Forwarded-For", ", ,")]).remote_addr, None);
    }

    #[test]
    fn of_each_category_only_the_last_header_that_came_is_left() {
        let rules = rules(&["X-Forwarded-Proto", "X-Forwarded-SSL"], None);
        let effects = applied(&rules, "1.2.3.4", &[("X-Forwarded-Proto", "https"), ("X-Forwarded-SSL", "off")]);
        assert_eq!(effects.https, Some(false));
        assert!(
            effects.removes(b"X-Forwarded-Proto")
                && !effects.removes(b"X-Forwarded-SSL")
                && effects.removes(b"X-Scheme")
        );
        let effects = applied(&rules, "1.2.3.4", &[("X-Forwarded-Proto", "ftp")]);
        assert_eq!((effects.https, effects.scheme_is_told), (None, true));
    }
}

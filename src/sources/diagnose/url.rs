//! Mistakes with a signed URL: another protocol, another host, a slash too many or too few.

use super::change::{Case, Change, Kind};

pub(super) fn changes(case: &Case) -> Vec<Change> {
    let Some(template) = case.template() else { return Vec::new() };
    let signs_url = template.contains("{url}");
    if !signs_url && !template.contains("{path_query}") {
        return Vec::new();
    }
    let mut changes = paths(case);
    if signs_url {
        let configured = case.public_url.as_deref().unwrap_or_default();
        for base in bases(case).into_iter().filter(|base| base != configured) {
            let text = format!("it fits if the sender called {base}: set server.public_url to that");
            changes.push(Change::new(Kind::Url, "public_url", text, move |case| case.public_url = Some(base.clone())));
        }
    }
    changes
}

/// Addresses that the sender may have called.
fn bases(case: &Case) -> Vec<String> {
    let both = |rest: &str| [format!("https://{rest}"), format!("http://{rest}")];
    let mut bases = Vec::new();
    if let Some((_, rest)) = case.public_url.as_deref().and_then(|url| url.split_once("://")) {
        bases.extend(both(rest));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if let Some((name, _)) = host.rsplit_once(':') {
            bases.extend(both(&format!("{name}{path}")));
        } else {
            bases.extend([format!("https://{host}:443{path}"), format!("http://{host}:80{path}")]);
        }
    }
    let is_host =
        |host: &&str| host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let named = ["x-forwarded-host", "host"].into_iter().filter_map(|header| case.header(header)).filter(is_host);
    bases.extend(named.flat_map(both));
    bases
}

fn paths(case: &Case) -> Vec<Change> {
    let (path, query) = match case.request.path_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (case.request.path_query.as_str(), None),
    };
    let with_query = |path: &str| query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut others = vec![(
        "path_slash",
        with_query(&format!("{path}/")),
        "with a slash at its end: the sender's settings have one, or lack it here",
    )];
    if let Some(without) = path.strip_suffix('/') {
        others.push(("path_slash", with_query(without), "without the slash at its end: a proxy adds one"));
    }
    if query.is_some() {
        others.push(("path_query", path.to_owned(), "without the query: a proxy adds it, or the sender leaves it out"));
    }
    others
        .into_iter()
        .map(|(code, path_query, what)| {
            Change::new(Kind::Url, code, format!("it fits if the signed path is {what}"), move |case| {
                case.request.path_query.clone_from(&path_query);
            })
        })
        .collect()
}

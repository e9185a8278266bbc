//! `contacts import`: links from a CSV file, line by line, in commits small enough that a running service goes on.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io::Read,
    path::PathBuf,
};

use anyhow::Context as _;
use csv::{ByteRecord, ReaderBuilder};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    super::{
        context::{self, Context, open_or_create},
        exit::Exit,
        output,
    },
    key::parse_key,
    register,
};
use crate::{
    clock::Clock,
    contacts::{ContactId, ContactKey},
    store::{Link, LinkOrigin, Linked, Store},
};

/// Links per commit: some milliseconds, between which a running service's own commits find their place.
const CHUNK: usize = 5_000;

#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ImportArgs {
    /// The CSV file, with a head line; `-` reads standard input
    file: PathBuf,
    /// The account; may be left out when there is one
    #[arg(long, short, value_name = "NAME")]
    account: Option<String>,
    /// The column with the external identifiers
    #[arg(long, value_name = "COLUMN", default_value = "identifier")]
    identifier_column: String,
    /// The column with the numbers of the contacts in Chatwoot
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    id_column: String,
    /// The character between columns
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
}

/// What an import came to.
#[derive(Debug, Default)]
struct Summary {
    linked: Linked,
    /// Lines without an identifier: an export has many, and nothing is wrong with them.
    without_identifier: u64,
    /// Lines that say what an earlier one said.
    repeated: u64,
    bad: Vec<BadLine>,
}

#[derive(Debug, serde::Serialize)]
struct BadLine {
    line: u64,
    reason: String,
}

/// What a line asks for.
enum Line {
    Link(ContactKey, ContactId),
    WithoutIdentifier,
}

/// Imports the file.
pub(super) async fn run(args: &ImportArgs, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let account = context::account(&config, args.account.as_deref())?;
    // A file that cannot be read makes no database.
    let (input, size) = open(args)?;
    let progress = progress(size);
    let reader = ReaderBuilder::new().delimiter(args.delimiter).flexible(true).from_reader(progress.wrap_read(input));
    let mut lines = Lines::begin(reader, args)?;
    let store = open_or_create(&config).await?;
    register(&store, account).await?;
    let imported = import(&mut lines, &store, &account.name, &context.clock).await;
    progress.finish_and_clear();
    store.close().await;
    let summary = imported?;
    summary.print(&account.name, context)?;
    Ok(if summary.bad.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn import<R: Read>(file: &mut Lines<R>, store: &Store, account: &str, clock: &Clock) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    loop {
        let links = file.next_chunk(&mut summary)?;
        if links.is_empty() {
            return Ok(summary);
        }
        let made = store.link(account, links, clock.now()).await.context("links could not be stored")?;
        summary.linked.added += made.added;
        summary.linked.changed += made.changed;
        summary.linked.unchanged += made.unchanged;
    }
}

/// The lines of a file, and what the earlier ones said.
struct Lines<R> {
    reader: csv::Reader<R>,
    identifier: usize,
    id: usize,
    /// Contact and line of each key. An identifier that leads to two contacts is a fault of the file that must not
    /// depend on the order of its lines.
    seen: HashMap<ContactKey, (ContactId, u64)>,
}

impl<R: Read> Lines<R> {
    fn begin(mut reader: csv::Reader<R>, args: &ImportArgs) -> anyhow::Result<Self> {
        let head = reader.byte_headers().context("the file cannot be read")?.clone();
        let column = |name: &str| {
            let position = head.iter().position(|cell| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
            let columns: Vec<_> = head.iter().map(String::from_utf8_lossy).collect();
            position.with_context(|| {
                format!(
                    "the file has no column `{name}`; its first line has: {}",
                    output::printable(&columns.join(", "))
                )
            })
        };
        let (identifier, id) = (column(&args.identifier_column)?, column(&args.id_column)?);
        Ok(Self { reader, identifier, id, seen: HashMap::new() })
    }

    /// The next links; none at the end of the file.
    fn next_chunk(&mut self, summary: &mut Summary) -> anyhow::Result<Vec<Link>> {
        let mut links = Vec::new();
        let mut record = ByteRecord::new();
        while links.len() < CHUNK && self.reader.read_byte_record(&mut record).context("the file cannot be read")? {
            let line = record.position().map_or(0, csv::Position::line);
            match self.read(&record) {
                Ok(Line::WithoutIdentifier) => summary.without_identifier += 1,
                Ok(Line::Link(key, contact_id)) => match self.seen.entry(key) {
                    Entry::Vacant(entry) => {
                        links.push(Link { key: entry.key().clone(), contact_id, origin: LinkOrigin::Import });
                        entry.insert((contact_id, line));
                    }
                    Entry::Occupied(entry) if entry.get().0 == contact_id => summary.repeated += 1,
                    Entry::Occupied(entry) => {
                        let (other, at) = entry.get();
                        let reason = format!("the same identifier leads to contact {other} on line {at}");
                        summary.bad.push(BadLine { line, reason });
                    }
                },
                Err(reason) => summary.bad.push(BadLine { line, reason }),
            }
        }
        Ok(links)
    }

    fn read(&self, record: &ByteRecord) -> Result<Line, String> {
        let identifier = cell(record, self.identifier, "the identifier")?;
        if identifier.is_empty() {
            return Ok(Line::WithoutIdentifier);
        }
        let id = cell(record, self.id, "the contact's number")?;
        let contact_id = id.parse().ok().filter(|id| *id > 0);
        let contact_id = contact_id.ok_or_else(|| "the contact's number is not a whole number from 1".to_owned())?;
        let key = parse_key(identifier).map_err(|why| format!("the identifier cannot be used: {why}"))?;
        Ok(Line::Link(key, contact_id))
    }
}

fn cell<'a>(record: &'a ByteRecord, column: usize, name: &str) -> Result<&'a str, String> {
    let bytes = record.get(column).ok_or_else(|| format!("the line ends before {name}"))?;
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| format!("{name} is not UTF-8"))
}

impl Summary {
    fn print(&self, account: &str, context: &Context) -> anyhow::Result<()> {
        let Linked { added, changed, unchanged } = self.linked;
        if context.json {
            return output::print_json(&json!({
                "account": account,
                "added": added,
                "changed": changed,
                "unchanged": unchanged,
                "without_identifier": self.without_identifier,
                "repeated": self.repeated,
                "bad": self.bad,
            }));
        }
        for BadLine { line, reason } in &self.bad {
            output::remark(&format!("line {line}: {reason}"));
        }
        let mut parts = vec![format!("{account}: links added: {added}, {changed} changed, {unchanged} as before")];
        for (number, what) in [
            (self.without_identifier, "without an identifier"),
            (self.repeated, "repeated"),
            (self.bad.len() as u64, "bad"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", output::count(number, "line")));
            }
        }
        output::print(&parts.join("; "))
    }
}

/// The file and its size, where that is known.
fn open(args: &ImportArgs) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
    if args.file.as_os_str() == "-" {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    let size = file.metadata().map(|metadata| metadata.len()).ok();
    Ok((Box::new(file), size))
}

/// Shown on a terminal only.
fn progress(size: Option<u64>) -> ProgressBar {
    let Some(size) = size else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {percent}% {bytes}/{total_bytes}, {eta} left");
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ if text == "\\t" => Ok(b'\t'),
        _ => Err("expected one character such as ; or \\t".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, ContactId)>, Summary) {
        let args = ImportArgs {
            file: PathBuf::new(),
            account: None,
            identifier_column: "identifier".to_owned(),
            id_column: "id".to_owned(),
            delimiter: b',',
        };
        let reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let mut file = Lines::begin(reader, &args).unwrap();
        let mut summary = Summary::default();
        let links = file.next_chunk(&mut summary).unwrap();
        (links.into_iter().map(|link| (link.key.to_string(), link.contact_id)).collect(), summary)
    }

    #[test]
    fn good_lines_are_kept_whatever_is_wrong_with_others() {
        let (links, summary) =
            read("\u{feff}id,Identifier,name\n7,a,Ada\nx,b,\n8\n9,,Nobody\n10,\" c \",\n-1,d,\n7,a,\n11,a,\n");
        assert_eq!(links, [("a".to_owned(), 7), ("c".to_owned(), 10)]);
        assert_eq!((summary.without_identifier, summary.repeated), (1, 1));
        let bad: Vec<_> = summary.bad.iter().map(|bad| (bad.line, bad.reason.as_str())).collect();
        assert_eq!(
            bad,
            [
                (3, "the contact's number is not a whole number from 1"),
                (4, "the line ends before the identifier"),
                (7, "the contact's number is not a whole number from 1"),
                (9, "the same identifier leads to contact 7 on line 2"),
            ]
        );
    }
}

//! No body makes reading panic, and what comes out of one is bounded by what went in: a body cannot unfold.

use bytes::Bytes;
use jaq_json::Val;
use proptest::{prelude::*, sample::select};

use super::{form, tests::read_typed};

/// A byte that does not fit the charset becomes the three bytes of U+FFFD, and none becomes more.
const LARGEST_CHAR: usize = 3;
/// The most brackets in a name of a form.
const MOST_BRACKETS: usize = 16;

/// The size of a value.
#[derive(Debug, Default)]
struct Size {
    texts: usize,
    /// Bytes of all texts and names.
    bytes: usize,
    /// Arrays and objects.
    containers: usize,
    depth: usize,
}

fn size(value: &Val) -> Size {
    let mut size = Size::default();
    add(&mut size, value, 0);
    size
}

fn add(size: &mut Size, value: &Val, depth: usize) {
    size.depth = size.depth.max(depth);
    match value {
        Val::TStr(text) | Val::BStr(text) => {
            size.texts += 1;
            size.bytes += text.len();
        }
        Val::Arr(elements) => {
            size.containers += 1;
            elements.iter().for_each(|element| add(size, element, depth + 1));
        }
        Val::Obj(members) => {
            size.containers += 1;
            for (name, member) in members.iter() {
                if let Val::TStr(name) = name {
                    size.bytes += name.len();
                }
                add(size, member, depth + 1);
            }
        }
        Val::Null | Val::Bool(_) | Val::Num(_) => {}
    }
}

/// Pieces that forms are made of, put together in any order, with any bytes between them.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(of).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

fn form_body() -> impl Strategy<Value = Vec<u8>> {
    pieces(&[
        "&",
        "&",
        "=",
        "=",
        "a",
        "b",
        "[",
        "]",
        "[]",
        "[a]",
        "[b]",
        "a[b][c]=1&",
        "%5B",
        "%5d",
        "%",
        "%ff",
        "+",
        "1",
    ])
}

const PART: &str = "\r\n--b\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n";

fn multipart_body() -> impl Strategy<Value = Vec<u8>> {
    let body = pieces(&[
        PART,
        PART,
        "\r\n--b",
        "\r\n",
        "--",
        "\r\n--b--\r\n",
        "Content-Disposition: form-data",
        "; name=\"c\"",
        "; filename=\"d\"",
        "; name=a",
        "; filename*=UTF-8''%e2%82%ac",
        "Content-Type: text/plain; charset=utf-16",
        "Content-Type: a/b",
        "\r\n\r\n",
        "text",
    ]);
    body.prop_map(|body| [b"--b\r\nContent-Disposition: form-data; name=\"first\"\r\n\r\n".as_slice(), &body].concat())
}

fn charset() -> impl Strategy<Value = &'static str> {
    select(
        &["", "; charset=utf-8", "; charset=windows-1255", "; charset=big5", "; charset=utf-16le", "; charset=gb18030"]
            [..],
    )
}

proptest! {
    #[test]
    fn what_comes_out_of_a_form_is_bounded_by_what_went_in(body in form_body(), charset in charset()) {
        let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).count();
        let content_type = format!("application/x-www-form-urlencoded{charset}");
        let size = size(&read_typed(&content_type, Bytes::from(body.clone())).expect("every text is a form"));
        prop_assert!(size.texts <= pairs, "{:?}", size);
        prop_assert!(size.bytes <= body.len() * LARGEST_CHAR, "{:?}", size);
        prop_assert!(size.containers <= 1 + pairs * (MOST_BRACKETS + 1), "{:?}", size);
        prop_assert!(size.depth <= MOST_BRACKETS + 2, "{:?}", size);
    }

    #[test]
    fn what_comes_out_of_a_multipart_form_is_bounded_by_what_went_in(mut body in multipart_body(), whole in any::<bool>()) {
        if whole {
            body.extend_from_slice(b"\r\n--b--\r\n");
        }
        let Ok(value) = read_typed("multipart/form-data; boundary=b", Bytes::from(body.clone())) else { return Ok(()) };
        let parts = body.windows(3).filter(|window| window == b"--b").count();
        let size = size(&value);
        // A file has two texts, its name and its type, and three names of our own.
        prop_assert!(size.texts <= 2 * parts, "{:?}", size);
        prop_assert!(size.bytes <= body.len() * LARGEST_CHAR + parts * "filenamecontent_typesize".len(), "{:?}", size);
        prop_assert!(size.containers <= 1 + parts * (MOST_BRACKETS + 2), "{:?}", size);
        prop_assert!(size.depth <= MOST_BRACKETS + 3, "{:?}", size);
    }

    #[test]
    fn no_bytes_of_any_content_type_make_reading_panic(
        content_type in "(application/json|application/x-www-form-urlencoded|multipart/form-data|text/plain)[; a-z0-9=\"-]{0,30}",
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = read_typed(&content_type, Bytes::from(body));
    }

    #[test]
    fn json_is_read_to_a_fixed_depth_and_no_deeper(depth in 1_usize..100_000, opening in select(&["[", "{\"a\":"][..])) {
        let result = read_typed("application/json", Bytes::from(opening.repeat(depth)));
        prop_assert!(result.is_err());
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let result = read_typed("application/json", Bytes::from(nested));
        prop_assert_eq!(result.is_ok(), depth < 128);
    }
}

#[test]
fn a_form_of_very_many_fields_is_refused_whatever_carries_them() {
    let fields = "a=1&".repeat(form::MAX_FIELDS + 1);
    assert!(read_typed("application/x-www-form-urlencoded", Bytes::from(fields)).is_err());
    let parts = PART.repeat(form::MAX_FIELDS + 1) + "\r\n--b--\r\n";
    assert!(read_typed("multipart/form-data; boundary=b", Bytes::from(parts)).is_err());
}

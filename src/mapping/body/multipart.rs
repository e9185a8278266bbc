//! Multipart forms: fields are texts as in other forms. A file becomes `{"filename", "content_type", "size"}`: its bytes
//! are kept with the webhook, and no expression needs them.

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use jaq_json::Val;
use multer::Multipart;
use serde_json::{Value, json};

use super::{Unreadable, form::Form};

/// Reads a multipart form.
pub(super) fn read(content_type: &str, body: &Bytes) -> Result<Val, Unreadable> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| Unreadable::because("the content type names no boundary between the parts"))?;
    let whole = stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(body.clone())));
    // The body is there as a whole, so the reader never has to wait.
    parts(Multipart::new(whole, boundary))
        .now_or_never()
        .unwrap_or_else(|| Err(Unreadable::because("the multipart body is not whole")))
}

async fn parts(mut multipart: Multipart<'_>) -> Result<Val, Unreadable> {
    let broken = |_| Unreadable::because("the multipart body is broken or not whole");
    let mut form = Form::default();
    while let Some(part) = multipart.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().map(str::to_owned);
        let content_type = part.content_type().map(ToString::to_string);
        let value = match file {
            Some(filename) => {
                let size = part.bytes().await.map_err(broken)?.len();
                json!({ "filename": filename, "content_type": content_type, "size": size })
            }
            None => Value::from(part.text().await.map_err(broken)?),
        };
        form.add(&name, value)?;
    }
    form.into_value()
}

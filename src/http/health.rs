//! Signs of life.

use actix_web::{HttpResponse, web};

use super::problem::Problem;
use crate::store::Store;

/// The process lives.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

/// The store reads and writes.
pub(super) async fn ready(store: web::Data<Store>) -> Result<HttpResponse, Problem> {
    let checked = async {
        store.check_writer().await?;
        store.open_rows().await
    };
    match checked.await {
        Ok(open) => Ok(HttpResponse::Ok().json(serde_json::json!({ "status": "ready", "open_rows": open }))),
        Err(error) => {
            tracing::error!("not ready: {error}");
            Err(Problem::NOT_READY)
        }
    }
}

//! The JSON API of the admin port.

use actix_web::{HttpResponse, web};

use super::{Shared, auth::Authorized, problem::Problem};

/// Why the last requests of a source were refused: `[{"at", "reason", "findings": [{"code", "text"}]}]`, newest first.
pub(super) async fn diagnose(
    _: Authorized,
    name: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Problem> {
    let now = shared.clock.now();
    // It computes for a while, and the port has other things to answer.
    let explained = web::block(move || shared.ingest.diagnose(&name, now)).await;
    match explained.ok().flatten() {
        Some(diagnoses) => Ok(HttpResponse::Ok().json(diagnoses)),
        None => Err(Problem::NO_SUCH_SOURCE),
    }
}

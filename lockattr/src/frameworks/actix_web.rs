//! Answers of actix-web.

use ::actix_web::http::{StatusCode, header};
use ::actix_web::{HttpResponse, ResponseError};

use super::Problem;
use super::problem::MEDIA_TYPE;
use crate::Error;

impl Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Problem> for HttpResponse {
    fn from(problem: Problem) -> Self {
        let mut response = HttpResponse::build(problem.status_code());
        if let Some(seconds) = problem.retry_after_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.content_type(MEDIA_TYPE).body(problem.to_json())
    }
}

/// Answers with the error's [`Problem`], and traces the error.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        Problem::new(self).status_code()
    }

    fn error_response(&self) -> HttpResponse {
        Problem::traced(self).into()
    }
}

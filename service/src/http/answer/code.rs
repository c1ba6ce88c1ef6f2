//! Every code that a problem can have, with its status and its title: the one table.
//!
//! Codes and statuses are what callers' programs decide by: they do not change. Titles and meanings are for people.
//! `docs/errors.md` lists the same, and a test compares the two.

use axum::http::StatusCode;

/// What stands in the table for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The status.
    pub status: StatusCode,
    /// The word.
    pub word: &'static str,
    /// What it is, the same for each problem of this code.
    pub title: &'static str,
    /// What it means and what to do: said when a problem has nothing closer to say.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident $status:ident $word:literal $title:literal $meaning:literal;)*) => {
        /// A code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// What the table says of it.
            pub const fn facts(self) -> Facts {
                match self {
                    $(Code::$name => Facts {
                        status: StatusCode::$status,
                        word: $word,
                        title: $title,
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

codes! {
    MalformedJson BAD_REQUEST "malformed_json" "The body is not JSON"
        "The detail says where it stops being JSON. Send one JSON value in UTF-8, nothing behind it.";
    InvalidRequest BAD_REQUEST "invalid_request" "The request cannot be read"
        "A part of the query, a cursor or a header is wrong; the errors name it.";
    DeadlineInvalid BAD_REQUEST "deadline_invalid" "The deadline is none"
        "`Tripline-Deadline-Ms` is a whole number of milliseconds, at least 1.";
    Unauthenticated UNAUTHORIZED "unauthenticated" "This needs a key"
        "Send `Authorization: Bearer tlk_...`; whoever runs the service makes one with `tripline key new`.";
    KeyMalformed UNAUTHORIZED "key_malformed" "What was sent is no key"
        "It was cut, or a character was changed, or the header is not `Bearer` and a key. Copy the key again.";
    KeyUnknown UNAUTHORIZED "key_unknown" "Nobody has this key"
        "It was never given out here, or it was withdrawn. Ask for another.";
    KeyExpired UNAUTHORIZED "key_expired" "The key's time is over"
        "Ask for another; two can be good at a time, so exchange it earlier the next time.";
    SignedOut UNAUTHORIZED "signed_out" "You are not signed in"
        "The session is over, or there was none. Sign in again at `/sign-in`; what you typed is kept in the page.";
    CsrfMissing FORBIDDEN "csrf_missing" "The page's token is missing"
        "What a browser changes carries `X-CSRF-Token` with the token of the page. Load the page again.";
    Forbidden FORBIDDEN "forbidden" "This is not for you"
        "The key or the account is good, but does not have the scope that the detail names. Asking again changes nothing.";
    NotFound NOT_FOUND "not_found" "There is nothing here"
        "No such path, or nothing of this id: not yet decided, or older than what is kept.";
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "This path does not take this method"
        "The `Allow` header says which it takes.";
    NotAcceptable NOT_ACCEPTABLE "not_acceptable" "There is no answer of this kind"
        "Answers are `application/json`; leave `Accept` out or let it hold that.";
    BodyTooSlow REQUEST_TIMEOUT "body_too_slow" "The body did not come in time"
        "It was not whole within the longest deadline of this service. Nothing was done: send it again.";
    InFlight CONFLICT "in_flight" "The same payment is being decided"
        "It was not finished within this request's deadline. Ask again after `Retry-After`: the answer will be the same decision.";
    Held CONFLICT "held" "Somebody else holds the alert"
        "The detail says who and until when. Take another one, or ask a lead.";
    LeaseLapsed CONFLICT "lease_lapsed" "Your claim has lapsed"
        "Nobody heard from you for the time of a lease. Your draft is kept; claim the alert again.";
    NotNow CONFLICT "not_now" "The alert is not in a state for this"
        "The detail says why not.";
    UndoOver CONFLICT "undo_over" "It cannot be taken back any more"
        "The time to take it back is over and its labels have left, or it was taken back already.";
    SamePerson CONFLICT "same_person" "It takes a second person"
        "Who proposed a verdict may not be the one who approves it.";
    Stale PRECONDITION_FAILED "stale" "The alert was changed since"
        "`alert` is the alert as it is now. Nothing was overwritten: look again and send its version as `If-Match`.";
    PayloadTooLarge PAYLOAD_TOO_LARGE "payload_too_large" "The body is too large"
        "The detail says how large it may be.";
    BatchTooLarge PAYLOAD_TOO_LARGE "batch_too_large" "The batch has too many payments"
        "The detail says how many may come at once: a bound for everybody, and the burst of the key's own rate. Send it in parts.";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is of another kind"
        "Send `Content-Type: application/json`.";
    UnsupportedEncoding UNSUPPORTED_MEDIA_TYPE "unsupported_encoding" "The body is compressed"
        "Send it as it is, without `Content-Encoding`: a payment is small, and a few bytes can unpack to gigabytes.";
    Misdirected MISDIRECTED_REQUEST "misdirected" "This name is not served here"
        "The `Host` header names another host: use the address that the service listens on, or add the name to `http.hosts`.";
    InvalidPayment UNPROCESSABLE_ENTITY "invalid_payment" "The payment does not fit the schema"
        "Each of the errors points at a field and says what is wrong with it.";
    InvalidBody UNPROCESSABLE_ENTITY "invalid_body" "The body is not what this path takes"
        "Each of the errors points at a field and says what is expected there.";
    Conflict UNPROCESSABLE_ENTITY "conflict" "This id was decided with other content"
        "A transaction id is decided once. What was decided stands; a different payment needs an id of its own.";
    IdempotencyMismatch UNPROCESSABLE_ENTITY "idempotency_mismatch" "The idempotency key contradicts the payment"
        "`Idempotency-Key` was used with another transaction id. It may be left out: the transaction id is what counts.";
    PreconditionRequired PRECONDITION_REQUIRED "precondition_required" "`If-Match` is missing"
        "Send `If-Match` with the alert's version as its `ETag` has it, such as `\"7\"`.";
    HeaderFieldsTooLarge REQUEST_HEADER_FIELDS_TOO_LARGE "header_fields_too_large" "The headers are too large"
        "All header fields together may have 16 KiB. More than 100 fields are refused by the server itself, without a body.";
    RateLimited TOO_MANY_REQUESTS "rate_limited" "Too many requests"
        "This key, or this address with keys that are none, came too often. Come again after `Retry-After`.";
    Overloaded SERVICE_UNAVAILABLE "overloaded" "Too much to do"
        "As many payments as can be decided in time are being decided. Ask again after `Retry-After`; nothing was done.";
    Unavailable SERVICE_UNAVAILABLE "unavailable" "Not ready"
        "No decision can be made at all, `/readyz` says why. Ask again after `Retry-After`; nothing was done.";
    QueueUnavailable SERVICE_UNAVAILABLE "queue_unavailable" "The queue's database does not answer"
        "Nothing was saved as far as is known; alerts wait in their topic. Ask again after `Retry-After`.";
    Internal INTERNAL_SERVER_ERROR "internal" "The service failed"
        "Its log says why. Asking again with the same transaction id is safe.";
}

//! The routes and what each asks for: a table, so that a test can walk it and nothing is open by mistake.
//!
//! A request that this table does not have never reaches a handler: a route that somebody adds and forgets here
//! answers 404, not everybody. Outside the demo nothing is open but the two probes, since an orchestrator carries no key
//! and they say no more than which part is not ready, and where people sign in. Not a router: what a route does is told
//! to axum.

use super::scope::Scope;

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals. GET is HEAD too.
    pub method: &'static str,
    /// The path, with `{name}` for one part of any text: axum's own way of writing it.
    pub path: &'static str,
    /// What a caller needs; `None` is open to everybody.
    pub needs: Option<Scope>,
    /// How it is answered to a browser.
    pub kind: Kind,
}

/// What is behind a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data for programs and scripts.
    Data,
    /// A page for people: who is not signed in is sent to where one signs in.
    Page,
    /// A form that carries its token in its body: the handler looks at it.
    Form,
}

const fn open(method: &'static str, path: &'static str) -> Route {
    Route { method, path, needs: None, kind: Kind::Data }
}

const fn needs(method: &'static str, path: &'static str, scope: Scope) -> Route {
    Route { method, path, needs: Some(scope), kind: Kind::Data }
}

const fn page(path: &'static str, scope: Scope) -> Route {
    Route { method: "GET", path, needs: Some(scope), kind: Kind::Page }
}

/// Every route of the service.
pub const ROUTES: [Route; 56] = [
    open("GET", "/livez"),
    open("GET", "/readyz"),
    // Styles and scripts, the same for everybody and without data: where one signs in needs them too.
    open("GET", "/assets/{file}"),
    needs("GET", "/metrics", Scope::Metrics),
    needs("GET", "/openapi.json", Scope::Docs),
    // The page holds no data and its text is public; it is closed all the same, so that a stranger learns nothing of
    // what runs here, and so that the browser asks for the key before the page asks for data.
    needs("GET", "/", Scope::Board),
    needs("GET", "/v1/board", Scope::Board),
    needs("POST", "/v1/score", Scope::Score),
    needs("POST", "/v1/score/batch", Scope::Score),
    needs("GET", "/v1/decisions", Scope::Read),
    needs("GET", "/v1/decisions/{id}", Scope::Read),
    needs("POST", "/v1/decisions/{id}/replay", Scope::Replay),
    needs("POST", "/v1/labels", Scope::Label),
    needs("GET", "/v1/entities/{entity}/{key}", Scope::Read),
    needs("GET", "/v1/lists", Scope::Read),
    needs("POST", "/v1/lists", Scope::Lists),
    needs("DELETE", "/v1/lists/{id}", Scope::Lists),
    needs("GET", "/v1/policies", Scope::Read),
    needs("GET", "/v1/models", Scope::Read),
    needs("GET", "/v1/reconciliations", Scope::Read),
    needs("GET", "/v1/reconciliations/{id}/report", Scope::Read),
    needs("GET", "/v1/alerts", Scope::Queue),
    needs("GET", "/v1/alerts/events", Scope::Queue),
    // Looking is one thing, taking all of it along another: whoever works alerts.
    needs("GET", "/v1/alerts/export", Scope::Work),
    needs("POST", "/v1/alerts/claim-next", Scope::Work),
    needs("POST", "/v1/alerts/bulk", Scope::Work),
    needs("GET", "/v1/alerts/{id}", Scope::Queue),
    needs("POST", "/v1/alerts/{id}/claim", Scope::Work),
    needs("POST", "/v1/alerts/{id}/heartbeat", Scope::Work),
    needs("POST", "/v1/alerts/{id}/release", Scope::Work),
    needs("POST", "/v1/alerts/{id}/assign", Scope::Lead),
    needs("POST", "/v1/alerts/{id}/snooze", Scope::Work),
    needs("POST", "/v1/alerts/{id}/escalate", Scope::Work),
    needs("POST", "/v1/alerts/{id}/resolve", Scope::Work),
    needs("POST", "/v1/alerts/{id}/approve", Scope::Lead),
    needs("POST", "/v1/alerts/{id}/reject", Scope::Lead),
    needs("POST", "/v1/alerts/{id}/notes", Scope::Work),
    needs("POST", "/v1/alerts/{id}/reveal", Scope::Reveal),
    needs("POST", "/v1/actions/{id}/undo", Scope::Work),
    needs("GET", "/v1/filters", Scope::Queue),
    needs("PUT", "/v1/filters/{name}", Scope::Queue),
    needs("DELETE", "/v1/filters/{name}", Scope::Queue),
    needs("GET", "/v1/dashboard", Scope::Queue),
    needs("GET", "/v1/audit", Scope::Audit),
    needs("POST", "/v1/chargebacks", Scope::Chargebacks),
    // Whoever wants to come in is still outside.
    open("GET", "/sign-in"),
    open("POST", "/sign-in"),
    Route { method: "POST", path: "/sign-out", needs: Some(Scope::Queue), kind: Kind::Form },
    page("/queue", Scope::Queue),
    page("/queue/rows", Scope::Queue),
    page("/queue/peek", Scope::Queue),
    page("/queue/{id}", Scope::Queue),
    page("/queue/{id}/entity/{entity}", Scope::Queue),
    page("/search", Scope::Queue),
    page("/dashboard", Scope::Queue),
    page("/audit", Scope::Audit),
];

/// What the table has for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The route.
    Route(&'static Route),
    /// The path is there; these are its methods.
    Methods(Vec<&'static str>),
    /// There is no such path.
    Nothing,
}

/// Looks a request up. `path` is as it came, percent signs and all: axum compares it so too.
pub fn find(method: &str, path: &str) -> Found {
    static TABLE: [Route; 56] = ROUTES;
    let method = if method == "HEAD" { "GET" } else { method };
    let mut methods = Vec::new();
    // A path that stands in the table itself is no name in another's pattern: axum sees it so too.
    let is_literal = TABLE.iter().any(|route| route.path == path);
    let fitting = |route: &&Route| if is_literal { route.path == path } else { fits(route.path, path) };
    for route in TABLE.iter().filter(fitting) {
        if route.method == method {
            return Found::Route(route);
        }
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    if methods.is_empty() { Found::Nothing } else { Found::Methods(methods) }
}

/// Whether the path is one of the pattern's. Byte by byte, so that most rows are left at their fifth.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut path) = (pattern.as_bytes(), path.as_bytes());
    while let Some((first, rest)) = wanted.split_first() {
        if *first == b'{' {
            let name = rest.iter().position(|byte| *byte == b'}').map_or(rest.len(), |end| end + 1);
            let part = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            if part == 0 {
                return false;
            }
            (wanted, path) = (rest.get(name..).unwrap_or_default(), path.get(part..).unwrap_or_default());
            continue;
        }
        match path.split_first() {
            Some((byte, rest_of_path)) if byte == first => (wanted, path) = (rest, rest_of_path),
            _ => return false,
        }
    }
    path.is_empty()
}

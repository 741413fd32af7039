//! The contract as one table: a route exists only together with its description, so the OpenAPI document tells what is served.

mod schemas;

pub use schemas::outcome_codes;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::{Map, Value, json};
use studiovault_protocol::cloud::MEDIA_TYPE;

use crate::handlers::App;

/// Before every path.
pub const PREFIX: &str = "/v1";

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Anybody.
    Nothing,
    /// Whoever holds a token.
    Token,
    /// Whoever holds the server's admin token.
    Admin,
}

/// What one operation is for, what it takes and what it answers.
#[derive(Clone, Debug)]
pub struct Operation {
    summary: &'static str,
    needs: Needs,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
}

impl Operation {
    /// An operation for holders of a token.
    pub fn new(summary: &'static str) -> Self {
        Self {
            summary,
            needs: Needs::Token,
            parameters: Vec::new(),
            body: None,
            answers: Map::new(),
        }
    }

    /// For others than holders of a token.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// A part of the path.
    pub fn part(self, name: &str, schema: Value) -> Self {
        self.parameter(json!({"name": name, "in": "path", "required": true, "schema": schema}))
    }

    /// A part of the query that may be left out.
    pub fn query(self, name: &str, schema: Value) -> Self {
        self.parameter(json!({"name": name, "in": "query", "required": false, "schema": schema}))
    }

    /// A part of the query that must be given.
    pub fn query_needed(self, name: &str, schema: Value) -> Self {
        self.parameter(json!({"name": name, "in": "query", "required": true, "schema": schema}))
    }

    fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A body in JSON.
    pub fn body(self, schema: &str) -> Self {
        self.body_as(json!({"schema": reference(schema)}))
    }

    /// A body in JSON of a shape of its own.
    pub fn body_as(mut self, content: Value) -> Self {
        self.content()["application/json"] = content;
        self
    }

    /// A body as forms send it, with the names of its parameters.
    pub fn form(mut self, needed: &[&str], others: &[&str]) -> Self {
        let names = needed.iter().chain(others);
        let parameters: Map<String, Value> = names
            .map(|name| ((*name).to_owned(), json!({"type": "string"})))
            .collect();
        self.content()["application/x-www-form-urlencoded"] = json!({"schema": {
            "type": "object", "required": needed, "properties": parameters,
        }});
        self
    }

    /// A body in the signed form.
    pub fn signed_body(mut self) -> Self {
        self.content()[MEDIA_TYPE] = binary();
        self
    }

    fn content(&mut self) -> &mut Value {
        let body = self
            .body
            .get_or_insert_with(|| json!({"required": true, "content": {}}));
        &mut body["content"]
    }

    /// An answer in JSON.
    pub fn answer(self, status: u16, schema: &str) -> Self {
        self.answer_as(
            status,
            ("application/json", json!({"schema": reference(schema)})),
        )
    }

    /// An answer in the signed form.
    pub fn signed_answer(self, status: u16) -> Self {
        self.answer_as(status, (MEDIA_TYPE, binary()))
    }

    /// An answer of a kind of its own.
    pub fn answer_as(mut self, status: u16, (kind, content): (&str, Value)) -> Self {
        let answer = self
            .answers
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": "Done", "content": {}}));
        answer["content"][kind] = content;
        self
    }

    /// An answer without a body.
    pub fn empty(mut self, status: u16, description: &str) -> Self {
        let answer = json!({"description": description});
        self.answers.insert(status.to_string(), answer);
        self
    }

    fn document(&self) -> Value {
        let mut answers = self.answers.clone();
        answers.insert(
            "default".into(),
            json!({
                "description": "Refused or failed",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            }),
        );
        let mut document = json!({
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": answers,
        });
        match self.needs {
            Needs::Nothing => document["security"] = json!([]),
            Needs::Token => document["security"] = json!([{"token": []}]),
            Needs::Admin => document["security"] = json!([{"admin": []}]),
        }
        if let Some(body) = &self.body {
            document["requestBody"] = body.clone();
        }
        document
    }
}

/// Routes with their descriptions.
#[derive(Default)]
pub struct Contract {
    router: Router<App>,
    paths: Map<String, Value>,
}

impl Contract {
    /// Answers GET.
    pub fn get<H: Handler<T, App>, T: 'static>(
        self,
        path: &str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on((path, "get"), get(handler), &operation)
    }

    /// Answers POST.
    pub fn post<H: Handler<T, App>, T: 'static>(
        self,
        path: &str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on((path, "post"), post(handler), &operation)
    }

    /// Answers PUT.
    pub fn put<H: Handler<T, App>, T: 'static>(
        self,
        path: &str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on((path, "put"), put(handler), &operation)
    }

    /// Answers DELETE.
    pub fn delete<H: Handler<T, App>, T: 'static>(
        self,
        path: &str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on((path, "delete"), delete(handler), &operation)
    }

    fn on(
        mut self,
        (path, method): (&str, &str),
        handler: MethodRouter<App>,
        operation: &Operation,
    ) -> Self {
        self.router = self.router.route(path, handler);
        let held = self
            .paths
            .entry(format!("{PREFIX}{path}"))
            .or_insert_with(|| json!({}));
        held[method] = operation.document();
        held[method]["operationId"] = named(method, path).into();
        self
    }

    /// The routes, and the document that describes them.
    pub fn finish(self) -> (Router<App>, Value) {
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "StudioVault cloud truth",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "What gateways and clients without logs ask of the cloud truth. Limits and versions stand at /v1/meta.",
            },
            "paths": self.paths,
            "components": {
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "description": "A token of one studio"},
                    "admin": {"type": "http", "scheme": "bearer", "description": "The server's admin token"},
                },
                "schemas": schemas::schemas(),
            },
        });
        (self.router, document)
    }
}

/// What an operation is called: `getSyncChanges`.
fn named(method: &str, path: &str) -> String {
    let words = path
        .split(['/', '{', '}', '.'])
        .filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |mut name, word| {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_uppercase());
        name.push_str(rest);
        name
    })
}

/// A schema by its name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A list of a schema by its name.
pub fn list_of(name: &str) -> Value {
    json!({"schema": {"type": "array", "items": reference(name)}})
}

fn binary() -> Value {
    json!({"schema": {"type": "string", "format": "binary"}})
}

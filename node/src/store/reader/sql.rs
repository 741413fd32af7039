//! SQL from applications: one SELECT over the `app_` views, nothing else, within bounds of rows and time.
//!
//! SQLite's authorizer refuses everything else while the statement is compiled, so no text can get around it.

use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::Value as Json;

use super::{StoreError, View};

/// Rows of an answer at most: what a person can look at, and a subscription can compare.
pub const QUERY_ROWS: usize = 10_000;
/// A query that takes longer is stopped.
const QUERY_TIME: Duration = Duration::from_secs(5);
/// Bytes of one value at most, made or read: more than an entity can hold.
const VALUE_BYTES: i32 = 2 * 1024 * 1024;
/// Bytes of all values of an answer at most.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Virtual machine steps between two looks at the clock.
const STEPS: i32 = 10_000;

/// The answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QueryRows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Json>>,
    /// There were more than [`QUERY_ROWS`].
    pub truncated: bool,
}

impl View<'_> {
    /// Answers a query of an application.
    pub fn query(&self, sql: &str, params: &[Json]) -> Result<QueryRows, StoreError> {
        let connection = self.connection;
        connection.authorizer(Some(permit))?;
        let started = Instant::now();
        connection.progress_handler(STEPS, Some(move || started.elapsed() > QUERY_TIME))?;
        let usual = connection.limit(Limit::SQLITE_LIMIT_LENGTH)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES)?;
        let answer = run(connection, sql, params);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, usual)?;
        connection.progress_handler(0, None::<fn() -> bool>)?;
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        answer
    }
}

fn run(connection: &Connection, sql: &str, params: &[Json]) -> Result<QueryRows, StoreError> {
    let told = |error: rusqlite::Error| StoreError::Query(format!("the query failed: {error}"));
    let mut statement = connection.prepare(sql).map_err(told)?;
    if !statement.readonly() {
        return Err(StoreError::Query(
            "the query would change something".to_owned(),
        ));
    }
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let width = columns.len();
    let mut answer = QueryRows {
        columns,
        ..QueryRows::default()
    };
    let mut bytes = 0;
    let mut rows = statement
        .query(params_from_iter(params.iter().map(to_sql)))
        .map_err(told)?;
    while let Some(row) = rows.next().map_err(told)? {
        if answer.rows.len() == QUERY_ROWS {
            answer.truncated = true;
            break;
        }
        for at in 0..width {
            bytes += match row.get_ref(at).map_err(told)? {
                ValueRef::Text(run) | ValueRef::Blob(run) => run.len(),
                _ => size_of::<i64>(),
            };
        }
        if bytes > ANSWER_BYTES {
            return Err(StoreError::Query(format!(
                "the answer is over {} MiB; ask for fewer columns, or for less with LIMIT",
                ANSWER_BYTES / (1024 * 1024)
            )));
        }
        let cells = (0..width).map(|at| row.get_ref(at).map(to_json));
        answer
            .rows
            .push(cells.collect::<Result<_, _>>().map_err(told)?);
    }
    Ok(answer)
}

/// What a query may do: select, call functions, and read what stands in, or behind, an `app_` view.
fn permit(ctx: AuthContext<'_>) -> Authorization {
    let is_view = |name: &str| name.starts_with("app_");
    let allowed = match ctx.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => !matches!(
            function_name,
            "load_extension" | "readfile" | "writefile" | "fts3_tokenizer"
        ),
        AuthAction::Read { table_name, .. } => {
            is_view(table_name)
                || ctx.accessor.is_some_and(is_view)
                || matches!(table_name, "json_each" | "json_tree" | "")
        }
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// A JSON value as a parameter.
pub(super) fn to_sql(value: &Json) -> Sql {
    match value {
        Json::Null => Sql::Null,
        Json::Bool(flag) => Sql::Integer(i64::from(*flag)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Sql::Integer(whole),
            (None, Some(real)) => Sql::Real(real),
            (None, None) => Sql::Null,
        },
        Json::String(text) => Sql::Text(text.clone()),
        other => Sql::Text(other.to_string()),
    }
}

fn to_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => bytes
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
            .into(),
    }
}

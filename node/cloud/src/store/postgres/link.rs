//! One connection, driven by the thread that asks: no other thread stands between a statement and its answer.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use futures::future::poll_fn;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Config, Notification};

use super::super::StoreError;
use super::super::cell::Cell;
use super::super::database::Cells;
use super::tls;

/// What the driver hands out beside the client; it moves bytes when it is polled.
type Messages = dyn FnMut(&mut std::task::Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>
    + Send;

/// One connection.
pub struct Link {
    /// Asks.
    pub client: Client,
    messages: RefCell<Box<Messages>>,
    heard: RefCell<Vec<Notification>>,
    /// Handed to the background when it goes: a runtime must not wait inside another one.
    runtime: Option<Runtime>,
}

impl Link {
    /// Connects, by TLS if the address asks for it.
    pub fn open(config: &Config) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Away(error.into()))?;
        let (client, mut connection) = runtime.block_on(config.connect(tls::connector()?))?;
        let messages =
            Box::new(move |context: &mut std::task::Context<'_>| connection.poll_message(context));
        Ok(Self {
            client,
            messages: RefCell::new(messages),
            heard: RefCell::default(),
            runtime: Some(runtime),
        })
    }

    /// Whether it is of no more use.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs one question to its end.
    pub fn run<T>(
        &self,
        question: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let mut question = pin!(question);
        let answer = poll_fn(|context| {
            loop {
                if let Poll::Ready(answer) = question.as_mut().poll(context) {
                    return Poll::Ready(answer.map_err(StoreError::from));
                }
                match (self.messages.borrow_mut())(context) {
                    Poll::Ready(message) => self.note(message)?,
                    Poll::Pending => break,
                }
            }
            // The connection may have moved the answer in.
            question.as_mut().poll(context).map_err(StoreError::from)
        });
        self.runtime().block_on(answer)
    }

    /// What was announced to this connection since it was asked last; waits up to `wait` for the first.
    pub fn announced(&self, wait: std::time::Duration) -> Result<Vec<Notification>, StoreError> {
        let first = poll_fn(|context| {
            loop {
                if !self.heard.borrow().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                match (self.messages.borrow_mut())(context) {
                    Poll::Ready(message) => {
                        if let Err(error) = self.note(message) {
                            return Poll::Ready(Err(error));
                        }
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let waited = self
            .runtime()
            .block_on(async { tokio::time::timeout(wait, first).await });
        if let Ok(heard) = waited {
            heard?;
        }
        Ok(self.heard.take())
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it leaves only in drop")
    }

    fn note(
        &self,
        message: Option<Result<AsyncMessage, tokio_postgres::Error>>,
    ) -> Result<(), StoreError> {
        match message {
            Some(Ok(AsyncMessage::Notification(heard))) => self.heard.borrow_mut().push(heard),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(StoreError::Away(error.into())),
            None => return Err(StoreError::Away("the connection ended".into())),
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Cells for tokio_postgres::Row {
    fn cell(&self, at: usize) -> Result<Cell<'_>, StoreError> {
        let kind = self.columns().get(at).map(|column| column.type_().clone());
        Ok(match kind {
            Some(Type::INT8) => self
                .try_get::<_, Option<i64>>(at)?
                .map_or(Cell::Null, Cell::Int),
            Some(Type::INT4) => self
                .try_get::<_, Option<i32>>(at)?
                .map_or(Cell::Null, |number| Cell::Int(number.into())),
            Some(Type::TEXT | Type::VARCHAR | Type::NAME) => self
                .try_get::<_, Option<&str>>(at)?
                .map_or(Cell::Null, Cell::Text),
            Some(Type::BYTEA) => self
                .try_get::<_, Option<&[u8]>>(at)?
                .map_or(Cell::Null, Cell::Bytes),
            _ => return Err(StoreError::Damaged("a column of another kind")),
        })
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql_checked(kind, out),
            // PostgreSQL's text holds everything but this one character.
            Self::Text(text) if text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql_checked(kind, out)
            }
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else {
            return Self::Away(error.into());
        };
        match code.code() {
            _ if *code == SqlState::DISK_FULL => Self::Full,
            class if ["22", "23", "54"].contains(&class.get(..2).unwrap_or_default()) => {
                Self::Row(error.into())
            }
            class
                if ["08", "40", "53", "55", "57"].contains(&class.get(..2).unwrap_or_default()) =>
            {
                Self::Away(error.into())
            }
            _ => Self::Database(error.into()),
        }
    }
}

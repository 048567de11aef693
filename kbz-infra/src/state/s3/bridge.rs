//! From calls that wait to a client that does not: a runtime of its own, on which nobody else
//! waits.

use std::future::Future;
use std::io;
use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Runtime};

/// Carries futures out and waits for them, also inside another runtime.
#[derive(Debug)]
pub(super) struct Bridge(Option<Runtime>);

impl Bridge {
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kbz-s3")
            .enable_all()
            .build();
        Self(runtime.ok())
    }

    /// What comes out of `work`.
    pub(super) fn wait<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let runtime = self.0.as_ref();
        let runtime = runtime.ok_or_else(|| io::Error::other("no thread can be started"))?;
        let (tell, hear) = sync_channel(1);
        runtime.spawn(async move {
            let _ = tell.send(work.await);
        });
        let outcome = hear.recv().map_err(io::Error::other)?;
        outcome.map_err(as_io)
    }
}

/// The same error, of the kind that callers look at.
fn as_io(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            io::ErrorKind::AlreadyExists
        }
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

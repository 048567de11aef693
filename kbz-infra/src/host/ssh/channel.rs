//! A channel as a stream of bytes.
//!
//! russh hands what arrives to a bounded queue per channel and stops reading the whole
//! connection while one of them is full. So a task of ours always empties the queue into a
//! buffer of the stream. The flow control of SSH cannot slow the other side down there
//! (the window is reopened on arrival), which leaves one thing to do with a reader that
//! falls far behind: its stream fails, and nothing else notices.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How far a reader may fall behind before its stream fails.
pub(super) const BACKLOG: usize = 64 << 20;

/// The sending half; its end closes the channel.
pub(super) struct Writer(Arc<ChannelWriteHalf<Msg>>);

impl std::ops::Deref for Writer {
    type Target = ChannelWriteHalf<Msg>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let half = Arc::clone(&self.0);
        // Without a runtime the connection has ended, and the channel with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { half.close().await });
        }
    }
}

impl Writer {
    pub(super) fn new(half: ChannelWriteHalf<Msg>) -> Self {
        Self(Arc::new(half))
    }
}

/// A channel as a stream. Whoever reads may fall `backlog` bytes behind; `closed` says why the
/// connection has ended, once it has.
pub(super) fn stream(
    read: ChannelReadHalf,
    write: Writer,
    backlog: usize,
    closed: impl Fn() -> String + Send + 'static,
) -> ChannelStream {
    let inbox = Arc::new(Mutex::new(Inbox::default()));
    let sender = Box::pin(write.make_writer());
    let emptying = Arc::clone(&inbox);
    let pump = tokio::spawn(async move {
        // The channel is closed when its writer is dropped, so not before its end.
        let _open = write;
        pump(read, emptying, backlog, closed).await;
    });
    ChannelStream {
        inbox,
        sender: SyncBox(sender),
        pump,
    }
}

/// What has arrived and was not read yet.
#[derive(Default)]
struct Inbox {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    complaint: Vec<u8>,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone)]
enum End {
    /// The other side has sent everything, but still reads.
    Sent,
    /// Nothing comes or goes any more.
    Closed,
    /// The stream broke.
    Broken(io::ErrorKind, Arc<str>),
}

impl Inbox {
    fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn end(&mut self, end: End) {
        if !matches!(self.end, Some(End::Closed | End::Broken(..))) {
            self.end = Some(end);
        }
        self.wake();
    }

    fn push(&mut self, data: Bytes) {
        self.bytes += data.len();
        self.chunks.push_back(data);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        while buffer.remaining() > 0
            && let Some(chunk) = self.chunks.front_mut()
        {
            let count = chunk.len().min(buffer.remaining());
            buffer.put_slice(&chunk[..count]);
            chunk.advance(count);
            self.bytes -= count;
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

/// How much of what a command complains is kept for the error message.
const COMPLAINT: usize = 4096;

/// Empties the channel until it ends.
async fn pump(
    mut read: ChannelReadHalf,
    inbox: Arc<Mutex<Inbox>>,
    backlog: usize,
    closed: impl Fn() -> String,
) {
    loop {
        let message = read.wait().await;
        let mut inbox = lock(&inbox);
        match message {
            Some(ChannelMsg::Data { data }) => inbox.push(data),
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                let room = COMPLAINT.saturating_sub(inbox.complaint.len());
                inbox.complaint.extend(&data[..data.len().min(room)]);
            }
            Some(ChannelMsg::Eof) => inbox.end(End::Sent),
            Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => {
                let said = String::from_utf8_lossy(&inbox.complaint).trim().to_owned();
                let why = format!("the command ended with exit code {exit_status}: {said}");
                inbox.end(End::Broken(io::ErrorKind::BrokenPipe, why.into()));
            }
            Some(ChannelMsg::Failure) => {
                let why = "the host refused to run the command".into();
                inbox.end(End::Broken(io::ErrorKind::PermissionDenied, why));
            }
            Some(ChannelMsg::Close) => return inbox.end(End::Closed),
            None => {
                return inbox.end(End::Broken(io::ErrorKind::ConnectionReset, closed().into()));
            }
            Some(_) => {}
        }
        if inbox.bytes > backlog {
            let why = format!("the reader of a stream fell {backlog} bytes behind");
            return inbox.end(End::Broken(io::ErrorKind::OutOfMemory, why.into()));
        }
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A channel as a stream of bytes.
pub(super) struct ChannelStream {
    inbox: Arc<Mutex<Inbox>>,
    sender: SyncBox,
    pump: tokio::task::JoinHandle<()>,
}

/// The writer of a channel, which is only ever used by whoever owns the stream.
struct SyncBox(Pin<Box<dyn AsyncWrite + Send + Sync>>);

impl Drop for ChannelStream {
    fn drop(&mut self) {
        // The task owns the channel, which closes with it.
        self.pump.abort();
    }
}

impl AsyncRead for ChannelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inbox = lock(&self.inbox);
        if inbox.bytes > 0 {
            inbox.take(buffer);
            return Poll::Ready(Ok(()));
        }
        match inbox.end.clone() {
            Some(End::Sent | End::Closed) => Poll::Ready(Ok(())),
            Some(End::Broken(kind, why)) => Poll::Ready(Err(io::Error::new(kind, &*why))),
            None => {
                inbox.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl ChannelStream {
    /// The error of writing to a stream that has ended. It is also what wakes a writer that
    /// waits for a window which nobody will open any more.
    fn gone(&self, context: &Context<'_>) -> Option<io::Error> {
        let mut inbox = lock(&self.inbox);
        match inbox.end.clone() {
            Some(End::Closed) => {
                let why = "the other side closed the stream";
                Some(io::Error::new(io::ErrorKind::BrokenPipe, why))
            }
            Some(End::Broken(kind, why)) => Some(io::Error::new(kind, &*why)),
            Some(End::Sent) | None => {
                inbox.writer = Some(context.waker().clone());
                None
            }
        }
    }
}

impl AsyncWrite for ChannelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.gone(context) {
            return Poll::Ready(Err(error));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.sender.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gone(context).is_some() {
            return Poll::Ready(Ok(()));
        }
        self.sender.0.as_mut().poll_shutdown(context)
    }
}

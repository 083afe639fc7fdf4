//! The body of a request, with a limit to how long it may stall.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use crate::task::CoreBound;
use crate::time::{Sleep, sleep};

use super::guarded::InFlight;

/// The body of a request.
///
/// Implements hyper's trait `Body`; the helpers of the crate `http-body-util` read it. It is
/// `Send` so that frameworks take it, but panics when it is used on another thread.
pub struct Body {
    inner: CoreBound<Inner>,
}

struct Inner {
    /// Nothing more is asked for after an error.
    incoming: Option<Incoming>,
    timeout: Duration,
    stalled: Option<Sleep>,
    in_flight: InFlight,
}

impl Body {
    pub(super) fn new(incoming: Incoming, timeout: Duration, in_flight: InFlight) -> Body {
        let inner = Inner { incoming: Some(incoming), timeout, stalled: None, in_flight };
        Body { inner: CoreBound::new(inner) }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.inner.access_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.access().incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.inner.access().incoming.as_ref();
        incoming.map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Inner {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            self.stalled = None;
            return Poll::Ready(match frame {
                Some(Err(error)) => {
                    self.incoming = None;
                    Some(Err(BodyError(Cause::Http(error))))
                }
                Some(Ok(frame)) => Some(Ok(frame)),
                None => None,
            });
        }
        let stalled = self.stalled.get_or_insert_with(|| sleep(self.timeout));
        if Pin::new(stalled).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.in_flight.connection().set_broken();
        self.incoming = None;
        Poll::Ready(Some(Err(BodyError(Cause::Stalled(self.timeout)))))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// Why a body did not come to its end.
#[derive(Debug)]
pub struct BodyError(Cause);

#[derive(Debug)]
enum Cause {
    Stalled(Duration),
    Http(::hyper::Error),
}

impl BodyError {
    /// The peer sent nothing for as long as [`Http::body_timeout`] says.
    ///
    /// [`Http::body_timeout`]: super::Http::body_timeout
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Cause::Stalled(_))
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Stalled(timeout) => {
                write!(f, "the peer sent nothing of the request's body for {timeout:?}")
            }
            Cause::Http(_) => f.write_str("the request's body is incomplete"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Cause::Stalled(_) => None,
            Cause::Http(error) => Some(error),
        }
    }
}

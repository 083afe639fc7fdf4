//! What a handler knows besides its stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use super::address::LocalAddr;
use super::connections::Local;
use super::gate::Place;
use super::peer::Peer;

/// What a handler knows besides its stream. Cheap to clone.
pub struct Context<S = ()> {
    local: Rc<Local>,
    state: Rc<S>,
    about: Rc<About>,
}

/// The one connection.
struct About {
    peer: Peer,
    address: usize,
}

impl<S> Context<S> {
    pub(super) fn new(local: Rc<Local>, state: Rc<S>, peer: Peer, address: usize) -> Context<S> {
        Context { local, state, about: Rc::new(About { peer, address }) }
    }

    /// The state of this core: what the factory of [`Server::state`](super::Server::state) has made
    /// on it.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Which core this is, from 0.
    #[must_use]
    pub fn core(&self) -> usize {
        self.local.index
    }

    /// Who has connected.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.about.peer
    }

    /// The address of the listener by which the connection came.
    #[must_use]
    pub fn local(&self) -> &LocalAddr {
        &self.local.shared.addrs[self.about.address]
    }

    /// The server is ending: connections should come to their end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.local.drain.is_open()
    }

    /// Ready when the server begins to end. A handler that waits for requests waits for this too.
    ///
    /// # Cancellation
    ///
    /// Dropping it changes nothing.
    pub fn draining(&self) -> Draining {
        Draining { local: Rc::clone(&self.local), place: Place::default() }
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Context<S> {
        Context {
            local: Rc::clone(&self.local),
            state: Rc::clone(&self.state),
            about: Rc::clone(&self.about),
        }
    }
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("core", &self.core())
            .field("peer", self.peer())
            .field("local", self.local())
            .finish_non_exhaustive()
    }
}

/// Waits until the server begins to end. Made by [`Context::draining`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Draining {
    local: Rc<Local>,
    place: Place,
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.local.drain.poll(&mut this.place, cx)
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        self.local.drain.leave(&mut self.place);
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").finish_non_exhaustive()
    }
}

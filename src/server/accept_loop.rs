//! Taking connections from one listening socket, on one core.
//!
//! ```text
//!  room? --> accept --> admit: a place, on a core --> connect here, or mailbox of that core
//!    ^          |           | no room: wait, or refuse
//!    |          | error: wait a little, longer each time
//!    +----------+
//!  drain: what the backlog holds is taken too, then the socket is closed
//! ```

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::backoff::{Backoff, advice, is_of_connection, is_want};
use super::balance::Spread;
use super::connections::Local;
use super::core::Connect;
use super::counts::Event;
use super::gate::Place;
use super::listeners::Listener;
use super::log::About;
use super::mailbox::{self, Accepted};
use super::policy::{Accept, WhenFull};
use super::refuse::refuse;
use super::shared::Accepts;
use super::source::Source;
use crate::task;
use crate::time::sleep;

/// One listening socket, and where its connections go.
pub(super) struct AcceptLoop {
    local: Rc<Local>,
    connect: Rc<dyn Connect>,
    address: usize,
    spread: Spread,
    is_shared: bool,
    refusing: Rc<()>,
    // Dropped last, behind the socket.
    _accepts: Accepts,
}

/// So many are told at once that there is no room; more are closed without a word.
const REFUSING_MAX: usize = 128;

impl AcceptLoop {
    pub(super) fn new(
        local: Rc<Local>,
        connect: Rc<dyn Connect>,
        listener: &Listener,
    ) -> AcceptLoop {
        let spread = match local.shared.settings.accept {
            Accept::LeastLoaded => Spread::None,
            Accept::ReusePort if !listener.is_shared => Spread::Never,
            Accept::ReusePort | Accept::ReusePortWithHandOff => Spread::Margin,
        };
        let accepts = local.shared.accepts();
        let refusing = Rc::new(());
        let &Listener { address, is_shared, .. } = listener;
        AcceptLoop { local, connect, address, spread, is_shared, refusing, _accepts: accepts }
    }

    pub(super) async fn run(self, fd: Arc<OwnedFd>) {
        // Where connections are to wait in the backlog, none is taken before there is room.
        let waits = self.waits_for_room();
        let mut source = Source::new(fd, !waits, self.is_shared);
        let mut backoff = Backoff::default();
        loop {
            if waits && self.unless_drained(|cx| self.poll_room(cx)).await.is_none() {
                break;
            }
            match self.unless_drained(|cx| source.poll(cx)).await {
                None => break,
                Some(Ok(fd)) => {
                    backoff.reset();
                    self.admit(fd).await;
                }
                Some(Err(error)) => {
                    if !self.failed(&error, &mut backoff).await {
                        break;
                    }
                }
            }
        }
        self.empty(source).await;
    }

    fn waits_for_room(&self) -> bool {
        let shared = &self.local.shared;
        shared.loads.is_limited() && shared.settings.when_full == WhenFull::Wait
    }

    fn poll_room(&self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        self.local.shared.loads.poll_room(cx, self.local.index, self.spread)
    }

    /// `None`: the drain has begun.
    async fn unless_drained<T>(
        &self,
        mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let drain = &self.local.drain;
        let mut place = Place::default();
        let answer = poll_fn(|cx| match drain.poll(&mut place, cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => poll(cx).map(Some),
        })
        .await;
        drain.leave(&mut place);
        answer
    }

    /// Waits a little; false: the drain has begun.
    async fn failed(&self, error: &io::Error, backoff: &mut Backoff) -> bool {
        self.local.count(Event::AcceptError);
        if is_of_connection(error) {
            // There may be many of them, and others have their turn.
            task::yield_now().await;
            return true;
        }
        let pause = backoff.next();
        self.local.shared.log.say(About::Accepting, || {
            let address = &self.local.shared.addrs[self.address];
            format!("no connection can be accepted at {address}: {error}; {}", advice(error))
        });
        let mut pause = pin!(sleep(pause));
        self.unless_drained(|cx| pause.as_mut().poll(cx)).await.is_some()
    }

    /// What had come before the drain is served too.
    async fn empty(self, mut source: Source) {
        for fd in source.disarm().await {
            self.admit(fd).await;
        }
        // No more than can have been in it when the drain began: new ones may come as fast. The
        // kernel queues one more than it is told.
        let mut left = u64::from(self.local.shared.settings.backlog) + 1;
        let mut backoff = Backoff::default();
        while left > 0 {
            match source.accept_now().await {
                None => break,
                Some(Ok(fd)) => {
                    backoff.reset();
                    left -= 1;
                    self.admit(fd).await;
                }
                Some(Err(error)) => {
                    self.local.count(Event::AcceptError);
                    if is_want(&error) {
                        // Connections end and make room. At the deadline this ends too.
                        sleep(backoff.next()).await;
                    } else if is_of_connection(&error) {
                        // The next may be better.
                        left -= 1;
                    } else {
                        break;
                    }
                }
            }
        }
        drop(source);
    }

    async fn admit(&self, fd: OwnedFd) {
        let (shared, own) = (&self.local.shared, self.local.index);
        let permit = match shared.loads.admit(own, self.spread) {
            Some(permit) => permit,
            None if shared.settings.when_full == WhenFull::Refuse => return self.refuse(fd),
            None => shared.loads.admitted(own, self.spread).await,
        };
        self.local.count(Event::Accepted);
        let core = permit.core();
        let accepted = Accepted { fd, permit, address: self.address };
        if core == own {
            return Rc::clone(&self.connect).connect(accepted);
        }
        match self.hand_over(core, accepted) {
            Ok(()) => self.local.count(Event::HandedOver),
            Err(accepted) => Rc::clone(&self.connect).connect(accepted),
        }
    }

    /// Gives back what is to stay here: the other core is too busy, or has ended.
    fn hand_over(&self, core: usize, accepted: Accepted) -> Result<(), Accepted> {
        let (shared, own) = (&self.local.shared, self.local.index);
        let mailbox = &shared.mailboxes[core];
        mailbox.send(accepted, mailbox::ROOM).or_else(|mut accepted| {
            if accepted.permit.try_move_to(own) {
                return Err(accepted);
            }
            // There is no room here either: then it waits there.
            mailbox.send(accepted, usize::MAX).map_err(|mut accepted| {
                accepted.permit.move_to(own);
                accepted
            })
        })
    }

    fn refuse(&self, fd: OwnedFd) {
        self.local.count(Event::Refused);
        let Some(bytes) = &self.local.shared.settings.refuse_with else { return };
        if Rc::strong_count(&self.refusing) > REFUSING_MAX {
            return;
        }
        let (bytes, refusing) = (Arc::clone(bytes), Rc::clone(&self.refusing));
        task::spawn(async move {
            refuse(fd, bytes).await;
            drop(refusing);
        })
        .detach();
    }
}

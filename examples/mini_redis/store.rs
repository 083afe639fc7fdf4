//! The data: keys with texts or lists, which may expire.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::time::Instant;

use ringspun::task::AbortHandle;
use ringspun::time::sleep_until;

pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

struct Entry {
    value: Value,
    expiry: Option<Expiry>,
}

/// The task that will remove a key. It ends with the expiry: when the key goes, is written anew, or
/// gets another time.
struct Expiry {
    at: Instant,
    task: AbortHandle,
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) struct Store {
    entries: HashMap<Vec<u8>, Entry>,
    /// For the tasks that remove keys.
    this: Weak<RefCell<Store>>,
}

/// The key holds a list where a text is wanted, or the other way round.
pub(crate) struct WrongType;

impl Store {
    pub(crate) fn new() -> Rc<RefCell<Store>> {
        Rc::new_cyclic(|this| {
            RefCell::new(Store { entries: HashMap::new(), this: Weak::clone(this) })
        })
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn text(&self, key: &[u8]) -> Result<Option<&[u8]>, WrongType> {
        match self.entries.get(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::List(_)) => Err(WrongType),
        }
    }

    pub(crate) fn list(&self, key: &[u8]) -> Result<Option<&VecDeque<Vec<u8>>>, WrongType> {
        match self.entries.get(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(Value::Text(_)) => Err(WrongType),
        }
    }

    /// The list, an empty one if there is none. Who leaves it empty removes the key.
    pub(crate) fn list_mut(&mut self, key: &[u8]) -> Result<&mut VecDeque<Vec<u8>>, WrongType> {
        let new = || Entry { value: Value::List(VecDeque::new()), expiry: None };
        match &mut self.entries.entry(key.to_vec()).or_insert_with(new).value {
            Value::List(list) => Ok(list),
            Value::Text(_) => Err(WrongType),
        }
    }

    /// Writes the key anew: it does not expire any more.
    pub(crate) fn set(&mut self, key: &[u8], text: &[u8]) {
        let entry = Entry { value: Value::Text(text.to_vec()), expiry: None };
        self.entries.insert(key.to_vec(), entry);
    }

    /// Writes the text; when the key expires stays.
    pub(crate) fn update(&mut self, key: &[u8], text: &[u8]) {
        match self.entries.get_mut(key) {
            Some(entry) => entry.value = Value::Text(text.to_vec()),
            None => self.set(key, text),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.entries.remove(key).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    /// When the key expires: `None` if there is no such key, `Some(None)` if it does not.
    pub(crate) fn expires(&self, key: &[u8]) -> Option<Option<Instant>> {
        self.entries.get(key).map(|entry| entry.expiry.as_ref().map(|expiry| expiry.at))
    }

    /// Removes the key at that time. False: there is no such key.
    pub(crate) fn expire_at(&mut self, key: &[u8], at: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let (this, key) = (Weak::clone(&self.this), key.to_vec());
        let task = ringspun::spawn(async move {
            sleep_until(at).await;
            if let Some(store) = this.upgrade() {
                store.borrow_mut().remove(&key);
            }
        });
        entry.expiry = Some(Expiry { at, task: task.abort_handle() });
        task.detach();
        true
    }
}

//! Stub until the buffer rings are merged.
#![allow(missing_docs, dead_code, missing_debug_implementations, unsafe_code)]
use super::{Completion, IntoOpFd, Op, OpFd, Sqe};
use crate::buf::IoBuf;
use std::io;
#[derive(Debug)]
pub struct PooledBuf(Vec<u8>, usize);
impl std::ops::Deref for PooledBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0[self.1..]
    }
}
impl From<Vec<u8>> for PooledBuf {
    fn from(v: Vec<u8>) -> PooledBuf {
        PooledBuf(v, 0)
    }
}
impl PooledBuf {
    pub fn advance(&mut self, n: usize) {
        self.1 += n;
    }
    pub fn truncate(&mut self, n: usize) {
        self.0.truncate(self.1 + n);
    }
    pub fn into_vec(mut self) -> Vec<u8> {
        self.0.split_off(self.1)
    }
    pub fn is_pooled(&self) -> bool {
        false
    }
}
unsafe impl IoBuf for PooledBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.0[self.1..].as_ptr()
    }
    fn bytes_init(&self) -> usize {
        self.0.len() - self.1
    }
}
#[derive(Clone, Debug)]
pub struct BufGroup(std::rc::Rc<()>);
#[derive(Clone, Copy, Debug)]
pub enum BufClass {
    Small,
    Large,
}
pub fn buf_group(_: BufClass) -> Option<BufGroup> {
    None
}
impl BufGroup {
    pub fn available(&self) -> usize {
        0
    }
    pub fn buf_len(&self) -> usize {
        0
    }
}
#[derive(Debug)]
pub struct RecvSelect(OpFd);
impl RecvSelect {
    pub fn new(fd: impl IntoOpFd, _: BufGroup, _: u32) -> RecvSelect {
        RecvSelect(fd.into_op_fd())
    }
}
unsafe impl Op for RecvSelect {
    type Output = io::Result<PooledBuf>;
    fn prepare(&mut self) -> Sqe {
        super::refused()
    }
    unsafe fn complete(self, c: Completion) -> Self::Output {
        c.into_result().map(|_| PooledBuf(Vec::new(), 0))
    }
}
#[derive(Debug)]
pub struct ReadSelect(OpFd);
impl ReadSelect {
    pub fn new(fd: impl IntoOpFd, _: BufGroup) -> ReadSelect {
        ReadSelect(fd.into_op_fd())
    }
}
unsafe impl Op for ReadSelect {
    type Output = io::Result<PooledBuf>;
    fn prepare(&mut self) -> Sqe {
        super::refused()
    }
    unsafe fn complete(self, c: Completion) -> Self::Output {
        c.into_result().map(|_| PooledBuf(Vec::new(), 0))
    }
}

//! Attacks on scopes, on the limit of operations on files, and on what is counted: what a review
//! tried in order to hang them, to overflow the stack, to free what is in use, or to have a figure
//! that is not true.

mod bound;
mod counts;
mod gate;
mod scopes;
mod support;

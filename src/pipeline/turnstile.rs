//! Lets encoded blocks through in schedule order, for targets that are streams.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{error::Result, io::Encoded, region::Region};

/// The encoded write units of one block.
#[derive(Debug)]
pub(super) struct Parcel {
    pub volume: u64,
    /// Voxels of the block.
    pub voxels: u64,
    pub units: Vec<(Region, Encoded)>,
}

/// Blocks that were encoded before their turn. The gate bounds how many there can be.
#[derive(Debug, Default)]
pub(super) struct Turnstile {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Parcel>,
    writing: bool,
}

impl Turnstile {
    /// Leaves a block. Whoever brings the block whose turn it is writes it and all that follow it without a gap;
    /// nobody waits. `put` is called with one block at a time, in order.
    pub(super) fn deposit(
        &self,
        number: u64,
        parcel: Parcel,
        mut put: impl FnMut(u64, Parcel) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        state.waiting.insert(number, parcel);
        while !state.writing {
            let next = state.next;
            let Some(parcel) = state.waiting.remove(&next) else { break };
            state.writing = true;
            drop(state);
            // After an error `writing` stays set: nothing is written behind a gap.
            put(next, parcel)?;
            state = self.lock();
            state.writing = false;
            state.next += 1;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

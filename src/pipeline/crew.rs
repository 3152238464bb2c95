//! Runs whole jobs side by side, each on a thread of its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, Scope},
};

use crossbeam_channel::{Receiver, Sender};

use super::{POLL, panicked};
use crate::error::{Error, Result};

/// Tasks under way, each with the number it was begun with.
pub struct Crew<'scope, 'env, R> {
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<(usize, Result<R>)>,
    ended: Receiver<(usize, Result<R>)>,
    running: usize,
}

/// Calls `lead` on this thread with a crew that has nothing to do yet, and waits for the tasks that it leaves running.
///
/// How many run at once is up to `lead`: it is the one who knows what they need.
pub fn side_by_side<'env, R: Send + 'env, Out>(
    lead: impl for<'scope> FnOnce(&mut Crew<'scope, 'env, R>) -> Out,
) -> Out {
    // Read by `lead` until it is done with it; a task that ends later finds nobody, or room.
    let (sender, ended) = crossbeam_channel::unbounded();
    thread::scope(|scope| lead(&mut Crew { scope, sender, ended, running: 0 }))
}

impl<'scope, R: Send> Crew<'scope, '_, R> {
    /// Begins a task.
    ///
    /// # Errors
    /// The system grants no thread.
    pub fn begin(&mut self, number: usize, task: impl FnOnce() -> Result<R> + Send + 'scope) -> Result<()>
    where
        R: 'scope,
    {
        let sender = self.sender.clone();
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            // Nobody listens any more when the one who leads has panicked.
            let _ = sender.send((number, result));
        };
        let begun = thread::Builder::new().spawn_scoped(self.scope, run);
        begun.map_err(|source| Error::Threads { what: "another job", source })?;
        self.running += 1;
        Ok(())
    }

    /// The next task that ends, with a panic as an error; `None` after a tenth of a second without any.
    pub fn wait(&mut self) -> Option<(usize, Result<R>)> {
        let ended = self.ended.recv_timeout(POLL).ok();
        self.running -= usize::from(ended.is_some());
        ended
    }

    /// Tasks that were begun and have not been waited for.
    pub fn running(&self) -> usize {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_task_is_heard_of_once() {
        let most = AtomicUsize::new(0);
        let now = AtomicUsize::new(0);
        let mut heard = side_by_side(|crew| {
            let (mut begun, mut heard) = (0, Vec::new());
            while heard.len() < 20 {
                while begun < 20 && crew.running() < 3 {
                    let (most, now) = (&most, &now);
                    let task = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(begun * begun)
                    };
                    crew.begin(begun, task).unwrap();
                    begun += 1;
                }
                heard.extend(crew.wait().map(|(number, result)| (number, result.unwrap())));
            }
            heard
        });
        heard.sort_unstable();
        assert_eq!(heard, (0..20).map(|n| (n, n * n)).collect::<Vec<_>>());
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn a_panic_is_the_error_of_its_own_task() {
        let ended = side_by_side::<(), _>(|crew| {
            crew.begin(0, || panic!("not today")).unwrap();
            loop {
                if let Some(ended) = crew.wait() {
                    return ended;
                }
            }
        });
        assert!(matches!(ended, (0, Err(Error::Panic { message })) if message == "not today"));
    }
}

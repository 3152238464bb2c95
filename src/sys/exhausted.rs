//! Ends the process with a message and exit code 1 when memory cannot be allocated.
//!
//! Under a limit of address space (RLIMIT_AS, RLIMIT_DATA) a stack that cannot grow is a SIGSEGV, and libraries end by
//! SIGABRT.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use super::{Action, address_room, end, is_exhausted, on_signal, pause, restore_action};

const MESSAGE: &[u8] = b"error: no memory left within the limits of this process\n\
hint: use a smaller --memory or fewer --threads, or raise the limit of address space (ulimit -v, ulimit -d)\n";
const FAILED: libc::c_int = 1;

/// What the signals did before.
static BEFORE: OnceLock<[(libc::c_int, Action); 2]> = OnceLock::new();
static ENDING: AtomicBool = AtomicBool::new(false);

/// Makes SIGSEGV and SIGABRT end the process with a message where there is no memory left; without a limit of address space they do
/// what they did before. Called once, before there are other threads.
pub fn watch_exhaustion() {
    extern "C" fn struck(signal: libc::c_int) {
        if is_exhausted() {
            tell(MESSAGE);
        }
        // What is wrong is something else: it happens again, or is raised again, with the action before.
        if let Some((_, before)) = BEFORE.get().and_then(|all| all.iter().find(|(other, _)| *other == signal)) {
            restore_action(signal, before);
        }
    }
    if address_room().is_some() {
        BEFORE.get_or_init(|| {
            [libc::SIGSEGV, libc::SIGABRT].map(|signal| (signal, on_signal(signal, struck, libc::SA_ONSTACK)))
        });
    }
}

/// Ends the process, which was refused so many bytes; allocates nothing.
pub(super) fn no_memory(bytes: u64) -> ! {
    let mut message = Message { bytes: [0; 256], len: 0 };
    message.add(b"error: no memory left: ");
    message.add_number(bytes);
    message.add(b" bytes were asked for and not granted\n");
    message.add(b"hint: use a smaller --memory or fewer --threads, or raise the limits of this process (ulimit -v, ulimit -d)\n");
    tell(&message.bytes[..message.len])
}

/// Says it once, whatever the other threads meet meanwhile.
fn tell(message: &[u8]) -> ! {
    while ENDING.swap(true, Ordering::SeqCst) {
        pause();
    }
    end(message, FAILED)
}

/// A text without an allocator.
struct Message {
    bytes: [u8; 256],
    len: usize,
}

impl Message {
    fn add(&mut self, text: &[u8]) {
        let room = self.bytes.len() - self.len;
        let text = &text[..text.len().min(room)];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn add_number(&mut self, mut number: u64) {
        let (mut digits, mut first) = ([0; 20], 20);
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.add(&digits[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_allocator() {
        for number in [0, 7, 1 << 40, u64::MAX] {
            let mut message = Message { bytes: [0; 256], len: 0 };
            message.add_number(number);
            assert_eq!(std::str::from_utf8(&message.bytes[..message.len]).unwrap(), number.to_string());
        }
    }
}

//! `reslice view`: a volume for viewers in a browser on this machine, by a server of its own, until it is stopped.
//!
//! It listens on 127.0.0.1 alone, reads, and has nothing but the volume, below a path that nobody can guess: pages of other sites cannot reach it.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use clap::Args;

use super::{answer, messages};
use reslice::{
    error::{Error, Result},
    io::{input::Input, zarr::OpenOptions},
    storage::{InArchive, Location},
    sys,
};

mod connection;
mod links;
mod request;
mod share;

use share::Share;

/// Connections at once; browsers open some six for each page.
const MOST_CONNECTIONS: usize = 64;
/// How often it is looked whether to stop.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct ViewArgs {
    /// OME-Zarr folder, or NIfTI file
    pub path: PathBuf,
    /// Port of 127.0.0.1; default: a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
}

/// Serves until a signal to stop.
pub(super) fn run(args: &ViewArgs) -> Result<ExitCode> {
    let location = Location::of(&args.path)?;
    let Some(path) = location.local() else {
        let hint = format!("give {} to a viewer as it is: it has an address already", args.path.display());
        return Err(Error::usage_hint("only volumes on this machine are served", hint));
    };
    if InArchive::of(&location)?.is_some() {
        let what = format!("{} is in a zip archive, which is not served", args.path.display());
        return Err(Error::usage_hint(what, "write it to a folder: reslice resample ARCHIVE NEW.zarr, and view that"));
    }
    let input = Input::open(path, &OpenOptions::default())?;
    let share = Share::of(path, &input)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).map_err(Error::io("listen at", "127.0.0.1"))?;
    listener.set_nonblocking(true).map_err(Error::io("listen at", "127.0.0.1"))?;
    let port = listener.local_addr().map_err(Error::io("listen at", "127.0.0.1"))?.port();
    answer::line(&links::told(&share, input.zarr().map(|file| file.zarr_format), port))?;
    serve(&listener, &share, port)?;
    messages::note("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Takes connections until the process is to stop; each has a thread.
fn serve(listener: &TcpListener, share: &Share, port: u16) -> Result<()> {
    let (stop, open) = (sys::stop_flag(), AtomicUsize::new(0));
    thread::scope(|scope| {
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) if open.load(Ordering::Relaxed) < MOST_CONNECTIONS => {
                    open.fetch_add(1, Ordering::Relaxed);
                    let open = &open;
                    let begun = thread::Builder::new().spawn_scoped(scope, move || {
                        // Whoever hangs up in the midst has what it wanted, or asks again.
                        let _ = connection::serve(stream, share, port, stop);
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                    begun.map_err(|source| Error::Threads { what: "a connection", source })?;
                }
                // One more than can be served is closed: browsers come again.
                Ok((stream, _)) => drop(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error)
                    if error.kind() == io::ErrorKind::Interrupted
                        || error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(Error::io("listen at", "127.0.0.1")(error)),
            }
        }
        Ok(())
    })
}

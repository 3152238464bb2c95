//! One connection: requests are answered one after the other.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Take, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{request::Request, share::Share};

/// The longest head of a request.
const HEAD_BYTES: u64 = 16 << 10;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(250);
/// How long one piece of an answer may wait for the other side.
const SLOW: Duration = Duration::from_secs(15);
const METHODS: &str = "GET, HEAD, OPTIONS";

/// Answers until the other side hangs up, says nothing for long, or the process is to stop.
pub(super) fn serve(stream: TcpStream, share: &Share, port: u16, stop: &AtomicBool) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(POLL))?;
    stream.set_write_timeout(Some(SLOW))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(head) = head(&mut reader, stop)? {
        let Some(request) = Request::parse(&head) else {
            return answer(&mut writer, "400 Bad Request", &[], false);
        };
        let keeps = request.keeps;
        respond(&mut writer, &request, share, port)?;
        if !keeps {
            return Ok(());
        }
    }
    Ok(())
}

/// The head of the next request, without the empty line behind it; nothing where none comes.
fn head(reader: &mut BufReader<TcpStream>, stop: &AtomicBool) -> io::Result<Option<String>> {
    let (mut head, begun) = (Vec::new(), Instant::now());
    let mut limited: Take<&mut BufReader<TcpStream>> = reader.take(HEAD_BYTES);
    loop {
        match limited.read_until(b'\n', &mut head) {
            Ok(0) => return Ok(None),
            Ok(_) if head == b"\r\n" => head.clear(),
            Ok(_) if head.ends_with(b"\r\n\r\n") => return Ok(String::from_utf8(head).ok().or(Some(String::new()))),
            Ok(_) => {}
            // What was read so far stays in `head`.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                if stop.load(Ordering::Relaxed) || begun.elapsed() > IDLE {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn respond(writer: &mut TcpStream, request: &Request, share: &Share, port: u16) -> io::Result<()> {
    let keeps = request.keeps;
    // A page of another site can make its own name lead here, but not call itself by this one.
    let is_ours =
        ["127.0.0.1", "localhost"].iter().any(|name| request.host.as_deref() == Some(&format!("{name}:{port}")));
    if !is_ours {
        return answer(writer, "421 Misdirected Request", &[], keeps);
    }
    match request.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => {
            let allowed = [
                ("Access-Control-Allow-Methods", METHODS.to_string()),
                ("Access-Control-Allow-Headers", "Range".into()),
                ("Access-Control-Allow-Private-Network", "true".into()),
                ("Access-Control-Max-Age", "86400".into()),
            ];
            return answer(writer, "204 No Content", &allowed, keeps);
        }
        _ => return answer(writer, "405 Method Not Allowed", &[("Allow", METHODS.into())], keeps),
    }
    let opened = share.file(&request.path).and_then(|path| File::open(path).ok());
    let Some((mut file, len)) = opened.and_then(|file| file.metadata().ok().map(|meta| (file, meta.len()))) else {
        return answer(writer, "404 Not Found", &[], keeps);
    };
    let range = match request.range {
        None => 0..len,
        Some(wanted) => match wanted.of(len) {
            Some(range) => range,
            None => {
                let whole = [("Content-Range", format!("bytes */{len}"))];
                return answer(writer, "416 Range Not Satisfiable", &whole, keeps);
            }
        },
    };
    let mut headers = vec![
        ("Accept-Ranges", "bytes".to_string()),
        ("Content-Type", content_type(&request.path).to_string()),
        ("Cache-Control", "no-cache".to_string()),
        ("Content-Length", (range.end - range.start).to_string()),
    ];
    let status = match request.range {
        None => "200 OK",
        Some(_) => {
            headers.push(("Content-Range", format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1))));
            "206 Partial Content"
        }
    };
    begin(writer, status, &headers, keeps)?;
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(range.start))?;
    let wanted = range.end - range.start;
    let copied = io::copy(&mut file.take(wanted), writer)?;
    // A file that has become shorter ends the connection, so that the other side knows.
    if copied < wanted { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn content_type(path: &str) -> &'static str {
    let is_json = path.ends_with(".json")
        || [".zarray", ".zattrs", ".zgroup", ".zmetadata"].iter().any(|name| path.ends_with(name));
    if is_json { "application/json" } else { "application/octet-stream" }
}

/// An answer without a body.
fn answer(writer: &mut TcpStream, status: &str, headers: &[(&str, String)], keeps: bool) -> io::Result<()> {
    let length = (!status.starts_with("204")).then(|| ("Content-Length", "0".to_string()));
    let headers: Vec<(&str, String)> = headers.iter().cloned().chain(length).collect();
    begin(writer, status, &headers, keeps)
}

fn begin(writer: &mut TcpStream, status: &str, headers: &[(&str, String)], keeps: bool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    let shared = [
        ("Access-Control-Allow-Origin", "*".to_string()),
        ("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range".into()),
        ("Cross-Origin-Resource-Policy", "cross-origin".into()),
        ("X-Content-Type-Options", "nosniff".into()),
        ("Connection", if keeps { "keep-alive" } else { "close" }.to_string()),
    ];
    for (name, value) in headers.iter().chain(&shared) {
        head += &format!("{name}: {value}\r\n");
    }
    writer.write_all((head + "\r\n").as_bytes())
}

//! The server for viewers, over plain sockets.
#![allow(unsafe_code, reason = "signals are sent by the C library")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::kit::folder::Folder;

/// A server under way.
struct Server {
    child: Child,
    port: u16,
    /// `/SECRET/NAME`
    path: String,
    told: String,
}

impl Server {
    fn start(folder: &Folder, volume: &str) -> Server {
        let mut child =
            folder.command(&["view", volume]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = String::new();
        while !told.contains("nowhere else") {
            told += &(lines.next().unwrap().unwrap() + "\n");
        }
        let address = told.lines().find_map(|line| line.trim().strip_prefix("address")).unwrap().trim();
        let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let port = host.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
        Server { child, port, path: format!("/{}", path.trim_end_matches('/')), told }
    }

    /// The head and the body of the answer to one request.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        self.ask_as(&format!("127.0.0.1:{}", self.port), method, path, headers)
    }

    fn ask_as(&self, host: &str, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }

    fn stop(mut self) {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) }, 0);
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(10), "still serving");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_file_is_served_with_ranges_and_nothing_else() {
    let folder = Folder::new();
    folder.phantom("a scan.nii", [10, 20, 20]);
    fs::write(folder.path("other.txt"), "not served").unwrap();
    let server = Server::start(&folder, "a scan.nii");
    let stored = fs::read(folder.path("a scan.nii")).unwrap();
    assert!(server.told.contains("niivue") && server.path.ends_with("/a%20scan.nii"));
    let (head, body) = server.ask("GET", &server.path, "");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("Access-Control-Allow-Origin: *") && body == stored);
    let (head, body) = server.ask("GET", &server.path, "Range: bytes=100-199\r\n");
    assert!(head.starts_with("HTTP/1.1 206") && head.contains(&format!("bytes 100-199/{}", stored.len())));
    assert_eq!(body, &stored[100..200]);
    let (head, body) = server.ask("GET", &server.path, "Range: bytes=-7\r\n");
    assert!(head.contains("206") && body == stored[stored.len() - 7..]);
    let (head, body) = server.ask("HEAD", &server.path, "");
    assert!(head.contains(&format!("Content-Length: {}", stored.len())) && body.is_empty());
    let (head, _) = server.ask("OPTIONS", &server.path, "Access-Control-Request-Method: GET\r\n");
    assert!(head.starts_with("HTTP/1.1 204") && head.contains("Access-Control-Allow-Headers: Range"));
    let secret = server.path.split('/').nth(1).unwrap();
    for (method, path, status) in [
        ("GET", format!("/{secret}/other.txt"), 404),
        ("GET", format!("/{secret}/%2e%2e/other.txt"), 404),
        ("GET", format!("/{secret}/a%20scan.nii/../../other.txt"), 404),
        ("GET", "/a%20scan.nii".to_string(), 404),
        ("GET", "/".to_string(), 404),
        ("POST", server.path.clone(), 405),
        ("DELETE", server.path.clone(), 405),
    ] {
        let (head, body) = server.ask(method, &path, "");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && body.is_empty(), "{method} {path}: {head}");
    }
    assert!(server.ask("GET", &server.path, "Range: bytes=999999999-\r\n").0.starts_with("HTTP/1.1 416"));
    assert!(server.ask_as("evil.example", "GET", &server.path, "").0.starts_with("HTTP/1.1 421"));
    server.stop();
}

#[test]
fn an_image_of_chunks_is_served_whole() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [10, 20, 20]);
    folder.run(&["resample", "scan.nii", "image.ome.zarr"]).expect(0);
    let server = Server::start(&folder, "image.ome.zarr");
    assert!(server.told.contains("Neuroglancer") && server.told.contains("napari"));
    let (head, body) = server.ask("GET", &format!("{}/zarr.json", server.path), "");
    assert!(head.contains("application/json") && body == fs::read(folder.path("image.ome.zarr/zarr.json")).unwrap());
    assert!(server.ask("GET", &format!("{}/absent", server.path), "").0.starts_with("HTTP/1.1 404"));
    assert!(server.ask("GET", &format!("{}/0", server.path), "").0.starts_with("HTTP/1.1 404"));
    server.stop();
}

#[test]
fn a_silent_connection_keeps_nobody_waiting() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [10, 20, 20]);
    let server = Server::start(&folder, "scan.nii");
    let _silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    assert!(server.ask("GET", &server.path, "").0.starts_with("HTTP/1.1 200"));
    server.stop();
}

//! Servers that say too much, send elsewhere, or never come to an end: an error in time, within the budget, without a secret in it.

#![cfg(feature = "remote")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::kit::{
    folder::{Answer, Folder},
    nifti::Said,
    rng::Rng,
    volumes::random_voxels,
};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

const MIB: u64 = 1 << 20;
const KEY: &str = "AKIA2RESLICETESTKEY7";
const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYSECRETKEY";
const TOKEN: &str = "a-session-token-that-nobody-else-gets";

/// What is asked for: method, path with query, and the lines of the header in lower case.
struct Asked {
    method: String,
    path: String,
    header: Vec<String>,
}

impl Asked {
    fn range(&self) -> Option<&str> {
        self.header.iter().find_map(|line| line.strip_prefix("range: bytes="))
    }
}

struct Reply {
    status: &'static str,
    header: String,
    body: Vec<u8>,
}

fn reply(status: &'static str, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, header: String::new(), body: body.into() }
}

impl Reply {
    fn with(mut self, line: impl AsRef<str>) -> Reply {
        self.header += line.as_ref();
        self.header += "\r\n";
        self
    }
}

fn answer(mut stream: TcpStream, handler: &dyn Fn(&Asked) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_string());
    }
    let Some(first) = lines.first() else { return Ok(()) };
    let words: Vec<&str> = first.split(' ').collect();
    let header = lines[1..].iter().map(|line| line.to_lowercase()).collect();
    let asked = Asked { method: words[0].into(), path: words[1].into(), header };
    let Reply { status, header, body } = handler(&asked);
    write!(stream, "HTTP/1.1 {status}\r\n{header}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
    if asked.method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// Answers until the test ends; host and port.
fn serve(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let handler = Arc::new(handler);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handler = handler.clone();
            thread::spawn(move || answer(stream, handler.as_ref()));
        }
    });
    host
}

/// Runs with an object store at `host`, within `budget_mib`; no secret is told.
fn run(folder: &Folder, host: &str, budget_mib: u64, args: &[&str]) -> Answer {
    let (memory, endpoint) = (format!("{budget_mib}MiB"), format!("http://{host}"));
    let variables = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let begun = Instant::now();
    let (answer, peak) = folder.run_measured(&[args, &["--memory", &memory]].concat(), &variables);
    assert!(begun.elapsed() < Duration::from_secs(100), "{:?}: {}", begun.elapsed(), answer.stderr);
    // A budget that is refused need not hold even the program.
    assert!(
        answer.stderr.contains("memory budget") || peak <= budget_mib * MIB,
        "{args:?}: {} of {budget_mib} MiB: {}",
        peak / MIB,
        answer.stderr
    );
    for secret in [KEY, SECRET, TOKEN] {
        assert!(!answer.stderr.contains(secret) && !answer.stdout.contains(secret), "{}", answer.stderr);
    }
    answer
}

/// One level of 4 x 3 x 4 voxels in two shards.
fn object(path: &str) -> Option<Vec<u8>> {
    let sharding = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 3, 4], "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes"}]}});
    let array = json!({"zarr_format": 3, "node_type": "array", "shape": [4, 3, 4], "data_type": "uint8", "fill_value": 9,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}}, "codecs": [sharding],
        "chunk_key_encoding": {"name": "default"}});
    let key = path.split('?').next()?.rsplit_once("a.zarr/")?.1;
    match key {
        "zarr.json" => Some(array.to_string().into_bytes()),
        "c/0/0/0" | "c/1/0/0" => Some([vec![3; 24], [0u64, 24].map(u64::to_le_bytes).concat()].concat()),
        _ => None,
    }
}

/// As web servers answer.
fn served(asked: &Asked, object: Option<Vec<u8>>) -> Reply {
    let Some(bytes) = object else { return reply("404 Not Found", "") };
    let Some(range) = asked.range() else { return reply("200 OK", bytes) };
    let (from, to) = range.split_once('-').unwrap();
    let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) => (from, to + 1),
        (_, last) => (bytes.len() - last.unwrap(), bytes.len()),
    };
    let total = bytes.len();
    reply("206 Partial Content", &bytes[from..to]).with(format!("Content-Range: bytes {from}-{}/{total}", to - 1))
}

#[test]
fn texts_of_errors_are_read_to_some_kibibytes() {
    let folder = Folder::new();
    let text = format!("<Error><Code>Odd</Code><Message>it is {KEY}</Message>{}</Error>", "x".repeat(60_000_000));
    for status in ["400 Bad Request", "403 Forbidden", "404 Not Found"] {
        let text = text.clone();
        let host = serve(move |_| reply(status, text.clone()));
        let told = run(&folder, &host, 48, &["resample", "s3://bucket/a.zarr", "out.nii"]).expect(1).stderr;
        assert!(status.starts_with("404") || told.contains("Odd, it is ..."), "{told}");
    }
    // The same as a success, and without end as a list.
    let host = serve(move |_| reply("200 OK", "<a>".repeat(20_000_000)));
    let told = run(&folder, &host, 48, &["resample", "s3://bucket/a.zarr", "out.nii"]).expect(1).stderr;
    assert!(told.contains("60000000 bytes"), "{told}");
    said(&folder);
    let host = serve(|asked| match asked.path.contains("list-type=2") {
        true => reply("200 OK", "<a>".repeat(20_000_000)),
        false => reply("404 Not Found", ""),
    });
    let told = run(&folder, &host, 96, &["resample", "scan.nii", "s3://bucket/a.zarr"]).expect(1).stderr;
    assert!(told.contains("an answer of more than 8388608 bytes"), "{told}");
}

fn said(folder: &Folder) {
    let said = Said::new([5, 6, 7]);
    said.write(&folder.path("scan.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("scan")));
}

#[test]
fn no_secret_of_an_error_is_told() {
    let folder = Folder::new();
    for text in [
        format!(
            "<Error><Code>{KEY}</Code><Message>{KEY}/{TOKEN} X-Amz-Signature=abc0def&x=1 {SECRET}</Message></Error>"
        ),
        format!("<html>{KEY} {TOKEN}</html>"),
        format!("{{\"error\": \"{TOKEN}\"}}"),
    ] {
        for status in ["400 Bad Request", "403 Forbidden", "200 OK", "301 Moved"] {
            let text = text.clone();
            let host = serve(move |_| {
                let place = format!("Location: http://{KEY}:{SECRET}@elsewhere.test/{TOKEN}?X-Amz-Signature=abc0def");
                reply(status, text.clone()).with(place)
            });
            let told = run(&folder, &host, 64, &["resample", "s3://bucket/a.zarr", "out.nii"]).expect(1).stderr;
            assert!(!told.contains("abc0def"), "{told}");
        }
    }
}

#[test]
fn a_signed_request_is_not_sent_on() {
    let folder = Folder::new();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    let other = serve(move |asked| {
        counted.fetch_add(1, Ordering::Relaxed);
        served(asked, object(&asked.path))
    });
    let place = format!("Location: http://{other}/bucket/a.zarr/zarr.json?X-Amz-Signature=abc0def");
    let host = serve(move |_| reply("307 Temporary Redirect", "").with(&place));
    let told = run(&folder, &host, 64, &["resample", "s3://bucket/a.zarr", "out.nii"]).expect(1).stderr;
    assert!(told.contains(&format!("sends on to {other}")) && !told.contains("abc0def"), "{told}");
    assert_eq!(visits.load(Ordering::Relaxed), 0);
    let host = serve(|_| reply("301 Moved Permanently", "").with("x-amz-bucket-region: eu-west-1"));
    let told = run(&folder, &host, 64, &["resample", "s3://bucket/a.zarr", "out.nii"]).expect(1).stderr;
    assert!(told.contains("the bucket is in region eu-west-1"), "{told}");
}

#[test]
fn a_web_server_may_send_on_but_not_to_another_object() {
    let folder = Folder::new();
    let secrets = Arc::new(Mutex::new(Vec::new()));
    let seen = secrets.clone();
    // Of the same size, told apart by its tag; or of another.
    for (tag, excess) in [("\"two\"", 0), ("\"one\"", 5), ("\"one\"", 0)] {
        let seen = seen.clone();
        let other = serve(move |asked| {
            seen.lock()
                .unwrap()
                .extend(asked.header.iter().filter(|line| line.contains("token") || line.starts_with("auth")).cloned());
            let bytes = object(&asked.path).map(|bytes| [bytes, vec![0; excess]].concat());
            served(asked, bytes).with(format!("ETag: {tag}"))
        });
        let host = serve(move |asked| match asked.range() {
            Some(range) if !range.starts_with('-') => {
                reply("302 Found", "").with(format!("Location: http://{other}{}", asked.path))
            }
            _ => served(asked, object(&asked.path)).with("ETag: \"one\""),
        });
        let args = ["resample", &format!("http://{host}/a.zarr"), "out.nii", "--overwrite"];
        let answer = run(&folder, &host, 64, &args);
        if (tag, excess) == ("\"one\"", 0) {
            answer.expect(0);
            continue;
        }
        let told = answer.expect(1).stderr;
        assert!(told.contains("it was 40 bytes with the tag \"one\" at first, and now is"), "{told}");
    }
    assert!(secrets.lock().unwrap().is_empty());
}

#[test]
fn a_list_without_end_is_an_error() {
    let folder = Folder::new();
    said(&folder);
    let keys: [fn(usize) -> (String, String); 3] = [
        |_| ("a.zarr/.reslice/journal-x".into(), "again".into()),
        |n| (format!("a.zarr/.reslice/journal-{}", n % 5), n.to_string()),
        |n| (String::new(), n.to_string()),
    ];
    for page in keys {
        let count = AtomicUsize::new(0);
        let host = serve(move |asked| {
            if !asked.path.contains("list-type=2") {
                return reply("404 Not Found", "");
            }
            let (key, token) = page(count.fetch_add(1, Ordering::Relaxed));
            let contents = format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>"
            );
            let contents = if key.is_empty() { String::new() } else { contents };
            reply(
                "200 OK",
                format!(
                    "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>{contents}\
                <NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>"
                ),
            )
        });
        let told = run(&folder, &host, 96, &["resample", "scan.nii", "s3://bucket/a.zarr"]).expect(1).stderr;
        assert!(told.contains("the list does not end"), "{told}");
    }
}

/// Stored and decoded bytes of such an answer were once held at the same time, and neither was counted.
#[test]
fn answers_that_are_compressed_on_the_way_keep_to_the_budget() {
    let folder = Folder::new();
    let side = 256u64;
    let array = json!({"zarr_format": 2, "shape": [side, side, side], "chunks": [side, side, side], "dtype": "|u1", "order": "C",
        "fill_value": 0, "filters": null, "compressor": null, "dimension_separator": "."});
    let chunk = random_voxels::<u8>(side.pow(3) as usize, &mut Rng::new("chunk"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&chunk).unwrap();
    let packed = encoder.finish().unwrap();
    let host = serve(move |asked| match asked.path.as_str() {
        "/a.zarr/.zarray" => reply("200 OK", array.to_string()),
        "/a.zarr/0.0.0" => reply("200 OK", packed.clone()).with("Content-Encoding: gzip"),
        _ => reply("404 Not Found", ""),
    });
    let url = format!("http://{host}/a.zarr");
    let args = ["resample", &url, "out.nii", "--overwrite", "--threads", "1"];
    let told = run(&folder, &host, 20, &args).stderr;
    let smallest = told.rsplit("--memory ").next().unwrap().split("MiB").next().unwrap();
    let smallest = smallest.trim().parse::<f64>().unwrap_or_else(|_| panic!("{told}")).ceil() as u64;
    for budget in [smallest, smallest + 16] {
        run(&folder, &host, budget, &args).expect(0);
        let written = std::fs::read(folder.path("out.nii")).unwrap();
        assert!(written.ends_with(&chunk));
    }
}

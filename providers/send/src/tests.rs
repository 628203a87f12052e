use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use tidegate_durable::turn::Bearer;
use tidegate_provider_api::{ErrorKind, Method, Request as VendorRequest, Settings};
use tidegate_providers::VendorOrigins;
use tidegate_vault::{Installation, Keyring};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "rpa_very_secret";

/// What the server got: the head and the body of each request.
type Got = mpsc::Receiver<(String, String)>;

/// Answers each connection with the next of these texts and closes it.
fn server(answers: Vec<Vec<u8>>) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, got) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            // Not every test wants to know.
            let _unread = tell.send(request(&stream));
            let mut writer = &stream;
            // The client may have left.
            let _left = writer.write_all(&answer);
        }
    });
    (url, got)
}

fn request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn get(url: &str) -> HttpCall {
    HttpCall {
        method: Method::Get,
        url: format!("{url}/v2/pods?limit=1"),
        headers: vec![("authorization".to_owned(), format!("Bearer {SECRET}"))],
        body: None,
    }
}

fn send(url: &str) -> Result<HttpReply, NoAnswer> {
    Sender::new().send(&get(url), PATIENCE)
}

#[test]
fn a_call_goes_out_as_it_is_and_its_answer_comes_back_whole() {
    let (url, got) = server(vec![answer("503 Busy", "Retry-After: 7\r\n", "späti")]);
    let call = HttpCall {
        method: Method::Delete,
        body: Some("{\"a\":1}".to_owned()),
        ..get(&url)
    };
    let before = now_ms();
    let reply = Sender::new().send(&call, PATIENCE).unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (503, "späti"));
    assert_eq!(reply.header("retry-after"), Some("7"));
    assert!((before..=now_ms()).contains(&reply.now_ms));
    let (head, body) = got.recv().unwrap();
    assert!(
        head.starts_with("DELETE /v2/pods?limit=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("authorization: Bearer {SECRET}\r\n")),
        "{head}"
    );
    assert!(head.contains("user-agent: tidegate/"), "{head}");
    assert_eq!(body, "{\"a\":1}");
}

#[test]
fn the_calls_own_agent_is_the_one_that_is_named() {
    let (url, got) = server(vec![answer("200 OK", "", "")]);
    let mut call = get(&url);
    let name = ("user-agent".to_owned(), "tidegate/codec".to_owned());
    call.headers.push(name);
    Sender::new().send(&call, PATIENCE).unwrap();
    let (head, _) = got.recv().unwrap();
    assert_eq!(
        head.to_ascii_lowercase().matches("user-agent:").count(),
        1,
        "{head}"
    );
    assert!(head.contains("user-agent: tidegate/codec\r\n"), "{head}");
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, got) = server(vec![answer("200 OK", "", "secret kept")]);
    let moved = answer("307 Moved", &format!("Location: {elsewhere}/\r\n"), "");
    let (url, _) = server(vec![moved]);
    let reply = send(&url).unwrap();
    assert_eq!(reply.status, 307);
    assert!(got.try_recv().is_err());
}

#[test]
fn each_call_has_a_connection_of_its_own() {
    let ok = || answer("200 OK", "", "x");
    let (url, got) = server(vec![ok(), ok()]);
    let sender = Sender::new();
    for _ in 0..2 {
        sender.send(&get(&url), PATIENCE).unwrap();
        got.recv().unwrap();
    }
}

#[test]
fn an_answer_that_ends_too_early_is_none() {
    let whole = answer("200 OK", "", "0123456789");
    let (half, _) = whole.split_at(whole.len() - 4);
    let cut: [Vec<u8>; 4] = [
        half.to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(),
        Vec::new(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n012".to_vec(),
    ];
    for cut in cut {
        let words = String::from_utf8_lossy(&cut).into_owned();
        let (url, _) = server(vec![cut]);
        assert_eq!(send(&url), Err(NoAnswer::Broken), "{words}");
    }
}

#[test]
fn nobody_is_waited_for_without_end() {
    // Each accepts and says nothing, or stops in its middle.
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, ended) = mpsc::channel::<()>();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(begun.as_bytes()).unwrap();
            let _over = ended.recv();
        });
        let answered = Sender::new().send(&get(&url), Duration::from_millis(100));
        assert_eq!(answered, Err(NoAnswer::Late { timeout_ms: 100 }), "{begun}");
        drop(end);
        server.join().unwrap();
    }
}

#[test]
fn an_answer_may_be_so_long_and_no_longer() {
    let longest = usize::try_from(LONGEST_BYTES).unwrap();
    for (length, fits) in [(longest, true), (longest + 1, false)] {
        let (url, _) = server(vec![answer("200 OK", "", &"x".repeat(length))]);
        match send(&url) {
            Ok(reply) => assert!(fits && reply.body.len() == length),
            Err(why) => assert!(!fits && why == NoAnswer::TooLong),
        }
    }
}

#[test]
fn nobody_there_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(send(&url), Err(NoAnswer::Broken));
    assert_eq!(send("http://a b"), Err(NoAnswer::Malformed));
}

#[test]
fn what_is_refused_before_it_is_sent_was_not_sent() {
    let installation = Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap();
    let (url, got) = server(vec![answer("200 OK", "", "{}")]);
    let calls = VendorCalls {
        keyring: Keyring::new(installation.wrapping_key().clone(), None),
        installation,
        origins: VendorOrigins::parse(&format!("runpod={url}")).unwrap(),
        find: tidegate_providers::by_name,
    };
    let unreadable = VendorCall {
        id: 1,
        vendor: "runpod".to_owned(),
        credential: Bearer {
            org: "default".to_owned(),
            record: "account/acc_a".to_owned(),
            sealed: "not sealed at all".to_owned(),
        },
        settings: Settings::default(),
        request: VendorRequest::Verify,
        timeout_ms: 1_000,
    };
    let error = call(&Sender::new(), &calls, &unreadable).unwrap_err();
    assert_eq!((error.kind, error.unclear), (ErrorKind::Auth, false));
    assert!(got.try_recv().is_err());
}

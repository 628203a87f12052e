//! What a rented machine runs in the conformance suite: it listens where it is told and answers every request
//! with a word of its own.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (host, port) = (arguments.next(), arguments.next());
    let port: u16 = port.expect("usage: HOST PORT").parse().expect("a port");
    let host = host.unwrap_or_default();
    let listener = TcpListener::bind((host.as_str(), port)).expect("the port is free");
    for stream in listener.incoming().flatten() {
        // Who only looks whether the port is open leaves without a word.
        let _left = answer(&stream);
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\n";
    stream.write_all(format!("{head}serving").as_bytes())
}

//! Whole answers of the three engines, as `tests/recordings/record.py` took them off the wire.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::Endpoint;

/// One answer.
pub(crate) struct Recording {
    /// The folder: `llama-cpp`, `vllm` or `transformers`.
    pub(crate) engine: String,
    /// What was asked: a name in `record.py`.
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    /// The body as the server cut it.
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Recording {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    /// `engine/name`, for messages and tables.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.engine, self.name)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.status == 200
            && self
                .content_type
                .as_deref()
                .is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// Where it was asked; errors were asked of chat unless their name says otherwise.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let says = |word| self.name.contains(word);
        let begins = |word| self.name.starts_with(word);
        match () {
            () if begins("count-tokens") => Endpoint::CountTokens,
            () if begins("messages") => Endpoint::Messages,
            () if begins("responses") => Endpoint::Responses,
            () if begins("rerank") => Endpoint::Rerank,
            () if begins("tokenize") => Endpoint::Tokenize,
            () if begins("detokenize") => Endpoint::Detokenize,
            () if says("embeddings") => Endpoint::Embeddings,
            () if says("completions") => Endpoint::Completions,
            () => Endpoint::Chat,
        }
    }

    fn read(path: &Path) -> Self {
        let raw = fs::read(path).unwrap();
        let end = find(&raw, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&raw[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let header = |wanted: &str| {
            lines.clone().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
            })
        };
        let body = &raw[end + 4..];
        let chunks = match header("transfer-encoding") {
            Some(_) => unchunked(body),
            None => vec![body.to_vec()],
        };
        let folder = path.parent().and_then(Path::file_name).unwrap();
        Self {
            engine: folder.to_str().unwrap().to_owned(),
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            status: status.parse().unwrap(),
            content_type: header("content-type"),
            chunks,
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

fn unchunked(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let line = find(body, b"\r\n").unwrap();
        let digits = std::str::from_utf8(&body[..line]).unwrap();
        let size = usize::from_str_radix(digits, 16).unwrap();
        if size == 0 {
            return chunks;
        }
        let start = line + 2;
        chunks.push(body[start..start + size].to_vec());
        body = &body[start + size + 2..];
    }
}

/// All of them, in an order that is always the same.
pub(crate) fn all() -> &'static [Recording] {
    static ALL: LazyLock<Vec<Recording>> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
        let mut paths = Vec::new();
        for engine in ["llama-cpp", "transformers", "vllm"] {
            let files = fs::read_dir(folder.join(engine)).unwrap();
            paths.extend(files.map(|file| file.unwrap().path()));
        }
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "http"));
        paths.sort_by_key(|path| path.with_extension(""));
        paths.iter().map(|path| Recording::read(path)).collect()
    });
    &ALL
}

/// One by its `engine/name`.
pub(crate) fn named(title: &str) -> &'static Recording {
    all().iter().find(|one| one.title() == title).unwrap()
}

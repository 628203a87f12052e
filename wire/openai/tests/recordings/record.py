"""Asks a model server everything that the gateway must understand, and keeps its answers byte for byte.

    python record.py http://127.0.0.1:PORT OUT [--model tiny-chat] [--key KEY] [--only NAME,NAME]

Each answer becomes OUT/NAME.http: status line, headers and body as they came off the socket, a chunked body with its
chunks. OUT/closed.txt lists the answers after which the server closed the connection. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import socket
import urllib.parse

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "value": {"type": "integer"},
        "ok": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "value", "ok", "tags"],
}
# More tokens than any of the servers is started with.
TOO_LONG = "pong " * 12_000
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
ANSWER_WITHIN_S = 120
# A server that closes does so at once; one that keeps the connection is not waited for.
CLOSES_WITHIN_S = 1.0


def chat(prompt, **more):
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 64, **more}


def completions(prompt, **more):
    return "/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 8, **more}


def responses(prompt, **more):
    return "/v1/responses", {"input": prompt, "temperature": 0, "max_output_tokens": 64, **more}


def messages(prompt, **more):
    return "/v1/messages", {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 64, **more}


CASES = {
    "chat": chat("Say hello."),
    "chat-stream": chat("Say hello.", stream=True),
    "chat-stream-usage": chat("Say hello.", **USAGE),
    "chat-stream-continuous-usage": chat("Say hello.", stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True}),
    "chat-unicode-stream": chat("Reply with unicode.", **USAGE),
    "chat-empty": chat("Say nothing."),
    "chat-empty-stream": chat("Say nothing.", **USAGE),
    "chat-length": chat("Count to ten.", max_tokens=5),
    "chat-length-stream": chat("Count to ten.", max_tokens=5, stream=True),
    "chat-thinking": chat("Think then answer."),
    "chat-thinking-stream": chat("Think then answer.", **USAGE),
    "chat-sse-trap-stream": chat("Reply with SSE trap.", **USAGE),
    "chat-tools": chat("What is the weather in Paris?", tools=[TOOL]),
    "chat-tools-stream": chat("What is the weather in Paris?", tools=[TOOL], **USAGE),
    "chat-two-tools": chat("Weather in London and Oslo?", tools=[TOOL]),
    "chat-two-tools-stream": chat("Weather in London and Oslo?", tools=[TOOL], **USAGE),
    "chat-json-schema": chat("Reply with JSON.", response_format={"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}),
    "chat-logprobs": chat("ping", logprobs=True, top_logprobs=2),
    "chat-logprobs-stream": chat("ping", logprobs=True, top_logprobs=2, **USAGE),
    "chat-two-choices": chat("ping", n=2, temperature=0.01),
    "chat-two-choices-stream": chat("ping", n=2, temperature=0.01, **USAGE),
    "chat-stop": chat("Count to ten.", stop=["5"]),
    "chat-nulls": chat("ping", stop=None, tools=None, tool_choice=None, response_format=None, logprobs=None, n=None, seed=None),
    "completions": completions("ping"),
    "completions-stream": completions("ping", stream=True),
    "completions-stream-usage": completions("ping", **USAGE),
    "completions-two-prompts": completions(["ping", "pong"]),
    "completions-two-prompts-stream": completions(["ping", "pong"], **USAGE),
    "completions-logprobs": completions("ping", logprobs=1),
    "embeddings": ("/v1/embeddings", {"input": "hello"}),
    "embeddings-two": ("/v1/embeddings", {"input": ["hello", "world"]}),
    "embeddings-base64": ("/v1/embeddings", {"input": "hello", "encoding_format": "base64"}),
    "embeddings-null-format": ("/v1/embeddings", {"input": "hello", "encoding_format": None}),
    "responses": responses("Say hello."),
    "responses-stream": responses("Say hello.", stream=True),
    "responses-tools-stream": responses("What is the weather in Paris?", tools=[{"type": "function", **TOOL["function"]}], stream=True),
    "messages": messages("Say hello."),
    "messages-stream": messages("Say hello.", stream=True),
    "messages-tools-stream": messages(
        "What is the weather in Paris?", tools=[{"name": "get_weather", "description": "Weather of a city.", "input_schema": TOOL["function"]["parameters"]}], stream=True
    ),
    "messages-too-long": messages(TOO_LONG),
    "count-tokens": ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "Say hello."}]}),
    "rerank": ("/v1/rerank", {"query": "ping", "documents": ["pong", "hello"]}),
    "score": ("/v1/score", {"text_1": "ping", "text_2": ["pong", "hello"]}),
    "tokenize": ("/tokenize", {"prompt": "Say hello.", "content": "Say hello."}),
    "detokenize": ("/detokenize", {"tokens": [50, 51, 52]}),
    "models": ("/v1/models", None),
    "no-route": ("/v1/nothing", {}),
    "wrong-method": ("/v1/chat/completions", None),
    "unknown-model": chat("ping", model="nobody"),
    "unknown-model-stream": chat("ping", model="nobody", stream=True),
    "bad-json": ("/v1/chat/completions", '{"model": "tiny-chat", "messages": ['),
    "not-an-object": ("/v1/chat/completions", "[]"),
    "no-messages": ("/v1/chat/completions", {}),
    "wrong-type": chat("ping", temperature="hot"),
    "wrong-value": chat("ping", temperature=-1),
    "wrong-role": ("/v1/chat/completions", {"messages": [{"role": "nobody", "content": "ping"}]}),
    "too-long": chat(TOO_LONG),
    "too-long-stream": chat(TOO_LONG, stream=True),
    "too-long-completions": completions(TOO_LONG),
    "too-long-embeddings": ("/v1/embeddings", {"input": TOO_LONG}),
    "too-many-tokens": chat("ping", max_tokens=100_000),
}


class Answer:
    """The bytes of one answer, and whether the connection was closed behind it."""

    def __init__(self, host, port, request):
        self.raw = b""
        with socket.create_connection((host, port), timeout=ANSWER_WITHIN_S) as self.socket:
            self.socket.sendall(request)
            head = self.until(lambda raw: raw.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in raw else None)
            fields = dict(line.lower().split(": ", 1) for line in self.raw[:head].decode("latin-1").split("\r\n")[1:] if ": " in line)
            if fields.get("transfer-encoding") == "chunked":
                self.until(lambda raw: end_of_chunks(raw, head))
            else:
                size = int(fields.get("content-length", 0))
                self.until(lambda raw: head + size if len(raw) >= head + size else None)
            self.socket.settimeout(CLOSES_WITHIN_S)
            try:
                self.closed = self.socket.recv(1) == b""
            except TimeoutError:
                self.closed = False
            except ConnectionError:
                self.closed = True

    def until(self, end):
        while (found := end(self.raw)) is None:
            piece = self.socket.recv(65536)
            if not piece:
                raise SystemExit(f"the server closed the connection in the middle of its answer: {self.raw[-300:]!r}")
            self.raw += piece
        return found


def end_of_chunks(raw, at):
    """Behind the last chunk, once it has come."""
    while (line := raw.find(b"\r\n", at)) >= 0:
        size = int(raw[at:line], 16)
        at = line + 2 + size + 2
        if at > len(raw):
            return None
        if size == 0:
            return at
    return None


def request(host, path, body, key):
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {host}", "Accept: */*"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    payload = b""
    if body is not None:
        payload = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", default="tiny-chat")
    parser.add_argument("--key")
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--rename", help="keep the answers under this name: for one request under another setting")
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.url)
    options.out.mkdir(parents=True, exist_ok=True)
    listed = options.out / "closed.txt"
    closed = set(listed.read_text().split()) if listed.exists() else set()
    for name in options.only.split(",") if options.only else CASES:
        path, body = CASES[name]
        if isinstance(body, dict):
            body = {"model": options.model, **body}
        answer = Answer(url.hostname, url.port, request(url.netloc, path, body, options.key))
        name = options.rename or name
        (options.out / f"{name}.http").write_bytes(answer.raw)
        closed = closed | {name} if answer.closed else closed - {name}
        status = answer.raw.split(b"\r\n", 1)[0].decode()
        print(f"{name}: {status}, {len(answer.raw)} bytes{', closed' if answer.closed else ''}")
    listed.write_text("".join(f"{name}\n" for name in sorted(closed)))


if __name__ == "__main__":
    main()

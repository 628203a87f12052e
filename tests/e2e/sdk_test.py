"""OpenAI's own client for Python: against the real model server, and against every error."""

import json
import os
import unittest

import openai
from harness.organisation import BASE_URL, E2E, MODEL, Organisation

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def connected(org, key=None, **options):
    return openai.OpenAI(base_url=BASE_URL, api_key=key or org.key, max_retries=0, **options)


class SdkCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.org = Organisation()
        cls.client = connected(cls.org)
        cls.direct = openai.OpenAI(base_url=f"{E2E['model']['url']}/v1", api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.direct.close()
        cls.org.close()

    def ask(self, content, client=None, **more):
        return (client or self.client).chat.completions.create(model=MODEL, temperature=0, messages=[{"role": "user", "content": content}], **more)

    def streamed(self, content, **more):
        chunks = list(self.ask(content, stream=True, **more))
        return chunks, "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class Answers(SdkCase):
    def test_chat(self):
        reply = self.ask("Say hello.")
        self.assertEqual(reply.choices[0].message.content, "Hello! How can I help you today?")
        self.assertEqual(reply.choices[0].finish_reason, "stop")
        self.assertGreater(reply.usage.completion_tokens, 0)

    def test_a_stream_without_usage(self):
        chunks, text = self.streamed("Say hello.")
        self.assertEqual(text, "Hello! How can I help you today?")
        self.assertTrue(all(chunk.choices and chunk.usage is None for chunk in chunks))

    def test_a_stream_with_usage(self):
        chunks, _ = self.streamed("Say hello.", stream_options={"include_usage": True})
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    def test_text_is_the_same_straight_through_and_streamed(self):
        for prompt in ("Reply with unicode.", "Reply with SSE trap.", "Say nothing.", "Think then answer."):
            with self.subTest(prompt):
                straight = self.ask(prompt, client=self.direct).choices[0].message.content or ""
                self.assertEqual(self.ask(prompt).choices[0].message.content or "", straight)
                self.assertEqual(self.streamed(prompt)[1], straight)

    def test_tools_one_call_and_two(self):
        for prompt, count in (("What is the weather in Paris?", 1), ("Weather in London and Oslo?", 2)):
            with self.subTest(prompt):
                calls = self.ask(prompt, tools=[WEATHER]).choices[0].message.tool_calls
                self.assertEqual([call.function.name for call in calls], ["get_weather"] * count)
                for call in calls:
                    json.loads(call.function.arguments)

    def test_tools_streamed(self):
        with self.client.chat.completions.stream(model=MODEL, temperature=0, messages=[{"role": "user", "content": "Weather in London and Oslo?"}], tools=[WEATHER]) as stream:
            calls = stream.get_final_completion().choices[0].message.tool_calls
        self.assertEqual([call.function.name for call in calls], ["get_weather", "get_weather"])

    def test_json_mode(self):
        text = self.ask("Reply with JSON.", response_format={"type": "json_object"}).choices[0].message.content
        self.assertEqual(json.loads(text), {"name": "tiny", "value": 42, "ok": True, "tags": ["a", "b"]})

    def test_completions_plain_and_streamed(self):
        prompt = {"model": MODEL, "prompt": "ping", "max_tokens": 8, "temperature": 0}
        whole = self.client.completions.create(**prompt).choices[0].text
        pieces = self.client.completions.create(**prompt, stream=True)
        self.assertEqual("".join(chunk.choices[0].text for chunk in pieces if chunk.choices), whole)

    def test_embeddings(self):
        many = self.client.embeddings.create(model=MODEL, input=["hello", "world"])
        self.assertEqual([one.index for one in many.data], [0, 1])
        self.assertGreater(len(many.data[0].embedding), 8)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [MODEL])
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)

    def test_many_requests_over_one_pool(self):
        # llama.cpp's server closes connections that it promised to keep.
        for n in range(2000 if os.environ.get("TIDEGATE_E2E_FULL") == "1" else 100):
            if n % 2:
                self.assertEqual(self.streamed("ping")[1], "pong")
            else:
                self.assertEqual(self.ask("ping").choices[0].message.content, "pong")


class Errors(SdkCase):
    def failure(self, kind, call, **fields):
        with self.assertRaises(kind) as caught:
            call()
        for name, value in fields.items():
            self.assertEqual(getattr(caught.exception, name), value, str(caught.exception))

    def test_a_wrong_key(self):
        with connected(self.org, "tg_wrong") as client:
            self.failure(openai.AuthenticationError, lambda: self.ask("ping", client=client), status_code=401, code="invalid_api_key")

    def test_an_unknown_model(self):
        call = lambda: self.client.chat.completions.create(model="nobody", messages=[])
        self.failure(openai.NotFoundError, call, status_code=404, code="model_not_found", param="model")
        self.failure(openai.NotFoundError, lambda: self.client.models.retrieve("nobody"), status_code=404)

    def test_a_bad_request(self):
        call = lambda: self.client.chat.completions.create(model=MODEL, messages=[], extra_body={"stream": "yes"})
        self.failure(openai.BadRequestError, call, status_code=400, param="stream")

    def test_a_missing_scope(self):
        with connected(self.org, self.org.mint(scopes=["read"])) as client:
            self.failure(openai.PermissionDeniedError, lambda: self.ask("ping", client=client), status_code=403, code="insufficient_permissions")

    def test_a_limit(self):
        with connected(self.org, self.org.mint(requests_per_minute=1)) as client:
            self.ask("ping", client=client)
            self.failure(openai.RateLimitError, lambda: self.ask("ping", client=client), status_code=429, code="rate_limit_exceeded")

    def test_no_healthy_server(self):
        org = Organisation()
        self.addCleanup(org.close)
        org.admin("POST", f"servers/{org.server}/drain")
        with connected(org) as client:
            self.failure(openai.InternalServerError, lambda: self.ask("ping", client=client), status_code=503, code="no_healthy_server")

    def test_a_client_that_has_no_patience(self):
        with connected(self.org, timeout=0.001) as client:
            self.failure(openai.APITimeoutError, lambda: self.ask("Tell me a long story.", client=client))


if __name__ == "__main__":
    unittest.main()

"""LiteLLM's SDK: completion, stream, tools, embedding, and its own exception classes."""

import os
import unittest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from harness.organisation import BASE_URL, MODEL, NO_SECOND_TRY, ONE_REFUSAL, Organisation, scripted

HELLO = "Hello! How can I help you today?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class LiteLlm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        cls.org = Organisation()

    @classmethod
    def tearDownClass(cls):
        cls.org.close()

    def ask(self, content, org=None, **more):
        fields = {"model": f"openai/{MODEL}", "api_base": BASE_URL, "api_key": (org or self.org).key, "temperature": 0, "max_retries": 0}
        return litellm.completion(**{**fields, "messages": [{"role": "user", "content": content}], **more})

    def test_completion(self):
        reply = self.ask("Say hello.")
        self.assertEqual((reply.choices[0].message.content, reply.choices[0].finish_reason), (HELLO, "stop"))
        self.assertGreater(reply.usage.completion_tokens, 0)

    def test_stream_with_usage(self):
        chunks = list(self.ask("Say hello.", stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), HELLO)
        self.assertEqual(litellm.stream_chunk_builder(chunks).usage.completion_tokens, self.ask("Say hello.").usage.completion_tokens)

    def test_tools_plain_and_streamed(self):
        [call] = self.ask("What is the weather in Paris?", tools=[WEATHER]).choices[0].message.tool_calls
        self.assertEqual((call.function.name, call.function.arguments.replace(" ", "")), ("get_weather", '{"city":"Paris"}'))
        whole = litellm.stream_chunk_builder(list(self.ask("Weather in London and Oslo?", tools=[WEATHER], stream=True)))
        self.assertEqual([call.function.name for call in whole.choices[0].message.tool_calls], ["get_weather", "get_weather"])

    def test_embedding(self):
        reply = litellm.embedding(model=f"openai/{MODEL}", api_base=BASE_URL, api_key=self.org.key, input=["hello", "world"], encoding_format="float")
        self.assertEqual([len(one["embedding"]) for one in reply.data], [256, 256])

    def test_errors_are_its_own_classes(self):
        with self.assertRaises(litellm.AuthenticationError):
            self.ask("ping", api_key="tg_wrong")
        with self.assertRaises(litellm.NotFoundError):
            self.ask("ping", model="openai/nobody")
        with self.assertRaises(litellm.BadRequestError):
            self.ask("ping", extra_body={"max_tokens": "many"})
        with self.assertRaises(litellm.ContextWindowExceededError):
            self.ask("pong " * 12_000)

    def test_a_refusal_for_a_second_is_waited_for(self):
        upstream, org = scripted(self, ONE_REFUSAL, policy=NO_SECOND_TRY)
        with self.assertRaises(litellm.RateLimitError):
            self.ask("ping", org)
        upstream.script(ONE_REFUSAL)
        self.assertEqual(self.ask("ping", org, max_retries=4).choices[0].message.content, HELLO)

    def test_a_broken_stream_is_an_error(self):
        upstream, org = scripted(self, ("cut", {"after_chunks": 3}, None))
        with self.assertRaises(Exception) as caught:
            list(self.ask("ping", org, stream=True))
        self.assertIn("broke before the answer was complete", str(caught.exception))


if __name__ == "__main__":
    unittest.main()

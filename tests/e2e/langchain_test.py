"""langchain-openai: invoke, stream, tools, structured output, embeddings, and what it makes of errors."""

import asyncio
import unittest

import openai
from harness.organisation import BASE_URL, MODEL, NO_SECOND_TRY, ONE_REFUSAL, Organisation, scripted
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

HELLO = "Hello! How can I help you today?"


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


class Reply(BaseModel):
    name: str
    value: int
    ok: bool
    tags: list[str]


class LangChain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.org = Organisation()

    @classmethod
    def tearDownClass(cls):
        cls.org.close()

    def model(self, org=None, **more):
        return ChatOpenAI(**{"model": MODEL, "base_url": BASE_URL, "api_key": (org or self.org).key, "temperature": 0, "max_retries": 0, **more})

    def test_invoke(self):
        reply = self.model().invoke("Say hello.")
        self.assertEqual(reply.content, HELLO)
        self.assertEqual(reply.response_metadata["finish_reason"], "stop")
        self.assertGreater(reply.usage_metadata["output_tokens"], 0)

    def test_stream_with_usage(self):
        chunks = list(self.model(stream_usage=True).stream("Say hello."))
        self.assertEqual("".join(chunk.content for chunk in chunks), HELLO)
        self.assertGreater(len(chunks), 3)
        self.assertEqual(sum((chunk.usage_metadata or {}).get("output_tokens", 0) for chunk in chunks), self.model().invoke("Say hello.").usage_metadata["output_tokens"])

    def test_many_at_once(self):
        async def both():
            return await asyncio.gather(*(self.model().ainvoke(prompt) for prompt in ["ping", "Say hello."] * 8))

        self.assertEqual([reply.content for reply in asyncio.run(both())], ["pong", HELLO] * 8)

    def test_a_tool_call_plain_and_streamed(self):
        bound = self.model().bind_tools([get_weather])
        call = bound.invoke("What is the weather in Paris?").tool_calls[0]
        self.assertEqual((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
        whole = None
        for chunk in bound.stream("Weather in London and Oslo?"):
            whole = chunk if whole is None else whole + chunk
        self.assertEqual([call["args"]["city"] for call in whole.tool_calls], ["London", "Oslo"])

    def test_structured_output(self):
        reply = self.model().with_structured_output(Reply, method="json_schema").invoke("Reply with JSON.")
        self.assertEqual(reply, Reply(name="tiny", value=42, ok=True, tags=["a", "b"]))

    def test_embeddings(self):
        # Lengths are checked with a tokenizer that is fetched from elsewhere.
        embeddings = OpenAIEmbeddings(model=MODEL, base_url=BASE_URL, api_key=self.org.key, check_embedding_ctx_length=False)
        two = embeddings.embed_documents(["hello", "world"])
        self.assertEqual([len(vector) for vector in two], [256, 256])
        for a, b in zip(two[0], embeddings.embed_query("hello")):
            self.assertAlmostEqual(a, b, places=3)

    def test_errors_keep_their_kind(self):
        with self.assertRaises(openai.AuthenticationError):
            self.model(api_key="tg_wrong").invoke("ping")
        with self.assertRaises(openai.NotFoundError) as caught:
            self.model(model="nobody").invoke("ping")
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_a_refusal_for_a_second_is_waited_for(self):
        upstream, org = scripted(self, ONE_REFUSAL, policy=NO_SECOND_TRY)
        with self.assertRaises(openai.RateLimitError):
            self.model(org).invoke("ping")
        upstream.script(ONE_REFUSAL)
        self.assertEqual(self.model(org, max_retries=4).invoke("ping").content, HELLO)

    def test_a_stream_that_is_left_frees_the_server(self):
        upstream, org = scripted(self, ("pace", {"chunks": 1000, "interval_ms": 20}, None))
        stream = self.model(org).stream("Tell me a long story.")
        next(chunk for chunk in stream if chunk.content)
        stream.close()
        upstream.until_aborted()
        self.assertEqual([post["outcome"] for post in upstream.posts()], ["aborted"])


if __name__ == "__main__":
    unittest.main()

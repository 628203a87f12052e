"""Pydantic AI: an agent's run, its stream, a tool, structured output, and what it makes of errors."""

import asyncio
import unittest

from harness.organisation import BASE_URL, MODEL, NO_SECOND_TRY, ONE_REFUSAL, Organisation, scripted
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

HELLO = "Hello! How can I help you today?"


class Reply(BaseModel):
    name: str
    value: int
    ok: bool
    tags: list[str]


class PydanticAi(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.org = Organisation()

    @classmethod
    def tearDownClass(cls):
        cls.org.close()

    def agent(self, org=None, name=MODEL, key=None, max_retries=0, **more):
        client = AsyncOpenAI(base_url=BASE_URL, api_key=key or (org or self.org).key, max_retries=max_retries)
        self.addAsyncCleanup(client.close)
        profile = OpenAIModelProfile(supports_json_schema_output=True)
        return Agent(OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client), profile=profile), model_settings={"temperature": 0}, **more)

    async def test_a_run(self):
        result = await self.agent().run("Say hello.")
        self.assertEqual(result.output, HELLO)
        self.assertGreater(result.usage.output_tokens, 0)

    async def test_a_stream(self):
        async with self.agent().run_stream("Say hello.") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        self.assertEqual("".join(pieces), HELLO)
        self.assertGreater(len(pieces), 3)

    async def test_a_tool_is_called(self):
        asked = []
        agent = self.agent()

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """Weather of a city."""
            asked.append(city)
            return f"sunny in {city}"

        await agent.run("What is the weather in Paris?")
        self.assertEqual(asked, ["Paris"])

    async def test_structured_output(self):
        result = await self.agent(output_type=NativeOutput(Reply)).run("Reply with JSON.")
        self.assertEqual(result.output, Reply(name="tiny", value=42, ok=True, tags=["a", "b"]))

    async def test_errors_keep_their_status(self):
        for status, fields in ((401, {"key": "tg_wrong"}), (404, {"name": "nobody"})):
            with self.subTest(status), self.assertRaises(ModelHTTPError) as caught:
                await self.agent(**fields).run("ping")
            self.assertEqual(caught.exception.status_code, status)

    async def test_a_refusal_for_a_second_is_waited_for(self):
        upstream, org = scripted(self, ONE_REFUSAL, policy=NO_SECOND_TRY)
        with self.assertRaises(ModelHTTPError) as caught:
            await self.agent(org).run("ping")
        self.assertEqual(caught.exception.status_code, 429)
        upstream.script(ONE_REFUSAL)
        self.assertEqual((await self.agent(org, max_retries=4).run("ping")).output, HELLO)

    async def test_a_run_that_is_cancelled_frees_the_server(self):
        upstream, org = scripted(self, ("pace", {"chunks": 1000, "interval_ms": 20}, None))
        async with self.agent(org).run_stream("Tell me a long story.") as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                break
            await result.cancel()
        await asyncio.to_thread(upstream.until_aborted)
        self.assertEqual([post["outcome"] for post in upstream.posts()], ["aborted"])


if __name__ == "__main__":
    unittest.main()

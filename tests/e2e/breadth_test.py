"""The official clients for Python on the routes beside chat: OpenAI's for responses, Anthropic's own."""

import json
import os
import unittest
import urllib.request
import uuid

import anthropic
import openai

E2E = json.loads(os.environ["TIDEGATE_E2E"])
MODEL = E2E["model"]["model"]
HELLO = "Hello! How can I help you today?"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def admin(org, method, path, body=None):
    headers = {"x-api-key": E2E["admin_key"], "x-tidegate-org": org, "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{E2E['url']}/admin/{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        text = reply.read()
        return json.loads(text) if text else None


class Breadth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.org = f"py-{uuid.uuid4().hex[:16]}"
        entry = {"model_name": MODEL, "endpoint_url": E2E["model"]["url"], "max_concurrency": 4}
        cls.server = admin(cls.org, "POST", "register", entry)["registration_id"]
        key = admin(cls.org, "POST", "keys", {"name": "python"})["key"]
        cls.openai = openai.OpenAI(base_url=f"{E2E['url']}/v1", api_key=key, max_retries=0)
        cls.anthropic = anthropic.Anthropic(base_url=E2E["url"], api_key=key, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.openai.close()
        cls.anthropic.close()
        admin(cls.org, "DELETE", f"register/{cls.server}")


class Responses(Breadth):
    def test_a_response(self):
        response = self.openai.responses.create(model=MODEL, input="Say hello.", temperature=0)
        self.assertEqual(response.output_text, HELLO)
        self.assertTrue(response.id.endswith(f"~{self.server}"), response.id)
        self.assertEqual((response.temperature, response.tool_choice, response.tools), (0, "auto", []))

    def test_a_streamed_response(self):
        text, last = "", None
        for event in self.openai.responses.create(model=MODEL, input="Say hello.", temperature=0, stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            last = event
        self.assertEqual(text, HELLO)
        self.assertEqual(last.type, "response.completed")
        self.assertEqual(last.response.output_text, HELLO)
        self.assertGreater(last.response.usage.output_tokens, 0)

    def test_a_response_put_together_by_the_client(self):
        with self.openai.responses.stream(model=MODEL, input="Say hello.", temperature=0) as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_response().output_text, HELLO)

    def test_a_response_that_calls_a_tool(self):
        tools = [{"type": "function", "name": "get_weather", "description": "Weather.", "parameters": CITY, "strict": False}]
        response = self.openai.responses.create(model=MODEL, input="What is the weather in Paris?", temperature=0, tools=tools)
        self.assertEqual([(item.type, item.name) for item in response.output], [("function_call", "get_weather")])

    def test_a_response_that_was_not_made_here(self):
        made_up = "resp_1~srv_0000000000000000000000"
        with self.assertRaises(openai.BadRequestError) as caught:
            self.openai.responses.create(model=MODEL, input="ping", previous_response_id=made_up)
        self.assertEqual(caught.exception.code, "previous_response_not_found")
        with self.assertRaises(openai.NotFoundError):
            self.openai.responses.retrieve(made_up)

    def test_a_route_that_the_server_lacks(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.openai.moderations.create(model=MODEL, input="x")
        self.assertEqual(caught.exception.code, "endpoint_not_supported")


class Messages(Breadth):
    asked = {"model": MODEL, "max_tokens": 64, "extra_body": {"temperature": 0}, "messages": [{"role": "user", "content": "Say hello."}]}

    def test_a_message(self):
        message = self.anthropic.messages.create(**self.asked)
        self.assertEqual(message.content[0].text, HELLO)
        self.assertEqual(message.stop_reason, "end_turn")

    def test_a_streamed_message(self):
        with self.anthropic.messages.stream(**self.asked) as stream:
            self.assertEqual("".join(stream.text_stream), HELLO)
            self.assertEqual(stream.get_final_message().stop_reason, "end_turn")

    def test_a_message_that_uses_a_tool(self):
        asked = {**self.asked, "messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
        message = self.anthropic.messages.create(**asked, tools=[{"name": "get_weather", "description": "Weather.", "input_schema": CITY}])
        used = [part for part in message.content if part.type == "tool_use"]
        self.assertEqual([(part.name, part.input) for part in used], [("get_weather", {"city": "Paris"})])

    def test_counting(self):
        counted = self.anthropic.messages.count_tokens(model=MODEL, messages=self.asked["messages"])
        self.assertGreater(counted.input_tokens, 0)

    def test_errors_are_the_clients_own(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            self.anthropic.messages.create(**{**self.asked, "model": "nope"})
        self.assertEqual(caught.exception.body["error"]["type"], "not_found_error")
        self.assertTrue(caught.exception.request_id.startswith("req_"), caught.exception.request_id)
        stranger = anthropic.Anthropic(base_url=E2E["url"], api_key="tg_nope", max_retries=0)
        with self.assertRaises(anthropic.AuthenticationError):
            stranger.messages.create(**self.asked)
        stranger.close()


if __name__ == "__main__":
    unittest.main()

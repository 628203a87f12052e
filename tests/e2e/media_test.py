"""OpenAI's own client for Python: files in, subtitles and sound out."""

import hashlib
import os
import unittest

import httpx2
import openai
from harness.organisation import BASE_URL, MODEL, NO_SECOND_TRY, Upstream, scripted

SAID = "Hello! How can I help you today?"
SPEAK = "/v1/audio/speech"


class Media(unittest.TestCase):
    def connected(self, policy=None):
        upstream, org = scripted(self, policy=policy)
        client = openai.OpenAI(base_url=BASE_URL, api_key=org.key, max_retries=0)
        self.addCleanup(client.close)
        return upstream, client

    def test_transcriptions_of_small_and_large_files(self):
        upstream, client = self.connected()
        for size in (1000, 20 << 20):
            with self.subTest(size):
                sound = os.urandom(size)
                reply = client.audio.transcriptions.create(model=MODEL, file=("a.wav", sound))
                self.assertEqual(reply.text, SAID)
                self.assertGreater(reply.body_bytes, size)
                entry = upstream.posts()[-1]
                self.assertEqual(entry["body_sha256"], reply.body_sha256)
                kept = entry["body"] or entry["body_base64"]
                self.assertEqual(kept is None, size > 16 << 20, "long bodies are known by their hash")

    def test_the_file_is_whole_at_the_server(self):
        _, client = self.connected()
        sound = os.urandom(100_000)
        sent = {}

        def note(request):
            sent["body"] = request.read()

        watching = client.with_options(http_client=httpx2.Client(event_hooks={"request": [note]}))
        self.addCleanup(watching.close)
        reply = watching.audio.transcriptions.create(model=MODEL, file=("a.wav", sound))
        expected = sent["body"].replace(f'name="model"\r\n\r\n{MODEL}\r\n'.encode(), f'name="model"\r\n\r\n{Upstream.MODEL}\r\n'.encode())
        self.assertIn(sound, expected)
        self.assertEqual(reply.body_sha256, hashlib.sha256(expected).hexdigest(), "nothing but the model's name differs")

    def test_transcripts_as_text(self):
        _, client = self.connected()
        for response_format, begins in (("text", SAID), ("srt", "1\n00:00"), ("vtt", "WEBVTT")):
            with self.subTest(response_format):
                reply = client.audio.transcriptions.create(model=MODEL, file=("a.wav", b"RIFF"), response_format=response_format)
                self.assertTrue(reply.startswith(begins), reply)

    def test_a_transcript_streamed(self):
        _, client = self.connected()
        events = list(client.audio.transcriptions.create(model=MODEL, file=("a.wav", b"RIFF"), stream=True))
        self.assertEqual("".join(event.delta for event in events if event.type == "transcript.text.delta"), SAID)
        self.assertEqual(events[-1].type, "transcript.text.done")

    def test_a_translation(self):
        _, client = self.connected()
        self.assertEqual(client.audio.translations.create(model=MODEL, file=("a.wav", b"RIFF")).text, SAID)

    def test_an_image_edited(self):
        _, client = self.connected()
        reply = client.images.edit(model=MODEL, image=[("a.png", b"\x89PNG"), ("b.png", b"\x89PNG")], prompt="A tide gate.")
        self.assertEqual(reply.data[0].b64_json, "iVBORw0=")

    def test_speech_streamed(self):
        _, client = self.connected()
        with client.audio.speech.with_streaming_response.create(model=MODEL, voice="alloy", input="Hello.") as reply:
            self.assertEqual(reply.headers["content-type"], "audio/mpeg")
            sound = b"".join(reply.iter_bytes())
        self.assertEqual(sound, b"".join(bytes([number]) * 1000 for number in range(4)))

    def test_sound_that_breaks_off_is_an_error(self):
        upstream, client = self.connected(policy=NO_SECOND_TRY)
        cut = {"path": SPEAK, "behaviour": {"do": "cut_body", "after_bytes": 2500, "how": "fin"}}
        upstream.script_rules(cut)
        with self.assertRaises(httpx2.RemoteProtocolError):
            with client.audio.speech.with_streaming_response.create(model=MODEL, voice="alloy", input="Hello.") as reply:
                for _ in reply.iter_bytes():
                    pass

    def test_errors_are_the_clients_own_types(self):
        upstream, client = self.connected(policy=NO_SECOND_TRY)
        with self.assertRaises(openai.NotFoundError):
            client.audio.transcriptions.create(model="nobody", file=("a.wav", b"RIFF"))
        with self.assertRaises(openai.BadRequestError) as raised:
            client.post("/audio/transcriptions", cast_to=object, body={"model": MODEL})
        self.assertEqual(raised.exception.code, "invalid_multipart")
        upstream.script_rules({"path": SPEAK, "behaviour": {"do": "html_page"}})
        with self.assertRaises(openai.InternalServerError) as raised:
            client.audio.speech.create(model=MODEL, voice="alloy", input="Hello.")
        self.assertEqual(raised.exception.code, "upstream_invalid_answer")


if __name__ == "__main__":
    unittest.main()

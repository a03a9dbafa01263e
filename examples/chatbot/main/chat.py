"""A page to talk with a bot on. What was said is in Redis, so that it outlives every pod."""

from __future__ import annotations

import json
import os

import redis
import streamlit
from bot import NAME, answer

SAID = "said"
"""The list in Redis, an entry for each sentence: who said it, and what."""

MOST = 200
"""How many sentences are kept."""


@streamlit.cache_resource
def history() -> redis.Redis:
    """The connections to Redis, which all sessions share."""
    host, password = os.environ["HISTORY_HOST"], os.environ["HISTORY_PASSWORD"]
    return redis.Redis(host=host, password=password, decode_responses=True)


def say(who: str, text: str) -> None:
    history().rpush(SAID, json.dumps([who, text]))
    history().ltrim(SAID, -MOST, -1)


streamlit.title(NAME)
if text := streamlit.chat_input("Say something", key="say", max_chars=500):
    say("user", text)
    say("assistant", answer(text))
for entry in history().lrange(SAID, 0, -1):
    who, said = json.loads(entry)
    streamlit.chat_message(who).text(said)

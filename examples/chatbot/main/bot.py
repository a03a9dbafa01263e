"""What the bot says: it asks back, as a good listener does."""

from __future__ import annotations

NAME = "Listener"

TURNED = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "am": "are",
    "you": "I",
    "your": "my",
    "yours": "mine",
    "are": "am",
}
"""Words that are others when somebody else says them."""


def answer(text: str) -> str:
    """The question that a sentence raises."""
    words = [TURNED.get(word.lower(), word) for word in text.rstrip(".!? ").split()]
    return f"Why do you say that {' '.join(words)}?"

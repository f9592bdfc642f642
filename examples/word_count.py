"""An algorithm of one's own: serve it with `ALGORITHMS=word_count`, from the directory that holds this file."""

from collections import Counter
from typing import Annotated

from pydantic import Field

from slotwise import algorithm


@algorithm(timeout=30, example={"text": "to be or not to be"})
def WordCount(text: str, most_common: Annotated[int, Field(ge=1, le=100)] = 3) -> dict[str, int]:
    """The most common words of a text, and how often each occurs."""
    return dict(Counter(text.lower().split()).most_common(most_common))

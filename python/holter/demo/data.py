"""The demo's text: English or source code from the standard library, so that nothing is downloaded.

`prose` is Python's language reference (`pydoc_data.topics`, which `help("if")` shows); `code` is the source of the
standard library's top-level modules. Both have the same number of bytes, so that two runs differ only in the data.
"""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS_BYTES = 360_000
"""Bytes per corpus: about the size of the prose without repeated paragraphs."""

HELD_OUT_EVERY = 10
"""One document in this many is held out."""


class CorpusMissingError(RuntimeError):
    """This Python installation lacks the requested text."""


@dataclass(frozen=True)
class Corpus:
    """Bytes to train on and bytes held out, as 1-D int64 tensors of values 0 to 255."""

    name: str
    train: Tensor
    held_out: Tensor

    def unigram_perplexity(self) -> float:
        """Return the perplexity per held-out byte of a model that uses only the byte frequencies.

        The frequencies are those of the training bytes, with add-one smoothing.
        """
        counts = torch.bincount(self.train, minlength=256).double() + 1.0
        negative_log = -(counts / counts.sum()).log()
        return float(negative_log[self.held_out].mean().exp())


def load_corpus(name: str) -> Corpus:
    """Read the corpus `prose` or `code`, which depends only on the Python version.

    Raises:
        ValueError: If `name` is neither of the two.
        CorpusMissingError: If the standard library is installed without its sources.
    """
    if name == "prose":
        documents = _prose()
    elif name == "code":
        documents = _code()
    else:
        raise ValueError(f"data must be 'prose' or 'code', got {name!r}")
    train, held_out = _split(_shuffled(documents))
    if len(train) < CORPUS_BYTES // 4:
        raise CorpusMissingError(f"this Python has too little text for --data {name}: found {len(train):,} bytes")
    return Corpus(name, _as_tensor(train), _as_tensor(held_out))


def _prose() -> dict[str, str]:
    """Return the sections of the language reference, with each repeated paragraph only once.

    Topics quote each other; without this, the training text would contain parts of the held-out topics.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise CorpusMissingError("this Python has no pydoc_data.topics; try --data code") from error
    seen: set[str] = set()
    documents: dict[str, str] = {}
    for topic, text in sorted(topics.items()):
        kept = []
        for paragraph in text.split("\n\n"):
            if paragraph.strip() not in seen:
                seen.add(paragraph.strip())
                kept.append(paragraph)
        documents[topic] = "\n\n".join(kept) + "\n\n"
    return documents


def _code() -> dict[str, str]:
    """Return the source text of the standard library's top-level modules."""
    folder = Path(sysconfig.get_path("stdlib"))
    documents = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.py"))}
    if not documents:
        raise CorpusMissingError(f"no source files in {folder}; try --data prose")
    return documents


def _shuffled(documents: dict[str, str]) -> list[bytes]:
    """Return the documents in an order that depends only on their names, not on a random state."""
    order = sorted(documents, key=lambda name: hashlib.sha256(name.encode()).digest())
    return [documents[name].encode() for name in order]


def _split(documents: list[bytes]) -> tuple[bytes, bytes]:
    """Split the documents into training and held-out text, truncated to the corpus size."""
    sides = [bytearray(), bytearray()]
    limits = [CORPUS_BYTES * (HELD_OUT_EVERY - 1) // HELD_OUT_EVERY, CORPUS_BYTES // HELD_OUT_EVERY]
    for index, document in enumerate(documents):
        side = 1 if index % HELD_OUT_EVERY == 0 else 0
        sides[side] += document[: max(0, limits[side] - len(sides[side]))]
    return bytes(sides[0]), bytes(sides[1])


def _as_tensor(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


def streams(text: Tensor, batch: int, context: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Read `text` endlessly with `batch` contiguous readers, so that carried memories belong to the same text.

    Yields:
        Inputs and targets, both int64 `[batch, context]`; targets are the inputs shifted by one byte. Each reader
        starts at a different position and wraps around at the end.
    """
    length = len(text) - 1
    starts = torch.arange(batch) * (length // batch)
    window = torch.arange(context)
    position = 0
    while True:
        indices = (starts[:, None] + position + window) % length
        yield text[indices], text[indices + 1]
        position += context

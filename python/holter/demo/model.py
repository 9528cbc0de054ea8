"""The demo's model: a byte-level language model with attention, a matrix memory and a mixer in each block.

It is small enough for two CPU cores, and has the components whose vital signs Holter records. Its parameters have the
names that are usual in such models: `embedding`, `blocks.{i}.M_init`, `blocks.{i}.attention.*`, `blocks.{i}.memory.*`,
`blocks.{i}.mixer.alpha_logit`. It does not depend on Holter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the model. `chunk` is the number of tokens that the memory reads before it writes them together."""

    vocabulary: int = 256
    width: int = 64
    heads: int = 4
    layers: int = 4
    memory_width: int = 32
    chunk: int = 32
    context: int = 128


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions within a window of `context` tokens."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        head_width = config.width // config.heads
        frequencies = 1.0 / 10_000.0 ** (torch.arange(0, head_width, 2) / head_width)
        angles = torch.outer(torch.arange(config.context), frequencies)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[batch, tokens, width]` to the same shape."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        query, key = self._rotate(query), self._rotate(key)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return result

    def _rotate(self, x: Tensor) -> Tensor:
        """Apply rotary position embedding (Su et al., 2021) to `[batch, heads, tokens, head width]`."""
        tokens = x.shape[2]
        cosine, sine = self.cosine[:tokens], self.sine[:tokens]
        left, right = x.chunk(2, dim=-1)
        return torch.cat((left * cosine - right * sine, left * sine + right * cosine), dim=-1)


class MatrixMemory(nn.Module):
    """An associative memory: one matrix M per sequence, read as M q and updated along the sequence.

    For each chunk of tokens, it first reads with the current matrix, then takes one gradient step on the chunk's error
    ½ Σ γ_i ‖M k_i - v_i‖² (a delta rule over a window, as in Omega-rule memories) with decay:

        M ← keep · M + Σ γ_i (v_i - M k_i) k_iᵀ / ‖K Kᵀ‖_F

    ‖K Kᵀ‖_F bounds the largest curvature of the error, so a step never overshoots, however similar the keys are.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.chunk = config.chunk
        self.qkv = nn.Linear(config.width, 3 * config.memory_width, bias=False)
        self.rate = nn.Linear(config.width, 1)
        self.keep_logit = nn.Parameter(torch.tensor(3.0))
        self.norm = nn.LayerNorm(config.memory_width)
        self.out = nn.Linear(config.memory_width, config.width, bias=False)

    def forward(self, x: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Read and write.

        Args:
            x: `[batch, tokens, width]`.
            matrix: The memory before the first token, `[batch, memory width, memory width]`.

        Returns:
            The read values, `[batch, tokens, width]`, and the memory after the last token.
        """
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        rate = self.rate(x).sigmoid()
        keep = self.keep_logit.sigmoid()
        # The curvature does not depend on the memory, so one product computes it for all chunks.
        parts = key.view(len(key), -1, self.chunk, key.shape[-1])
        curvature = torch.linalg.matrix_norm(parts @ parts.mT).clamp_min(1.0)
        reads = []
        for index, start in enumerate(range(0, x.shape[1], self.chunk)):
            span = slice(start, start + self.chunk)
            keys = key[:, span]
            recalled = torch.cat((query[:, span], keys), dim=1) @ matrix.mT
            reads.append(recalled[:, : self.chunk])
            surprise = (value[:, span] - recalled[:, self.chunk :]) * rate[:, span]
            matrix = keep * matrix + surprise.mT @ keys / curvature[:, index, None, None]
        read: Tensor = self.out(self.norm(torch.cat(reads, dim=1)))
        return read, matrix


class Mixer(nn.Module):
    """M3 mixing: interpolates between the memory carried from the previous window and the initial one."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha_logit = nn.Parameter(torch.tensor(0.0))

    def get_alpha(self) -> Tensor:
        """Return the weight of the carried memory, a 0-d tensor in (0, 1)."""
        return self.alpha_logit.sigmoid()

    def forward(self, carried: Tensor, initial: Tensor) -> Tensor:
        """Return alpha · carried + (1 - alpha) · initial."""
        return torch.lerp(initial, carried, self.get_alpha())


class Block(nn.Module):
    """Attention, memory and a feed-forward layer, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.M_init = nn.Parameter(torch.randn(config.memory_width, config.memory_width) / config.memory_width)
        self.mixer = Mixer()
        self.memory_norm = nn.LayerNorm(config.width)
        self.memory = MatrixMemory(config)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 3 * config.width),
            nn.GELU(),
            nn.Linear(3 * config.width, config.width),
        )

    def forward(self, x: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new residual stream and the memory to carry to the next window."""
        x = x + self.attention(self.attention_norm(x))
        read, matrix = self.memory(self.memory_norm(x), self.mixer(carried, self.M_init.expand_as(carried)))
        x = x + read
        return x + self.feed_forward(x), matrix


class AtlasLanguageModel(nn.Module):
    """Predicts the next byte. The embedding is also the output layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.vocabulary, config.width) / math.sqrt(config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width)

    def initial_memories(self, batch: int) -> list[Tensor]:
        """Return the memories to pass as `carried` at the start of a text: the `M_init` of each block."""
        blocks: list[Block] = list(self.blocks)  # type: ignore[arg-type]
        return [block.M_init.detach().expand(batch, -1, -1) for block in blocks]

    def forward(self, tokens: Tensor, carried: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Process one window of text.

        Args:
            tokens: int64 `[batch, tokens]`.
            carried: Each block's memory from the previous window, detached.

        Returns:
            Logits `[batch, tokens, vocabulary]`, and the memories for the next window, detached.
        """
        x = F.embedding(tokens, self.embedding)
        memories = []
        for block, memory in zip(self.blocks, carried, strict=True):
            x, written = block(x, memory)
            memories.append(written.detach())
        return F.linear(self.final_norm(x), self.embedding), memories

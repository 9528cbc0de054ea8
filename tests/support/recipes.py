"""The code blocks of a page of docs/, the runs for recipes.md and scale.md, and the band that the recipes compute."""

import math
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import holter
import holter.analysis

DOCS = Path(__file__).parents[2] / "docs"
RUNS = 24
COLUMNS = ["step", "mean", "std", "min", "max", "count"]


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: The page's file.
        section: The heading above it.
        index: Its position in that section.
        language: "python" or "sh".
        code: Its text, padded to the line numbers of the page, so that errors show the right line.
    """

    page: Path
    section: str
    index: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.section} {self.index}"


def blocks(name: str) -> list[Block]:
    page = DOCS / name
    text = page.read_text()
    found: list[Block] = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start(2)]
        section = ["", *re.findall(r"^## (.*)$", before, re.MULTILINE)][-1]
        index = sum(block.section == section for block in found)
        found.append(Block(page, section, index, match[1], "\n" * before.count("\n") + match[2]))
    return found


def record(root: Path) -> None:
    """Record runs of different lengths and step distances, with NaN and infinities; one of them has ranks."""
    for seed in range(RUNS):
        draw = random.Random(seed)
        config = {"lr": (1e-3, 3e-4)[seed % 2], "seed": seed}
        path = root / f"seed-{seed:02}"
        with holter.Logger(path, config=config, journal_points=1 << 12) as logger:
            for step in range(0, 300 + 10 * seed, 1 + seed % 3):
                value = math.exp(-step / 100) + draw.gauss(0.1, 0.02)
                if draw.random() < 0.02:
                    value = draw.choice([math.nan, math.inf, -math.inf])
                logger.log_many(step, {"train/loss": value, "lr": config["lr"]})
        if seed == 5:
            with holter.Logger(path, rank=1, journal_points=1 << 12) as logger:
                for step in range(300):
                    logger.log(step, "train/loss", 1e6)


def expected_band(root: Path) -> list[dict[str, Any]]:
    """Compute the band with `holter.analysis`, without the steps that have no finite value."""
    series = [run.series("train/loss") for run in holter.list_runs(root)]
    members = [(each.steps, each.values) for each in series]
    std, extremes = (holter.analysis.across(members, kind) for kind in ("std", "minmax"))
    columns = (std.steps, std.centers, std.uppers - std.centers, extremes.lowers, extremes.uppers, std.counts)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows if row[-1] > 0]


def rows_of(band: Any) -> list[dict[str, Any]]:
    """Convert an engine's table to rows with the columns of `COLUMNS`, ignoring its column names."""
    if hasattr(band, "to_pylist"):
        rows = band.to_pylist()
    elif hasattr(band, "to_dicts"):
        rows = band.to_dicts()
    elif hasattr(band, "to_dict"):
        rows = band.to_dict("records")
    else:
        rows = band
    return [dict(zip(COLUMNS, row.values() if isinstance(row, dict) else row, strict=True)) for row in rows]

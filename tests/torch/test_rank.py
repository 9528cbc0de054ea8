"""Rank metrics against float64 singular values for several shapes, computed off the training thread."""

import math
import threading

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from holter.torch import Rank, watch  # noqa: E402
from holter.torch import _rank as rank_module  # noqa: E402


def reference(matrix) -> dict[str, float]:
    singular = torch.linalg.svdvals(matrix.double())
    share = singular / singular.sum()
    share = share[share > 0]
    return {
        "effective_rank": float((-(share * share.log()).sum()).exp()),
        "stable_rank": float(singular.square().sum() / singular.max() ** 2),
        "participation_ratio": float(singular.square().sum() ** 2 / singular.pow(4).sum()),
        "top1_share": float(singular.max() / singular.sum()),
    }


def ranks(recorder, tensor):
    model = nn.Module()
    model.matrix = nn.Parameter(tensor)
    with watch(model, recorder, attention=None, rank=Rank("matrix")) as handle:
        handle.commit()
    return {metric: recorder[f"{metric}/matrix"][0] for metric in reference(torch.eye(2))}


MATRICES = {
    "square": lambda: torch.randn(24, 24),
    "tall": lambda: torch.randn(100, 8),
    "wide": lambda: torch.randn(8, 100),
    "decaying": lambda: torch.diag(1.0 / torch.arange(1, 41)) @ torch.linalg.qr(torch.randn(40, 40))[0],
    "low rank": lambda: torch.randn(300, 3) @ torch.randn(3, 300),
    "bfloat16": lambda: torch.randn(16, 16).to(torch.bfloat16),
    "one row": lambda: torch.randn(1, 5),
}


@pytest.mark.parametrize("name", MATRICES)
def test_ranks_match_singular_values(recorder, name, monkeypatch):
    monkeypatch.setattr(rank_module, "_CHUNK_ROWS", 64)
    tensor = MATRICES[name]()
    assert ranks(recorder, tensor) == pytest.approx(reference(tensor), rel=1e-4)


def test_stacks_are_averaged_and_higher_dimensions_flattened(recorder):
    stack = torch.randn(5, 6, 7)
    each = [reference(matrix) for matrix in stack]
    expected = {metric: sum(numbers[metric] for numbers in each) / 5 for metric in each[0]}
    assert ranks(recorder, stack) == pytest.approx(expected, rel=1e-4)
    kernel = torch.randn(8, 3, 2, 2)
    assert ranks(type(recorder)(), kernel) == pytest.approx(reference(kernel.flatten(1)), rel=1e-4)


def test_rank_of_zeros_is_zero_and_of_nan_is_nan(recorder):
    assert set(ranks(recorder, torch.zeros(4, 4)).values()) == {0.0}
    broken = torch.eye(4).index_fill(0, torch.tensor([1]), float("nan"))
    assert all(math.isnan(value) for value in ranks(type(recorder)(), broken).values())


def test_every_and_metrics_arguments(recorder):
    model = nn.Module()
    model.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
    rank = [Rank("*.weight", every=3, metrics=("effective_rank",))]
    with watch(model, recorder, attention=None, rank=rank) as handle:
        for step in range(7):
            handle.commit(step)
    assert recorder.names() == ["effective_rank/layer_0", "effective_rank/layer_1"]
    assert set(recorder["effective_rank/layer_0"]) == {0, 3, 6}


def test_rank_belongs_to_the_step_of_its_matrix(recorder):
    model = nn.Module()
    model.matrix = nn.Parameter(torch.eye(6))
    with watch(model, recorder, attention=None, rank=Rank("matrix", every=1)) as handle:
        handle.commit()
        with torch.no_grad():
            model.matrix[2:] = 0.0
        handle.commit()
    assert recorder["effective_rank/matrix"] == {0: pytest.approx(6.0), 1: pytest.approx(2.0)}


def test_eigenvalues_are_computed_off_the_training_thread(recorder, monkeypatch):
    threads = []
    eigvalsh = rank_module.np.linalg.eigvalsh

    def record_thread(matrix):
        threads.append(threading.current_thread().name)
        return eigvalsh(matrix)

    monkeypatch.setattr(rank_module.np.linalg, "eigvalsh", record_thread)
    ranks(recorder, torch.randn(3, 3))
    assert threads == ["holter-rank"]
    assert "holter-rank" not in [thread.name for thread in threading.enumerate()]


def test_invalid_settings_raise(recorder):
    with pytest.raises(ValueError, match="metrics must be among"):
        Rank("*", metrics=("rank",))
    with pytest.raises(ValueError, match="no matrix"):
        watch(nn.Linear(2, 2), recorder, rank=Rank("bias"))

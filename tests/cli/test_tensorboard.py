"""`holter tensorboard`, as far as it goes without TensorBoard: what it refuses, and what it needs."""

import sys

import pytest

RESERVED = ["--logdir=x", "--host=0.0.0.0", "--bind_all", "--bind", "--port=1", "--grpc_data_provider=x", "--log"]


@pytest.mark.parametrize("argument", RESERVED)
def test_what_is_ours_to_set_is_refused(argument, runs, invoke):
    result = invoke("tensorboard", "runs", "--", argument)
    assert result.status == 2
    assert "remove it from TensorBoard's arguments" in result.stderr
    assert invoke("tensorboard", "--", argument).status == 2


def test_a_file_is_no_folder(runs, invoke):
    result = invoke("tensorboard", "runs/prose/run.json")
    assert result.status == 1
    assert "runs/prose/run.json is a file, and runs lie in a folder\nname the folder that it is in" in result.stderr
    assert invoke("tensorboard", "--port", "99999").status == 2


@pytest.mark.parametrize(("module", "package"), [("grpc", "grpcio"), ("tensorboard", "tensorboard")])
def test_what_is_missing_is_named_with_the_extra(runs, invoke, monkeypatch, module, package):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("grpc", "tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "holter.tensorboard._provider", raising=False)
    if module == "tensorboard":
        pytest.importorskip("grpc", reason="grpcio is not installed")
    monkeypatch.setitem(sys.modules, module, None)
    result = invoke("tensorboard", "runs")
    assert result.status == 1
    assert f"serving TensorBoard needs {package}; install it with: pip install 'holter[tensorboard]'" in result.stderr

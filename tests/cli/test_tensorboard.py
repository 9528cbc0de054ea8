"""`holter tensorboard` without TensorBoard: invalid arguments and missing packages."""

import sys

import pytest

RESERVED = ["--logdir=x", "--host=0.0.0.0", "--bind_all", "--bind", "--port=1", "--grpc_data_provider=x", "--log"]


@pytest.mark.parametrize("argument", RESERVED)
def test_arguments_set_by_holter_are_rejected(argument, runs, invoke):
    result = invoke("tensorboard", "runs", "--", argument)
    assert result.status == 2
    assert "remove it from TensorBoard's arguments" in result.stderr
    assert invoke("tensorboard", "--", argument).status == 2


def test_a_file_is_rejected(runs, invoke):
    result = invoke("tensorboard", "runs/prose/run.json")
    assert result.status == 1
    assert "runs/prose/run.json is a file; expected a folder of runs\npass the folder that contains it" in result.stderr
    assert invoke("tensorboard", "--port", "99999").status == 2


@pytest.mark.parametrize(("module", "package"), [("grpc", "grpcio"), ("tensorboard", "tensorboard")])
def test_a_missing_package_is_reported_with_its_extra(runs, invoke, monkeypatch, module, package):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("grpc", "tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "holter.tensorboard._provider", raising=False)
    if module == "tensorboard":
        pytest.importorskip("grpc", reason="grpcio is not installed")
    monkeypatch.setitem(sys.modules, module, None)
    result = invoke("tensorboard", "runs")
    assert result.status == 1
    assert f"serving TensorBoard needs {package}; install it with: pip install 'holter[tensorboard]'" in result.stderr

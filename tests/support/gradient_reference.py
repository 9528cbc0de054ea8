"""Gradient norms by definition, in float64."""

import pytest


def gradient_norms(model, scale=1.0) -> dict[str, float]:
    """Compute `parameter.grad.norm() / scale` of every parameter with a gradient."""
    return {
        name: float(parameter.grad.to_dense().double().norm()) / scale
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def expect_norms(recorder, step, norms, tolerance=1e-6):
    """Assert that a step's recorded norms and total equal these norms, to a relative tolerance."""
    for name, norm in norms.items():
        assert recorder[f"grad_norm/{name}"][step] == pytest.approx(norm, rel=tolerance, abs=1e-9), name
    total = sum(norm**2 for norm in norms.values()) ** 0.5
    assert recorder["grad_norm_total"][step] == pytest.approx(total, rel=tolerance)

"""The plan cache: reuses the plans of repeated steps and stays bounded."""

import weakref

import pytest

pytest.importorskip("torch")

from holter.torch._columns import MAX_CACHED_PLANS, cached_plans


class Plan:
    pass


def test_repeated_key_reuses_its_plan():
    plan_of = cached_plans(lambda key: Plan())
    assert plan_of(("a", "b")) is plan_of(("a", "b"))
    assert plan_of(("a", "b")) is not plan_of(("a",))


def test_number_of_cached_plans_is_bounded():
    plans = []

    def make(key):
        plan = Plan()
        plans.append(weakref.ref(plan))
        return plan

    plan_of = cached_plans(make)
    for key in range(3 * MAX_CACHED_PLANS):
        plan_of((key,))
    assert sum(plan() is not None for plan in plans) == MAX_CACHED_PLANS

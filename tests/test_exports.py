"""The public namespace is complete and documented."""

import inspect
import types

import pytest

import holter
import holter.exceptions


def _public(module):
    """Return the public names of a module, without submodules."""
    things = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {name: thing for name, thing in things.items() if not isinstance(thing, types.ModuleType)}


def test_all_is_sorted_and_complete():
    expected = {*_public(holter), *(name for name in holter.__all__ if name in {"__version__", "exceptions"})}
    assert holter.__all__ == sorted(expected)


def test_the_main_names_are_exported():
    assert {"Logger", "Overflow", "Run", "Series", "list_runs", "open_run"} <= set(holter.__all__)
    errors = {"FlushTimeoutError", "FormatVersionError", "HolterError", "RunClosedError", "StoreError"}
    assert errors <= set(holter.__all__)


def test_every_error_derives_from_holter_error():
    classes = [thing for thing in _public(holter.exceptions).values() if inspect.isclass(thing)]
    errors = [thing for thing in classes if not issubclass(thing, Warning)]
    assert errors
    assert all(issubclass(error, holter.HolterError) for error in errors)
    assert issubclass(holter.FlushTimeoutError, TimeoutError)


def _things():
    for name, thing in _public(holter).items():
        yield pytest.param(thing, id=name)
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                described = callable(value) or isinstance(value, (property, classmethod, staticmethod))
                # Slots are documented as attributes of their class.
                described |= inspect.isdatadescriptor(value) and not isinstance(value, types.MemberDescriptorType)
                if not member.startswith("_") and described:
                    yield pytest.param(value, id=f"{name}.{member}")


@pytest.mark.parametrize("thing", list(_things()))
def test_public_names_are_documented(thing):
    assert (inspect.getdoc(thing) or "").strip()

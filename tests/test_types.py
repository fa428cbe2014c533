"""Everything public says its types, and pyright reads them (see pyproject.toml)."""

import importlib
import inspect

import pytest

import tfflows

PARTS = [name for name in tfflows.__all__ if inspect.ismodule(getattr(tfflows, name))]
# Keras passes what it likes to these, and documents it.
OF_KERAS = {"build", "call", "compute_loss", "compute_output_spec", "from_config", "get_config"}


def public_functions(part):
    """(name, function) of what a part exports, and of the public methods that its classes add."""
    module = importlib.import_module(f"tfflows.{part}")
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for method, function in vars(value).items():
                function = getattr(function, "__func__", getattr(function, "fget", function))
                inherited = any(method in vars(base) for base in value.__mro__[1:])
                is_own = method == "__init__" or not (inherited or method.startswith("_"))
                if is_own and inspect.isfunction(function) and method not in OF_KERAS:
                    yield f"{name}.{method}", function


@pytest.mark.parametrize("part", ["", *PARTS])
def test_what_is_public_has_types(part):
    own = [("load_model", tfflows.load_model)]
    missing = []
    for name, function in public_functions(part) if part else own:
        signature = inspect.signature(function)
        for argument in list(signature.parameters.values()):
            is_variadic = argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
            if argument.name in ("self", "cls", "dtype", "_cls") or is_variadic:
                continue
            if argument.annotation is argument.empty:
                missing.append(f"{name}: {argument.name}")
        is_init = name.endswith("__init__")
        if not is_init and signature.return_annotation is signature.empty:
            missing.append(f"{name}: what it returns")
    assert missing == []

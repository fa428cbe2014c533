"""What earlier versions wrote, in today's words: configs of models, recipes of format 1 and 2.

Each rule is a function that changes the arguments of a model, few of them or all: configs and
recipes share the rules. An argument that is an object now is written as recipes write objects:
"Standardize", {"Logit": {"alpha": 0.05}}.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tfflows.utils.suggest import nearest

CONFIG_VERSION = 3

# Keywords of version 0.1, and what a call says today.
_LAYERS = {
    "levels": "is now a layer: preprocessing=[layers.Dequantize(levels)]",
    "logit": "is now a layer: preprocessing=[layers.Logit(alpha)]",
    "standardize": "is now a layer: preprocessing=[layers.Standardize()]",
    "whiten": "is now a layer: preprocessing=[layers.Whiten()]",
    "radial": "is now a layer: preprocessing=[layers.RadialGaussianize()]",
}
_LEVELS = {"levels": "is now called `quantization_levels`"}
_WEIGHTS = {
    "kinetic": "is now called `kinetic_weight`",
    "jacobian": "is now called `jacobian_weight`",
}
_FEATURES = {"radial_field": "is now called `polar_features`"}
_SOLVERS = {
    "num_steps": 'is now an argument of the solver: solver=ode.FixedStep("rk4", num_steps)',
    "rtol": "is now an argument of the solver: test_solver=ode.DormandPrince(rtol, atol)",
    "atol": "is now an argument of the solver: test_solver=ode.DormandPrince(rtol, atol)",
}


def _of_network(name, *keywords):
    form = "is now an argument of the network: network=networks.{}({}=...)"
    return {keyword: form.format(name, keyword) for keyword in keywords}


_DYNAMICS = ("kind", "activation", "frequencies", "time_frequencies")
_REPLACED = {
    "ContinuousFlow": _WEIGHTS,
    "DynamicsConvNet": _FEATURES,
    "DynamicsMLP": _FEATURES,
    "FFJORD": {
        **_of_network("DynamicsMLP", "hidden_units", *_DYNAMICS),
        "radial_field": _of_network("DynamicsMLP", "polar_features")["polar_features"],
        **_SOLVERS,
        **_WEIGHTS,
        **_LAYERS,
    },
    "MultiScaleFFJORD": {
        **_of_network("DynamicsConvNet", "filters", "kind", "activation"),
        **_SOLVERS,
        **_WEIGHTS,
        **_LEVELS,
    },
    **dict.fromkeys(("Glow", "Jet", "MultiScaleRealNVP"), _LEVELS),
    **dict.fromkeys(("MADEFlow", "MAF", "NICE", "NSF", "RealNVP"), _LAYERS),
}
INVERSIONS = {"by_degrees": "incremental", "in_order": "sequential"}


def replaced_keyword(cls: type, keyword: str) -> str | None:
    """What became of an argument of version 0.1, or None where there was none of this name."""
    if keyword in inspect.signature(cls.__init__).parameters:
        return None
    for base in cls.__mro__:
        if keyword in _REPLACED.get(base.__name__, {}):
            return f"`{keyword}` {_REPLACED[base.__name__][keyword]}"
    return None


def refuse_replaced(cls: type, keywords: Mapping[str, Any]) -> None:
    """Raise TypeError for a keyword of version 0.1, with the form that it has today."""
    for keyword in keywords:
        message = replaced_keyword(cls, keyword)
        if message is not None:
            raise TypeError(f"{cls.__name__}: {message}")


# Rules: each changes the arguments of a model in place.


def _rename(old: str, new: str) -> Callable[[dict], None]:
    def rule(arguments):
        if old in arguments:
            arguments[new] = arguments.pop(old)

    return rule


def _preprocessing(arguments):
    """Switches become a list of layers, in the order in which they were applied."""
    levels, alpha = arguments.pop("levels", None), arguments.pop("logit", None)
    layers: list[Any] = [] if levels is None else [{"Dequantize": {"levels": levels}}]
    layers += [] if alpha is None else [{"Logit": {"alpha": alpha}}]
    for switch, name in (
        ("standardize", "Standardize"),
        ("whiten", "Whiten"),
        ("radial", "RadialGaussianize"),
    ):
        if arguments.pop(switch, False):
            layers.append(name)
    # Where none was asked for there was none.
    arguments["preprocessing"] = [*layers, *arguments.get("preprocessing", [])]


def _widths(default) -> Callable[[dict], None]:
    """Defaults did not depend on the data; NICE had the paper's network for MNIST."""
    return lambda arguments: arguments.setdefault("hidden_units", default)


def _log_scale(arguments):
    """The bound did not depend on the depth."""
    arguments.setdefault("log_scale", "soft_clip")


def _network(name: str, *keywords: str) -> Callable[[dict], None]:
    """Arguments of the network become an object; `radial_field` has another name in it."""

    def rule(arguments):
        if "network" in arguments:
            return
        given = {key: arguments.pop(key) for key in keywords if key in arguments}
        if "radial_field" in given:
            given["polar_features"] = given.pop("radial_field")
        if given:
            arguments["network"] = {name: given}

    return rule


def _solvers(num_steps: int) -> Callable[[dict], None]:
    """Names and numbers become objects; "dopri5" in training had the tolerances of the other.

    Args:
        num_steps: the model's default.
    """

    def rule(arguments):
        if not isinstance(arguments.get("solver", ""), str):
            return
        tolerances = {key: arguments.pop(key) for key in ("rtol", "atol") if key in arguments}
        name, steps = arguments.pop("solver", None), arguments.pop("num_steps", None)
        if name == "dopri5":
            arguments["solver"] = {"DormandPrince": dict(tolerances)}
        elif name is not None or steps is not None:
            settings = {"method": name or "rk4", "num_steps": num_steps if steps is None else steps}
            arguments["solver"] = {"FixedStep": settings}
        if tolerances:
            arguments["test_solver"] = {"DormandPrince": tolerances}

    return rule


def _inversion(arguments):
    name = arguments.get("inversion")
    arguments.update({"inversion": INVERSIONS[name]} if name in INVERSIONS else {})


_weights = (_rename("kinetic", "kinetic_weight"), _rename("jacobian", "jacobian_weight"))
_features = _rename("radial_field", "polar_features")
_levels = _rename("levels", "quantization_levels")
_RULES = {
    "ContinuousFlow": _weights,
    "DynamicsConvNet": (_features,),
    "DynamicsMLP": (_features,),
    "MaskedAutoregressive": (_inversion,),
    "FFJORD": (
        _network("DynamicsMLP", "hidden_units", *_DYNAMICS, "radial_field"),
        _solvers(num_steps=8),
        *_weights,
        _preprocessing,
    ),
    "MultiScaleFFJORD": (
        _network("DynamicsConvNet", "filters", "kind", "activation"),
        _solvers(num_steps=4),
        *_weights,
        _levels,
    ),
    "NICE": (_widths([1000] * 5), _preprocessing),
    "NSF": (_widths(128), _preprocessing),
    "RealNVP": (_log_scale, _preprocessing),
    **dict.fromkeys(("Glow", "Jet", "MultiScaleRealNVP"), (_levels,)),
    "MADEFlow": (_widths([256, 256]), _preprocessing),
    "MAF": (_log_scale, _widths([256, 256]), _preprocessing),
}


def upgrade_arguments(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of version 0.1 for a model, layer or network as today's; others stay."""
    arguments = dict(arguments)
    for base in cls.__mro__:
        for rule in _RULES.get(base.__name__, ()):
            rule(arguments)
    return arguments


def upgrade_config(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's config as the arguments of its class.

    Args:
        cls: class of the model.
        config: of any version up to this one; without a number it is of version 1.

    Raises:
        ValueError: a newer tfflows wrote it.
    """
    config = dict(config)
    version = config.pop("config_version", 1)
    if version > CONFIG_VERSION:
        raise ValueError(
            f"{cls.__name__}: this tfflows reads configs up to version {CONFIG_VERSION}. "
            f"Received: version {version}, of a newer tfflows; update it"
        )
    if version == 1:
        config = upgrade_arguments(cls, config)
    return _without_limit(cls, config) if version < 3 else config


def _without_limit(cls, config):
    """Up to configs of version 2 and recipes of format 2 Glow's networks saw all of their input.

    A subclass may not take the argument: it is given where it can be.
    """
    is_glow = any(base.__name__ == "Glow" for base in cls.__mro__)
    parameters = inspect.signature(cls.__init__).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    takes_it = takes_any or "input_limit" in parameters
    return {"input_limit": None, **config} if is_glow and takes_it else config


def upgrade_recipe(
    content: Mapping[str, Any], models: Mapping[str, type], source: str
) -> dict[str, Any]:
    """The content of a recipe of format 1 or 2 as one of format 3.

    Args:
        content: nested dicts. What is not as it should be stays as it is.
        models: classes by the names that recipes have for them.
        source: what was read, for the error.

    Raises:
        ValueError: `preprocessing` has a key that format 1 has not.
    """
    if content.get("format") == 2:
        return _from_format_2(content, models)
    if isinstance(content.get("preprocessing"), list):  # which format 1 did not have
        return {**content, "format": 3}
    content = {**content, "format": 3}
    model = content.get("model")
    if not isinstance(model, dict) or model.get("name") not in models:
        return content
    arguments = model.get("arguments") or {}
    switches = content.get("preprocessing")
    if not isinstance(arguments, dict) or not isinstance(switches, dict | None):
        return content
    cls = models[model["name"]]
    switches = dict(switches or {})
    known = [key for key in _LAYERS if key != "levels" and _takes(cls, key)]
    for key, value in switches.items():
        if key not in known:
            raise ValueError(
                f"{source}: preprocessing.{key}: no such key{nearest(key, known)}; "
                f"there are {', '.join(known)}"
            )
        if key != "logit" and not isinstance(value, bool):
            raise ValueError(
                f"{source}: preprocessing.{key}: Expected true or false. Received: {value!r}"
            )
    arguments = _without_limit(cls, upgrade_arguments(cls, {**arguments, **switches}))
    if isinstance(content.get("preprocessing"), dict):
        del content["preprocessing"]
    if "preprocessing" in arguments:
        content["preprocessing"] = arguments.pop("preprocessing")
    return {**content, "model": {**model, "arguments": arguments}}


def _from_format_2(content, models):
    """Rows were not standardized, bounds of scales did not depend on the depth, nor had Glow's
    networks a limit.
    """
    content = {"preprocessing": [], **content, "format": 3}
    model = content.get("model")
    if not isinstance(model, dict):
        return content
    name, arguments = model.get("name"), model.get("arguments") or {}
    if name == "glow" and isinstance(arguments, dict):
        arguments = _without_limit(models[name], arguments)
        return {**content, "model": {**model, "arguments": arguments}}
    depth = {"realnvp": ("num_couplings", 10), "maf": ("num_layers", 5)}.get(str(name))
    if depth is None or not isinstance(arguments, dict) or "log_scale" in arguments:
        return content
    number = arguments.get(depth[0])
    if isinstance(number, int) and number > depth[1]:
        arguments = {**arguments, "log_scale": "soft_clip"}
    return {**content, "model": {**model, "arguments": arguments}}


def _takes(cls, key):
    parameters = inspect.signature(cls.__init__).parameters
    return key in parameters or replaced_keyword(cls, key) is not None

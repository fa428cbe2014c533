"""Recipes: what is read, what is refused and how it is said, and what is built from them."""

import keras
import numpy as np
import pytest

from tfflows import layers, ode, zoo
from tfflows.datasets import DatasetInfo
from tfflows.runs import make_recipe, read_recipe
from tfflows.runs.build import make_flow, make_optimizer

GOOD = """
format: 3
name: small
data: {name: moons}
model: {name: realnvp, arguments: {num_couplings: 2, hidden_units: [8]}}
training: {epochs: 2}
"""
TABLE = DatasetInfo("moons", "train", (2,), None, None, 10, "")


def read(tmp_path, text=GOOD, settings=()):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return read_recipe(path, settings)


def test_a_written_recipe_is_read_as_the_same(tmp_path):
    recipe = read(tmp_path, settings=["optimizer.learning_rate=1e-2", "preprocessing=[Whiten]"])
    assert recipe.optimizer.learning_rate == 0.01
    recipe.write(tmp_path / "again.yaml")
    again = read_recipe(tmp_path / "again.yaml")
    assert again == recipe
    assert again.preprocessing == ["Whiten"]


@pytest.mark.parametrize("path", sorted(zoo.RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_recipes_of_the_package_can_be_read(path):
    assert read_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer.learnign_rate=1", "optimizer.learnign_rate: no such key; did you mean learn"),
        ("optimiser.name=adam", "optimiser: no such key; did you mean optimizer"),
        ("optimizer.name=adan", "optimizer.name: .*'adam'.*Received: 'adan'"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate: .*greater than 0. Received: 0"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate: .*number. Received: 'fast'"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate: .*finite number"),
        ("optimizer.ema=1.0", "optimizer.ema: .*less than 1"),
        ("optimizer.arguments.beta=0.9", "optimizer.arguments.beta: no such key; did you mean be"),
        ("optimizer.arguments.beta_1=x", "optimizer.arguments.beta_1: .*x"),
        ("training.epochs=2.5", r"training.epochs: .*integer. Received: 2\.5"),
        ("training.epochs=true", "training.epochs: .*integer. Received: True"),
        ("training.batch_size=0", "training.batch_size: .*1. Received: 0"),
        ("data.name=3", "data.name: .*string. Received: 3"),
        ("model.name=realnpv", "model.name: there is no 'realnpv'; did you mean realnvp"),
        ("model.arguments.coupling=2", "model.arguments.coupling: no such key; did you mean num"),
        ("model.arguments.num_couplings=two", "model.arguments.num_couplings: .*integer.*'two'"),
        ("model.arguments.hidden_units=[8, wide]", "model.arguments.hidden_units.1: .*integer"),
        ("model.arguments.levels=256", r"model.arguments.levels: .*preprocessing=\[layers.Deq"),
        ("model.arguments.preprocessing=[]", "model.arguments.preprocessing: no such key"),
        ("model.arguments.network=mlp", "model.arguments.network: no such key"),
        ("base.name=normal", "base.name: there is no 'normal'; did you mean"),
        ("base.name=standard-normal", ""),
        ("preprocessing=[{Logit: {alpha: 0.7}}]", r"preprocessing.0.Logit: .*0.5\). Received: 0.7"),
        ("preprocessing=[{Logit: {alfa: 1}}]", "preprocessing.0.Logit.alfa: .*did you mean alpha"),
        ("preprocessing=[{Logit: {alpha: a}}]", "preprocessing.0.Logit.alpha: .*number.*'a'"),
        ("preprocessing=[Whiten, Standardise]", "preprocessing.1: .*did you mean Standardize"),
        ("preprocessing=[3]", r"preprocessing.0: Expected a name such as .*Received: 3"),
        ("preprocessing=[{Whiten: {}, Pad: {}}]", "preprocessing.0: Expected a name such as"),
        ("preprocessing=Whiten", "preprocessing: Expected a list of layers.*Received: 'Whiten'"),
        ("preprocessing={logit: 0.1}", r"preprocessing: Expected a list.*\{'logit': 0.1\}"),
        ("training.epochs.0=1", "training.epochs is a value and has no keys"),
        (
            "backend.strategy=mirrored",
            "backend: XLA does not compile under TensorFlow's strategies",
        ),
        ("format=4", "format 3. Received: 4, of a newer version; update tfflows"),
        ("format=0", "format: .*Received: 0"),
        ("format=new", "format: .*integer. Received: 'new'"),
        ("name=a/b", "name: .*a/b"),
        ("name.first=a", "name is a value and has no keys"),
        ("name", "KEY.KEY=VALUE"),
        ("name=[", "not YAML"),
    ],
)
def test_wrong_keys_and_values_are_refused_by_their_path(tmp_path, setting, message):
    if not message:
        assert read(tmp_path, settings=[setting])
        return
    with pytest.raises(ValueError, match=message):
        read(tmp_path, settings=[setting])


def test_all_wrong_keys_are_named_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"data: is missing\n.*epochs: .*\n.*lines: no such key"):
        read(tmp_path, "name: x\nmodel: {name: nice}\ntraining: {epochs: 0}\nlines: 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not a YAML file"),
        ("- a", "to have keys such as data"),
        ("", "to have keys such as data"),
        (GOOD + "name: twice", "not a YAML file: line 7, column 1: found duplicate key"),
    ],
)
def test_files_that_are_not_recipes_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(tmp_path, text)


def test_what_the_model_refuses_names_the_recipe_and_the_model(tmp_path):
    recipe = read(tmp_path, settings=["model.arguments.partition=thirds"])
    with pytest.raises(ValueError, match=r"small: model: partition must be one of.*'thirds'$"):
        make_flow(recipe, TABLE)


def test_rows_of_numbers_are_standardized_unless_the_recipe_says_otherwise(tmp_path):
    def first_layer(info, *settings):
        return make_flow(read(tmp_path, settings=["format=3", *settings]), info).flow_layers[0]

    assert isinstance(first_layer(TABLE), layers.Standardize)
    assert isinstance(first_layer(TABLE, "preprocessing=[]"), layers.ActNorm)
    assert isinstance(first_layer(TABLE, "preprocessing=[Whiten]"), layers.Whiten)
    assert isinstance(first_layer(IMAGES), layers.Dequantize)


def test_the_model_has_what_the_recipe_says(tmp_path):
    settings = [
        "preprocessing=[Standardize]", "backend.mixed_precision=true",
        "base={name: mixture-of-gaussians, arguments: {num_components: 3}}",
    ]  # fmt: skip
    flow = make_flow(read(tmp_path, settings=settings), TABLE)
    assert isinstance(flow.flow_layers[0], layers.Standardize)
    assert flow.flow_layers[0].dtype_policy.name == "mixed_bfloat16"
    assert flow.base.num_components == 3
    assert flow.dtype_policy.name == "mixed_bfloat16"


def test_settings_reach_into_lists(tmp_path):
    settings = ["preprocessing=[Whiten, {Logit: {alpha: 0.2}}]", "preprocessing.1.Logit.alpha=0.3"]
    assert read(tmp_path, settings=settings).preprocessing[1] == {"Logit": {"alpha": 0.3}}
    with pytest.raises(ValueError, match="preprocessing is a list of 2: no 2 in it"):
        read(tmp_path, settings=[*settings, "preprocessing.2=Whiten"])


def test_networks_and_solvers_are_named_with_their_arguments(tmp_path):
    settings = [
        "model={name: ffjord, arguments: {num_flows: 2}}",
        "model.arguments.network={DynamicsMLP: {hidden_units: [8], polar_features: true}}",
        "model.arguments.solver={FixedStep: {method: euler, num_steps: 3}}",
        "model.arguments.test_solver=DormandPrince",
        "backend.mixed_precision=true",
    ]
    flow = make_flow(read(tmp_path, settings=settings), TABLE)
    for field in flow.flow_layers[1:]:
        assert (field.network.units, field.network.polar_features) == ([8], True)
        assert field.network.compute_dtype == "float32"
        assert field.solver.get_config() == ode.FixedStep("euler", 3).get_config()
        assert isinstance(field.test_solver, ode.DormandPrince)
    for setting, message in (
        ("network={DynamicsMLP: {hidden_unit: [8]}}", "network.DynamicsMLP.hidden_unit: no such"),
        ("solver=rk4", "model.arguments.solver: there is no 'rk4'"),
        ("solver={FixedStep: {num_steps: 0}}", "solver.FixedStep: num_steps must be a pos"),
        ("rtol=1e-3", r"model.arguments.rtol: .*test_solver=ode.DormandPrince"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path, settings=[*settings, f"model.arguments.{setting}"])


IMAGES = DatasetInfo("pixels", "train", (4, 4, 1), 17, None, 10, "")


def test_the_parts_of_a_vae_are_named_with_their_arguments():
    parts = {
        "encoder": {"MLPEncoder": {"units": [8]}},
        "decoder": {"MLPDecoder": {"units": [8]}},
        "latent_shape": [3],
        "posterior": {"iaf": {"num_layers": 2, "hidden_units": [5]}},
        "prior": {"maf": {"num_layers": 1, "hidden_units": [6]}},
        "likelihood": {"categorical": {"levels": 4}},
    }
    content = {
        "format": 3,
        "name": "small-vae",
        "data": {"name": "digits"},
        "model": {"name": "vae", "arguments": parts},
        "training": {"epochs": 1, "kl_warmup_epochs": 1},
    }
    model = make_flow(make_recipe(content), IMAGES)
    assert [type(layer).__name__ for layer in model.posterior.flow_layers[:2]] == [
        "InverseAutoregressive"
    ] * 2
    assert model.base.flow.event_shape == (3,)
    assert model.likelihood.levels == 4
    parts["posterior"] = {"iaf": {"layers": 2}}
    with pytest.raises(ValueError, match=r"posterior.iaf.layers"):
        make_recipe(content)


def test_discrete_data_are_dequantized_once_by_their_own_levels(tmp_path):
    flow = make_flow(read(tmp_path, settings=["preprocessing=[{Logit: {alpha: 0.1}}]"]), IMAGES)
    names = [type(layer).__name__ for layer in flow.flow_layers[:3]]
    assert (names, flow.flow_layers[0].levels) == (["Dequantize", "Logit", "Flatten"], 17)
    own = "preprocessing=[{Pad: {sides: [6, 6]}}, {Dequantize: {levels: 17, seed: 3}}]"
    flow = make_flow(read(tmp_path, settings=[own]), IMAGES)
    names = [type(layer).__name__ for layer in flow.flow_layers[:3]]
    assert (names, flow.flow_layers[1].seed) == (["Pad", "Dequantize", "Flatten"], 3)
    glow = "model={name: glow, arguments: {num_levels: 1, depth: 1, filters: 4, logit: 0.1}}"
    flow = make_flow(read(tmp_path, settings=[glow]), IMAGES)
    assert (flow.flow_layers[0].levels, flow.flow_layers[1].alpha) == (17, 0.1)
    with pytest.raises(ValueError, match="preprocessing: glow is a model of images, which takes `"):
        read(tmp_path, settings=[glow, "preprocessing=[Whiten]"])


def format_1(model, preprocessing=None, **arguments):
    content = {"name": "old", "data": {"name": "moons"}, "training": {"epochs": 1}}
    content["model"] = {"name": model, "arguments": arguments}
    return {**content, **({} if preprocessing is None else {"preprocessing": preprocessing})}


@pytest.mark.parametrize(
    ("old", "preprocessing", "arguments"),
    [
        (
            format_1("realnvp", {"logit": 0.1, "standardize": True, "radial": True}),
            [{"Logit": {"alpha": 0.1}}, "Standardize", "RadialGaussianize"],
            {"log_scale": "soft_clip"},
        ),
        (format_1("nsf", {"whiten": True, "logit": None}), ["Whiten"], {"hidden_units": 128}),
        (format_1("nice"), [], {"hidden_units": [1000] * 5}),
        (format_1("iaf", hidden_units=[9]), [], {"hidden_units": [9], "log_scale": "soft_clip"}),
        (
            format_1("glow", {"logit": None}, depth=3),
            None,
            {"depth": 3, "logit": None, "input_limit": None},
        ),
        (
            format_1("ffjord", kind="concat", radial_field=True, rtol=1e-3, jacobian=0.5),
            [],
            {
                "network": {"DynamicsMLP": {"kind": "concat", "polar_features": True}},
                "test_solver": {"DormandPrince": {"rtol": 1e-3}},
                "jacobian_weight": 0.5,
            },
        ),
        (
            format_1("ffjord", solver="dopri5", atol=1e-3, num_steps=3),
            [],
            {
                "solver": {"DormandPrince": {"atol": 1e-3}},
                "test_solver": {"DormandPrince": {"atol": 1e-3}},
            },
        ),
        (
            format_1("multiscale-ffjord", solver="euler", filters=[4]),
            None,
            {
                "network": {"DynamicsConvNet": {"filters": [4]}},
                "solver": {"FixedStep": {"method": "euler", "num_steps": 4}},
            },
        ),
    ],
)
def test_recipes_of_format_1_are_read_with_what_they_meant(old, preprocessing, arguments):
    for content in (old, {**old, "format": 1}):
        recipe = make_recipe(content)
        assert (recipe.format, recipe.preprocessing) == (3, preprocessing)
        assert recipe.model.arguments == arguments


@pytest.mark.parametrize(
    ("model", "preprocessing", "log_scale"),
    [
        ({"name": "realnvp", "arguments": {"num_couplings": 11}}, None, "soft_clip"),
        ({"name": "realnvp", "arguments": {"num_couplings": 10}}, ["Whiten"], None),
        ({"name": "maf", "arguments": {"num_layers": 6}}, None, "soft_clip"),
        ({"name": "nsf"}, [], None),
    ],
)
def test_recipes_of_format_2_are_read_with_what_they_meant(model, preprocessing, log_scale):
    content = {**format_1("nsf"), "format": 2, "model": model}
    if preprocessing is not None:
        content["preprocessing"] = preprocessing
    recipe = make_recipe(content)
    assert (recipe.format, recipe.preprocessing) == (3, preprocessing or [])
    assert recipe.model.arguments.get("log_scale") == log_scale
    assert make_recipe(recipe.model_dump(exclude_unset=True)) == recipe


def test_wrong_keys_of_format_1_are_refused_by_their_path():
    with pytest.raises(
        ValueError, match=r"preprocessing.standardise: no such key; did you mean st"
    ):
        make_recipe(format_1("realnvp", {"standardise": True}))
    with pytest.raises(ValueError, match=r"preprocessing.whiten: no such key; there are logit"):
        make_recipe(format_1("glow", {"whiten": True}))
    with pytest.raises(ValueError, match=r"preprocessing.whiten: Expected true or false.*'yes'"):
        make_recipe(format_1("maf", {"whiten": "yes"}))


def rates(tmp_path, *settings):
    optimizer = make_optimizer(read(tmp_path, settings=settings).optimizer, total_steps=100)
    rate = optimizer._learning_rate
    if not callable(rate):
        return [float(rate)] * 3
    return [float(rate(step)) for step in (0, 10, 100)]


def test_schedules_start_peak_and_end_where_they_should(tmp_path):
    peak, warm = "optimizer.learning_rate=0.5", "optimizer.warmup_steps=10"
    constant, final = "optimizer.schedule=constant", "optimizer.final_fraction=0.1"
    np.testing.assert_allclose(rates(tmp_path, peak, constant), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(rates(tmp_path, peak, constant, warm), [0, 0.5, 0.5])
    np.testing.assert_allclose(rates(tmp_path, peak, warm), [0, 0.5, 0], atol=1e-8)
    np.testing.assert_allclose(rates(tmp_path, peak, warm, final), [0, 0.5, 0.05], rtol=1e-6)
    middle = 0.25 * (1 + np.cos(np.pi / 10))
    np.testing.assert_allclose(rates(tmp_path, peak), [0.5, middle, 0], atol=1e-7)


def test_the_optimizer_has_what_the_recipe_says(tmp_path):
    settings = ["optimizer.name=sgd", "optimizer.clipnorm=2", "optimizer.ema=0.9"]
    settings += ["optimizer.arguments.momentum=0.8", "optimizer.weight_decay=0.01"]
    optimizer = make_optimizer(read(tmp_path, settings=settings).optimizer, 10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.clipnorm, optimizer.ema_momentum, optimizer.momentum) == (2, 0.9, 0.8)
    assert optimizer.weight_decay == 0.01


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"base": {"name": "student-t"}}, r"base: a VAE has a prior.*Received: 'student-t'"),
        (
            {"training": {"epochs": 1, "objective": "flow_matching"}},
            r"training.objective: a VAE is trained by its bound.*Received: 'flow_matching'",
        ),
    ],
)
def test_what_a_vae_does_not_take_is_refused(section, message):
    arguments = {"encoder": "MLPEncoder", "decoder": "MLPDecoder", "latent_shape": [2]}
    content = {
        "format": 3,
        "name": "vae",
        "data": {"name": "digits"},
        "model": {"name": "vae", "arguments": arguments},
        "training": {"epochs": 1},
    }
    make_recipe(content)
    with pytest.raises(ValueError, match=message):
        make_recipe({**content, **section})


@pytest.mark.parametrize(("number", "limit"), [(1, None), (2, None), (3, 10.0)])
def test_glow_of_earlier_formats_has_networks_that_see_all(number, limit):
    content = {"format": number, "name": "glow", "data": {"name": "digits"}}
    content |= {"model": {"name": "glow", "arguments": {"filters": 4}}, "training": {"epochs": 1}}
    info = DatasetInfo("digits", "train", (8, 8, 1), 17, None, 10, "")
    flow = make_flow(make_recipe(content), info)
    couplings = [each for each in flow.flow_layers if isinstance(each, layers.Coupling)]
    assert {each.input_limit for each in couplings} == {limit}

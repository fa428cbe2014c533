"""What is written from cards: a model's README.md, and the results table of the zoo."""

from collections import Counter
from collections.abc import Iterable

from tfflows.zoo.model_card import Card, Metric, Published

_README = """# {0.name}

{0.family} on {0.data.name}, {shape}: {metric} on {rows} test rows{draws}.{more}{published}

![{picture}](samples.png)

```python
{code}
```

| | |
|---|---|
| data | {0.data.name}: {0.data.source} |
| licence of the data | {0.data.licence} |
| rows | {0.data.train:,} to train, {0.data.validation:,} to {validate}, {0.data.test:,} to test |
| preprocessing, part of the model | {0.data.preprocessing} |
| parameters | {0.parameters:,} |
| training | {0.training.epochs} epochs, weights of epoch {0.training.best_epoch}; seed {0.training.seed}; {0.training.minutes:.1f} minutes |
| machine | {0.training.machine} |
| versions | {versions} |

**Limitations.** {0.limitations}

{again}
"""  # noqa: E501
_CODE = """from tfflows import zoo

flow = zoo.load("{0.name}")
x = flow.sample(16{condition}, seed=0)
log_p = flow.log_prob(x{condition})  # nats, in the units of the data"""
_TABLE_CODE = """from tfflows import zoo

flow = zoo.load("{0.name}")
rows = flow.sample(16, seed=0)  # a DataFrame
log_p = flow.log_prob(rows)  # nats per row, in the units of the data
log_p = flow.log_prob(rows, given=["{first}"])  # of the other columns, given {first}
like_it = flow.sample(16, given={{"{first}": rows["{first}"]}}, seed=1)
filled = flow.impute(rows.assign(**{{"{last}": None}}), seed=2)"""
_DETECTOR_CODE = """from tfflows import zoo

detector = zoo.load("{0.name}")
detector.predict(rows)  # -1 where abnormal, 1 where normal, at {alarms:.0%} false alarms
detector.p_values(rows)  # small where abnormal
detector.explain(rows[:3]).reasons(0)  # what carries the score of the first row"""
_ENERGY_README = """# {0.name}

{0.family} on the density {0.data.name}, {shape}: effective sample size {0.metric.ess:.1%}, acceptance of independence Metropolis
{0.metric.acceptance:.1%}, log Z {0.metric.value:.4f} +- {error:.4f}, by {0.metric.num_examples:,} draws.{published}

![samples](samples.png)

```python
from tfflows import energies, zoo

flow = zoo.load("{0.name}")
target = {target}
draws = energies.importance(flow, target, 10_000, seed=0)
mean, error = draws.mean(draws.x)  # of the density itself
```

| | |
|---|---|
| density | {0.data.name}: {0.data.source} |
| licence | {0.data.licence} |
| parameters | {0.parameters:,} |
| training | {0.training.epochs} epochs; seed {0.training.seed}; {0.training.minutes:.1f} minutes |
| machine | {0.training.machine} |
| versions | {versions} |

**Limitations.** {0.limitations}

`tfflows zoo train {0.name}` trains it again, `tfflows zoo verify {0.name} --full` computes the numbers again.
"""  # noqa: E501
_AGAIN = (
    "`tfflows train recipe.yaml` trains it again, `tfflows zoo verify {0.name} --full` computes "
    "the number again."
)
_TABLE_AGAIN = (
    "With the folder of the data as DATA, `tfflows zoo train {0.name} --data-dir DATA` trains it "
    "again, and `tfflows zoo verify {0.name} --full --data-dir DATA` computes the number again."
)


def model_readme(card: Card) -> str:
    """README.md of a model."""
    if card.kind == "energy":
        return _energy_readme(card)
    data = card.data
    draws, is_vae = card.metric.num_draws, card.family == "vae"
    rows = f"{card.metric.num_examples:,}"
    if card.metric.num_examples < data.test:
        rows += f" of {data.test:,}"
    return _README.format(
        card,
        metric=("evidence lower bound " if is_vae else "") + metric_text(card.metric),
        shape=_shape_text(data),
        code=_code(card),
        again=(_AGAIN if card.kind == "flow" else _TABLE_AGAIN).format(card),
        picture="distribution of scores" if card.kind == "detector" else "samples",
        validate="calibrate" if card.kind == "detector" else "validate",
        rows=rows,
        draws=f", {draws} draws of {'z' if is_vae else 'dequantization noise'} each"
        if draws > 1
        else "",
        more=_solver_text(card.metric) + _alarms_text(card.metric),
        published=f" Published: {published_text(card.published)}." if card.published else "",
        versions=", ".join(f"{name} {version}" for name, version in card.training.versions.items()),
    )


def _energy_readme(card):
    return _ENERGY_README.format(
        card,
        shape=_shape_text(card.data),
        error=2 * card.metric.standard_error,
        published=f" Published: {published_text(card.published)}." if card.published else "",
        target=f"energies.{card.data.name}",
        versions=", ".join(f"{name} {version}" for name, version in card.training.versions.items()),
    )


def _shape_text(data):
    if data.columns is not None:
        kinds = Counter(data.columns.values()).most_common()
        return f"{len(data.columns)} columns ({', '.join(f'{n} {kind}' for kind, n in kinds)})"
    classes = f", given one of {data.classes} classes" if data.classes else ""
    return f"{' x '.join(map(str, data.event_shape))} numbers{classes}"


def _code(card):
    """Python that uses the model."""
    if card.metric.false_alarms is not None:
        return _DETECTOR_CODE.format(card, alarms=card.metric.false_alarms.nominal)
    if card.data.columns is None:
        return _CODE.format(card, condition=", one_hot" if card.data.classes else "")
    names = list(card.data.columns)
    return _TABLE_CODE.format(card, first=names[0], last=names[-1])


def metric_text(metric: Metric) -> str:
    """A metric with two standard errors, such as "1.200 +- 0.005 bits/dim"."""
    if metric.ess is not None:
        return (
            f"log Z {metric.value:.4f} +- {2 * metric.standard_error:.4f}, ESS {metric.ess:.1%}, "
            f"acceptance {metric.acceptance:.1%}"
        )
    digits = 4 if metric.units == "AUROC" else 3
    return f"{metric.value:.{digits}f} +- {2 * metric.standard_error:.{digits}f} {metric.units}"


def _solver_text(metric):
    error = metric.solver_error
    if error is None:
        return ""
    return (
        f" Solving the equations costs {error.largest:.1g} nats per row at most, "
        f"{abs(error.mean):.1g} in the mean, on {error.num_examples:,} of them."
    )


def _alarms_text(metric):
    alarms = metric.false_alarms
    if alarms is None:
        return ""
    return (
        f" It calls {alarms.found:.2%} of {alarms.num_examples:,} normal test rows abnormal, where "
        f"{alarms.nominal:.0%} were asked for."
    )


def published_text(published: Published) -> str:
    """A published number, its units and its source."""
    return f"{published.value:g} {published.units} ({published.source})"


def results_table(cards: Iterable[Card]) -> str:
    """Markdown table of models by name, with their metrics and the published numbers."""
    rows = [
        "| model | family | data | test, +- 2 standard errors | published | parameters | epochs | "
        "minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in sorted(cards, key=lambda card: card.name):
        given = f", {card.data.classes} classes" if card.data.classes else ""
        published = published_text(card.published) if card.published else ""
        training = card.training
        rows.append(
            f"| `{card.name}` | {card.family} | {card.data.name}{given} | "
            f"{metric_text(card.metric)} | {published} | {card.parameters:,} | "
            f"{training.epochs} | {training.minutes:.0f} |"
        )
    return "\n".join(rows) + "\n" if len(rows) > 2 else "There is no model in the zoo yet.\n"

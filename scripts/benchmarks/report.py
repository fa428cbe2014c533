"""Results as Markdown: a table and a verdict for each group of libraries."""

ACTIONS = ("train", "log_prob", "sample")
TITLES = {"tensorflow": "tfflows on TensorFlow", "jax": "tfflows on JAX"}


def reference_row(rows: list[dict]) -> dict | None:
    """The row that the others of its group are divided by: tfflows' first mode."""
    return next((row for row in rows if row["library"] == "tfflows"), None)


def fastest_peers(rows: list[dict]) -> dict[str, dict]:
    """action -> the row of another library with the smallest median.

    Rows "unbounded" do less: their scales may underflow, and the inverse then divides by zero.
    """
    peers = [r for r in rows if r["library"] != "tfflows" and "unbounded" not in r["mode"]]
    return {
        action: min(peers, key=lambda row: row["medians"][action]) for action in ACTIONS if peers
    }


def share(ratio: float) -> str:
    """A ratio of times as text: "0.67", or "1/46" where it is small."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"1/{1 / ratio:.0f}"


def verdicts(rows: list[dict]) -> list[str]:
    """One sentence per action and tfflows row, and one for the cost of `fit`."""
    reference, sentences = reference_row(rows), []
    if reference is None:
        return []
    for action, peer in fastest_peers(rows).items():
        ratio = reference["medians"][action] / peer["medians"][action]
        sentences.append(
            f"{action}: tfflows takes {share(ratio)} of the time of the fastest other, "
            f"{peer['library']} ({peer['mode']})."
        )
    for row in rows:
        if "bare_train" in row["medians"]:
            ratio = row["medians"]["train"] / row["medians"]["bare_train"]
            sentences.append(
                f"fit: a step takes {ratio:.3f} of the bare compiled step ({row['mode']})."
            )
    return sentences


def _cells(row, reference, actions):
    """A time and its ratio to the reference, for every action."""
    for action in actions:
        milliseconds = row["medians"].get(action)
        if milliseconds is None:
            yield from ("", "")
            continue
        ratio = ""
        if reference is not None:
            reference_time = reference["medians"]["train" if action == "bare_train" else action]
            ratio = f"{milliseconds / reference_time:.2f}"
        yield from (f"{milliseconds:.2f}", ratio)


def group_table(rows: list[dict]) -> list[str]:
    """The lines of one group's table."""
    header = ["library", "mode"]
    for action in ACTIONS:
        header += [f"{action}, ms", "ratio"]
    header += ["parameters", "peak RSS, MB"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    reference = reference_row(rows)
    for row in rows:
        cells = [row["library"], row["mode"], *_cells(row, reference, ACTIONS)]
        cells += [f"{row['parameters']:,}", f"{row['peak_megabytes']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
        if "bare_train" in row["medians"]:
            cells = [row["library"], f"{row['mode']}, bare step"]
            cells += [*_cells(row, reference, ("bare_train",)), *[""] * 6]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def describe(case: dict) -> str:
    """A case's sizes as text; `case` is the dataclass as plain data."""
    batch = f"batch {case['batch_size']}"
    if case.get("image_shape"):
        shape = " x ".join(map(str, case["image_shape"]))
        sizes = (
            f"{case['levels']} levels of {case['layers']} layers, images of {shape}, hidden "
            f"channels {case['hidden_units']}, {batch}"
        )
        models = [
            f"{name}: " + ", ".join(f"{key} {value}" for key, value in arguments.items())
            for name, arguments in case.get("models", {}).items()
        ]
        return "; ".join([sizes, *models])
    layers = "1 layer" if case["layers"] == 1 else f"{case['layers']} layers"
    return f"{layers}, {case['dims']} dimensions, hidden units {case['hidden_units']}, {batch}"


def markdown(results: dict) -> str:
    """The whole report of a results.json."""
    settings = results["settings"]
    lines = [
        f"Case {settings['case']}: {describe(results['case'])}. Medians of "
        f"{settings['rounds']} interleaved rounds of {settings['steps']} training steps and "
        f"{settings['calls']} calls (fewer where they take {settings['seconds']} seconds), on "
        f"{settings['threads']} cores. Ratios are to the first row of a table: above 1 is slower.",
    ]
    for group, title in TITLES.items():
        rows = [row for row in results["rows"] if row["group"] == group]
        if rows:
            lines += ["", f"**{title}**", "", *group_table(rows), ""]
            lines += [f"- {sentence}" for sentence in verdicts(rows)]
    if results["failures"]:
        lines += ["", "Did not run:", ""]
        lines += [f"- {name}: {reason}" for name, reason in results["failures"].items()]
    return "\n".join(lines) + "\n"

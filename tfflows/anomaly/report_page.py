"""The page of a detector's report: HTML without scripts, with its style and pictures inside."""

from tfflows.anomaly.pictures import curves, image_pair, score_histogram
from tfflows.anomaly.report_numbers import FALSE_DISCOVERY_RATE, AnomalyReport
from tfflows.utils.damage import cut
from tfflows.utils.html_page import escape, html_page, picture


def page(report: AnomalyReport) -> str:
    """The whole page."""
    sections = [_head(report), _distribution(report), _labels(report), _top(report), _foot(report)]
    return html_page(f"{report.title}: anomalies", sections)


def _head(report):
    rows = len(report.scores)
    alarms = int((report.scores > report.threshold).sum())
    expected = report.false_alarm_rate * rows
    moved = " The scores have drifted from those of the calibration rows." * (
        report.drift.p_value < 0.001
    )
    facts = [
        ("rows", f"{rows:,}"),
        ("called abnormal", f"{alarms:,} <small>{alarms / rows:.2%} of the rows</small>"),
        ("if all were normal", f"{expected:,.1f} <small>expected at most</small>"),
        ("found", f"{report.found:,} <small>of which at most 10 % are normal</small>"),
        ("drift", f"{report.drift.p_value:.2g} <small>p-value</small>"),
        ("calibration rows", f"{len(report.calibration):,}"),
    ]
    cards = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f"<h1>{escape(report.title)}</h1>\n"
        f'<p class="lead">{alarms:,} of {rows:,} rows are called abnormal, with a rate of false '
        f"alarms of at most {report.false_alarm_rate:.2%}.{moved}</p>\n"
        f'<dl class="facts">{cards}</dl>\n'
    )


def _distribution(report):
    svg = score_histogram(report.calibration, report.scores, report.threshold, report.labels)
    return (
        "<h2>Scores</h2>\n"
        f"<p>The score {escape(report.score)}, larger where a row is more abnormal. A new normal "
        f"row is above {report.threshold:.5g} with a probability of at most "
        f"{report.false_alarm_rate:.2%}. The rows found are those of Benjamini and Hochberg's "
        f"procedure with a false discovery rate of {FALSE_DISCOVERY_RATE:.0%}; drift is a test "
        "of all scores together.</p>\n"
        f'<figure class="card">{picture(svg, "distribution of the scores")}</figure>\n'
    )


def _labels(report):
    labels = report.labels
    if labels is None or labels.all() or not labels.any():
        return ""
    svg, auc, average = curves(report.scores, labels)
    alarms = report.scores > report.threshold
    return (
        "<h2>Against the labels</h2>\n"
        f"<p>{int(labels.sum()):,} rows are labelled abnormal. The threshold calls "
        f"{(alarms & labels).sum() / labels.sum():.1%} of them abnormal, and "
        f"{(alarms & ~labels).sum() / (~labels).sum():.2%} of the normal rows. AUROC {auc:.4f}, "
        f"average precision {average:.4f}.</p>\n"
        f'<figure class="card">{picture(svg, "ROC and precision-recall curves")}</figure>\n'
    )


def _top(report):
    if not len(report.top):
        return ""
    is_images = report.explanation.contributions.ndim > 2
    label = '<th class="number">label</th>' if report.labels is not None else ""
    lines = "".join(_line(report, place, is_images) for place in range(len(report.top)))
    why = (
        "The patches whose pixels, were they those of a normal image, would lower the score most "
        "are dark."
        if is_images
        else "Behind a cell stands what the other cells make most normal, and how far the score "
        "falls with it."
    )
    return (
        "<h2>The most abnormal rows</h2>\n"
        f"<p>Rows are counted from 0. {why}</p>\n"
        '<div class="scroll"><table>\n<tr><th class="number">row</th><th class="number">score</th>'
        f'<th class="number">p-value</th>{label}<th>why</th></tr>\n{lines}</table></div>\n'
    )


def _line(report, place, is_images):
    row, explanation = report.top[place], report.explanation
    label = "" if report.labels is None else f'<td class="number">{int(report.labels[row])}</td>'
    if is_images:
        picture = image_pair(explanation.rows[place], explanation.contributions[place])
        why = f'<img alt="image {row}" src="data:image/png;base64,{picture}">'
    else:
        why = "<br>".join(escape(cut(line, 120)) for line in explanation.reasons(place))
        why = why or "no single column"
    return (
        f'<tr><td class="number">{row:,}</td><td class="number">{report.scores[row]:.5g}</td>'
        f'<td class="number">{report.p_values[row]:.3g}</td>{label}<td>{why}</td></tr>\n'
    ).replace(">-", ">&minus;")


def _foot(report):
    return f"<footer><span>score {escape(report.score)}</span></footer>\n"

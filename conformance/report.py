"""report.json for machines and report.html for people."""

from __future__ import annotations

import html
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.feature_set import KNOWN
from conformance.model import Outcome, Step, Verdict
from conformance.runner import Result

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #dfe4ea;vertical-align:top}
pre{background:#f5f7f9;padding:.6rem;overflow:auto;max-height:26rem;font-size:12px;white-space:pre-wrap;word-break:break-word}
summary{cursor:pointer}.PASS{color:#156c2e}.FAIL{color:#b3121d}.NOT{color:#5d6875}.v{font-weight:600;white-space:nowrap}
.bar span{margin-right:1.2rem}details details{margin-left:1rem}
@media (prefers-color-scheme:dark){body{background:#14181d;color:#dde3ea}pre{background:#1d232a}td,th{border-color:#2d343d}
.PASS{color:#62c97f}.FAIL{color:#ff7b82}.NOT{color:#97a3b0}}
"""


def as_json(result: Result) -> dict[str, Any]:
    """The machine's view: `cases` and `profiles`, and what the device is."""
    return {
        "device": result.settings.url,
        "information": dict(result.features.information),
        "examined": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "profiles": {
            each.profile: {
                "claimed": each.claimed,
                "examined": each.examined,
                "holds": each.holds,
                "missing": list(each.missing),
                "failed": list(each.failed),
            }
            for each in result.profiles
        },
        "cases": [
            {
                "id": each.case.id,
                "document": each.case.document,
                "name": each.case.name,
                "verdict": str(each.verdict),
                "why": each.why,
                "seconds": round(each.seconds, 3),
            }
            for each in result.outcomes
        ],
        "features": {name: str(result.features.state(name)) for name in sorted(KNOWN)},
        "remarks": result.features.remarks,
    }


def as_html(result: Result) -> str:
    """The person's view."""
    device = " ".join(result.features.information.get(key, "") for key in ("Manufacturer", "Model", "FirmwareVersion"))
    counts = Counter(str(each.verdict) for each in result.outcomes)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Examination of {_h(result.settings.url)}</title><style>{_STYLE}</style>",
        f"<h1>Examination of {_h(device.strip() or result.settings.url)}</h1>",
        f"<p>{_h(result.settings.url)}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>",
        '<p class="bar">'
        + "".join(f'<span class="v {str(v).split()[0]}">{counts.get(str(v), 0)} {v}</span>' for v in Verdict)
        + "</p>",
        "<h2>Profiles</h2><table><tr><th>Profile<th>Claimed<th>Result<th>Missing features<th>Failed cases</tr>",
        *(
            f"<tr><td>{_h(each.profile)}<td>{'yes' if each.claimed else 'no'}<td class='v {'PASS' if each.holds else 'FAIL'}'>"
            f"{'holds' if each.holds else 'does not hold'}<td>{_h(', '.join(each.missing)) or '-'}"
            f"<td>{_h(', '.join(each.failed)) or '-'}</tr>"
            for each in result.profiles
            if each.claimed or each.examined
        ),
        "</table><h2>Cases</h2>",
    ]
    for document in dict.fromkeys(each.case.document for each in result.outcomes):
        parts.append(f"<h3>{_h(document)}</h3>")
        parts.extend(_case(each) for each in result.outcomes if each.case.document == document)
    parts.append("<h2>Features</h2><table>")
    parts.extend(f"<tr><td>{_h(name)}<td>{_h(result.features.state(name))}</tr>" for name in sorted(KNOWN))
    parts.append("</table>")
    if result.features.remarks:
        parts.append(
            "<h3>Remarks</h3><ul>" + "".join(f"<li>{_h(each)}</li>" for each in result.features.remarks) + "</ul>"
        )
    parts.append(f"<details><summary>Steps of the feature discovery</summary>{_steps(result.steps)}</details></html>")
    return "\n".join(parts)


def _case(outcome: Outcome) -> str:
    mark = str(outcome.verdict)
    why = f"<p>{_h(outcome.why)}</p>" if outcome.why else ""
    return (
        f"<details{' open' if outcome.verdict is Verdict.FAIL else ''}><summary><span class='v {mark.split()[0]}'>{mark}</span> "
        f"{_h(outcome.case.id)} {_h(outcome.case.name)} <small>{outcome.seconds:.2f} s</small></summary>"
        f"{why}{_steps(outcome.steps)}</details>"
    )


def _steps(steps: tuple[Step, ...]) -> str:
    lines = []
    for number, step in enumerate(steps, 1):
        inside = f"<pre>{_h(step.request)}</pre>" if step.request else ""
        inside += f"<pre>{_h(step.response)}</pre>" if step.response else ""
        lines.append(
            f"<details><summary>{number}. {_h(step.title)} <small>{step.seconds:.2f} s</small></summary>{inside}</details>"
        )
    return "".join(lines)


def _h(text: object) -> str:
    return html.escape(str(text))


def write(result: Result, folder: Path) -> None:
    """Both reports into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "report.html").write_text(as_html(result), encoding="utf-8")

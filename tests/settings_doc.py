"""docs/settings.md from `onvifd.config`: `python -m tests.settings_doc` writes it, `tests/test_settings_doc.py` compares it."""

from __future__ import annotations

from pathlib import Path

from onvifd.config import reference

PATH = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

HEAD = """# Settings

Written by `python -m tests.settings_doc` from `onvifd/config.py`; do not edit.

A value comes, in rising precedence, from the default, the TOML file (`--config`, else `ONVIFD_CONFIG`, else `onvifd.toml` in the data folder), the environment and the command line.
`network.http_port` is `http_port = 8080` below `[network]` in the file and `ONVIFD_NETWORK_HTTP_PORT=8080` in the environment.

| Setting | Default | Allowed | Meaning |
|---|---|---|---|
"""


def text() -> str:
    lines = []
    for entry in reference():
        if entry.key == "data":
            default = "`/var/lib/onvifd` for root, else `~/.local/share/onvifd`"
        elif entry.default in ("", ()):
            default = "empty"
        else:
            default = f"`{str(entry.default).lower() if isinstance(entry.default, bool) else entry.default}`"
        meaning = f"{entry.meaning} ({entry.unit})" if entry.unit and entry.unit not in entry.range else entry.meaning
        lines.append(f"| `{entry.key}` | {default} | {entry.range} | {meaning} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")

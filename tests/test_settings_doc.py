"""The documented settings are those of the code."""

from __future__ import annotations

from tests.settings_doc import PATH, text


def test_document_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "run `python -m tests.settings_doc`"

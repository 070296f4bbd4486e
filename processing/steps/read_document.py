"""The `read_document` step: the text of a document, page by page, read on this machine."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from media_assets.models import Kind
from processing import results
from processing.context import StepContext
from processing.models import Analysis, AnalysisKind
from processing.steps.base import Completed, Outcome, Skipped, Step
from processing.steps.inspect import limits_for, options_for

PROVIDER = "local"


class ReadDocument(Step):
    """Its text as one analysis; the inspection that ran just before has read it already."""

    name: ClassVar[str] = "read_document"
    kinds: ClassVar[frozenset[str]] = frozenset({Kind.DOCUMENT})
    needs: ClassVar[tuple[str, ...]] = ("inspect",)

    def run(self, context: StepContext) -> Outcome:
        found = context.shared.get("inspection") or self._inspect(context)
        text: dict[str, Any] | None = found["text"]
        if not text or not text["word_count"]:
            return Skipped("There is no text in this document.")
        analysis = Analysis(
            asset=context.asset,
            blob=context.asset.blob,
            job=context.job,
            step=self.name,
            kind=AnalysisKind.DOCUMENT,
            provider=PROVIDER,
            text=text["text"],
            text_blocks=[
                {"text": block["text"], "page": block.get("page"), "confidence": None, "box": None}
                for block in text["blocks"]
            ],
            language=text["language"] or "",
            word_count=text["word_count"],
            page_count=text["page_count"],
        )
        return Completed(
            save=partial(results.keep, analysis=analysis),
            provider=PROVIDER,
            details={"words": text["word_count"], "truncated": text.get("truncated") or None},
        )

    def _inspect(self, context: StepContext) -> dict[str, Any]:
        """Read it anew where the inspection was an earlier job's."""
        blob = context.asset.blob
        assert blob is not None  # planned only for assets with bytes
        options = {**options_for(blob.kind, context.params), "want_renditions": False}
        return context.decode(
            "processing.inspectors.document:inspect", options, limits=limits_for(blob)
        )

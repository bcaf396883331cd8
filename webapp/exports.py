"""Everything as one file, for administrators: written to disk as a stream, sent, gone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastapi.responses import Response

from models.errors import Invalid
from models.exports.files import FORMATS, write_workbook, write_zip
from models.exports.tables import tables
from webapp.deps import Deps, Viewer
from webapp.imports import sent_file

KINDS = {
    "csv": ("zip", "application/zip"),
    "xlsx": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def export(deps: Deps, me: Viewer, format: str, *, text: bool) -> Response:
    """Everything the viewer may see; subjects and texts only with ``text``. Raises Invalid."""
    if format not in FORMATS:
        raise Invalid(f"The format is one of {', '.join(FORMATS)}.", "format")
    ending, kind = KINDS[format]
    with tempfile.NamedTemporaryFile(prefix="dealtrail-export-", suffix=f".{ending}", delete=False) as file:
        path = Path(file.name)
    try:
        with deps.db.read() as session:
            found = tables(session, viewer_id=me.id, text=text)
            write_zip(found, path) if format == "csv" else write_workbook(found, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return sent_file(path, f"dealtrail-{deps.clock():%Y-%m-%d}.{ending}", kind)

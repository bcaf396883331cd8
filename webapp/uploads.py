"""A spreadsheet that comes in with a request: bounded before it is read, kept on disk while it is, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from models.errors import Invalid
from models.imports.columns import KINDS
from models.imports.run import keep_file
from models.imports.sheet import MOST_BYTES
from webapp.deps import Deps, Viewer
from webapp.security import check_length


@dataclass(frozen=True)
class Uploaded:
    """A file as it came: what it is of, what it is called, where it lies until the request ends."""

    kind: str
    name: str
    path: Path

    def keep(self, deps: Deps, me: Viewer) -> int:
        """Read it into an import of the viewer's; its id. Raises Invalid."""
        return keep_file(deps.db, self.path, kind=self.kind, file_name=self.name, user_id=me.id, now=deps.clock())


async def uploaded(request: Request) -> AsyncIterator[Uploaded]:
    """The form's ``file`` and ``kind``. Raises Invalid."""
    check_length(request)
    form = await request.form(max_files=1, max_fields=20)
    try:
        file, kind = form.get("file"), form.get("kind")
        if kind not in KINDS:
            raise Invalid(f"Say what the file holds: {' or '.join(KINDS)}.", "kind")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Invalid("Choose a file.", "file")
        if (file.size or 0) > MOST_BYTES:
            raise Invalid(f"The file is larger than {MOST_BYTES >> 20} MB; split it.", "file")
        with tempfile.NamedTemporaryFile(prefix="dealtrail-import-") as kept:
            shutil.copyfileobj(file.file, kept)
            kept.flush()
            yield Uploaded(str(kind), Path(file.filename.replace("\\", "/")).name, Path(kept.name))
    finally:
        await form.close()


Upload = Annotated[Uploaded, Depends(uploaded)]
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["kind", "file"],
                    "properties": {
                        "kind": {"type": "string", "enum": list(KINDS)},
                        "file": {"type": "string", "format": "binary", "description": "CSV or XLSX"},
                    },
                }
            }
        },
    }
}
"""What the API's description says of such a request."""

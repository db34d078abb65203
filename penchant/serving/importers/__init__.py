"""Files become events: MovieLens, MIND, CSV and TSV with a header, JSON lines, each also gzipped; Parquet.

    for part in plan(path):                 # items first, then users, then events; the guess is in part.mapping
        for row, made in read(part):        # made: an Event, or a Refused with the reason and the line
            ...

Notable: nothing is held but a line at a time and, where events must be put in time order, two numbers a row.
Reading the same file again gives the same events, ids and order, so that (`fingerprint(part)`, rows done) is enough
to go on after a crash.

What it does not know: the engine. It neither sends events nor checks what `pipeline.events` checks; and it sorts
within a file, not across files: of two files of events, the one that starts earlier comes first.
"""

from penchant.serving.importers.columns import Wish
from penchant.serving.importers.parts import Part, Refused, file_hash, fingerprint, write_refused
from penchant.serving.importers.planning import plan, survey
from penchant.serving.importers.reading import read

__all__ = ["Part", "Refused", "Wish", "file_hash", "fingerprint", "plan", "read", "survey", "write_refused"]

"""The parsers of untrusted bytes, and what must be true of each for any bytes.

A target is a function of the bytes. It raises AssertionError if an invariant does not hold, and
whatever the parser raises that it does not declare. Where another implementation of the format
exists, both must agree on what the parser accepts; it may accept less.
"""

from collections.abc import Callable

from tests.fuzz import bodies, fields, names

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    target.__name__.replace("_", "-"): target
    for target in (
        names.file_name,
        names.content_disposition,
        names.path_of_an_upload,
        names.local_path,
        names.authority,
        names.forwarded,
        fields.ranges,
        fields.conditions,
        fields.date,
        fields.digests,
        fields.credentials,
        fields.expiry,
        fields.language,
        fields.tus,
        fields.draft,
        fields.list_query,
        fields.redaction,
        bodies.form,
        bodies.small_form,
        bodies.chunks,
        bodies.link_terms,
        bodies.access_file,
        bodies.zip_directory,
        bodies.compound_file,
    )
}
"""The targets by their names, which are those of the directories of their seeds in `corpus/`."""

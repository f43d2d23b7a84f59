"""Mutations: for each attack, the protection that it fails against is taken out of the source.

`tests/test_mutations.py` makes each change in a copy of the package and runs the attack there,
which must succeed. A change is a text that the module has once, and what stands in its place.
"""

from typing import NamedTuple

Change = tuple[str, str, str]
"""A module of the package, a text that it has once, and the text in its place."""


class Mutation(NamedTuple):
    """A protection that is taken out, and the attacks that succeed then."""

    attacks: str
    """Names of tests of one module, without the common beginning."""
    changes: tuple[Change, ...]


def _one(module: str, old: str, new: str) -> tuple[Change, ...]:
    return ((module, old, new),)


_SANDBOX = _one("web/security_headers.py", "sandbox; default-src", "default-src")
_INLINE = _one(
    "web/file_response.py", "shown = inline and file.content.media_type in INLINE_MEDIA_TYPES",
    "shown = inline",
)  # fmt: skip
_NAMES_OF_SEGMENTS = _one("names.py", """if "/" in name or "\\\\" in name:""", "if False:")
_EVERY_PEER_IS_TRUSTED = _one(
    "web/middleware/proxies.py",
    'if self._trusted and self._is_trusted(environ.get("REMOTE_ADDR", "")):',
    "if True:",
)
_COVERS_EVERY_NAME = _one(
    "access/principals.py",
    "return name.startswith(self.prefix) and self.only in (None, name)",
    "return True",
)
_ANY_ID = _one("storage/local/layout.py", 're.compile(r"[0-9a-f]{32}")', 're.compile("(?s).*")')
_LIMIT_OF_A_BLOCK: Change = (
    "upload/pipeline.py", "if self.size > self._limit:", "if len(block) > self._limit:",
)  # fmt: skip
_LIMIT_OF_A_REQUEST: Change = (
    "upload/resumable/session.py",
    "offset + request.content_length > limit:",
    "request.content_length > limit:",
)

MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "active_content": (
        Mutation("a_file_with_a_script_is_inert_in_every_answer", _SANDBOX),
        Mutation("the_file_of_a_link_is_inert", _SANDBOX),
        Mutation("a_hard_link_is_a_file_and_inert", _SANDBOX),
        Mutation("what_is_shown_inline_can_have_no_script", _INLINE),
        Mutation("download_that_is_redirected_to_a_bucket_is_an_attachment_there", _INLINE),
        Mutation(
            "an_error_has_nothing_of_a_file_and_no_other_site_may_embed_it",
            _one("web/problems.py", "response.headers.update(NOT_EMBEDDED)", "pass"),
        ),
        Mutation(
            "what_is_no_file_does_not_exist",
            _one("storage/local/published.py", "| os.O_NOFOLLOW ", ""),
        ),
        Mutation(
            "a_name_that_is_none_is_neither_served_nor_listed",
            _one("names.py", "if _CONTROL.search(name):", "if False:"),
        ),
    ),
    "chunks_past_the_limit": (
        Mutation("chunks_do_not_add_up_past_the_limit", (_LIMIT_OF_A_BLOCK, _LIMIT_OF_A_REQUEST)),
        Mutation(
            "parts_that_are_concatenated_do_not_add_up_past_the_limit",
            _one("upload/admit.py", "if content_length > policy.max_size:", "if False:"),
        ),
    ),
    "declared_length": (
        Mutation(
            "a_length_that_is_no_number_of_bytes_begins_no_upload",
            _one("protocols/tus.py", '"[0-9]{1,18}"', '"-?[0-9]{1,18}"'),
        ),
        Mutation(
            "a_length_of_the_draft_that_is_no_number_counts_as_missing",
            _one("protocols/resumable_draft.py", '"[0-9]{1,15}"', '"-?[0-9]{1,15}"'),
        ),
        Mutation(
            "a_length_below_nothing_gives_no_quota_back",
            (
                ("protocols/tus.py", '"[0-9]{1,18}"', '"-?[0-9]{1,18}"'),
                ("access/reservations.py", "max(0, size - self._covered)", "size"),
                ("access/quotas.py", "max(amount.bytes, held.amount.bytes)", "amount.bytes"),
            ),
        ),
    ),
    "forged_client_addresses": (
        Mutation("an_invented_address_gives_no_more_guesses", _EVERY_PEER_IS_TRUSTED),
        Mutation(
            "behind_a_proxy_an_invented_address_gives_no_more_guesses",
            _one(
                "web/middleware/proxies.py",
                'for text in reversed(_values(environ, "FOR")):',
                'for text in _values(environ, "FOR"):',
            ),
        ),
    ),
    "host_games": (
        Mutation(
            "a_foreign_host_is_refused",
            _one("web/middleware/hosts.py", "if not is_allowed(host):", "if False:"),
        ),
        Mutation(
            "a_malformed_host_is_refused_where_any_is_allowed",
            _one("web/middleware/proxies.py", "if host and not is_authority(host):", "if False:"),
        ),
        Mutation("a_field_of_a_client_is_in_no_url", _EVERY_PEER_IS_TRUSTED),
    ),
    "ids_in_paths": (
        Mutation("no_id_in_any_encoding_is_a_path", _ANY_ID),
        Mutation("the_store_has_no_path_for_what_is_no_id", _ANY_ID),
    ),
    "log_and_header_injection": (
        Mutation(
            "a_record_is_one_line",
            _one(
                "serving/log.py",
                "return CONTROL.sub(escaped, without_secrets(super().formatMessage(record)))",
                "return super().formatMessage(record)",
            ),
        ),
        Mutation(
            "a_record_is_one_line",
            _one(
                "serving/request_log.py",
                "return _IN_QUOTES.sub(escaped, without_secrets(text))",
                "return text",
            ),
        ),
        Mutation(
            "a_name_adds_no_parameter_to_content_disposition",
            _one("web/representations.py", """[^ -~]|["\\\\%]'""", "[^ -~]'"),
        ),
    ),
    "multipart_floods_and_boundaries": (
        Mutation(
            "a_flood_in_a_form_is_refused",
            _one("protocols/forms.py", "_MAX_PARTS = 64", "_MAX_PARTS = 10**6"),
        ),
        Mutation(
            "a_flood_in_a_form_is_refused",
            _one("protocols/forms.py", "_FILE = 64 * 1024", "_FILE = 1 << 30"),
        ),
        Mutation(
            "what_resembles_a_delimiter_does_not_end_a_file",
            _one("protocols/forms.py", "_AFTER_DELIMITER = rb", '_AFTER_DELIMITER = b"()"  # rb'),
        ),
        Mutation(
            "a_strange_boundary_stores_nothing_and_is_no_fault",
            _one(
                "protocols/forms.py", "except MultipartError as error:", "except KeyError as error:"
            ),
        ),
        Mutation(
            "a_part_whose_name_parsers_could_disagree_about_is_refused",
            _one(
                "protocols/forms.py", 'names.count("filename") > 1', 'names.count("filename") > 9'
            ),
        ),
    ),
    "path_and_encoding": (
        Mutation("no_spelling_of_a_path_leaves_the_directory", _NAMES_OF_SEGMENTS),
    ),
    "permissions_of_stored_files": (
        Mutation(
            "stored_files_are_for_whom_the_operator_says_and_the_rest_is_for_nobody_else",
            _one("gunicorn_config.py", "os.umask(_settings.umask)", "os.umask(0o022)"),
        ),
    ),
    "range_floods": (
        Mutation(
            "no_ranges_make_the_answer_much_larger_than_the_file",
            _one("protocols/ranges.py", "_MAX_RANGES = 64", "_MAX_RANGES = 10**6"),
        ),
        Mutation(
            "no_ranges_make_the_answer_much_larger_than_the_file",
            _one(
                "protocols/ranges.py",
                "return _without_overlaps(satisfiable)",
                "return tuple(satisfiable)",
            ),
        ),
    ),
    "regular_expressions": (
        Mutation(
            "time_is_proportional_to_the_text",
            _one(
                "serving/chunks.py", '_EXTENSION = rb"[ \\t]*;', '_EXTENSION = rb"[ \\t]*[ \\t]*;'
            ),
        ),
        Mutation(
            "spaces_after_a_delimiter_are_not_looked_at_again_and_again",
            (
                ("protocols/forms.py", "{0,64}(", "*("),
                ("protocols/forms.py", "{0,64}\\r?", "*\\r?"),
            ),
        ),
    ),
    "share_and_scope_bypass": (
        Mutation("a_token_stays_within_its_prefix", _COVERS_EVERY_NAME),
        Mutation("the_secret_of_a_link_is_for_its_file_alone", _COVERS_EVERY_NAME),
        Mutation(
            "a_link_does_not_follow_its_name",
            _one("access/links.py", " and file_identity(file) == self.version", ""),
        ),
    ),
    "sniffing": (
        Mutation(
            "content_that_is_not_what_its_name_says_is_refused",
            _one("upload/inspection/inspector.py", "if not condition:", "if False:"),
        ),
        Mutation(
            "what_a_browser_gets_is_not_sniffed",
            _one("web/file_response.py", "tuple(FILE_HEADERS.items())", "()"),
        ),
    ),
    "symlinked_parents": (
        Mutation("no_link_is_followed", _one("storage/local/published.py", "| os.O_NOFOLLOW ", "")),
        Mutation("no_link_is_followed", _NAMES_OF_SEGMENTS),
    ),
    "upload_appended_to_after_its_end": (
        Mutation(
            "nothing_is_appended_to_an_upload_that_has_ended",
            (
                ("upload/resumable/repository.py", "    self.end(writer, status)", "    pass"),
                _LIMIT_OF_A_BLOCK,
                _LIMIT_OF_A_REQUEST,
            ),
        ),
        Mutation(
            "nothing_is_appended_if_the_end_could_not_be_recorded",
            (_LIMIT_OF_A_BLOCK, _LIMIT_OF_A_REQUEST),
        ),
    ),
}
"""The mutations by the modules of their attacks, without the beginning `test_`."""

OF_GUNICORN = frozenset({"content_length_that_is_no_number_stores_nothing"})
"""Attacks that a package refuses before the service has its turn."""
CONTROLS = ("test_without_", "test_if_", "test_time_that_is_quadratic_is_recognised")
"""How the names of tests begin that take the protection out themselves."""

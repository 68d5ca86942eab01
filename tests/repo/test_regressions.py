"""What broke once, and the tests that hold it."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.repo.tree import ROOT, parsed

#: defect -> ids of tests, below tests/
HELD = {
    "`show stats`: the sketch of the mail did not take a call for 512 PTEs for a PMD entry": [
        "commands/test_tables.py::test_the_sketch_takes_512_ptes_for_a_pmd_entry",
        "commands/test_tables.py::test_the_sketch_counts_each_pmd_entry",
    ],
    "`show stats` did not show what the sketch of the mail mlocks": [
        "commands/test_tables.py::test_the_sketch_mlocks_512_ptes_for_good",
        "commands/test_tables.py::test_6_12_does_not_mlock_512_ptes",
        "commands/test_tables.py::test_the_sketch_mlocks_no_folio_of_64k",
        "model/test_proc.py::test_events_tell_all_of_mlock",
    ],
    "6.12 mlocked a large file folio when a PMD entry mapped it": [
        "paths/test_rmap.py::test_mlock_of_a_new_pmd_mapping",
    ],
    "`quit` in a sourced file ended the outer script, and assertions after it passed": [
        "script/test_runner.py::test_assertions_after_quit",
        "script/test_runner.py::test_quit_ends_its_own_file",
        "shell/test_run_outputs.py::test_not_reached",
        "testing/test_plugin.py::test_quit_in_the_middle",
    ],
    "the pager swallowed what was typed ahead, and could start programs": [
        "shell/test_pager.py::test_waiting_input",
        "shell/test_terminal.py::test_less",
    ],
    "entries under PROT_NONE were shown as readable": [
        "commands/test_inspect.py::test_prot_none_is_shown",
        "session/test_entries.py::test_runs",
    ],
    "a write did not say whether it copied a page, and why": [
        "session/test_sentence.py::test_writes_say_why_they_copy",
    ],
    "`help` knew no terms and no schemes, and `next` suggested `exit`": [
        "commands/test_glossary.py::test_every_term_is_explained",
        "commands/test_glossary.py::test_every_scheme_is_explained",
        "commands/test_glossary.py::test_hints",
        "commands/test_glossary.py::test_no_wild_guesses",
    ],
    "classroom addresses gave table indexes of millions, and the tutorial needed 96 columns": [
        "commands/test_memory.py::test_every_index_in_class_is_below_8",
        "docs/test_documents.py::test_the_tutorial_needs_80_columns",
    ],
    "`expect free` and `expect same` took no comparison": [
        "commands/test_asking.py::test_claims_may_be_compared",
    ],
    "verbs were dark blue on black": [
        "views/test_colors.py::test_colors_are_readable",
        "views/test_colors.py::test_verbs_have_the_foreground_of_the_terminal",
    ],
    "lines quoted from a mail were refused": [
        "shell/test_repl.py::test_a_mail_reply_is_read_without_its_quotes",
        "commands/test_lex.py::test_mail_quotes",
    ],
    "`show smaps` broke an address in the middle": [
        "views/test_layout.py::test_addresses_stay_whole",
        "commands/test_inspect.py::test_smaps_at_80_columns",
    ],
    "`cost`, `why` and `show` printed thousands of rows that are alike": [
        "commands/test_inspect.py::test_hundreds_of_children",
        "test_wording.py::test_rows_that_are_alike_are_one",
    ],
    "a run that found a deadlock ended with status 0": [
        "script/test_runner.py::test_a_deadlock_fails_the_run",
        "testing/test_plugin.py::test_a_race_that_finds_something",
    ],
    "pictures of deadlocks showed page-table locks alone": [
        "explore/test_replay.py::test_what_is_held_in_a_deadlock",
        "explore/test_replay.py::test_a_write_marked_vma_stays_held",
        "commands/test_race.py::test_a_deadlock_is_found_and_drawn",
    ],
    "an installed package had no scenarios": [
        "script/test_script.py::test_they_are_package_data",
        "script/test_script.py::test_list",
        "script/test_script.py::test_run",
        "script/test_script.py::test_copy",
        "script/test_script.py::test_not_installed",
    ],
    "`check-scheme` passed a scheme that answers `no` for a folio that is mapped shared": [
        "contract/test_wide.py::test_wrong_schemes_fall",
        "contract/test_wide.py::test_right_schemes_pass",
        "contract/test_wide.py::test_a_false_negative_becomes_a_script",
        "contract/test_wide.py::test_the_histories_reach_the_limits",
        "contract/test_wide.py::test_bounds_are_kept",
    ],
    "the history of the estimating schemes and the cost of per-page counting contradicted the patches": [
        "schemes/test_cost.py::test_atomics_and_bytes",
        "commands/test_steps.py::test_totals_of_the_straddling_folio",
    ],
    "`locks order` named no sources, and had the split queue before i_pages": [
        "explore/test_lockdep.py::test_the_hierarchy_cites_its_sources",
        "paths/test_split.py::test_a_split_of_a_file_folio_takes_i_pages",
    ],
    "the walk that resolves `maybe` did not try the folio lock": [
        "paths/test_sharing.py::test_maybe_is_resolved_by_a_walk",
        "paths/test_sharing.py::test_a_contended_folio_is_treated_as_shared",
    ],
    "a fault waited for a folio while it held its VMA lock": [
        "paths/test_fault.py::test_fault_on_a_file_drops_its_lock_to_wait_for_a_folio",
        "paths/test_fault.py::test_swap_in_drops_its_lock_to_wait_for_a_folio",
        "paths/test_canonical_traces.py::test_read_from_disk_retries",
    ],
    "dirty file entries left the rmap in the order of addresses": [
        "paths/test_zap.py::test_dirty_file_entries_leave_the_rmap_last",
        "model/test_release.py::test_every_difference_changes_an_outcome[delays_rmap_of_dirty]",
    ],
    "a hole in a written ext4 file was refused to split a folio whose buffers were clean": [
        "paths/test_truncate.py::test_holes_that_clean_all_buffers",
        "recording/test_public_recordings.py::test_recording[found-ext4_holes_clean_buffers]",
    ],
    "a shared-memory folio that a hole covers in part stayed clean": [
        "paths/test_truncate.py::test_shared_memory_is_dirtied",
        "paths/test_truncate.py::test_pinned_shared_memory_stays_whole",
        "recording/test_public_recordings.py::test_recording[found-shmem_remove_dirties]",
    ],
    "page tables that one operation installs and frees had no name in lock traces": [
        "recording/test_ptl.py::test_a_table_that_the_operation_installs_and_frees_is_named",
    ],
    "`mremap` did not resize in place": [
        "paths/test_mremap.py::test_growing_in_place",
        "paths/test_mremap.py::test_growth_closes_a_gap",
        "paths/test_mremap.py::test_no_room",
        "commands/test_memory.py::test_mremap_moves_and_takes_the_name_along",
    ],
    "a long-term pin of a shared ext4 mapping succeeded": [
        "paths/test_gup.py::test_longterm_pin",
        "paths/test_gup.py::test_longterm_pin_up_to_a_shared_file",
    ],
    "freeing page tables walked the address range a PMD at a time": [
        "model/test_pagetable.py::test_blocks_in_visits_tables_that_exist",
        "paths/test_tables.py::test_cost_is_that_of_tables",
        "fuzz/test_fuzz.py::test_a_walk_of_a_huge_range_is_found",
    ],
    "a golden line with many gaps was compared with backtracking": [
        "script/test_golden.py::test_gaps_are_matched_in_one_pass",
        "fuzz/test_fuzz.py::test_golden_lines_have_gaps",
    ],
    "a limit of one state was no limit": [
        "explore/test_search.py::test_max_states_as_low_as_can_be",
        "commands/test_race.py::test_a_limit_of_one_state",
        "fuzz/test_fuzz.py::test_a_race_beyond_its_limit_is_found",
    ],
    "branches took memory quadratically, and nothing limited it": [
        "session/test_history.py::test_branches_cost_nothing",
        "script/test_untrusted.py::test_memory",
        "fuzz/test_fuzz.py::test_much_memory_is_found",
    ],
    "a race regrouped folios": [
        "commands/test_looking_only.py::test_a_race_leaves_runs_as_they_were",
        "fuzz/test_fuzz.py::test_a_look_that_regroups_folios_is_found",
    ],
    "intervals with equal values next to each other were not joined": [
        "test_intervals.py::test_same_as_a_dictionary",
    ],
    "a full disk lost lines that were typed, and said nothing": [
        "shell/test_crash_log.py::test_full_disk",
        "shell/test_prompt.py::test_a_warning_in_the_toolbar",
    ],
    "a full disk truncated a good file": [
        "script/test_files.py::test_full_disk",
    ],
    "the limit of seconds was by the clock, and left out showing and golden blocks": [
        "script/test_untrusted.py::test_time_to_show_counts",
        "script/test_untrusted.py::test_waiting_is_no_time",
        "shell/test_recordings.py::test_a_gzip_bomb",
    ],
    "invisible and line-ending characters reached the terminal": [
        "commands/test_lex.py::test_what_is_not_seen_is_refused",
        "views/test_glyphs.py::test_what_has_no_width_is_shown",
    ],
    "the state folder was open to everybody under umask 0": [
        "shell/test_crash_log.py::test_folders_are_private",
    ],
    "one unreadable script ended the whole collection of pytest": [
        "testing/test_plugin.py::test_a_script_that_cannot_be_read",
        "testing/test_plugin.py::test_a_script_that_cannot_be_parsed",
    ],
    "an internal error in a race was printed as a violation": [
        "commands/test_race.py::test_an_internal_error_is_no_finding",
    ],
    "a race of `madvise collapse` ended in a TypeError": [
        "explore/test_path_frames.py::test_all_paths",
        "commands/test_race.py::test_a_collapse_races",
    ],
    "a session had no documented limits": [
        "session/test_host.py::test_a_session_gets_its_host",
    ],
    "callbacks of schemes that no event calls were accepted, and documented": [
        "script/test_loading.py::test_a_misspelt_callback_is_refused_with_its_line",
        "contract/test_world.py::test_every_fact_that_a_scheme_can_learn_comes_up",
    ],
    "shells could not complete the command line": [
        "shell/test_completion.py::test_bash",
        "shell/test_completion.py::test_syntax",
        "shell/test_completion.py::test_all_words",
    ],
    "a folio could not be printed as the kernel's dump_page() does": [
        "commands/test_inspect.py::test_dump",
        "commands/test_inspect.py::test_dump_of_a_huge_page",
    ],
    "commands could not be repeated without another program": [
        "commands/test_loop.py::test_rounds",
        "commands/test_loop.py::test_mistakes",
        "commands/test_loop.py::test_a_million_rounds",
        "commands/test_loop.py::test_assertions",
        "commands/test_loop.py::test_golden_blocks_and_documents",
        "commands/test_loop.py::test_files",
        "commands/test_loop.py::test_pasted",
        "commands/test_loop.py::test_completion",
        "testing/test_plugin.py::test_loops",
    ],
    "`fork` made one child at a time": [
        "commands/test_process.py::test_children",
        "commands/test_process.py::test_what_is_refused",
    ],
    "`source` ran a script with more than the session may take": [
        "session/test_host.py::test_a_sourced_script_has_the_limits_of_the_session",
    ],
}


def ids() -> list[str]:
    """All ids of the table, once each."""
    return sorted({f"tests/{name}" for names in HELD.values() for name in names})


@pytest.mark.full
def test_every_test_is_collected() -> None:
    """Each id names a test that pytest finds; some are among those of a full run."""
    options = ["--collect-only", "-q", "-m", ""]
    command = [sys.executable, "-m", "pytest", *options, *ids()]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout + asked.stderr

    collected = [line for line in asked.stdout.split("\n") if "::" in line]
    assert [
        name for name in ids() if not any(found == name or found.startswith(f"{name}[") for found in collected)
    ] == []


def test_no_test_is_switched_off() -> None:
    """None is skipped everywhere, or expected to fail; those that need a program of the host say which."""
    marked = []
    for name in ids():
        file, _, function = name.partition("::")
        tree = parsed(ROOT / file)
        marks = [node.value for node in tree.body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == function.partition("[")[0]:
                marks += node.decorator_list
                assert node.body[1:], f"{name} is empty"
        marked += [name for mark in marks if {"skip", "xfail"} & names_in(mark)]

    assert marked == []


def names_in(tree: ast.AST) -> set[str]:
    """The names and attributes that an expression has."""
    return {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}

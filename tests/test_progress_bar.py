"""A bar for people, nothing for pipes."""

from bmi_dhydro.progress_bar import no_progress, progress


def test_nothing_is_shown_in_a_pipe(capfd):
    for bar in (progress, no_progress):
        with bar("simulating", 3) as advance:
            for step in range(3):
                advance(f"step {step}")
            advance()
    assert capfd.readouterr() == ("", "")

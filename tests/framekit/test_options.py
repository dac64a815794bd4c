from fractions import Fraction

import click
import pytest
from click.testing import CliRunner

from framekit.errors import CommandError
from framekit.options import ExtractOptions
from framekit.sources.sampling import Sampling, parse_skip
from framekit.terminal.commands import Program
from framekit.terminal.flags import flag_name, flags_of
from framekit.validating import validated


def options(**values: object) -> ExtractOptions:
    return validated(ExtractOptions, values, name_of=flag_name)


@pytest.mark.parametrize(
    ("given", "sampling"),
    [
        ({}, Sampling(every=50)),
        ({"every": None}, Sampling(every=50)),
        ({"every": 7}, Sampling(every=7)),
        ({"seconds": 2.5}, Sampling(seconds=Fraction(5, 2))),
        ({"seconds": "0.1"}, Sampling(seconds=Fraction(1, 10))),
        ({"seconds": 2}, Sampling(seconds=Fraction(2))),
        ({"count": 9}, Sampling(count=9)),
        ({"keyframes": True}, Sampling(keyframes=True)),
        ({"keyframes": False, "every": 3}, Sampling(every=3)),
        ({"scenes": True, "pictures_per_scene": 3}, Sampling(scenes=True, pictures_per_scene=3)),
        (
            {"skip": ["0-1:30", "-2:00-end"]},
            Sampling(every=50, skip=(parse_skip("0-90"), parse_skip("-120-end"))),
        ),
    ],
)
def test_options_make_a_sampling(given, sampling):
    made = options(**given)
    assert made.sampling() == sampling
    assert ExtractOptions.model_validate(made.model_dump(mode="json")) == made, "dataset.json reads back"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"every": 50, "seconds": 2}, "--seconds: does not go with --every"),
        ({"seconds": 2, "count": 3}, "--count: does not go with --seconds"),
        ({"count": 3, "keyframes": True}, "--keyframes: does not go with --count"),
        ({"every": 3, "scenes": True}, "--scenes: does not go with --every"),
        ({"pictures_per_scene": 2}, "--pictures-per-scene: goes with --scenes only"),
        ({"seconds": 0}, "--seconds: must be greater than 0"),
        ({"seconds": float("nan")}, "--seconds: must be a finite number"),
        ({"keyframes": "no"}, "--keyframes: must be a valid boolean"),
        ({"skip": ["0-1", "5-3"]}, "--skip: '5-3' does not end after it starts"),
        ({"skip": ["abc"]}, "--skip: 'abc' is no time range"),
        ({"letterbox": "1280x544"}, "--letterbox: must be auto, off or W:H:X:Y"),
        ({"letterbox": "0:544:0:88"}, "--letterbox: must be auto, off or W:H:X:Y"),
        ({"resize": True, "crops_per_frame": 4}, "--resize: gives one square of each frame"),
        ({"resize": True, "frame_height": 720}, "--resize: does not go with --frame-height"),
        ({"resize": True, "second_height": 720}, "--resize: does not go with --second-height"),
        ({"second_height": 720, "crops_per_frame": 1}, "is for every second crop"),
        ({"second_height": 128}, "--second-height 128 is less than --crop-size 256"),
        ({"deinterlace": "maybe"}, "--deinterlace: must be 'auto', 'on' or 'off'"),
    ],
)
def test_what_does_not_go_is_a_wrong_command_that_names_the_flags(given, said):
    with pytest.raises(CommandError, match=said) as error:
        options(**given)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("letterbox", ["auto", "off", "1280:544:0:88"])
def test_letterboxes(letterbox):
    assert options(letterbox=letterbox).letterbox == letterbox


@click.group(cls=Program)
def program():
    pass


@program.command()
@flags_of(ExtractOptions)
def show(options):
    click.echo(options.model_dump_json())


def test_times_from_the_end_are_values_and_no_flags():
    done = CliRunner().invoke(program, ["show", "--skip", "-2:00-end", "--skip=0-1:30", "--seconds", "2.5"])
    assert ExtractOptions.model_validate_json(done.output) == options(
        seconds=2.5, skip=("-2:00-end", "0-1:30")
    )


def test_help_gives_the_usual_step():
    assert "[default: 50]" in CliRunner().invoke(program, ["show", "--help"]).output

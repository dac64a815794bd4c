import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from framekit.errors import FramekitError
from framekit.images.tagging import DEFAULT_TABLE, GROUPS, Groups, Tagger, fingerprints
from tests.framekit.images.test_edges import drawing
from tests.oracles.tagging import as_published
from tests.taggers import (
    COLOURS,
    MODEL,
    TAGS,
    colour_tagger,
    mirror_tagger,
    random_tagger,
    write_tagger,
    write_tags,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def seen_by_the_model(tagger: Tagger, image: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3) float: what a mirror tagger was given, 0 to 255."""
    seen = np.empty((side, side, 3))
    for name, value in tagger.tag([image], threshold=0)[0].items():
        if name != "momotaro":
            seen[tuple(int(part) for part in name.split("_"))] = value * 255
    return seen


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (96, 96), (32, 32), (8, 16)])
def test_the_model_is_given_what_wd_taggers_were_trained_on(tmp_path, shape, channels_first):
    image = drawing(*shape)
    tagger = Tagger.open(str(mirror_tagger(tmp_path, 32, channels_first=channels_first)))
    apart = np.abs(seen_by_the_model(tagger, image, 32) - as_published(image, 32))
    assert inside(apart, shape, border=0 if shape[0] == shape[1] else 3).max() < 1e-3


def test_a_picture_of_an_odd_size_stays_in_its_place_to_a_pixel(tmp_path):
    shape = 75, 131
    down, across = np.mgrid[: shape[0], : shape[1]]
    image = np.dstack([down, across, down + across]).astype(
        np.uint8
    )  # one level a pixel: places can be read off
    seen = seen_by_the_model(Tagger.open(str(mirror_tagger(tmp_path, 32))), image, 32)
    apart = np.abs(seen - as_published(image, 32))
    assert inside(apart, shape, border=3).max() <= 2 * 131 / 32


def inside(picture: np.ndarray, shape: tuple[int, int], border: int) -> np.ndarray:
    """The part of a padded square that shows the picture, less `border` pixels next to the white."""
    side, longest = len(picture), max(shape)
    rows, columns = (
        slice(round((longest - length) / 2 * side / longest) + border, None)
        if length < longest
        else slice(None)
        for length in shape
    )
    part = picture[rows, columns]
    return part[: len(part) - (rows.start or 0), : part.shape[1] - (columns.start or 0)]


def test_channels_are_blue_green_red_from_0_to_255_and_the_rest_is_white(tmp_path):
    image = np.zeros((20, 40, 3), np.uint8)
    image[...] = 10, 120, 250
    seen = seen_by_the_model(Tagger.open(str(mirror_tagger(tmp_path, 8))), image, 8)
    assert np.abs(seen[2:6] - (250, 120, 10)).max() < 1e-3
    assert np.abs(seen[[0, 1, 6, 7]] - 255).max() < 1e-3


@pytest.mark.parametrize("shape", [(1, 30_000), (30_000, 1), (1, 1)])
def test_pictures_of_any_shape_are_tagged(tmp_path, shape):
    seen = seen_by_the_model(Tagger.open(str(mirror_tagger(tmp_path, 8))), np.zeros((*shape, 3), np.uint8), 8)
    assert seen.min() == 0


def test_tags_are_general_and_character_ones_from_the_threshold_up(tmp_path):
    tagger = Tagger.open(str(colour_tagger(tmp_path)))
    images = [np.full((24, 32, 3), colour, np.uint8) for colour in COLOURS.values()]
    found = tagger.tag(images)
    assert [list(tags) for tags in found] == [["1girl"], ["tree"], ["sky"]]
    assert list(tagger.tag(images, threshold=0)[0]) == [*COLOURS, "momotaro"]
    assert tagger.tag(images, threshold=1) == [{}, {}, {}]
    assert tagger.tag([]) == []


def test_results_do_not_depend_on_neighbours_or_threads(tmp_path):
    folder = str(random_tagger(tmp_path))
    images = [drawing(40 + number, 90) for number in range(5)]
    one, two = Tagger.open(folder), Tagger.open(folder, threads=2)
    together = one.tag(images, threshold=0)
    assert together == [one.tag([image], threshold=0)[0] for image in images]
    assert together == two.tag(images, threshold=0)
    assert together == one.tag(images[::-1], threshold=0)[::-1]
    assert len({round(value, 6) for value in together[0].values()}) > 100


def test_fingerprints_are_those_of_the_files(tmp_path):
    folder = colour_tagger(tmp_path)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL, TAGS)}
    assert fingerprints(folder) == digests


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 800
    return text


def without_model(folder):
    (folder / MODEL).unlink()


def without_tags(folder):
    (folder / TAGS).unlink()


def cut_short(folder):
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:300])


def only_a_pointer(folder):
    (folder / MODEL).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 378536310\n")


def too_few_tags(folder):
    write_tags(folder, list(COLOURS)[:-1])


def no_list_of_tags(folder):
    (folder / TAGS).write_text("<html>\n<b>404</b>\n")


def empty_list(folder):
    (folder / TAGS).write_text("")


def only_ratings(folder):
    (folder / TAGS).write_text("tag_id,name,category,count\n1,general,9,1\n")


def no_category(folder):
    (folder / TAGS).write_text("tag_id,name,category\n1,1girl,0\n2,tree\n")


def tag_twice(folder):
    (folder / TAGS).write_text("tag_id,name,category\n1,tree,0\n2,tree,4\n")


def not_text(folder):
    (folder / TAGS).write_bytes(b"tag_id,name,category\n1,\xff\xfe,0\n")


def huge_list(folder):
    with (folder / TAGS).open("r+b") as file:
        file.truncate((16 << 20) + 1)


def plain_graph(folder, shape, operation="Flatten", **more):
    write_tagger(
        folder,
        [f"tag_{n}" for n in range(9)],
        [helper.make_node(operation, ["input"], ["output"])],
        {},
        input_shape=shape,
        **more,
    )


def four_by_four(folder):
    plain_graph(folder, ("batch", 4))


def no_colours(folder):
    plain_graph(folder, ("batch", 4, 4, 1))


def not_square(folder):
    plain_graph(folder, ("batch", 4, 8, 3))


def open_size(folder):
    plain_graph(folder, ("batch", "height", "width", 3))


def batches_of_eight(folder):
    plain_graph(folder, (8, 2, 2, 3))


def enormous_input(folder):
    plain_graph(folder, ("batch", 2048, 2048, 3))


def untrue_width(folder):
    plain_graph(folder, ("batch", 4, 4, 3))  # says 12, gives 48


def unknown_operation(folder):
    plain_graph(folder, ("batch", 2, 2, 3), operation="OpenShell")


DAMAGES = {
    without_model: "has no model.onnx",
    without_tags: "has no selected_tags.csv",
    cut_short: "ONNX Runtime cannot read it",
    only_a_pointer: "git clone without LFS",
    too_few_tags: r"\(1, 6\) where selected_tags.csv beside it lists 5 tags",
    no_list_of_tags: "no columns name and category",
    empty_list: "no columns name and category",
    only_ratings: "lists no general or character tags",
    no_category: "line 3 has no name or no category",
    tag_twice: "line 3 names tree for the second time",
    not_text: "cannot be read as text",
    huge_list: "more than the 16,777,216",
    four_by_four: "not a picture",
    no_colours: "takes pictures of shape",
    not_square: "takes pictures of shape",
    open_size: "takes pictures of shape",
    batches_of_eight: "takes pictures of shape",
    enormous_input: "takes pictures of 2048×2048",
    untrue_width: r"of shape \(1, 48\)|fails when it is tried",
    unknown_operation: "ONNX Runtime cannot read it",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_tagger_that_is_none_is_refused_in_one_line(tmp_path, capfd, damage):
    damage(colour_tagger(tmp_path))
    with pytest.raises(FramekitError, match=DAMAGES[damage]) as error:
        Tagger.open(str(tmp_path))
    assert str(tmp_path) in one_line(error)
    assert capfd.readouterr() == ("", "")


def test_weights_outside_the_folder_are_not_read(tmp_path):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(np.full(6, 0.5, np.float32).tobytes())
    folder = colour_tagger(tmp_path / "tagger")
    model = onnx.load(folder / MODEL)
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "bias")
    bias.ClearField("raw_data")
    bias.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "../outside.bin", "offset": "0", "length": "24"}.items():
        bias.external_data.add(key=key, value=value)
    (folder / MODEL).write_bytes(model.SerializeToString())
    with pytest.raises(FramekitError, match="ONNX Runtime cannot read it"):
        Tagger.open(str(folder))


@pytest.mark.parametrize("divisor", [1.0, np.nan])
def test_what_is_no_probability_is_refused(tmp_path, divisor):
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Div", ["flat", "by"], ["output"]),
    ]
    shape = ("batch", 2, 2, 3)
    write_tagger(tmp_path, [str(n) for n in range(9)], nodes, {"by": np.float32(divisor)}, input_shape=shape)
    with pytest.raises(FramekitError, match="not probabilities") as error:
        Tagger.open(str(tmp_path)).tag([drawing(20, 20)])
    one_line(error)


@pytest.mark.parametrize("where", ["", "no-such-folder", "no/such/folder", "owner/name@", "owner/../name"])
def test_what_is_neither_folder_nor_hub_id_is_refused(where):
    with pytest.raises(FramekitError, match=r"no folder of a tagger|has no model\.onnx") as error:
        Tagger.open(where)
    one_line(error)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as fetching a file takes."""

    folder: Path
    asked: list[str]

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        owner, name, _, revision, file = self.path.strip("/").split("/", 4)
        self.asked.append(self.path)
        fault = None
        if (owner, name) not in (("someone", "tagger"), ("someone", "half")):
            fault = "RepoNotFound"
        elif revision not in ("main", "v3", COMMIT):
            fault = "RevisionNotFound"
        elif name == "half" and file == MODEL:
            fault = "EntryNotFound"
        data = b"" if fault else (self.folder / file).read_bytes()
        self.send_response(404 if fault else 200)
        if fault:
            self.send_header("X-Error-Code", fault)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    Hub.folder, Hub.asked = colour_tagger(tmp_path / "on-the-hub"), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


PROGRAM = """
import json, sys
import numpy as np
from framekit.errors import FramekitError
from framekit.images.tagging import Tagger
for where in sys.argv[1:]:
    try:
        print(json.dumps(list(Tagger.open(where).tag([np.full((9, 16, 3), (0, 0, 255), np.uint8)])[0])))
    except FramekitError as error:
        print(json.dumps(str(error)))
"""


def opened_elsewhere(folder: Path, *hub_ids: str, **settings: str) -> list:
    """What each hub id gives in a fresh process: tags of a blue picture, or the error."""
    quiet = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("HF_", "HTTP"))}
    program = [sys.executable, "-c", PROGRAM, *hub_ids]
    root = Path(__file__).parents[3]
    variables = kept | quiet | {"HF_HOME": str(folder), "NO_PROXY": "127.0.0.1"} | settings
    done = subprocess.run(program, env=variables, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_tagger_comes_from_the_hub_once_and_then_from_its_cache(tmp_path, hub):
    home = tmp_path / "home"
    online = opened_elsewhere(
        home,
        *(
            "someone/tagger",
            "someone/tagger",
            "someone/tagger@v3",
            "nobody/tagger",
            "someone/tagger@v9",
            "someone/half",
        ),
        HF_ENDPOINT=hub,
    )
    assert online[:3] == [["sky"], ["sky"], ["sky"]]
    assert "no such model on the hub" in online[3]
    assert "no revision v9" in online[4]
    assert "not with model.onnx and selected_tags.csv" in online[5]
    assert {path.rsplit("/", 1)[1] for path in Hub.asked} == {MODEL, TAGS}
    assert (
        len([path for path in Hub.asked if path.startswith("/someone/tagger/resolve/main")]) == 2
    )  # HEAD, GET
    models = [path for path in Hub.asked if path.startswith("/someone/") and path.endswith(MODEL)]
    assert all(COMMIT in path for path in models)  # of the commit that the tags were of

    offline = opened_elsewhere(
        home, "someone/tagger", "someone/tagger@v3", "someone/other", HF_HUB_OFFLINE="1"
    )
    assert offline[:2] == [["sky"], ["sky"]]
    assert "the hub is out of reach" in offline[2]
    assert "by hand" in offline[2]
    assert not any("\n" in str(answer) for answer in online + offline)


SHOWN = {
    ("1girl", "solo", "long_hair"): ["people"],
    ("3girls", "6+boys"): ["people"],
    ("cat", "no_humans", "solo"): ["animals"],
    ("bat_(animal)",): ["animals"],
    ("blue_sky", "cumulonimbus_cloud", "mountain"): ["scenery"],
    ("building", "street", "power_lines"): ["city"],
    ("grass", "tree"): ["greenery"],
    ("1boy", "dog", "forest", "city"): ["animals", "city", "greenery", "people", "scenery"],
    ("rose_(flower)",): ["greenery"],
    # What only looks like a member of a group.
    ("cat_ears", "animal_hood", "stuffed_animal", "teddy_bear", "dog_tail"): ["other"],
    ("hair_flower", "christmas_tree", "sky_print", "indoors"): ["other"],
    (): ["other"],
}


@pytest.mark.parametrize("tags", SHOWN, ids=",".join)
def test_the_table_that_comes_with_framekit(tags):
    assert Groups.read().of(tags) == SHOWN[tags]


def test_every_group_has_many_entries():
    groups = Groups.read()
    assert len(groups.exact) >= 150
    assert all(sum(group in found for found in groups.exact.values()) >= 30 for group in GROUPS)


def test_every_entry_of_the_table_is_a_tag_as_taggers_write_it():
    for tag in Groups.read().exact:
        assert tag == tag.lower().strip()
        assert " " not in tag


@settings(deadline=None)
@given(st.lists(st.sampled_from(["cat", "dog", "sky", "city", "1girl", "tree", "cup"])))
def test_groups_are_those_of_the_single_tags_whatever_their_order(tags):
    groups = Groups.read()
    single = {group for tag in tags for group in groups.of([tag])} - {"other"}
    assert groups.of(tags) == groups.of(tags[::-1]) == (sorted(single) or ["other"])


def test_a_table_of_ones_own_replaces_the_one_that_comes_with_framekit(tmp_path):
    table = tmp_path / "own.csv"
    table.write_text(
        '# mine\n\ntag,group\ncup*, scenery\ntea ,city\ntea,scenery\n"a,b",people\n', encoding="utf-8"
    )
    groups = Groups.read(table)
    assert groups.of(["cupboard"]) == ["scenery"]
    assert groups.of(["tea"]) == ["city", "scenery"]
    assert groups.of(["a,b"]) == ["people"]
    assert groups.of(["1girl"]) == ["other"]
    table.write_bytes(DEFAULT_TABLE.read_bytes().replace(b"\n", b"\r\n"))
    assert Groups.read(table) == Groups.read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tag,group\n1girl,people\ncat,beasts\n",
            "line 3: unknown group 'beasts'. The groups are animals, city",
        ),
        ("tag,group\ncup,other\n", "line 2: unknown group 'other'"),
        ("# a\ncat,animals\n\ncat,animals\n", "line 4: cat is in animals already, by line 2"),
        ("cat\n", "line 1: takes a tag and a group, got 'cat'"),
        ("cat,\n", "line 1: takes a tag and a group"),
        ("cat,animals,city\n", "line 1: takes a tag and a group"),
        ('"cat,animals\n', "line 1: no line of CSV"),
        ("tag,group\n", "without entries"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    table = tmp_path / "own.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(FramekitError) as error:
        Groups.read(table)
    assert message in one_line(error)


def test_a_table_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(FramekitError, match="cannot be read") as error:
        Groups.read(tmp_path / "none.csv")
    one_line(error)
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(FramekitError, match="cannot be read as text"):
        Groups.read(tmp_path / "picture.csv")

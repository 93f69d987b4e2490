"""The contracts that are checked in are those that the event classes make, and only ever grow."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tiendo_common.events import contracts
from tiendo_common.events.catalogue import TOPICS, type_of
from tiendo_common.events.contracts import (
    FOLDER,
    BreakingChange,
    breaks,
    documents,
    event_classes,
    example_path,
    main,
    schema_of,
    schema_path,
    stale,
    write,
)
from tiendo_common.events.restatements import IntakeRestated

Schema = dict[str, Any]


def test_the_contracts_that_are_checked_in_are_up_to_date() -> None:
    assert "".join(stale(FOLDER)) == ""


def test_the_contracts_are_the_same_in_every_process() -> None:
    script = (
        "import sys; from tiendo_common.events.contracts import documents; "
        "sys.stdout.write('\\n'.join(path + text for path, text in documents().items()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == "\n".join(path + text for path, text in documents().items())


def test_every_type_of_event_belongs_to_one_topic_and_has_a_schema_and_an_example() -> None:
    classes = event_classes()
    assert len({type_of(event) for event in classes}) == len(classes)
    assert {path.name for path in (FOLDER / "events").iterdir()} == {
        Path(path).name for event in classes for path in (schema_path(event), example_path(event))
    }


def test_a_type_names_the_service_that_publishes_it_and_its_version() -> None:
    for topic in TOPICS.values():
        for event in topic.events:
            assert type_of(event).startswith(f"vn.tiendo.{topic.owner}.")
            assert type_of(event).rpartition(".v")[2].isdecimal()


def test_the_list_of_topics_says_what_the_catalogue_says() -> None:
    listed = msgspec.yaml.decode((FOLDER / "topics.yaml").read_bytes())["topics"]
    assert [each["name"] for each in listed] == list(TOPICS)
    for each, topic in zip(listed, TOPICS.values(), strict=True):
        assert each["owner"] == topic.owner
        assert each["consumers"] == list(topic.consumers)
        assert each["partitions"] == topic.partitions
        assert each["restricted"] == topic.restricted
        assert each["retention"].startswith("kept whole" if topic.kind == "fact" else "compacted")
        assert each["events"] == [type_of(event) for event in topic.events]


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of contracts of its own."""
    write(tmp_path)
    return tmp_path


def test_checking_writes_nothing_and_shows_what_is_stale(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = folder / "topics.yaml"
    topics.write_text(topics.read_text().replace("restricted: true", "restricted: false"))
    before = topics.read_text()
    assert main(["--check", "--folder", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "-  restricted: false\n+  restricted: true\n" in said
    assert "make contracts" in said
    assert topics.read_text() == before


def test_writing_makes_what_checking_accepts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "asyncapi.yaml").unlink()
    assert main(["--check", "--folder", str(folder)]) == 1
    assert main(["--folder", str(folder)]) == 0
    assert capsys.readouterr().out == "written: asyncapi.yaml\n"
    assert main(["--check", "--folder", str(folder)]) == 0
    assert main(["--folder", str(folder)]) == 0
    assert capsys.readouterr().out == "The contracts are up to date.\n"


def test_a_file_that_belongs_to_no_event_is_stale(folder: Path) -> None:
    (folder / "events" / "vn.tiendo.intake.forgotten.v1.schema.json").write_text("{}")
    assert "forgotten.v1.schema.json: no type of event has this file" in "".join(stale(folder))


def test_an_example_is_written_once_and_never_again(folder: Path) -> None:
    example = folder / example_path(IntakeRestated)
    example.write_text('{"as": "it was"}')
    assert write(folder) == []
    assert example.read_text() == '{"as": "it was"}'


def test_a_breaking_change_of_a_released_event_is_refused_and_nothing_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / schema_path(IntakeRestated)
    released = schema_of(IntakeRestated)
    released["$defs"]["Segment"]["properties"]["hamlet"] = {"type": "string"}
    path.write_bytes(msgspec.json.encode(released))
    (folder / "topics.yaml").unlink()
    with pytest.raises(BreakingChange, match=r"\$\.data\.after/items\.hamlet: removed"):
        write(folder)
    assert not (folder / "topics.yaml").exists()
    assert main(["--folder", str(folder)]) == 1
    assert "the next version" in capsys.readouterr().err


# --- growing ---------------------------------------------------------------------------------------------


def _without_a_member(schema: Schema) -> None:
    del schema["$defs"]["Segment"]["properties"]["team"]


def _with_a_required_member(schema: Schema) -> None:
    schema["$defs"]["Segment"]["properties"]["hamlet"] = {"type": "string"}
    schema["$defs"]["Segment"]["required"].append("hamlet")


def _without_a_promise(schema: Schema) -> None:
    schema["required"].remove("subject")


def _with_another_type(schema: Schema) -> None:
    schema["$defs"]["IntakeRestatement"]["properties"]["version"] = {"type": "string"}


def _with_a_new_value(schema: Schema) -> None:
    schema["$defs"]["Segment"]["properties"]["channel"]["enum"].append("post")


def _with_another_default(schema: Schema) -> None:
    schema["$defs"]["Segment"]["properties"]["team"]["default"] = "none"


def _closed(schema: Schema) -> None:
    schema["additionalProperties"] = False


def _of_another_name(schema: Schema) -> None:
    schema["properties"]["type"] = {"const": "vn.tiendo.intake.intake-restated.v2"}


@pytest.mark.parametrize(
    "change",
    [
        _without_a_member, _with_a_required_member, _without_a_promise, _with_another_type, _with_a_new_value,
        _with_another_default, _closed, _of_another_name,
    ],
)  # fmt: skip
def test_a_change_that_a_reader_could_stumble_over_is_a_break(change: Callable[[Schema], None]) -> None:
    old = schema_of(IntakeRestated)
    new = copy.deepcopy(old)
    change(new)
    assert breaks(old, new) != []


def test_an_optional_member_and_better_words_break_nothing() -> None:
    old = schema_of(IntakeRestated)
    new = copy.deepcopy(old)
    new["properties"]["dataschema"] = {"type": "string"}
    new["$defs"]["Segment"]["properties"]["place"] = {"$ref": "#/$defs/Place"}
    new["$defs"]["Place"] = {"type": "object", "properties": {"hamlet": {"type": "string"}}}
    new["description"] = "Said better."
    assert breaks(old, new) == []
    assert breaks(new, old) != []


def test_renaming_a_class_breaks_nothing() -> None:
    old = schema_of(IntakeRestated)
    renamed = msgspec.json.encode(old).replace(b"Segment", b"SpanOfDays")
    assert breaks(old, msgspec.json.decode(renamed)) == []


def test_the_folder_is_found_beside_the_sources() -> None:
    assert (contracts.FOLDER / "topics.yaml").is_file()

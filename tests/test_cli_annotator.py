"""`gadfly analyze` with a language model as annotator, and the trial that measures one: served, garbled, real."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cli_calls import Cli
from gadfly.config import from_dict
from gadfly.errors import ConfigError
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.annotator import TestbedAnnotator
from gadfly.wiring import Wiring
from loopback_server import Act, Body, LoopbackServer, texts_of
from made_probes import INVALID, RIGHT, WRONG, make_probe
from small_language_model import missing, unpack

FORMS = {  # as a model that was given no list writes one skill
    "heart": ["recognition.heart", "recognition.hearts", "recognition.heart_recognition"],
    "moon": ["recognition.moon", "Recognition / Moon"],
    "star": ["recognition.star", "recognition.star_identification"],
}


def asked(body: Body) -> str:
    return texts_of(body).rpartition("<<< ")[2].partition(" >>>")[0]


def form_of(body: Body) -> str:
    return str(body["response_format"]["json_schema"]["name"])


def names_it(body: Body) -> str:
    """What a question needs, in one form or another; the form follows from the question."""
    question = asked(body)
    kind = next(kind for kind in FORMS if kind in question)
    form = random.Random(question).choice(FORMS[kind])
    return json.dumps({"skills": [form], "concepts": [kind + "s" * (len(question) % 2)]})


def made(folder: Path, probes: Iterable[Probe]) -> Path:
    with SqliteStore.create(folder, "made", {"images": {"path": str(folder / "gone")}}, {}, 0) as store:
        attempt = store.begin_attempt("sweep")
        store.add([replace(p, key=replace(p.key, phase="sweep", attempt=attempt)) for p in probes])
    return folder


def hearts(n_images: int = 120) -> list[Probe]:
    """Hearts are WRONG on three images of four, moons and stars on one of five. Nobody says which skill is needed."""
    return [
        make_probe(
            WRONG if (i % 4 < 3 if kind == "heart" else i % 5 == 0) else RIGHT,
            f"{i:064x}",
            3 * i + shift,
            question=f"is {kind} {i} there?",
            expected="yes",
        )
        for i in range(n_images)
        for shift, kind in enumerate(FORMS)
    ] + [make_probe(INVALID, f"{0:064x}", 9999, question="bad?")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_free_names_are_merged_into_the_mode_and_the_second_time_nobody_is_asked(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts())
    with LoopbackServer(answer=names_it) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url]
        first = cli("analyze", run, *options, "--json")
        assert first.status == 0, first.err
        # Each distinct valid question once, skills and concepts together; then the mode, which it cannot put in words.
        assert [form_of(body) for body in server.bodies] == ["annotation"] * 360 + ["words"]
        files = contents(run / "findings")
        assert "sweep/names.json" in files and (tmp_path / "answers.sqlite").is_file()
        again = cli("analyze", run, *options, "--json")
        assert len(server.bodies) == 361 and contents(run / "findings") == files
        shown = cli("analyze", run, *options)
    found = json.loads(first.out)
    assert [mode["items"] for mode in found["search"]["modes"]] == [["skill:recognition.heart"]]
    assert set(found["names"]["skills"].values()) == {"recognition.heart", "recognition.moon", "recognition.star"}
    concepts = found["names"]["concepts"]
    assert all(concepts[kind] == concepts[f"{kind}s"] for kind in FORMS)
    assert found["annotator"] == {"asked": 360, "errors": 0, "unreadable": 0}
    assert found["usage"]["annotator"]["calls"] == 361
    assert json.loads(again.out)["usage"]["annotator"]["cached"] == 361
    (family,) = [node for node in found["taxonomy"] if node["name"] == "recognition"]
    assert [node["title"] for node in family["children"]] == [f"recognition.{kind}" for kind in sorted(FORMS)]
    assert "skills, which were merged into 3." in shown.out and "annotator" in shown.out
    # Without an annotator the names of an earlier analysis are gone.
    assert cli("analyze", run).status == 0
    gone = {"names.json", "annotator.json", "annotations.json"}
    assert not gone & {path.name for path in (run / "findings" / "sweep").iterdir()}


def in_words(body: Body) -> str:
    if form_of(body) == "annotation":
        return names_it(body)
    assert asked(body) == "questions that need recognition.heart"
    return 'Here it is: {"name": "seeing\u202e \\n hearts.", "sentence": "Questions about <b>hearts</b>"}'


def test_modes_are_put_in_words_and_other_commands_know_by_whom(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts())
    with LoopbackServer(answer=in_words) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url]
        (mode,) = json.loads(cli("analyze", run, *options, "--json").out)["search"]["modes"]
        n_asked = len(server.bodies)
        # The findings say who named them. All answers are kept, so nobody is asked again.
        read = json.loads(cli("modes", run, "--json").out)["modes"]
        report = cli("report", run, "--out", tmp_path / "report")
        assert len(server.bodies) == n_asked
    assert mode["name"] == "seeing hearts" and mode["items"] == ["skill:recognition.heart"]
    assert mode["description"].startswith("Questions about <b>hearts</b>. The target fails at questions that need")
    assert [(one["mode"]["name"], one["new"]) for one in read] == [("seeing hearts", 90)]
    page = (tmp_path / "report" / "modes" / f"{mode['id']}.html").read_text()
    assert report.status == 0 and "seeing hearts" in page and "<b>hearts</b>" not in page
    (run / "findings" / "sweep" / "annotator.json").write_text('{"modle": 1}')
    refused = cli("modes", run)
    assert refused.status == 2 and "annotator.json cannot be read" in refused.err


GARBAGE = [
    "I'm sorry, I can't.",
    '{"skills": ["recog',
    "",
    "x" * 200_000,
    '{"skills": {}}',
    "<script>",
    "\ud83d\x00\x1b[31m",
]


@pytest.mark.parametrize(
    ("plan", "answer", "errors", "unreadable"),
    [
        (None, lambda body: GARBAGE[len(asked(body)) % len(GARBAGE)], 0, 36),
        (lambda n, body: Act.BAD_REQUEST if "moon" in asked(body) else Act.ANSWER, names_it, 12, 0),
        (None, lambda body: names_it(body) if "star" in asked(body) else "no", 0, 24),
    ],
)
def test_a_model_that_fails_costs_names_and_nothing_else(
    cli: Cli,
    tmp_path: Path,
    plan: Callable[[int, Body], Act] | None,
    answer: Callable[[Body], str],
    errors: int,
    unreadable: int,
) -> None:
    run = made(tmp_path / "run", hearts(12))
    with LoopbackServer(plan or (lambda n, body: Act.ANSWER), answer=answer) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url]
        said = cli("analyze", run, *options)
        assert said.status == 0, said.err
        found = json.loads(cli("analyze", run, *options, "--json").out)
    assert found["annotator"] == {"asked": 36, "errors": errors, "unreadable": unreadable}
    assert f"Of {errors + unreadable} of 36 questions it is not known what they need" in said.out
    assert "\x1b" not in said.out and found["failure"]["n"] == 36


def test_what_was_named_once_needs_neither_the_model_nor_its_answers(cli: Cli, tmp_path: Path) -> None:
    """Of half of the questions the annotator says nothing, ever; and later it is gone, and so are the answers kept."""

    def refused(n: int, body: Body) -> Act:
        text = asked(body)
        return Act.BAD_REQUEST if text.startswith("is ") and random.Random(text).random() < 0.5 else Act.ANSWER

    def said(body: Body) -> str:
        words = '{"name": "seeing hearts", "sentence": "Questions about hearts"}'
        return names_it(body) if asked(body).startswith("is ") else words

    run = made(tmp_path / "run", hearts(60))
    with LoopbackServer(refused, answer=said) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url]
        first = cli("analyze", run, *options, "--json")
        files, n_asked = contents(run / "findings"), len(server.bodies)
        again = cli("analyze", run, *options, "--json")
        assert n_asked < len(server.bodies)  # what failed is asked for again, in vain
        read = cli("modes", run, "--json")
    found = json.loads(first.out)
    assert again.status == read.status == 0, again.err + read.err
    assert "what failed before stays unknown" in again.err
    assert contents(run / "findings") == files and json.loads(again.out)["annotator"] == found["annotator"]
    assert 60 < found["annotator"]["errors"] < 120 and found["annotator"]["asked"] == 180
    assert [mode["name"] for mode in found["search"]["modes"]] == ["seeing hearts"]
    (tmp_path / "answers.sqlite").unlink()
    assert cli("modes", run, "--json").out == read.out
    assert cli("report", run, "--out", tmp_path / "report").status == 0
    assert "seeing hearts" in (tmp_path / "report" / "index.html").read_text()
    (run / "findings/sweep/annotations.json").write_text('{"format": 1, "questions": []}')
    assert cli("modes", run).status == 2  # now it would have to be asked, and is gone


def test_a_server_that_is_gone_or_limits_that_are_reached_are_one_line(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts(12))
    with LoopbackServer(answer=names_it) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url]
        said = cli("analyze", run, *options, "--set", "limits.max_calls=5")
        assert said.status == 2 and "5 allowed" in said.err and not server.bodies
        wrong = cli(
            "analyze", run, "--annotator", "namer", "--annotator-url", server.url, "--vocabulary", tmp_path / "x"
        )
        assert wrong.status == 2 and "cannot read the vocabulary" in wrong.err
    with LoopbackServer(lambda n, body: Act.WRONG_KEY) as server:
        said = cli("analyze", run, "--annotator", "namer", "--annotator-url", server.url)
        assert said.status == 2 and "does not accept the key" in said.err.splitlines()[-1]


def test_a_vocabulary_is_sent_and_held_to(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts(12))
    names = tmp_path / "skills.txt"
    names.write_text("recognition.heart\nrecognition.moon\n")
    with LoopbackServer(answer=names_it) as server:
        options = ["--annotator", "namer", "--annotator-url", server.url, "--vocabulary", names]
        found = json.loads(cli("analyze", run, *options, "--json").out)
        assert "Choose the skills from this list only: recognition.heart, recognition.moon." in texts_of(
            server.bodies[0]
        )
    assert found["names"] is None and not (run / "findings" / "sweep" / "names.json").exists()
    assert found["annotator"]["unreadable"] == 0
    skills = {node["title"] for family in found["taxonomy"] for node in family["children"]}
    assert "recognition.heart" in skills and "recognition.star" not in skills


def test_who_annotates() -> None:
    def who(verifier: str, **annotator: str) -> object:
        return Wiring(from_dict({"verifier": {"kind": verifier}, "annotator": annotator})).annotator

    assert isinstance(who("oracle"), TestbedAnnotator) and who("model") is None
    assert who("oracle", kind="none") is None and isinstance(who("model", kind="testbed"), TestbedAnnotator)
    for wrong, words in (
        ({"kind": "none", "model": "m"}, "leave out one of the two"),
        ({"temperature": 0.5, "model": "m"}, "annotator.temperature is 0"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "annotator.model, its model's name there, is not"),
        ({"vocabulary": "testbed"}, "annotator.model, which is to choose from it, is not"),
        ({"modle": "m"}, "did you mean 'annotator.model'"),
    ):
        with pytest.raises(ConfigError, match=words):
            from_dict({"annotator": wrong})
    with pytest.raises(ConfigError, match=r"needs the prices of annotator"):
        from_dict(
            {
                "limits": {"max_cost": 1.0},
                "target": {"price_call": 0.1},
                "annotator": {"model": "m", "base_url": "http://127.0.0.1:1/v1"},
            }
        )


def perfect(body: Body) -> str:
    grammar, question = TestbedAnnotator(), asked(body)
    (skills,), (concepts,) = grammar.skills([question]), grammar.concepts([question])
    return json.dumps({"skills": skills, "concepts": concepts})


def test_the_trial_of_an_annotator_that_knows_and_of_one_that_names_what_no_question_needs(cli: Cli) -> None:
    trial = ["testbed", "evaluate-annotator", "namer", "--n", 40, "--json", "--annotator-url"]
    with LoopbackServer(answer=perfect) as server:
        found = json.loads(cli(*trial, server.url).out)
        free = json.loads(cli(*trial, server.url, "--free").out)
        table = cli(*trial[:3], "--n", 5, "--annotator-url", server.url)
    for one in (found, free):
        for kind in ("skills", "concepts"):
            assert one[kind]["precision"]["value"] == one[kind]["recall"]["value"] == 1.0
            assert one[kind]["n"] == 40 and one[kind]["unknown"]["value"] == 0.0
    assert found["skills"]["negatives"]["value"] == 0.0 and free["skills"]["negatives"] is None
    assert found["usage"]["annotator"]["calls"] == 40
    assert "precision" in table.out and "by skill" in table.out

    def always_mood(body: Body) -> str:
        said = json.loads(perfect(body))
        return json.dumps({**said, "skills": [*said["skills"], "emotion.mood", "no.such"]})

    with LoopbackServer(answer=always_mood) as server:
        found = json.loads(cli(*trial, server.url).out)
    assert found["skills"]["negatives"]["value"] == 1.0 and found["skills"]["recall"]["value"] == 1.0
    needed = found["skills"]["recall"]["n"]
    assert found["skills"]["precision"]["n"] == needed + 40  # "no.such" is not in the vocabulary, and not read
    assert found["skills"]["precision"]["value"] == pytest.approx(needed / (needed + 40))


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a gigabyte of weights on a busy core
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_real_small_model_rambles_and_the_chain_holds(cli: Cli, tmp_path: Path) -> None:
    """SmolLM2-135M in this process: what it says is of little use (docs/annotator.md), and does no harm."""
    model = unpack(tmp_path / "smollm2")
    run = made(tmp_path / "run", hearts(1))
    options = ["--annotator", model, "--set", "annotator.device=cpu", "--set", "annotator.max_new_tokens=32"]
    first = cli("analyze", run, *options, "--json")
    assert first.status == 0, first.err
    files = contents(run / "findings")
    found, again = json.loads(first.out), json.loads(cli("analyze", run, *options, "--json").out)
    assert found["annotator"]["asked"] == 3 and found["annotator"]["errors"] == 0
    assert again["usage"]["annotator"]["calls"] == 0 and contents(run / "findings") == files
    refused = cli("sweep", "--target", model, "--images", tmp_path, "--out", tmp_path / "out")
    assert refused.status == 2

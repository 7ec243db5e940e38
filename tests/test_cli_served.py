"""Served models through the command line, with real servers on loopback: answers, limits, the cache, the key."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli, probes_of, small
from gadfly.models import endpoint
from gadfly.records import Verdict
from gadfly.roles.prompts import load_prompt
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.checkpoints import bundled
from gadfly.wiring import Wiring
from loopback_server import Act, Body, LoopbackServer, texts_of
from served_checkpoint import ServedCheckpoint

KEY = "sk-a-key-that-nobody-may-see-2718281828"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as one:
        yield one


def sweep(album: Path, out: Path, *more: object) -> list[object]:
    """A sweep of 24 questions in steps of 8, asked by the uniform sampler and judged by the oracle."""
    options = ["--images", album, "--questioner", "uniform", "--verifier", "oracle", "--out", out, "--n", 24]
    sizes = ["sweep.batch_size=8", "reward.embedder=hash", "target.prompt=testbed_target", "target.max_new_tokens=4"]
    return ["sweep", *options, *(part for size in sizes for part in ("--set", size)), *more]


def outcomes(run: Path) -> list[tuple[Any, ...]]:
    return [(p.key, p.turns, p.judgement, p.terms, p.reward) for p in probes_of(run)]


def test_a_served_target_gives_the_probes_of_one_in_process_and_the_cache_those_of_both(
    cli: Cli, album: Path, tmp_path: Path
) -> None:
    """The bundled target: random weights would say nothing to every question."""
    assert cli(*sweep(album, tmp_path, "--target", bundled("clean"), "--name", "local")).status == 0
    with LoopbackServer(answer=ServedCheckpoint(bundled("clean"))) as server:
        options = sweep(album, tmp_path, "--target", "tiny", "--target-url", server.url)
        first = cli(*options, "--name", "served", "--json")
        assert first.status == 0, first.err
        made = len(server.bodies)
        again = cli(*options, "--name", "again", "--json")
        assert len(server.bodies) == made  # all of it was known
    assert outcomes(tmp_path / "served") == outcomes(tmp_path / "local") == outcomes(tmp_path / "again")
    assert len({p.answer for p in probes_of(tmp_path / "served")}) > 1  # a model that says one thing shows nothing
    usage = json.loads(first.out)["usage"]["target"]
    # The server says 10 tokens in and 3 out of each answer.
    assert (usage["calls"], usage["prompt_tokens"], usage["completion_tokens"]) == (made, 10 * made, 3 * made)
    assert 0 < made <= 24 and usage["cost"] is None and usage["errors"] == 0
    cached = json.loads(again.out)["usage"]["target"]
    assert (cached["calls"], cached["cached"]) == (0, made)
    compared = cli("compare", tmp_path / "served", tmp_path / "again")
    assert "what the models were asked for" in compared.out and "from cache" in compared.out
    assert "tokens in" in cli("show", tmp_path / "served").out


def test_what_is_done_while_a_server_answers_gives_the_probes_of_one_thing_after_another(
    cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sampled questioner in this process, a served target; to the last bit, rewards too."""
    with LoopbackServer(answer=ServedCheckpoint(bundled("clean"))) as server:
        questioner = ["--questioner", bundled("questioner"), "--set", "questioner.prompt=testbed_questioner"]
        options = sweep(album, tmp_path, "--target", "tiny", "--target-url", server.url, *questioner, "--set", NO_CACHE)
        said = cli(*options, "--name", "overlapped")
        assert said.status == 0, said.err
        asked = Counter(texts_of(body) for body in server.bodies)
        with monkeypatch.context() as alone:
            alone.setattr(Wiring, "target_is_served", False)
            alone.setattr(Wiring, "asks_ahead", False)
            assert cli(*options, "--name", "in-turn").status == 0
    assert outcomes(tmp_path / "overlapped") == outcomes(tmp_path / "in-turn")
    assert Counter(texts_of(body) for body in server.bodies) == Counter({text: 2 * n for text, n in asked.items()})
    probes = probes_of(tmp_path / "overlapped")
    assert len(probes) == 24 and len({p.question for p in probes}) > 12 and len({p.verdict for p in probes}) > 1


def test_under_a_limit_on_calls_nothing_is_asked_ahead(cli: Cli, photos: Path, tmp_path: Path) -> None:
    """A step takes 2 questions, 2 answers, and 2 calls in each of the verifier's three stages: 10. Two steps fit into
    20 calls, and would not if the questions of the third were among them."""
    with LoopbackServer(answer=answer) as server:
        names = ["--target", "under-test", "--questioner", "asker", "--verifier", "judge"]
        urls = [part for role in ROLES for part in (f"--{role}-url", server.url)]
        sizes = ["--n", 8, "--set", "sweep.batch_size=2", "--set", "reward.embedder=hash", "--set", NO_CACHE]
        options = ["sweep", "--images", photos, *names, *urls, *sizes, "--out", tmp_path]
        assert cli(*options, "--max-calls", 20).status == 0
        assert len(server.bodies) == 20 and len(probes_of(tmp_path / "run")) == 4
        assert cli(*options, "--max-calls", 1000, "--resume").status == 0
        assert len(server.bodies) == 40 and len(probes_of(tmp_path / "run")) == 8


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_whose_servers_are_all_waited_for(photos: Path, tmp_path: Path) -> None:
    """The target falls silent in the second step, and then everyone: the next questions, the answers and the verdicts
    are all waited for, each in a thread of its own."""

    def silent(n: int, body: Body) -> Act:
        return Act.STALL if sum(one["model"] == "under-test" for one in all_of_them.bodies) > 2 else Act.ANSWER

    with LoopbackServer(silent, answer=answer) as all_of_them:
        names = ["--target", "under-test", "--questioner", "asker", "--verifier", "judge"]
        urls = [part for role in ROLES for part in (f"--{role}-url", all_of_them.url)]
        sizes = ["--n", 8, "--set", "sweep.batch_size=2", "--set", "reward.embedder=hash", "--set", NO_CACHE]
        options = ["sweep", "--images", photos, *names, *urls, *sizes, "--out", tmp_path]
        command = [sys.executable, "-m", "gadfly", *map(str, options)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            while not Counter(body["model"] for body in all_of_them.bodies) >= Counter({"under-test": 4, "judge": 8}):
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)  # a call would be waited for for 30 s, and tried again
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("gadfly: interrupted; what was stored is kept in") and "Traceback" not in err
    assert len(probes_of(tmp_path / "run")) == 2
    with SqliteStore.open(tmp_path / "run", read_only=True) as store:
        assert [attempt.outcome for attempt in store.attempts()] == ["interrupted"]


NO_CACHE = "cache.max_bytes=0"


def answer(body: Body) -> str:
    """What an asker, two judges and a target say who all live on one server. The judge "stern" takes no question."""
    text = texts_of(body)
    match body["model"]:
        case "asker":
            return "What colour is the cat?"
        case "stern":
            return "VERDICT: INVALID"
        case "judge" if "VERDICT: VALID" in text:
            return "VERDICT: VALID"
        case "judge" if "ANSWER:" in text:
            return "ANSWER: red"
        case "judge":
            return "VERDICT: DIFFERENT"
    return "blue"


def test_every_role_of_a_sweep_can_be_served(cli: Cli, photos: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer=answer) as server:
        urls = [part for role in ("target", "questioner", "verifier") for part in (f"--{role}-url", server.url)]
        names = ["--target", "under-test", "--questioner", "asker", "--verifier", "judge"]
        said = cli(
            "sweep", "--images", photos, *names, *urls, "--out", tmp_path, "--n", 4, "--set", "reward.embedder=hash"
        )
    assert said.status == 0, said.err
    assert [p.verdict for p in probes_of(tmp_path / "run")] == [Verdict.WRONG] * 4
    assert {body["model"] for body in server.bodies} == {"asker", "judge", "under-test"}
    rows = [line.split()[0] for line in said.out.splitlines() if line.split()[:1] and line.split()[0] in ROLES]
    assert rows == list(ROLES)  # the table of what each was asked for


ROLES = ("questioner", "target", "verifier")


def test_a_served_questioner_cannot_be_trained(cli: Cli, tmp_path: Path, server: LoopbackServer) -> None:
    served = ["--set", f"questioner.base_url={server.url}", "--questioner", "asker"]
    said = cli("run", "--images", tmp_path / "nowhere", *served, "--target", "t", "--verifier", "v", "--out", tmp_path)
    assert said.status == 2  # and not for the images that are not there: nothing has been looked at yet
    assert said.err.startswith("gadfly: a served questioner cannot be trained") and len(said.err.splitlines()) == 1
    assert server.bodies == [] and list(tmp_path.iterdir()) == []


def test_each_judge_of_a_panel_has_an_account_at_its_own_price(cli: Cli, photos: Path, tmp_path: Path) -> None:
    with LoopbackServer(answer=answer) as server:
        (tmp_path / "panel.toml").write_text(
            f"""
            [target]
            model = "m"
            base_url = "{server.url}"
            [questioner]
            model = "asker"
            base_url = "{server.url}"
            [verifier]
            model = "judge"
            base_url = "{server.url}"
            price_call = 1
            [[verifier.panel]]
            model = "stern"
            base_url = "{server.url}"
            price_call = 0.5
            """
        )
        options = ["--images", photos, "--out", tmp_path, "--n", 4, "--set", "reward.embedder=hash"]
        dear = cli("sweep", tmp_path / "panel.toml", *options, "--max-cost", 9)
        assert dear.status == 2 and "limits.max_cost needs the prices of questioner" in dear.err
        said = cli("sweep", tmp_path / "panel.toml", *options, "--json")
    assert said.status == 0, said.err
    usage = json.loads(said.out)["usage"]
    asked = Counter(body["model"] for body in server.bodies)
    assert usage["verifier"]["cost"] == asked["judge"] * 1.0
    assert usage["verifier 2"]["cost"] == asked["stern"] * 0.5 > 0


# ------------------------------------------------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("limit", "expected", "n_probes"),
    [
        # Steps of 8 calls: two of them make 16, a third would make 24.
        (["--max-calls", 20], "16 calls made, 8 more wanted, 20 allowed", 16),
        # 8 × 0.25 = 2 a step: 2, 4, and 6 would be more than 5.
        (["--max-cost", 5], "4 spent, 8 more calls would cost about 2, 5 allowed", 16),
        (["--max-time", 0], "s have passed, 0 allowed", 0),
    ],
)
def test_a_limit_ends_a_run_with_its_tables_and_a_higher_one_goes_on(
    cli: Cli, album: Path, tmp_path: Path, server: LoopbackServer, limit: list[object], expected: str, n_probes: int
) -> None:
    options = sweep(album, tmp_path, "--target", "m", "--target-url", server.url, "--set", "target.price_call=0.25")
    said = cli(*options, *limit)
    assert said.status == 0, said.err
    assert "A limit ended the run before it was done: " in said.out and expected in said.out
    assert len(probes_of(tmp_path / "run")) == n_probes
    with SqliteStore.open(tmp_path / "run", read_only=True) as store:
        (outcome,) = [attempt.outcome for attempt in store.attempts()]
    assert outcome is not None and outcome.startswith("limit: ") and expected in outcome
    more = json.loads(cli(*options, *limit, "--resume", "--json").out)
    assert more["ended_by_limit"] is not None  # what was used before counts: the same limit ends it at once
    assert len(probes_of(tmp_path / "run")) == n_probes
    done = json.loads(cli(*options, limit[0], 1000, "--resume", "--json").out)
    assert done["ended_by_limit"] is None
    assert [(p.key.step, p.key.index) for p in probes_of(tmp_path / "run")] == [
        (s, i) for s in range(3) for i in range(8)
    ]
    assert len(server.bodies) == done["usage"]["target"]["calls"] == 24  # each question was paid for once
    assert done["usage"]["target"]["cost"] == pytest.approx(24 * 0.25)


def test_judging_again_and_the_null_end_at_a_limit_with_their_tables_and_go_on(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    """Nine photographs, asked about once each; three calls of the judge: validity, its own answer, a comparison."""
    run = tmp_path / "run"
    with LoopbackServer(answer=answer) as server:
        served = [part for role in ("target", "questioner", "verifier") for part in (f"--{role}-url", server.url)]
        models = ["--target", "under-test", "--questioner", "asker", "--verifier", "judge"]
        sizes = ["--n", 9, "--set", "sweep.batch_size=3", "--set", "reward.embedder=hash", "--set", "cache.max_bytes=0"]
        assert cli("sweep", "--images", photos, *models, *served, "--out", tmp_path, *sizes).status == 0
        # The sweep: 9 questions, 9 answers, 9 · 3 judgements.
        assert len(server.bodies) == 45
        again = ["rejudge", run, "--verifier", "stern", "--verifier-url", server.url]
        said = cli(*again, "--max-calls", 50)
        assert said.status == 0, said.err
        # The judge "stern" calls all INVALID: 3 calls a step. 45 + 3 = 48, and 3 more would be 51.
        assert "A limit ended it before it was done: 48 calls made, 3 more wanted, 50 allowed." in said.out
        assert len(probes_of(run, "sweep.rejudged")) == 3 and len(server.bodies) == 48
        done = json.loads(cli(*again, "--max-calls", 100, "--json").out)
        assert done["ended_by_limit"] is None and len(server.bodies) == 54
        assert [p.verdict for p in probes_of(run, "sweep.rejudged")] == [Verdict.INVALID] * 9

        # The null asks the judge for an answer as well: 3 · 4 calls a step. 54 + 12 = 66, and 3 more would be 69.
        null = json.loads(cli("audit", f"{run}:sweep", "--null", "--max-calls", 68, "--json").out)
        assert null["ended_by_limit"] == "66 calls made, 3 more wanted, 68 allowed"
        assert len(probes_of(run, "sweep.null")) == 3
        before = cli("audit", f"{run}:sweep", "--null", "--max-calls", 68)  # what was used before counts
        assert before.status == 0 and "The same command with a higher one goes on." in before.out
        assert json.loads(cli("audit", f"{run}:sweep", "--null", "--json").out)["ended_by_limit"] is None
    assert len(probes_of(run, "sweep.null")) == 9


def test_a_server_that_goes_away_ends_the_run_and_a_resume_finds_it_at_another_address(
    cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = functools.partial(endpoint.Patience, gone_s=0.3, backoff_s=0.01, max_backoff_s=0.05)
    monkeypatch.setattr(endpoint, "Patience", quick)
    with LoopbackServer(lambda n, body: Act.ANSWER if n < 12 else Act.HANG_UP) as server:
        options = sweep(album, tmp_path, "--target", "m", "--set", "target.retries=100")
        said = cli(*options, "--target-url", server.url)
    assert said.status == 2
    complaint = said.err.splitlines()[-1]
    assert complaint.startswith(f"gadfly: {server.url} is gone: ") and complaint.endswith("then resume")
    assert "Traceback" not in said.err
    before = probes_of(tmp_path / "run")
    assert len(before) == 8 and all(p.verdict is not Verdict.UNDECIDED for p in before)
    with LoopbackServer() as other:
        assert cli(*options, "--target-url", other.url, "--resume").status == 0
    after = probes_of(tmp_path / "run")
    assert [repr(p) for p in after[:8]] == [repr(p) for p in before]
    assert len(after) == 24 and all(p.verdict is not Verdict.UNDECIDED for p in after)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # of peft and trl
def test_a_limit_ends_a_training_and_a_higher_one_goes_on(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path, server: LoopbackServer
) -> None:
    options = small(album, checkpoint, tmp_path, "--verifier", "oracle", "--target", "m", "--target-url", server.url)
    said = cli("run", *options, "--max-calls", 0, "--json")
    assert said.status == 0, said.err
    report = json.loads(said.out)
    assert report["ended_by_limit"].endswith("0 allowed") and report["questioner"] is None
    assert server.bodies == [] and probes_of(tmp_path / "run") == []
    done = json.loads(cli("run", *options, "--max-calls", 100, "--resume", "--json").out)
    assert done["ended_by_limit"] is None and done["questioner"] is not None
    assert len(probes_of(tmp_path / "run")) == 2 * 2 * 4
    assert done["usage"]["target"]["calls"] == len(server.bodies) > 0


# ----------------------------------------------------------------------------------------------- dry runs and the key


def test_a_dry_run_names_the_hosts_and_asks_nobody(
    cli: Cli, album: Path, tmp_path: Path, server: LoopbackServer
) -> None:
    prices = ["--set", "target.price_completion=1000", "--set", "target.price_call=0.5"]
    options = sweep(album, tmp_path, "--target", "m", "--target-url", server.url, *prices, "--dry-run")
    plan = json.loads(cli(*options, "--json").out)
    host = f"127.0.0.1:{server.port}"
    assert plan["hosts_that_receive_images"] == [host]
    sized = plan["estimates"]["target"]
    # 24 answers of at most 4 tokens: 96 tokens at 0.001, and 24 calls at 0.5.
    assert (sized["calls"], sized["completion_tokens"]) == (24, 96)
    assert sized["cost"] == pytest.approx(96 * 0.001 + 24 * 0.5)
    # 96 × 96 px in squares of 28 are 11.8 tokens, and a question has some too.
    assert 24 * 12 < sized["prompt_tokens"] < 24 * 100
    said = cli(*options, "--max-calls", 10)
    assert f"{host} would receive images, as the target." in said.out
    assert "The run would end at 10 calls." in said.out
    assert server.bodies == []


def test_a_dry_run_counts_the_annotator_that_names_skills_while_a_run_asks(
    cli: Cli, album: Path, tmp_path: Path, server: LoopbackServer
) -> None:
    """It may be asked twice about a question, and sees none of the images."""
    judged = [
        "--target",
        bundled("clean"),
        "--verifier",
        "model",
        "--set",
        "verifier.model=m",
        "--set",
        f"verifier.base_url={server.url}",
    ]
    names = ["--set", "annotator.model=n", "--set", f"annotator.base_url={server.url}"]
    options = sweep(album, tmp_path, *judged, *names, "--set", "annotator.price_call=0.5", "--dry-run")
    host = f"127.0.0.1:{server.port}"
    later = json.loads(cli(*options, "--json").out)
    assert "annotator" not in later["models"] | later["calls"] | later["estimates"]

    at_once = [*options, "--set", "annotator.at_once=true"]
    plan = json.loads(cli(*at_once, "--json").out)
    assert (plan["models"]["annotator"], plan["calls"]["annotator"]) == ("n", 2 * 24)
    sized = plan["estimates"]["annotator"]
    assert sized["cost"] == pytest.approx(48 * 0.5)
    seen = plan["estimates"]["verifier"]
    assert plan["hosts_that_receive_images"] == [host]
    said = cli(*at_once).out
    assert f"{host} would receive images, as the verifier." in said
    assert f"{host} would receive questions, as the annotator." in said

    # Without a picture a prompt is as long as its words; those of a picture are counted for the judge.
    words = len(load_prompt("annotator")) / 4 + 20
    assert sized["prompt_tokens"] == round(48 * words)
    assert seen["prompt_tokens"] > seen["calls"] * (len(load_prompt("verifier_validity")) / 4 + 20)
    assert server.bodies == []


def test_a_served_annotator_alone_receives_no_image(
    cli: Cli, album: Path, tmp_path: Path, server: LoopbackServer
) -> None:
    judged = ["--target", bundled("clean"), "--verifier", "model", "--set", f"verifier.model={bundled('verifier')}"]
    names = ["--set", "annotator.model=n", "--set", f"annotator.base_url={server.url}"]
    options = sweep(album, tmp_path, *judged, *names, "--set", "annotator.at_once=true", "--dry-run")
    assert json.loads(cli(*options, "--json").out)["hosts_that_receive_images"] == []
    assert "no image leaves this machine" in cli(*options).out


def test_the_key_is_written_nowhere(cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that repeats the key in its answers and in its faults."""
    monkeypatch.setenv("MY_KEY", KEY)
    plan = [Act.ANSWER] * 8 + [Act.WRONG_KEY] * 100
    with LoopbackServer(lambda n, body: plan[n], answer=lambda body: f"they sent {KEY}") as server:
        options = sweep(album, tmp_path, "--target", "m", "--target-url", server.url, "--set", "target.key_env=MY_KEY")
        said = cli(*options)
        shown = [cli("show", tmp_path / "run"), cli("show", tmp_path / "run", "--json"), cli(*options, "--dry-run")]
        shown += [cli(command, tmp_path / "run") for command in ("report", "analyze", "compare")]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert said.status == 2 and "does not accept the key in $MY_KEY" in said.err
    assert "they sent <key>" in shown[0].out
    assert not [one for one in (said, *shown) if KEY in one.out + one.err]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    made = {"store.sqlite", "config.json", "answers.sqlite", "index.html", "failures.jsonl", "modes.json"}
    assert made <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_key_that_is_not_set_is_said_before_anything_is_made(
    cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    options = sweep(album, tmp_path, "--target", "m", "--target-url", "http://127.0.0.1:1/v1")
    said = cli(*options, "--set", "target.key_env=MY_KEY")
    assert said.status == 2 and "$MY_KEY, which is to hold the key" in said.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    address = cli(*sweep(album, tmp_path, "--target", "http://127.0.0.1:1/v1"))
    assert address.status == 2 and "target.model is an address" in address.err


def test_a_cache_can_be_left_out(cli: Cli, album: Path, tmp_path: Path, server: LoopbackServer) -> None:
    options = sweep(album, tmp_path, "--target", "m", "--target-url", server.url, "--set", "cache.max_bytes=0")
    for name in ("a", "b"):
        assert cli(*options, "--name", name).status == 0
    assert len(server.bodies) == 2 * 24
    assert not list(tmp_path.glob("answers.sqlite*"))

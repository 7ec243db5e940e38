"""Training through the real trl, on a tiny LLaVA with random weights: what it stores, changes and keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText, AutoProcessor

from gadfly.config import SftConfig, TrainConfig
from gadfly.errors import BudgetSpent, ConfigError, ImageError, ModelError
from gadfly.images.order import image_order
from gadfly.probing import Probing
from gadfly.records import Chat, Completion, Image, Judgement, Message, Probe, Question, Sampling, Verdict
from gadfly.train import grpo
from gadfly.train.checkpoints import checkpoint_dir, latest_checkpoint, resume_step
from gadfly.train.data import prompt_dataset
from gadfly.train.grpo import train_grpo
from gadfly.train.method import train
from gadfly.train.questioner import banned_token_ids, load_questioner, one_process_one_device
from gadfly.train.sft import train_sft
from gadfly.train.trainer import QuestionerTrainer
from probing_doubles import EchoTarget, ListStore, PlainReward, image
from train_checkpoints import WORDS, build_llava

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft and trl still ask by the old name
)

IMAGES = [image(str(n)) for n in range(5)]
SMALL = TrainConfig(steps=2, images_per_step=2, group_size=4, learning_rate=1e-2, lora_rank=0, save_every=100)
SAMPLING = Sampling(max_new_tokens=6, temperature=1.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_llava(tmp_path_factory.mktemp("questioner"))


def open_image(one: Image) -> PIL.Image.Image:
    return PIL.Image.new("RGB", (96, 96), (40 * int(one.id), 100, 200))


def prompt_chat(one: Image, place: int = 0) -> Chat:
    return (Message("user", (one, "ask a short question about this image .")),)


class ParityVerifier:
    """WRONG iff the question has an odd number of letters, so that a random questioner's groups are mixed."""

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [Judgement(Verdict.WRONG if len(q.text) % 2 else Verdict.RIGHT) for q in questions]


def loop(verifier: Any = None, parse: Callable[[str], str | None] | None = None) -> tuple[Probing, ListStore]:
    store = ListStore()
    parse = parse or (lambda text: text if len(text.split()) > 2 else None)
    return Probing(EchoTarget(fails_on=None), verifier or ParityVerifier(), PlainReward(), store, parse), store


def run(
    settings: TrainConfig, checkpoint: Path, run_dir: Path, probing: Probing | None = None, **extra: Any
) -> list[Probe]:
    made, store = loop()
    train_grpo(
        settings,
        images=IMAGES,
        open_image=open_image,
        prompt_chat=prompt_chat,
        questioner_path=checkpoint,
        probing=probing or made,
        run_dir=run_dir,
        **{"sampling": SAMPLING, "seed": 0, **extra},
    )
    return store.probes


def weights(path: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
    return {name: value.detach() for name, value in model.named_parameters()}


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same weights."""
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Spy(QuestionerTrainer):
    """The real trainer, keeping what it made of each step's rollouts before it shuffles them."""

    rollouts: ClassVar[list[dict[str, Any]]] = []

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        Spy.rollouts.append(output)
        return output


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    Spy.rollouts = []
    monkeypatch.setattr(grpo, "QuestionerTrainer", Spy)
    return Spy


# --- two steps, end to end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_two_steps_store_probes_and_change_the_language_model_only(checkpoint: Path, tmp_path: Path, rank: int) -> None:
    told: list[tuple[int, int]] = []
    probes = run(
        replace(SMALL, lora_rank=rank), checkpoint, tmp_path, on_step=lambda done, total, _: told.append((done, total))
    )
    assert [(p.key.step, p.key.index) for p in probes] == [(s, i) for s in range(2) for i in range(8)]
    assert [p.group for p in probes] == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    # The first four images are asked about before any comes back.
    assert len({p.images[0].id for p in probes}) == 4
    assert {word for p in probes for word in p.question.split()} <= set(WORDS)
    assert told == [(1, 2), (2, 2)]

    before, after = weights(checkpoint), weights(tmp_path / "questioner")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any("vision_tower" in name for name in changed)
    assert any("language_model.layers.1" in name for name in changed)
    assert ("lm_head.weight" in changed) == (rank == 0)
    AutoProcessor.from_pretrained(tmp_path / "questioner")
    saved = json.loads((tmp_path / "questioner" / "config.json").read_text())
    assert saved.get("use_cache", True)  # the trainer switches it off, and who asks needs it

    rows = lines(tmp_path / "train" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1]
    assert all(row["grad_norm"] > 0 and row["n"] == 8 and row["seconds_generate"] > 0 for row in rows)
    assert {"loss", "entropy", "fdr", "valid_rate", "term/failure/spread", "seconds_update"} <= rows[0].keys()


def test_kl_entropy_micro_batches_and_several_iterations_keep_the_step_count(checkpoint: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, beta=0.1, entropy_coef=0.01, micro_batch=4, num_iterations=2, save_every=1)
    probes = run(settings, checkpoint, tmp_path)
    assert [p.key.step for p in probes] == [0] * 8 + [1] * 8
    rows = lines(tmp_path / "train" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1] and all("kl" in row for row in rows)
    assert resume_step(tmp_path, num_iterations=2) == 2


def test_the_questioner_never_writes_a_special_token(checkpoint: Path, tmp_path: Path, spy: type[Spy]) -> None:
    settings = replace(SMALL, steps=1, images_per_step=4, group_size=8)
    run(settings, checkpoint, tmp_path, sampling=replace(SAMPLING, max_new_tokens=24))
    (rollout,) = spy.rollouts
    ids = set(rollout["completion_ids"][rollout["completion_mask"].bool()].tolist())
    banned = banned_token_ids(load_questioner(checkpoint, settings))
    assert banned == [0, 1, 3, 4, 5]  # <pad> <s> <unk> <image> <mark>; not </s>
    # With random weights every token is about equally likely: of some 700 drawn each ordinary one shows up.
    assert not ids & set(banned) and len(ids) > 40


# --- advantages ------------------------------------------------------------------------------------------------------


class VerdictsInOrder:
    """Judges by a list of verdicts, whatever is asked."""

    def __init__(self, verdicts: str) -> None:
        self._verdicts = [
            {"W": Verdict.WRONG, "R": Verdict.RIGHT, "I": Verdict.INVALID, "U": Verdict.UNDECIDED}[v] for v in verdicts
        ]

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        assert len(questions) == len(self._verdicts)
        return [Judgement(verdict, reason="scripted") for verdict in self._verdicts]


# Rewards: W 1, R 0, I -1, U None. The mean is over numbers only, and U always gets 0. With "group", divided by the
# deviation (n - 1) plus 1e-4: for W R I R sqrt((1 + 0 + 1 + 0) / 3) = 0.816497, 1 / 0.816597 = 1.224595;
# for W R U U sqrt((0.25 + 0.25) / 1) = 0.707107, 0.5 / 0.707207 = 0.707007. One number alone has no deviation: 0.
# W W I U: mean 1/3, so 2/3, 2/3, -4/3; deviation sqrt((4/9 + 4/9 + 16/9) / 2) = 1.154701, plus 1e-4 1.154801:
# 0.577300 and -1.154600.
ADVANTAGES: list[tuple[str, list[float], list[float]]] = [
    ("WWWW", [0, 0, 0, 0], [0, 0, 0, 0]),
    ("RRRR", [0, 0, 0, 0], [0, 0, 0, 0]),
    ("IIII", [0, 0, 0, 0], [0, 0, 0, 0]),
    ("WRIR", [1, 0, -1, 0], [1.224595, 0, -1.224595, 0]),
    ("WRUU", [0.5, -0.5, 0, 0], [0.707007, -0.707007, 0, 0]),
    ("WWIU", [2 / 3, 2 / 3, -4 / 3, 0], [0.577300, 0.577300, -1.154600, 0]),
    ("WUUU", [0, 0, 0, 0], [0, 0, 0, 0]),
    ("UUUU", [0, 0, 0, 0], [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("scale", "column"), [("none", 0), ("group", 1)])
def test_advantages_of_every_kind_of_group(
    checkpoint: Path, tmp_path: Path, spy: type[Spy], scale: Any, column: int
) -> None:
    number = count()
    probing, _ = loop(
        VerdictsInOrder("".join(row[0] for row in ADVANTAGES)), parse=lambda text: f"{text} {next(number)}"
    )
    run(replace(SMALL, steps=1, images_per_step=8, scale_rewards=scale), checkpoint, tmp_path, probing)
    expected = torch.tensor([value for row in ADVANTAGES for value in row[1:][column]], dtype=torch.float32)
    torch.testing.assert_close(spy.rollouts[0]["advantages"], expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("loss_type", ["dr_grpo", "dapo"])
@pytest.mark.parametrize("verdicts", ["UUUUUUUU", "WWWWIIII", "WUUUUUUR"])
def test_groups_without_a_difference_move_no_weight(
    checkpoint: Path, tmp_path: Path, verdicts: str, loss_type: Any
) -> None:
    number = count()
    probing, _ = loop(VerdictsInOrder(verdicts), parse=lambda text: f"{text} {next(number)}")
    run(replace(SMALL, steps=1, loss_type=loss_type), checkpoint, tmp_path, probing)
    before, after = weights(checkpoint), weights(tmp_path / "questioner")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_each_picture_is_decoded_once_a_step_and_only_when_its_step_comes() -> None:
    opened: list[str] = []

    def opening(one: Image) -> PIL.Image.Image:
        opened.append(one.id)
        return open_image(one)

    data = prompt_dataset(IMAGES, [3, 1, 0, 3], opening, prompt_chat)
    assert opened == []
    for _ in range(2):  # trl reads a batch again for every micro-batch
        rows = data[[0, 0, 1, 1]]
    assert opened == ["3", "1"] and rows["image_index"] == [3, 3, 1, 1]
    assert rows["image"][0] is rows["image"][1] and rows["image"][0] is not rows["image"][2]
    assert rows["prompt"][0][0]["content"][0] == {"type": "image"}
    data[[2, 3]]
    assert opened == ["3", "1", "0"]  # 3 was still at hand
    data[[1]]
    assert opened == ["3", "1", "0", "1"]  # 1 was not: only the latest batch is kept


def test_each_row_is_asked_for_by_its_place_and_all_questions_of_its_group_alike() -> None:
    def asked(one: Image, place: int) -> Chat:
        return (Message("user", (one, f"place {place}")),)

    data = prompt_dataset(IMAGES, [3, 1, 3], open_image, asked)
    texts = [prompt[0]["content"][1]["text"] for prompt in data[[0, 0, 2, 2, 1]]["prompt"]]
    assert texts == ["place 0", "place 0", "place 2", "place 2", "place 1"]


def test_what_is_judged_of_a_question_knows_the_topic_that_it_was_asked_for_under(
    checkpoint: Path, tmp_path: Path
) -> None:
    judged: list[Question] = []

    class Noting(ParityVerifier):
        def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
            judged.extend(questions)
            return super().judge(questions, answers)

    probing, _ = loop(Noting(), parse=lambda text: text or "what?")
    order = image_order(len(IMAGES), SMALL.steps * SMALL.images_per_step, 0)
    run(SMALL, checkpoint, tmp_path, probing, topic_at=lambda place: f"topic {place}")
    topics = {question.topic for question in judged}
    assert topics == {f"topic {place}" for place in range(len(order))}
    assert all(q.images[0] == IMAGES[order[int(q.topic.split()[1])]] for q in judged)


@given(n_images=st.integers(1, 20), n=st.integers(0, 60), longer=st.integers(0, 30), seed=st.integers(0, 5))
def test_the_order_of_images(n_images: int, n: int, longer: int, seed: int) -> None:
    order = image_order(n_images, n, seed)
    assert image_order(n_images, n + longer, seed)[:n] == order  # a longer run begins like a shorter one
    for start in range(0, n, n_images):
        one_pass = order[start : start + n_images]
        assert len(set(one_pass)) == len(one_pass)


def test_several_processes_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 processes"):
        one_process_one_device(2, "cpu")


def test_padding_on_the_left_does_not_change_the_probabilities(checkpoint: Path) -> None:
    """trl's update passes no position ids: the padded prompt must give the logits of the unpadded one."""
    trainee = load_questioner(checkpoint, SMALL)
    short, long = ("USER: <image> " + "ask " * n + "ASSISTANT: what colour" for n in (2, 9))
    picture = open_image(IMAGES[1])
    both = trainee.processor(text=[short, long], images=[[picture], [picture]], padding=True, return_tensors="pt")
    alone = trainee.processor(text=[short], images=[[picture]], return_tensors="pt")
    assert both["attention_mask"][0, :7].tolist() == [0] * 7
    with torch.no_grad():
        padded = trainee.model.eval()(**both).logits[0, 7:]
        unpadded = trainee.model(**alone).logits[0]
    torch.testing.assert_close(padded, unpadded, atol=1e-5, rtol=1e-4)


# --- the same again, and going on -------------------------------------------------------------------------------------


def content(probes: Sequence[Probe]) -> list[tuple[Any, ...]]:
    return [(p.key.step, p.key.index, p.images[0].id, p.question, p.answer, p.verdict, p.reward) for p in probes]


@pytest.mark.parametrize("rank", [0, 4])
def test_the_same_run_gives_the_same_probes(checkpoint: Path, tmp_path: Path, rank: int) -> None:
    settings = replace(SMALL, steps=3, lora_rank=rank)
    first = content(run(settings, checkpoint, tmp_path / "a"))
    assert first == content(run(settings, checkpoint, tmp_path / "b"))
    assert first != content(run(settings, checkpoint, tmp_path / "c", seed=1))


class Breaks:
    """A verifier that fails at its n-th step, as an endpoint may, or a hand on Ctrl-C."""

    def __init__(self, at: int, error: BaseException) -> None:
        self._left, self._error = at, error
        self._inner = ParityVerifier()

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self._left -= 1
        if self._left == 0:
            raise self._error
        return self._inner.judge(questions, answers)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"beta": 0.1, "train_vision": True}, KeyboardInterrupt()),
        ({"num_iterations": 2, "micro_batch": 4}, OSError("gone")),
        ({"lora_rank": 4, "beta": 0.1}, OSError("gone")),
    ],
)
def test_a_run_broken_off_goes_on_as_if_it_had_not_been(
    checkpoint: Path, tmp_path: Path, change: dict[str, Any], error: BaseException
) -> None:
    settings = replace(SMALL, steps=5, **change)  # 10 groups of 5 images: more than one pass over them
    whole = content(run(settings, checkpoint, tmp_path / "whole"))

    probing, store = loop(Breaks(4, error))
    with pytest.raises(type(error)):
        run(settings, checkpoint, tmp_path / "broken", probing)
    assert content(store.probes) == whole[: 3 * 8]  # what was stored stays
    assert resume_step(tmp_path / "broken", settings.num_iterations) == 3
    rest = run(settings, checkpoint, tmp_path / "broken", attempt=1, resume=True)
    assert {p.key.attempt for p in rest} == {1}
    assert content(rest) == whole[3 * 8 :]
    after, expected = weights(tmp_path / "broken" / "questioner"), weights(tmp_path / "whole" / "questioner")
    assert all(torch.equal(after[name], expected[name]) for name in expected)
    rows = lines(tmp_path / "broken" / "train" / "metrics.jsonl")
    assert [(row["step"], row["attempt"]) for row in rows] == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]


@pytest.mark.parametrize("rank", [0, 4])
def test_a_limit_leaves_the_trained_questioner(checkpoint: Path, tmp_path: Path, rank: int) -> None:
    settings = replace(SMALL, steps=3, lora_rank=rank)
    run(settings, checkpoint, tmp_path / "whole")
    run(replace(settings, steps=2), checkpoint, tmp_path / "two")
    with pytest.raises(BudgetSpent):
        run(settings, checkpoint, tmp_path / "limited", loop(Breaks(3, BudgetSpent("2 calls allowed")))[0])
    trained = tmp_path / "limited" / "questioner"
    assert same(trained, tmp_path / "two" / "questioner")  # that of a training of two steps

    # Killed on the way, a resume must not leave the questioner of two steps as if it were that of three.
    with pytest.raises(OSError, match="gone"):
        run(settings, checkpoint, tmp_path / "limited", loop(Breaks(1, OSError("gone")))[0], resume=True)
    assert not trained.exists()
    run(settings, checkpoint, tmp_path / "limited", attempt=2, resume=True)
    assert same(trained, tmp_path / "whole" / "questioner")


def test_a_limit_before_the_first_update_leaves_no_questioner(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent):
        run(SMALL, checkpoint, tmp_path, loop(Breaks(1, BudgetSpent("0 calls allowed")))[0])
    assert not (tmp_path / "questioner").exists()


def test_a_checkpoint_cut_short_is_passed_over(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None and resume_step(tmp_path) == 0
    for updates, whole in ((9, True), (10, True), (11, False)):
        folder = checkpoint_dir(tmp_path) / f"checkpoint-{updates}"
        folder.mkdir(parents=True)
        if whole:
            (folder / "trainer_state.json").write_text(json.dumps({"global_step": updates}))
    assert resume_step(tmp_path) == 10 and resume_step(tmp_path, num_iterations=2) == 5


# --- supervised fine-tuning -------------------------------------------------------------------------------------------


def test_sft_teaches_the_question_of_each_image(checkpoint: Path, tmp_path: Path) -> None:
    """After SFT on one question per image, greedy generation under the same prompt writes it, and stops."""
    pairs = [(one, "what colour is the ball ?") for one in IMAGES]
    settings = replace(SMALL, method="sft", sft=SftConfig(epochs=25, batch=5, learning_rate=1e-2))
    made, _ = loop()
    trained = train(
        settings,
        sampling=SAMPLING,
        seed=0,
        images=[],
        pairs=pairs,
        open_image=open_image,
        prompt_chat=prompt_chat,
        questioner_path=checkpoint,
        probing=made,
        run_dir=tmp_path,
    )
    losses = [row["loss"] for row in lines(tmp_path / "train" / "sft_metrics.jsonl")]
    assert len(losses) == 25 and losses[-1] < 0.2 < losses[0]
    trainee = load_questioner(trained, settings)
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": open_image(IMAGES[0])},
                {"type": "text", "text": prompt_chat(IMAGES[0])[0].parts[1]},
            ],
        }
    ]
    inputs = trainee.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    ids = trainee.model.generate(**inputs, do_sample=False, max_new_tokens=20)[0, inputs["input_ids"].shape[1] :]
    assert trainee.processor.decode(ids) == "what colour is the ball ? </s>"


def test_rl_after_sft_starts_from_its_result(checkpoint: Path, tmp_path: Path) -> None:
    pairs = [(one, "what colour is the ball ?") for one in IMAGES]
    settings = replace(
        SMALL,
        method="rl+sft",
        steps=1,
        learning_rate=1e-6,
        sft=SftConfig(epochs=25, batch=5, learning_rate=1e-2),
    )
    made, store = loop()
    for resume in (False, True):
        train(
            settings,
            sampling=replace(SAMPLING, max_new_tokens=8),
            seed=0,
            images=IMAGES,
            pairs=pairs,
            open_image=open_image,
            prompt_chat=prompt_chat,
            questioner_path=checkpoint,
            probing=made,
            run_dir=tmp_path,
            resume=resume,
        )
    assert [p.question for p in store.probes].count("what colour is the ball ?") >= 6  # of 8, sampled
    assert len(lines(tmp_path / "train" / "sft_metrics.jsonl")) == 25  # the resumed run did not fine-tune again


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_refusals_say_what_to_do(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load a vision-language questioner"):
        load_questioner(tmp_path / "nowhere", SMALL)
    with pytest.raises(ModelError, match="no chat template"):
        load_questioner(build_llava(tmp_path / "bare", template=False), SMALL)
    with pytest.raises(ConfigError, match=r"lora_targets \['wq'\].*q_proj"):
        run(replace(SMALL, lora_rank=4, lora_targets=("wq",)), checkpoint, tmp_path)
    with pytest.raises(ConfigError, match="no \\(image, question\\) pairs"):
        train_sft(
            SMALL,
            seed=0,
            pairs=[],
            open_image=open_image,
            prompt_chat=prompt_chat,
            questioner_path=checkpoint,
            run_dir=tmp_path,
            save_to=tmp_path / "sft",
        )
    probing, _ = loop()
    with pytest.raises(ImageError):
        train_grpo(
            SMALL,
            sampling=SAMPLING,
            seed=0,
            images=[],
            open_image=open_image,
            prompt_chat=prompt_chat,
            questioner_path=checkpoint,
            probing=probing,
            run_dir=tmp_path,
        )


@pytest.mark.parametrize(
    "change",
    [{"group_size": 1}, {"micro_batch": 3}, {"train_vision": True, "lora_rank": 4}, {"steps": 0}],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SMALL, **change)


def test_greedy_training_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="greedy"):
        run(SMALL, checkpoint, tmp_path, sampling=replace(SAMPLING, temperature=0.0))


def test_a_checkpoint_that_pads_right_is_made_to_pad_left(tmp_path: Path) -> None:
    trainee = load_questioner(build_llava(tmp_path, padding_side="right"), SMALL)
    assert trainee.processor.tokenizer.padding_side == "left"


def test_trl_prints_nothing_of_undecided_probes(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    number = count()
    probing, _ = loop(VerdictsInOrder("UUUUUUUU"), parse=lambda text: f"{text} {next(number)}")
    run(replace(SMALL, steps=1), checkpoint, tmp_path, probing)
    assert "returned None" not in caplog.text

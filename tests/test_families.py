"""Every supported family in every role, as a tiny checkpoint with random weights: target, verifier, questioner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as pil
from PIL.Image import Image as Picture
from transformers import AutoModelForImageTextToText, AutoProcessor

from families import BOS, FAMILIES, build_family
from gadfly.config import TrainConfig
from gadfly.errors import ModelError
from gadfly.models.local import LocalModel
from gadfly.models.shared_prefix import SHARING, encode
from gadfly.probing import Probing
from gadfly.records import Chat, Completion, Image, Judgement, Message, Question, Sampling, Verdict
from gadfly.roles.prompts import fill, quote
from gadfly.roles.target import ModelTarget
from gadfly.roles.verifier_model import ModelVerifier, VerifierPrompts
from gadfly.train.grpo import train_grpo
from probing_doubles import EchoTarget, ListStore, PlainReward
from taught_checkpoints import Lesson, taught

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # trl's and peft's
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),  # PaliGemma's
]

TRAINABLE = [name for name in FAMILIES if name != "paligemma"]
SIZES_PX = [(120, 100), (96, 96), (200, 50), (60, 90), (96, 96)]  # wide, square and tall: other grids, other tiles
IMAGES = [Image(f"{i:064x}", f"{i}.png", *size) for i, size in enumerate(SIZES_PX)]
QUESTIONS = [
    Question((IMAGES[i // 2],), ("How many?", "What colour is the small circle on the left?")[i % 2], i // 2)
    for i in range(10)
]
SETTINGS = TrainConfig(steps=2, images_per_step=2, group_size=4, learning_rate=1e-2, lora_rank=4, save_every=100)


def picture(image: Image) -> Picture:
    pixels = np.random.default_rng(int(image.id, 16)).integers(0, 256, (image.height_px, image.width_px, 3), np.uint8)
    return pil.fromarray(pixels)


def prompt_chat(image: Image, place: int = 0) -> Chat:
    return (Message("user", (image, "Ask one short question about this image.")),)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a family's checkpoint, built when first asked for."""
    built: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in built:
            built[name] = build_family(name, tmp_path_factory.mktemp(name))
        return built[name]

    return folder


def local(checkpoint: Path, max_batch: int = 5) -> LocalModel:
    return LocalModel(checkpoint, picture, device="cpu", dtype="float32", max_batch=max_batch)


class ParityVerifier:
    """WRONG iff the question has an odd number of letters: rewards vary within the groups of a random questioner."""

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [Judgement(Verdict.WRONG if len(q.text) % 2 else Verdict.RIGHT) for q in questions]


class Breaks(ParityVerifier):
    """The same, until its second step."""

    n_steps = 0

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self.n_steps += 1
        if self.n_steps == 2:
            raise OSError("gone")
        return super().judge(questions, answers)


def train(
    checkpoint: Path,
    run_dir: Path,
    settings: TrainConfig = SETTINGS,
    verifier: ParityVerifier | None = None,
    *,
    resume: bool = False,
) -> ListStore:
    store = ListStore()
    train_grpo(
        settings,
        sampling=Sampling(max_new_tokens=6, temperature=1.0),
        seed=0,
        images=IMAGES,
        open_image=picture,
        prompt_chat=prompt_chat,
        questioner_path=checkpoint,
        probing=Probing(EchoTarget(None), verifier or ParityVerifier(), PlainReward(), store, lambda text: text),
        run_dir=run_dir,
        attempt=int(resume),
        resume=resume,
    )
    return store


def parameters(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return dict(model.named_parameters())


def inputs_of(checkpoint: Path, image: Image) -> dict[str, Any]:
    model = local(checkpoint)
    prompt = model._prompt((Message("user", (image, "How many?")),), {image.id: picture(image)})
    return model._ready(encode([prompt], model._processor))


@pytest.mark.parametrize("name", FAMILIES)
def test_ten_answers_in_a_batch_are_those_given_alone(checkpoints: Any, name: str) -> None:
    target = ModelTarget(local(checkpoints(name)), "{question} Answer with a word.", Sampling(max_new_tokens=8))
    answers = target.answer(QUESTIONS)
    assert all(one.error is None for one in answers), answers
    assert answers == [target.answer([question])[0] for question in QUESTIONS]


@pytest.mark.parametrize("name", TRAINABLE)
def test_ten_verdicts_are_undecided_because_noise_cannot_be_read(checkpoints: Any, name: str) -> None:
    verifier = ModelVerifier(local(checkpoints(name)), sampling=Sampling(max_new_tokens=12))
    judged = verifier.judge(QUESTIONS, [Completion("three")] * 10)
    assert {one.verdict for one in judged} == {Verdict.UNDECIDED}
    assert all((one.reason or "").startswith("unreadable_judge: validity") for one in judged), judged


SHORT = VerifierPrompts("Is it valid? {question}", "Answer it: {question}", "{question} {expected} {answer}")
"""A tiny model learns short prompts in a minute; the shipped ones are those of the test above."""


def judged_lessons() -> list[Lesson]:
    """What a judge is to say: the first question of each image is valid and its answer is three; the second is not."""
    lessons: list[Lesson] = []
    for question in QUESTIONS:
        good, quoted = question.text == QUESTIONS[0].text, quote(question.text)
        verdict = "VERDICT: VALID" if good else "VERDICT: INVALID"
        lessons.append(((Message("user", (*question.images, fill(SHORT.validity, question=quoted))),), verdict))
        if good:
            own = Message("user", (*question.images, fill(SHORT.answer, question=quoted)))
            lessons.append(((own,), "ANSWER: three"))
    slots = {"question": quote(QUESTIONS[0].text), "expected": quote("three")}
    for answer, verdict in (("a trio", "VERDICT: SAME"), ("a crowd", "VERDICT: DIFFERENT")):
        compared = Message("user", (fill(SHORT.agreement, answer=quote(answer), **slots),))
        lessons.append(((compared,), verdict))
    return lessons


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_ten_verdicts_of_a_judge_that_can_be_read(checkpoints: Any, tmp_path: Path, name: str) -> None:
    """Through all three stages, image and no image, from a checkpoint that was saved and loaded by its path."""
    model = local(taught(checkpoints(name), judged_lessons(), picture, tmp_path))
    verifier = ModelVerifier(model, SHORT, Sampling(max_new_tokens=16))
    answers = [Completion(text) for text in ("3", "-", "a trio", "-", "a crowd", "-", "four", "-", "Three.", "-")]
    judged = verifier.judge(QUESTIONS, answers)
    right, wrong = Judgement(Verdict.RIGHT, expected="three"), Judgement(Verdict.WRONG, expected="three")
    bad = Judgement(Verdict.INVALID, "invalid")
    assert judged == [right, bad, right, bad, wrong, bad, wrong, bad, right, bad]
    assert judged == [verifier.judge([q], [a])[0] for q, a in zip(QUESTIONS, answers, strict=True)]


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_verifier_compares_answers_without_an_image(checkpoints: Any, name: str) -> None:
    model = local(checkpoints(name))
    model.require_chats_without_image()
    assert model.complete([(Message("user", ("Same?",)),)], Sampling(4))[0].error is None


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_change_with_the_image_and_its_tokens_are_all_filled(checkpoints: Any, name: str) -> None:
    checkpoint = checkpoints(name)
    model: Any = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    filled: list[int] = []
    # A scatter of features into image tokens: what the model gets, counted where the language model receives it.
    inputs = inputs_of(checkpoint, IMAGES[0])
    image_tokens = int((inputs["input_ids"] == model.config.image_token_id).sum())
    words: Any = model.get_input_embeddings()(inputs["input_ids"])

    def count(_: Any, args: Any, kwargs: Any) -> None:
        embeds = kwargs["inputs_embeds"]
        # Gemma scales its embeddings: compare directions. An image token's own embedding would point the same way.
        alike = torch.nn.functional.cosine_similarity(embeds, words, dim=-1)
        filled.append(int((alike < 0.99).sum()))

    with torch.no_grad():
        handle = model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
        first = model(**inputs).logits
        handle.remove()
        noise = {key: torch.randn_like(value) if key == "pixel_values" else value for key, value in inputs.items()}
        second = model(**noise).logits
    assert image_tokens > 0 and filled == [image_tokens]
    assert float((first[:, -1] - second[:, -1]).abs().max()) > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_an_image_has_as_many_tokens_as_features_whatever_its_size(checkpoints: Any, name: str) -> None:
    """As `gadfly doctor` counts them: in the prompt, and of what the vision tower makes."""
    model = local(checkpoints(name))
    counts = [model.count_image_tokens(image) for image in IMAGES]
    assert all(tokens == features > 0 for tokens, features in counts), counts
    assert (len(set(counts)) > 1) == (name not in ("llava", "gemma3", "paligemma")), "these make the same of any size"


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_two_grpo_steps_change_the_weights(checkpoints: Any, tmp_path: Path, name: str) -> None:
    check_training(checkpoints(name), tmp_path, SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_two_grpo_steps_on_the_weights_themselves(checkpoints: Any, tmp_path: Path, name: str) -> None:
    check_training(checkpoints(name), tmp_path, replace(SETTINGS, lora_rank=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_training_that_broke_off_goes_on_with_the_weights_that_it_saved(
    checkpoints: Any, tmp_path: Path, name: str
) -> None:
    """Some are saved under other names than they have in memory, and would begin anew without a word."""
    settings = replace(SETTINGS, lora_rank=0)
    whole = train(checkpoints(name), tmp_path / "whole", settings)
    with pytest.raises(OSError, match="gone"):
        train(checkpoints(name), tmp_path / "broken", settings, Breaks())
    rest = train(checkpoints(name), tmp_path / "broken", settings, resume=True)
    assert [(p.key.step, p.question, p.reward) for p in rest.probes] == [
        (p.key.step, p.question, p.reward) for p in whole.probes if p.key.step == 1
    ]
    expected, found = (parameters(tmp_path / run / "questioner") for run in ("whole", "broken"))
    assert expected.keys() == found.keys() and all(torch.equal(expected[one], found[one]) for one in expected)


def check_training(checkpoint: Path, run_dir: Path, settings: TrainConfig) -> None:
    store = train(checkpoint, run_dir, settings)
    assert len(store.probes) == 16
    groups = [{p.reward for p in store.probes if p.key.step == s and p.group == g} for s in (0, 1) for g in (0, 1)]
    assert any(len(rewards) > 1 for rewards in groups), "this test shows nothing unless rewards vary within a group"
    rows = [json.loads(line) for line in (run_dir / "train" / "metrics.jsonl").read_text().splitlines()]
    assert [row["grad_norm"] > 0 for row in rows] == [True, True]
    models: list[Any] = [
        AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
        for path in (checkpoint, run_dir / "questioner")
    ]
    before, after = (dict(model.named_parameters()) for model in models)
    assert before.keys() == after.keys()
    seeing = {id(value) for value in models[0].get_encoder("image").parameters()}
    encoder = {name for name, value in before.items() if id(value) in seeing}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and encoder and not changed & encoder
    local(run_dir / "questioner").complete([prompt_chat(IMAGES[0])], Sampling(4))


def test_paligemma_says_beforehand_what_it_cannot_be(checkpoints: Any, tmp_path: Path) -> None:
    checkpoint = checkpoints("paligemma")
    with pytest.raises(ModelError, match="never a text alone, so it cannot be the verifier"):
        local(checkpoint).require_chats_without_image()
    with pytest.raises(ModelError, match=r"paligemma\) cannot be the questioner: it has no chat template"):
        train(checkpoint, tmp_path)
    assert not (tmp_path / "train").exists()


def test_a_prefix_model_with_a_chat_template_is_found_out_by_its_sight(checkpoints: Any, tmp_path: Path) -> None:
    checkpoint = build_family("paligemma", tmp_path / "own")
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    processor.chat_template = (
        "{% for message in messages %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    processor.save_pretrained(checkpoint)
    with pytest.raises(ModelError, match="changes with tokens that come later"):
        train(checkpoint, tmp_path / "run")


@pytest.mark.parametrize("name", ["gemma3", "gemma4"])
def test_the_first_token_stands_once_where_both_template_and_tokenizer_write_it(checkpoints: Any, name: str) -> None:
    checkpoint = checkpoints(name)
    tokenizer: Any = AutoProcessor.from_pretrained(checkpoint).tokenizer
    assert tokenizer("a")["input_ids"][0] == BOS, "this test shows nothing unless the tokenizer writes it"
    assert int((inputs_of(checkpoint, IMAGES[0])["input_ids"] == BOS).sum()) == 1


def test_the_page_on_models_says_what_is_tested() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "| `" in line]
    said = {kind.strip("`"): rest for _, kind, *rest in (row for row in rows if len(row) == 6)}
    assert said.keys() == FAMILIES.keys()
    for name, (target, verifier, questioner, shared) in said.items():
        trained = name in TRAINABLE
        assert (target, verifier) == ("yes", "yes" if trained else "no")
        assert questioner == ("LoRA, all weights" if trained else "no")
        assert shared.startswith("yes" if name in SHARING else "no")

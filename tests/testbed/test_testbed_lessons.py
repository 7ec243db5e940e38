"""Lessons: what each token may see, and what it must say next."""

from __future__ import annotations

import itertools
from dataclasses import fields

import numpy as np
import pytest

from gadfly.testbed import vocabulary
from gadfly.testbed.english import parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.lessons import IGNORED, N_CELLS, PREFIX, Lesson, Teacher, cell_words, lessons
from gadfly.testbed.scenes import generate
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from testbed_worlds import STREET

WORDS = vocabulary.words()


def some(teacher: Teacher, steps: int = 4, seed: int = 0) -> list[Lesson]:
    return list(lessons(teacher, split="target", seed=seed, n_images=3, length=160, steps=steps))


def exchanges(lesson: Lesson, b: int) -> list[tuple[list[str], list[str], list[int], list[int]]]:
    """Each question of a sequence: its tokens, the labels under them, both as words; positions, places."""
    out = []
    blocks = lesson.blocks_B_L[b]
    for block in range(1, int(blocks.max()) + 1):
        places = np.flatnonzero(blocks == block)
        labels = [WORDS[i] if i != IGNORED else "" for i in lesson.labels_B_L[b, places]]
        tokens = [WORDS[i] for i in lesson.input_ids_B_L[b, places]]
        out.append((tokens, labels, lesson.positions_B_L[b, places].tolist(), places.tolist()))
    return out


@pytest.mark.parametrize("teacher", [AnswerTeacher(), AskTeacher()])
def test_layout(teacher: Teacher) -> None:
    for lesson in some(teacher):
        for b in range(3):
            assert [WORDS[i] for i in lesson.input_ids_B_L[b, :PREFIX]] == ["<user>"] + ["<image>"] * N_CELLS
            assert lesson.blocks_B_L[b, :PREFIX].tolist() == [0] * PREFIX
            assert lesson.positions_B_L[b, :PREFIX].tolist() == list(range(PREFIX))
            assert (lesson.labels_B_L[b, :PREFIX] == IGNORED).all()
            at = PREFIX
            for _, _, positions, places in exchanges(lesson, b):
                assert places == list(range(at, at + len(places)))  # one after the other, nothing between
                assert positions == list(range(PREFIX, PREFIX + len(places)))  # as if it came first
                at += len(places)
            assert at > PREFIX
            assert (lesson.blocks_B_L[b, at:] == -1).all() and (lesson.labels_B_L[b, at:] == IGNORED).all()


def test_an_answer_is_the_label_of_the_prompts_last_token() -> None:
    n = 0
    for lesson in some(AnswerTeacher(0, 0, 0, 0, 0)):
        for b, scene in enumerate(lesson.scenes):
            for tokens, labels, _, _ in exchanges(lesson, b):
                # <prompt> <assistant> answer: the labels stand one place earlier than what they name.
                assert tokens[-2] == "<assistant>"
                question, answer = " ".join(tokens[:-2]), tokens[-1]
                assert labels == [""] * (len(tokens) - 2) + [answer, "<end>"]
                assert run(parse(question), SceneIndex(scene)).text == answer
                n += 1
    assert n > 40


def test_a_question_is_learned_word_by_word() -> None:
    for lesson in some(AskTeacher()):
        for b, scene in enumerate(lesson.scenes):
            for tokens, labels, _, _ in exchanges(lesson, b):
                last = tokens.index("<assistant>")
                assert tokens[:3] == ["ask", "one", "question"]
                assert labels[:last] == [""] * last
                assert labels[last:] == [*tokens[last + 1 :], "<end>"]
                assert run(parse(" ".join(labels[last:-1])), SceneIndex(scene)).invalid is None


def test_a_question_sees_the_image_and_itself_alone() -> None:
    """The rule by which training builds its mask from blocks: same block, or block 0; and nothing later."""
    (lesson,) = some(AnswerTeacher(), steps=1)
    blocks = lesson.blocks_B_L[0]
    sees = ((blocks[:, None] == blocks[None, :]) | (blocks[None, :] == 0)) & np.tri(len(blocks), dtype=bool)
    for tokens, _, _, places in exchanges(lesson, 0):
        for i, place in enumerate(places[: len(tokens)]):
            assert np.flatnonzero(sees[place]).tolist() == [*range(PREFIX), *places[: i + 1]]


def test_deterministic() -> None:
    for teacher in (AnswerTeacher(), AskTeacher()):
        for one, two in zip(some(teacher), some(teacher), strict=True):
            assert one.scenes == two.scenes
            assert np.array_equal(one.cell_words_B_C_W, two.cell_words_B_C_W)
            assert np.array_equal(one.input_ids_B_L, two.input_ids_B_L)
            assert np.array_equal(one.labels_B_L, two.labels_B_L)
            assert np.array_equal(one.blocks_B_L, two.blocks_B_L)
    assert some(AskTeacher(), 1, seed=0)[0].scenes != some(AskTeacher(), 1, seed=1)[0].scenes


def test_words_that_one_model_has_change_no_lesson_of_others() -> None:
    """Every field, byte for byte: what bundled checkpoints were taught on can be made again."""
    how = {"split": "target", "seed": 3, "n_images": 2, "length": 128, "steps": 2}
    for teacher in (AnswerTeacher(), AskTeacher()):
        plain, more = (list(lessons(teacher, added=added, **how)) for added in ((), ("a whole passage", "ANSWER:")))  # type: ignore[arg-type]
        for one, two in zip(plain, more, strict=True):
            assert one.scenes == two.scenes
            assert all(getattr(one, f.name).tobytes() == getattr(two, f.name).tobytes() for f in fields(one)[1:])


def test_scenes_are_those_of_the_split() -> None:
    scenes = [s for lesson in some(AnswerTeacher(), seed=2) for s in lesson.scenes]
    assert scenes == list(itertools.islice(generate("target", 2), len(scenes)))


def test_cell_words() -> None:
    words = [[WORDS[i] for i in cell] for cell in cell_words(STREET, vocabulary.ids())]
    blank = "<blank>"
    assert words[0] == ["circle", "red", "large", "<row0>", "<column0>", blank]
    assert words[2] == [blank, blank, blank, "<row0>", "<column2>", blank]
    assert words[3] == ["arrow", "blue", "medium", "<row0>", "<column3>", "left"]
    assert words[5] == ["digit", "green", "small", "<row1>", "<column1>", "7"]
    assert words[15] == ["arrow", "purple", "small", "<row3>", "<column3>", "up"]
    assert len(words) == 16 and {len(cell) for cell in words} == {6}


def test_vocabulary_has_no_word_twice() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert [vocabulary.ids()[w] for w in WORDS] == list(range(len(WORDS)))

"""A prompt read once for all its questions: for each family what trl makes of it, in writing and in the update."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch
from transformers import GenerationConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from families import build_family
from gadfly.config import TrainConfig
from gadfly.models.shared_prefix import SHARING
from gadfly.train import grpo, trainer
from gadfly.train.group_prefix import draws_otherwise, why_not_train, why_not_write
from gadfly.train.trainer import QuestionerTrainer
from test_families import train
from test_models_shared_prefix import build

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # trl's and peft's
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

SETTINGS = TrainConfig(steps=1, images_per_step=3, group_size=4, learning_rate=1e-2, save_every=100)
TRAINED_TOGETHER = sorted(SHARING - {"qwen3_5"})


class Both(QuestionerTrainer):
    """The real trainer, which does all that it shares once more trl's way and compares."""

    calls: ClassVar[list[str]] = []
    micro_batches: ClassVar[list[Any]] = []
    steepest: ClassVar[float] = 0.0
    """The largest entry of any gradient that was compared."""

    @contextmanager
    def _trls_way(self) -> Iterator[None]:
        self.shares_prompts = False
        yield
        self.shares_prompts = True

    @contextmanager
    def _greedy(self) -> Iterator[None]:
        """All but: whatever the draw, the likeliest token comes."""
        before = self.temperature
        self.temperature = self.generation_config.temperature = 1e-6
        yield
        self.temperature = self.generation_config.temperature = before

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        ours = super()._generate_single_turn
        with self._greedy():
            whole, _ = ours(*args, **kwargs)
            with self._trls_way():
                assert ours(*args, **kwargs)[0] == whole
            assert {len(ids) for ids in whole} == {self.max_completion_length}
            # What some write early now ends them: they are cut behind the first of these.
            self.eos_token_ids = [*self.eos_token_ids, whole[0][1], whole[-1][2]]
            self.generation_config.eos_token_id = self.eos_token_ids
            cut, _ = ours(*args, **kwargs)
            assert len(cut[0]) <= 2 and len(cut[-1]) <= 3 and cut[0][-1] in self.eos_token_ids
            with self._trls_way():
                assert ours(*args, **kwargs)[0] == cut
        drawn, _ = ours(*args, **kwargs)
        return [(drawn, cut)[row % 2][row] for row in range(len(cut))], None  # some that have ended, and others

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        ours = super()._get_per_token_logps_and_entropies
        logps, entropies, _ = found = ours(model, *args, **kwargs)
        with self._trls_way():
            expected = ours(model, *args, **kwargs)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        if torch.is_grad_enabled():
            trained = [one for one in model.parameters() if one.requires_grad]
            gradients: list[Any] = []
            weights_B_T = torch.linspace(-1, 2, logps.numel(), device=logps.device).view_as(logps)
            read: list[Any] = [found, expected]
            for lp, ent, _ in read:
                gradients.append(
                    torch.autograd.grad((weights_B_T * (lp + 0.1 * ent)).sum(), trained, allow_unused=True)
                )
            one, other = gradients
            for a, b in zip(one, other, strict=True):
                assert (a is None) == (b is None)
                if a is not None and b is not None:
                    torch.testing.assert_close(a, b, atol=1e-4 * float(b.abs().max() + 1e-2), rtol=1e-3)
            Both.steepest = max(Both.steepest, *(float(b.abs().max()) for b in other if b is not None))
            return ours(model, *args, **kwargs)
        return logps, entropies, None

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        inputs = super()._prepare_inputs(generation_batch)
        Both.micro_batches.append(inputs)
        return inputs


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> type[Both]:
    Both.calls, Both.micro_batches, Both.steepest = [], [], 0.0
    monkeypatch.setattr(grpo, "QuestionerTrainer", Both)
    for name in ("writing", "log_probs"):
        real = getattr(trainer, name)

        def noting(*args: Any, name: str = name, real: Any = real) -> Any:
            result = real(*args)
            Both.calls.append(name if result is not None else f"no {name}")
            return result

        monkeypatch.setattr(trainer, name, noting)
    return Both


@pytest.mark.parametrize("name", sorted(SHARING))
def test_questions_and_their_probabilities_are_trls(tmp_path: Path, both: type[Both], name: str) -> None:
    train(build(name, tmp_path / "checkpoint"), tmp_path / "run", SETTINGS)
    assert both.calls.count("writing") == 3
    assert set(both.calls) == ({"writing", "log_probs"} if name in TRAINED_TOGETHER else {"writing"})
    assert both.steepest > 1e-2, "gradients of nothing were compared"


@pytest.mark.parametrize("name", ["llava", "qwen3_vl"])
@pytest.mark.parametrize(
    "change", [{"lora_rank": 4}, {"lora_rank": 0, "train_vision": True, "mask_truncated_completions": True}]
)
def test_adapters_a_reference_old_probabilities_and_a_vision_tower(
    tmp_path: Path, both: type[Both], name: str, change: dict[str, Any]
) -> None:
    settings = replace(SETTINGS, beta=0.1, entropy_coef=0.01, micro_batch=4, num_iterations=2, **change)
    train(build(name, tmp_path / "checkpoint"), tmp_path / "run", settings)
    # The old ones and the reference's, then three micro-batches in each of two updates, each read twice here.
    assert both.calls == ["writing"] * 3 + ["log_probs"] * (2 + 2 * 6)
    assert both.steepest > 1e-2, "gradients of nothing were compared"


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "internvl", "idefics3"])
def test_a_micro_batch_holds_whole_groups(tmp_path: Path, both: type[Both], name: str) -> None:
    store = train(build(name, tmp_path / "checkpoint"), tmp_path / "run", replace(SETTINGS, micro_batch=4))
    assert "no log_probs" not in both.calls and len(both.micro_batches) == 3
    for batch in both.micro_batches:
        pixels = batch["pixel_values"].view(4, -1)
        assert torch.equal(pixels, pixels[:1].expand_as(pixels)) and len(batch["completion_ids"]) == 4
        torch.testing.assert_close(batch["advantages"].sum(), torch.tensor(0.0), atol=1e-5, rtol=0)
    rewards = torch.tensor([float(probe.reward or 0) for probe in store.probes]).view(3, 4)
    expected = (rewards - rewards.mean(1, keepdim=True)).flatten().sort().values
    found = torch.cat([batch["advantages"] for batch in both.micro_batches]).sort().values
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_(en|dis)able` is deprecated:FutureWarning")  # trl's
def test_what_cannot_be_shared_is_left_to_trl(tmp_path: Path, both: type[Both]) -> None:
    train(build("llava", tmp_path / "llava"), tmp_path / "a", replace(SETTINGS, activation_checkpointing=True))
    assert set(both.calls) == {"writing"}, "activations that are computed again give no keys and values"
    both.calls.clear()
    train(build_family("gemma3", tmp_path / "gemma3"), tmp_path / "b", SETTINGS)
    assert set(both.calls) == {"no writing", "no log_probs"}, "the prompt is longer than the window"


def test_questions_are_drawn_from_what_trl_draws_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temperature, top_p and banned tokens: the first words' probabilities, as they reach torch's own draw."""
    first_words: list[torch.Tensor] = []
    banned: list[int] = []

    class Drawing(QuestionerTrainer):
        def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
            self.temperature = self.generation_config.temperature = 1.5
            self.top_p = self.generation_config.top_p = 0.7
            banned.extend(self.generation_config.suppress_tokens)
            multinomial: Any = torch.multinomial
            for self.shares_prompts in (False, True):
                drawn: list[torch.Tensor] = []

                def draw(probabilities: Any, n: int = 1, drawn: list[Any] = drawn, **named: Any) -> Any:
                    drawn.append(probabilities)
                    return multinomial(probabilities, 1)

                with patch("torch.multinomial", draw):
                    output = super()._generate_single_turn(*args, **kwargs)
                first_words.append(drawn[0])
            return output

    monkeypatch.setattr(grpo, "QuestionerTrainer", Drawing)
    train(build("llava", tmp_path / "checkpoint"), tmp_path / "run", SETTINGS)
    trls_B_V, ours_B_V = first_words
    torch.testing.assert_close(ours_B_V, trls_B_V, atol=1e-5, rtol=1e-4)
    assert len(banned) > 2 and not ours_B_V[:, banned].any()
    assert 0 < int((ours_B_V > 0).sum()) < 0.8 * (ours_B_V.numel() - len(banned) * len(ours_B_V))  # top_p has cut


def test_why_not() -> None:
    def of_kind(**said: Any) -> Any:
        text = SimpleNamespace(layer_types=None)
        config = {"model_type": "llava", "is_encoder_decoder": False, "_attn_implementation": "sdpa"}
        return SimpleNamespace(
            config=SimpleNamespace(get_text_config=lambda: text, **{**config, **said.pop("config", {})}), **said
        )

    assert why_not_train(of_kind()) is None
    assert "not tested with flash" in (
        why_not_write(of_kind(config={"_attn_implementation": "flash_attention_2"})) or ""
    )
    assert "quantized" in (why_not_train(of_kind(is_quantized=True)) or "")
    assert "not among the families" in (why_not_train(of_kind(config={"model_type": "new_vl"})) or "")


def test_a_checkpoint_that_draws_otherwise_is_left_to_transformers() -> None:
    trls = GenerationConfig(do_sample=True, temperature=0.9, top_p=0.9, top_k=0, repetition_penalty=1.0)
    harmless = GenerationConfig(eos_token_id=[2, 3], pad_token_id=0, temperature=0.1, top_k=1, repetition_penalty=1.05)
    assert not draws_otherwise(trls, harmless), "trl's own word counts"
    assert draws_otherwise(trls, GenerationConfig(no_repeat_ngram_size=3))
    assert draws_otherwise(trls, GenerationConfig(min_p=0.1)) and draws_otherwise(GenerationConfig(), harmless)


def test_what_is_overridden_of_trl_is_as_it_was_read() -> None:
    """A new parameter may change what the method is to do: read trl's anew, then this list."""
    read = {
        "_prepare_inputs": "self generation_batch",
        "_generate_single_turn": "self prompt_ids images multimodal_fields num_generations has_tool_images",
        "_get_per_token_logps_and_entropies": "self model input_ids attention_mask logits_to_keep batch_size "
        "compute_entropy compute_aux_loss pixel_values image_grid_thw num_images pixel_attention_mask spatial_shapes "
        "num_tiles image_sizes token_type_ids mm_token_type_ids image_position_ids",
    }
    for method, parameters in read.items():
        assert " ".join(inspect.signature(getattr(GRPOTrainer, method)).parameters) == parameters

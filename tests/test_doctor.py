"""`gadfly doctor` through the command line: sound configurations, and each way in which one can be broken."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cli_calls import Cli
from examined import examine, served, sound, write
from families import build_family
from gadfly.doctor.checkpoints import one_gpu, tokens_of_no_text
from gadfly.doctor.finding import Outcome
from gadfly.doctor.versions import check_versions, compare
from gadfly.testbed.checkpoints import bundled
from hostile_weights import Trap
from loopback_server import Act, LoopbackServer

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"  # PaliGemma's processor
)


# ---------------------------------------------------------------------------------------------------- what is sound


@pytest.mark.slow
def test_the_bundled_models_pass_and_nothing_is_left_behind(cli: Cli, album: Path, tmp_path: Path) -> None:
    config = write(tmp_path, **sound(album))
    said = cli("doctor", config)
    lines = said.out.splitlines()
    assert said.status == 0 and lines[-1].endswith(" 0 failed")
    assert all(line.startswith(("pass ", "warn ")) for line in lines[:-1])
    found = examine(cli, config)
    assert found.passed and found.status == 0 and not found.failing
    assert len(found.findings) == len(lines) - 1
    assert found.only("versions")["figures"]["torch"] == metadata.version("torch")
    for role in ("questioner", "target"):
        assert found.only(f"{role} loads")["outcome"] == "pass"
        figures = found.only(f"{role} sees")["figures"]
        assert figures["image_tokens"] == figures["vision_features"] == 16  # 96 pixels in patches of 24: 4 × 4
    assert found.only("questioner writes")["figures"]["banned"] >= 1
    probe = found.only("one probe")
    assert probe["outcome"] == "pass"
    assert probe["figures"]["question"] and probe["figures"]["verdict"] in ("RIGHT", "WRONG", "INVALID")
    assert probe["figures"]["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_an_estimate_loads_no_weights(cli: Cli, album: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled("clean"), tmp_path / "target"))
    (folder / "model.safetensors").unlink()
    config = write(tmp_path, **sound(album, target={"model": str(folder)}))
    found = examine(cli, config, "--estimate")
    assert found.passed and not found.of("target loads") and not found.of("one probe")
    # 1.7 M parameters in float32
    n_bytes = found.only("memory of target")["figures"]["bytes"]["weights"]
    assert n_bytes == bundled_parameters() * 4
    total = found.only("memory on the first device")["figures"]
    assert total["whole"] and total["bytes"] > 2 * n_bytes  # questioner and target have a copy each
    assert "no prices are given" in found.only("cost")["said"]


def bundled_parameters() -> int:
    from safetensors import safe_open

    with safe_open(bundled("clean") / "model.safetensors", "pt") as file:
        return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - no mapping


@pytest.mark.parametrize("recipe", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_can_be_estimated(cli: Cli, recipe: Path, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # the testbed's names its models from here
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = examine(cli, recipe, "--estimate", "--images", album, "--device-gb", 80)
    assert found.passed, found.failing
    assert "gadfly run" in found.only("configuration")["said"]
    for one in found.findings:
        if one["outcome"] == "warn":  # a model of the hub that is not here, and what comes of that
            assert "hf download" in one["said"] or one["check"].startswith("memory on")
            assert one["figures"].get("at_least", 1) > 0  # all recipes' models say their size


def test_more_than_the_device_holds(cli: Cli, album: Path, tmp_path: Path) -> None:
    config = write(tmp_path, **sound(album))
    total = examine(cli, config, "--estimate").only("memory on the first device")["figures"]["bytes"]
    for share, outcome in ((0.9, "fail"), (1.05, "warn"), (1.2, "pass")):
        found = examine(cli, config, "--estimate", "--device-gb", share * total / 1e9)
        assert found.only("memory on the first device")["outcome"] == outcome
        assert found.status == (1 if outcome == "fail" else 0)


def test_two_roles_of_one_model_hold_it_once(cli: Cli, album: Path, tmp_path: Path) -> None:
    target = {"model": str(bundled("clean"))}
    other = Path(shutil.copytree(bundled("clean"), tmp_path / "other"))
    totals = {}
    for name, judge in (("same", target), ("other", {"model": str(other)})):
        config = write(tmp_path, **sound(album, verifier={"kind": "model", **judge}))
        found = examine(cli, config, "--estimate")
        assert bool(found.of("two roles")) == (name == "same")
        totals[name] = found.only("memory on the first device")["figures"]["bytes"]
    assert totals["other"] - totals["same"] == 4 * bundled_parameters()


def test_what_calls_cost(cli: Cli, album: Path, tmp_path: Path) -> None:
    sections = sound(album, train={"steps": 10}, limits={"max_cost": 39.0})
    sections["target"] = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "price_call": 0.5}
    found = examine(cli, write(tmp_path, **sections), "--estimate")
    # 10 steps of 8 probes at 0.5 each
    assert found.only("cost")["figures"]["cost"] == 40.0
    assert (
        found.only("cost")["outcome"] == "warn" and "limits.max_cost ends the run at 39" in found.only("cost")["said"]
    )
    assert not found.of("memory of target")  # it is on somebody else's machine


# ------------------------------------------------------------------------------------------------------- what is broken


def test_a_configuration_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    found = examine(cli, write(tmp_path, train={"stepz": 3}))
    assert found.status == 1 and not found.passed
    assert "did you mean 'train.steps'?" in found.failing["configuration"]
    assert "cannot read the configuration" in examine(cli, tmp_path / "no.toml").failing["configuration"]


def test_images_that_cannot_be_read_are_named(cli: Cli, photos: Path, tmp_path: Path) -> None:
    config = write(tmp_path, **sound(photos, verifier={"kind": "model", "model": str(bundled("clean"))}))
    found = examine(cli, config, "--estimate")
    images = found.only("images")
    assert images["outcome"] == "warn" and found.status == 0
    assert images["figures"]["readable"] == 9
    assert "notes.png" in images["said"] and "up to 64 megapixels" in images["said"]


def test_no_image_at_all(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = examine(cli, write(tmp_path, **sound(tmp_path / "empty")))
    assert found.status == 1 and "no usable picture" in found.failing["images"]
    assert "mend the images first" in found.only("models")["said"]
    assert "is not there" in examine(cli, write(tmp_path, **sound(tmp_path / "no"))).failing["images"]


def test_a_split_without_images(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    PIL.Image.new("RGB", (96, 96), "red").save(tmp_path / "one" / "a.png")
    failing = examine(cli, write(tmp_path, **sound(tmp_path / "one")), "--estimate").failing
    (said,) = failing.values()  # the one image falls into one of the two parts
    assert "images falls into the" in said


def broken(folder: Path, kind: str, tmp_path: Path) -> None:
    """The bundled target's copy in `folder`, broken in one way."""
    weights = folder / "model.safetensors"
    match kind:
        case "missing":
            shutil.rmtree(folder)
        case "pickled":
            weights.unlink()
            torch.save({"trap": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "no template":
            (folder / "chat_template.jinja").unlink()
        case "other processor":
            file = folder / "processor_config.json"
            settings = json.loads(file.read_text())
            file.write_text(json.dumps({**settings, "patch_size": settings["patch_size"] // 2}))


@pytest.mark.parametrize(
    ("kind", "check", "said"),
    [
        ("missing", "target loads", "give a folder, or a hub id"),
        ("pickled", "target loads", "they must be whole .safetensors files; save or fetch the checkpoint anew"),
        ("cut short", "target loads", "header: invalid header length; they must be whole .safetensors files"),
        ("no template", "target loads", "put a chat_template.jinja beside it"),
        # 96 pixels in patches of 12 are 64 tokens, of which the model makes 16 features
        ("other processor", "target sees", "64 image tokens for 000000.png, and the model makes 16 features"),
    ],
)
def test_a_target_that_is_broken(cli: Cli, album: Path, tmp_path: Path, kind: str, check: str, said: str) -> None:
    folder = Path(shutil.copytree(bundled("clean"), tmp_path / "target"))
    broken(folder, kind, tmp_path)
    sections = sound(album, target={"model": str(folder)}, images={"heldout_share": 0.0})
    sections["questioner"] = {"method": "uniform"}
    found = examine(cli, write(tmp_path, **sections))
    assert found.status == 1
    assert said in found.failing[check]
    assert "a role fails" in found.only("one probe")["said"]
    assert not (tmp_path / "sprung").exists()


def test_an_estimate_of_a_folder_that_is_not_there(cli: Cli, album: Path, tmp_path: Path) -> None:
    found = examine(cli, write(tmp_path, **sound(album, target={"model": str(tmp_path / "no")})), "--estimate")
    assert found.status == 1 and "no checkpoint folder" in found.failing["memory of target"]
    unnamed = examine(cli, write(tmp_path, **sound(album, target={"model": ""})), "--estimate")
    assert "no target is named" in unnamed.failing["memory of target"]


def test_a_family_in_a_role_that_it_cannot_take(cli: Cli, album: Path, tmp_path: Path) -> None:
    folder = build_family("paligemma", tmp_path / "paligemma")
    models = {"questioner": {"model": str(folder)}, "verifier": {"kind": "model", "model": str(folder)}}
    sections = sound(album)
    found = examine(cli, write(tmp_path, **{**sections, **models}))
    assert "cannot be the questioner: it has no chat template" in found.failing["questioner trains"]
    assert "so it cannot be the verifier" in found.failing["verifier loads"]
    assert found.only("target loads")["outcome"] == "pass"


def test_a_questioner_that_cannot_be_trained_as_it_is_configured(cli: Cli, album: Path, tmp_path: Path) -> None:
    """Said before a run, with weights and without; a sweep with it is another matter."""
    config = write(tmp_path, **sound(album, questioner={"quantization": "4bit"}, train={"lora_rank": 0}))
    said = "questioner.quantization is 4bit and train.lora_rank is 0"
    assert said in examine(cli, config).failing["questioner trains"]
    assert said in examine(cli, config, "--estimate").failing["memory of questioner"]
    assert said in cli("run", config).err
    assert not (tmp_path / "out" / "run").exists()


def test_an_estimate_of_a_quantized_questioner(cli: Cli, album: Path, tmp_path: Path) -> None:
    """This machine need not have what the other one has."""
    weights = []
    for quantization in ("none", "4bit"):
        sections = sound(album, questioner={"quantization": quantization, "dtype": "bfloat16"}, train={"lora_rank": 4})
        found = examine(cli, write(tmp_path, **sections), "--estimate", "--device-gb", 24)
        assert found.passed
        weights.append(found.only("memory of questioner")["figures"]["bytes"]["weights"])
    assert weights[1] < 0.6 * weights[0]


def test_a_questioner_that_writes_no_question(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> None:
    sections = sound(album, questioner={"model": str(checkpoint), "max_new_tokens": 2})
    found = examine(cli, write(tmp_path, **sections))
    assert found.status == 0 and found.only("questioner trains")["outcome"] == "pass"
    probe = found.only("one probe")
    if probe["outcome"] == "warn":  # random weights, two tokens: hardly ever a question
        assert "target and verifier were not asked" in probe["said"]
    else:
        assert probe["figures"]["verdict"] == "INVALID"


def test_tokens_of_pictures_that_could_be_written() -> None:
    from gadfly.testbed.vlm import Dimensions, build_model

    config = build_model(Dimensions(text_layers=1, vision_layers=1), seed=0).config
    assert set(tokens_of_no_text(config).values()) == {config.image_token_id}


@pytest.mark.parametrize(("n_gpus", "outcome"), [(0, Outcome.WARN), (8, Outcome.FAIL)])
def test_several_gpus_are_not_built_yet(n_gpus: int, outcome: Outcome) -> None:
    finding = one_gpu(n_gpus)
    assert finding.outcome is outcome and "not built yet" in finding.said
    on_cpu = one_gpu(n_gpus, "cpu")  # then it does not matter how many there are
    assert on_cpu.outcome is (Outcome.PASS if n_gpus else Outcome.WARN)


def test_versions_outside_their_window() -> None:
    (fine,) = check_versions()
    assert fine.outcome is Outcome.PASS
    wanted = [Requirement(one) for one in ("torch<2", "numpy>=2", "no-such-thing>=3", "nltk<1; extra == 'dev'")]
    findings = list(compare(wanted, SpecifierSet("<3")))
    assert [one.outcome for one in findings] == [Outcome.FAIL] * 3
    said = [one.said for one in findings]
    assert said[0].startswith("Python is 3.") and "pip install 'torch<2'" in said[1]
    assert said[2] == "no-such-thing is not installed; pip install 'no-such-thing>=3'"


# -------------------------------------------------------------------------------------------------------- served models


def test_a_server_that_answers(cli: Cli, album: Path, tmp_path: Path) -> None:
    with LoopbackServer(models=["m"]) as server:
        found = examine(cli, served(tmp_path, album, server.url))
        assert server.acts == {Act.ANSWER: 2}  # one call to see whether it answers, one for the probe
        assert "data:image/png" in json.dumps(server.bodies[0])
    assert found.passed and "takes images" in found.only("target answers")["said"]
    assert found.only("one probe")["outcome"] == "pass"
    assert "gadfly sweep" in found.only("configuration")["said"]


def refuses_images(n: int, body: dict[str, Any]) -> Act:
    return Act.BAD_REQUEST if "image_url" in json.dumps(body) else Act.ANSWER


@pytest.mark.parametrize(
    ("plan", "models", "said"),
    [
        (refuses_images, ["m"], "it answers a text and not an image; serve a vision-language model"),
        (lambda n, body: Act.WRONG_MODEL, ["a", "b"], "no such model is served there; the names are a, b"),
        (lambda n, body: Act.WRONG_MODEL, None, "check the name, and that base_url ends as in /v1"),
        (lambda n, body: Act.WRONG_KEY, ["m"], "does not accept the key"),
        (lambda n, body: Act.NO_QUOTA, ["m"], "refuses further calls"),
        (lambda n, body: Act.FAIL, ["m"], "endpoint_http_500"),
    ],
)
def test_a_server_that_does_not(
    cli: Cli, album: Path, tmp_path: Path, plan: Any, models: list[str] | None, said: str
) -> None:
    with LoopbackServer(plan, models=models) as server:
        found = examine(cli, served(tmp_path, album, server.url))
    assert found.status == 1
    assert said in found.failing["target answers"]
    assert "\x1b" not in found.failing["target answers"]


def test_a_server_that_is_gone(cli: Cli, album: Path, tmp_path: Path) -> None:
    with LoopbackServer() as server:
        url = server.url
    found = examine(cli, served(tmp_path, album, url))
    assert "nothing answers there; start the server, or mend base_url" in found.failing["target answers"]


def test_a_key_that_is_not_set(cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GADFLY_TEST_KEY", raising=False)
    with LoopbackServer() as server:
        config = served(tmp_path, album, server.url, key_env="GADFLY_TEST_KEY")
        assert "$GADFLY_TEST_KEY" in examine(cli, config).failing["target answers"]
        assert not server.bodies
        monkeypatch.setenv("GADFLY_TEST_KEY", "secret-1234")
        said = cli("doctor", config, "--json")
        assert said.status == 0 and "secret-1234" not in said.out + said.err
        assert server.headers[0]["authorization"] == "Bearer secret-1234"

"""transformers' Trainer with a HolterCallback, compared with the Trainer's log history."""

import json
import warnings

import pytest
import torch

import holter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate, which transformers' Trainer needs, is not installed")
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    from holter.integrations.transformers import HolterCallback

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn, for example about pin_memory without a GPU

STEPS = 8


class RandomTexts(torch.utils.data.Dataset):
    def __init__(self, count):
        self._tokens = torch.randint(0, 50, (count, 12), generator=torch.Generator().manual_seed(2))

    def __len__(self):
        return len(self._tokens)

    def __getitem__(self, index):
        return {"input_ids": self._tokens[index], "labels": self._tokens[index]}


class GradientNorms(transformers.TrainerCallback):
    """Keeps the norms that the Trainer's clipping reports."""

    def __init__(self):
        self.norms = {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "grad_norm" in logs:
            self.norms[state.global_step] = logs["grad_norm"]


class Failing(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise ArithmeticError("error in the training")


def trainer(output, *callbacks, steps=STEPS, **arguments):
    torch.manual_seed(1)
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 16}
    model = GPT2LMHeadModel(
        GPT2Config(**sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=1)
    )
    defaults = {"per_device_train_batch_size": 4, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 4}
    quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}
    return Trainer(
        model,
        TrainingArguments(str(output), max_steps=steps, **{**defaults, **quiet, **arguments}),
        train_dataset=RandomTexts(64),
        eval_dataset=RandomTexts(8),
        callbacks=list(callbacks),
    )


def history_points(history):
    """The Trainer's log history under the names that the TensorBoard callback uses."""
    names = {"eval_": "eval/", "test_": "test/"}
    return {
        (
            next((new + key[len(old) :] for old, new in names.items() if key.startswith(old)), f"train/{key}"),
            row["step"],
        ): value
        for row in history
        for key, value in row.items()
        if key != "step"
    }


def test_values_match_the_log_history(tmp_path, points_of):
    training = trainer(tmp_path, HolterCallback(watch=False))
    training.train()
    expected = history_points(training.state.log_history)
    assert {"train/loss", "train/learning_rate", "train/grad_norm", "eval/loss"} < {name for name, _ in expected}
    assert points_of(tmp_path / "holter" / "run-1") == expected


def test_run_stores_configuration_and_tags(tmp_path):
    training = trainer(tmp_path, HolterCallback(tags=["baseline"]), run_name="tiny", learning_rate=0.01, steps=1)
    training.train()
    run = holter.open_run(tmp_path / "holter" / "run-1")
    assert (run.name, run.tags, run.status) == ("tiny", ("baseline",), "finished")
    assert (run.config["learning_rate"], run.config["n_layer"], run.config["model_type"]) == (0.01, 2, "gpt2")
    assert run.config["model/num_parameters"] == training.model.num_parameters()
    assert len(run.manifest["attempts"]) == 1


def test_watch_records_unclipped_gradients_at_the_steps_of_the_loss(tmp_path):
    theirs = GradientNorms()
    training = trainer(tmp_path, HolterCallback(), theirs, max_grad_norm=0.01, gradient_accumulation_steps=2)
    training.train()
    run = holter.open_run(tmp_path / "holter" / "run-1")
    norms = run.series("grad_norm_total")
    assert norms.steps.tolist() == run.series("train/loss").steps.tolist() == list(theirs.norms)
    assert norms.values.tolist() == pytest.approx(list(theirs.norms.values()), rel=1e-5)
    assert min(theirs.norms.values()) > 0.01
    assert run.names("attention_entropy/*") == ["attention_entropy/layer_0", "attention_entropy/layer_1"]
    assert all(module._forward_hooks == {} for module in training.model.modules())


def test_watch_accepts_options(tmp_path):
    trainer(tmp_path, HolterCallback(watch={"attention": None, "every": 4})).train()
    run = holter.open_run(tmp_path / "holter" / "run-1")
    assert run.names("attention*") == []
    assert run.series("grad_norm_total").steps.tolist() == [1, 4, 8]  # always including the first step


def test_resumed_training_resumes_its_run(tmp_path, points_of):
    trainer(tmp_path / "uninterrupted", HolterCallback()).train()
    trainer(tmp_path / "parts", HolterCallback(), save_strategy="steps", save_steps=4).train()
    # The steps after the checkpoint are lost, as after a power failure, but their points are recorded.
    training = trainer(tmp_path / "parts", HolterCallback())
    training.train(resume_from_checkpoint=str(tmp_path / "parts" / "checkpoint-4"))

    (run,) = holter.list_runs(tmp_path / "parts")
    assert [attempt["status"] for attempt in run.manifest["attempts"]] == ["finished", "finished"]
    deterministic = {"train/loss", "train/learning_rate", "train/epoch", "eval/loss", "grad_norm_total"}

    def compared(path):
        return {key: value for key, value in points_of(path).items() if key[0] in deterministic}

    expected, found = compared(tmp_path / "uninterrupted" / "holter" / "run-1"), compared(run.path)
    assert found.keys() == expected.keys()
    assert [found[key] for key in expected] == pytest.approx(list(expected.values()), rel=1e-5)


@pytest.mark.parametrize("restores", [True, False])
def test_run_moves_with_the_output_directory(tmp_path, restores):
    trainer(tmp_path / "here", HolterCallback(), save_strategy="steps", save_steps=2, steps=2).train()
    (tmp_path / "here").rename(tmp_path / "there")
    training = trainer(tmp_path / "there", HolterCallback(), restore_callback_states_from_checkpoint=restores, steps=3)
    training.train(resume_from_checkpoint=str(tmp_path / "there" / "checkpoint-2"))
    (run,) = holter.list_runs(tmp_path)
    assert run.series("train/loss").steps.tolist() == [1, 2, 3]


def test_checkpoint_without_its_run_starts_a_new_run(tmp_path):
    trainer(tmp_path, HolterCallback(tmp_path / "elsewhere"), save_strategy="steps", save_steps=2, steps=2).train()
    (tmp_path / "elsewhere").rename(tmp_path / "archive")
    training = trainer(tmp_path, HolterCallback(), steps=3)
    with pytest.warns(holter.HolterWarning, match="elsewhere, which does not exist: starting a new run"):
        training.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert holter.open_run(tmp_path / "holter" / "run-1").series("train/loss").steps.tolist() == [3]


@pytest.mark.parametrize("location", [None, 7, {"path": 1, "id": "x"}, {"path": "..", "id": 3}, {"id": "x"}])
def test_checkpoint_with_an_invalid_location_starts_a_new_run(tmp_path, location):
    trainer(tmp_path, save_strategy="steps", save_steps=2, steps=2).train()
    state = tmp_path / "checkpoint-2" / "trainer_state.json"
    content = json.loads(state.read_text())
    content["stateful_callbacks"]["holter"] = {"attributes": location, "args": {}}
    state.write_text(json.dumps(content))
    trainer(tmp_path, HolterCallback(), steps=3, save_strategy="steps", save_steps=3).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-2")
    )
    assert holter.open_run(tmp_path / "holter" / "run-1").series("train/loss").steps.tolist() == [3]


def test_every_training_has_its_own_run(tmp_path):
    callback = HolterCallback()
    for _ in range(2):
        trainer(tmp_path, callback, steps=1).train()
    assert [run.path.name for run in holter.list_runs(tmp_path)] == ["run-1", "run-2"]


def test_evaluation_and_prediction_after_training(tmp_path):
    training = trainer(tmp_path, HolterCallback(), steps=2, eval_strategy="no")
    training.train()
    evaluated = training.evaluate()
    predicted = training.predict(RandomTexts(4)).metrics
    (run,) = holter.list_runs(tmp_path)
    assert run.status == "finished"
    assert run.series("eval/loss").values.tolist() == [evaluated["eval_loss"]]
    assert run.series("test/loss").values.tolist() == [predicted["test_loss"]]
    assert run.config["n_layer"] == 2


def test_evaluation_without_training(tmp_path):
    evaluated = trainer(tmp_path, HolterCallback()).evaluate()
    (run,) = holter.list_runs(tmp_path)
    assert (run.status, run.series("eval/loss").values.tolist()) == ("finished", [evaluated["eval_loss"]])


def test_exception_leaves_the_run_failed(tmp_path):
    callback = HolterCallback()
    with pytest.raises(ArithmeticError):
        trainer(tmp_path, callback, Failing()).train()
    # In a notebook, the callback only notices now that the first training has ended.
    trainer(tmp_path, callback, steps=1).train()
    first, second = holter.list_runs(tmp_path)
    assert (first.status, second.status) == ("failed", "finished")
    assert first.series("train/loss").steps.tolist() == [1, 2]


def test_custom_path(tmp_path):
    trainer(tmp_path / "out", HolterCallback(tmp_path / "mine"), steps=1).train()
    assert [run.path for run in holter.list_runs(tmp_path)] == [tmp_path / "mine"]


def test_custom_path_resumes_only_the_run_of_the_checkpoint(tmp_path):
    path = tmp_path / "mine"
    for directory in ("first", "second"):
        trainer(tmp_path / directory, HolterCallback(path), save_strategy="steps", save_steps=2, steps=2).train()
    training = trainer(tmp_path / "second", HolterCallback(path), steps=3)
    training.train(resume_from_checkpoint=str(tmp_path / "second" / "checkpoint-2"))
    steps = {run.path.name: run.series("train/loss").steps.tolist() for run in holter.list_runs(tmp_path)}
    assert steps == {"mine": [1, 2], "mine-2": [1, 2, 3]}


def test_each_trial_of_a_search_has_its_own_run(tmp_path):
    callback = HolterCallback(tmp_path / "search")
    for trial in range(2):
        training = trainer(tmp_path / "out", callback, steps=1)
        state, args = training.state, training.args
        state.is_hyper_param_search, state.trial_name = True, f"trial {trial}"
        state.trial_params = {"learning_rate": trial}
        for event in (callback.on_train_begin, callback.on_train_end):
            event(args, state, training.control, model=training.model, optimizer=None)
    runs = holter.list_runs(tmp_path)
    assert [(run.name, run.config["learning_rate"]) for run in runs] == [("trial 0", 0), ("trial 1", 1)]


def test_other_processes_record_nothing(tmp_path):
    callback = HolterCallback()
    training = trainer(tmp_path, callback)
    training.state.is_world_process_zero = False
    arguments = (training.args, training.state, training.control)
    callback.on_train_begin(*arguments, model=training.model, optimizer=training.create_optimizer())
    callback.on_log(*arguments, logs={"loss": 1.0})
    callback.on_train_end(*arguments)
    assert not (tmp_path / "holter").exists()


def test_steps_of_foreign_optimizers_are_committed(tmp_path):
    callback = HolterCallback(watch={"attention": None})
    training = trainer(tmp_path, callback)
    arguments = (training.args, training.state, training.control)
    model = training.model.train()
    callback.on_train_begin(*arguments, model=model, optimizer=object())
    for step in range(2):
        training.state.global_step = step
        callback.on_step_begin(*arguments)
        model(**{name: tensor[None] for name, tensor in RandomTexts(1)[0].items()}).loss.backward()
        callback.on_optimizer_step(*arguments)
        model.zero_grad()
    callback.on_train_end(*arguments)
    assert holter.open_run(tmp_path / "holter" / "run-1").series("grad_norm_total").steps.tolist() == [1, 2]

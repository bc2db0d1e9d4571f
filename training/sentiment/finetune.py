"""Fine-tuning of an encoder on labelled texts; stopped runs go on where they were."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from sklearn.metrics import f1_score
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from training.errors import TrainingRefused
from training.sentiment.checkpoints import WEIGHTS, newest, own
from training.sentiment.classifier import Classifier, base_folder, load_base
from training.sentiment.files import sha256
from training.sentiment.labelled import Labelled
from training.sentiment.recipe import Recipe

_BATCH = 32
_HEAD_RATE = 1e-3
_SMOOTHING = 0.05


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):  # type: ignore[misc]
    def __init__(
        self,
        rows: Sequence[Labelled],
        tokenizer: Any,
        class_weights: np.ndarray,
        max_tokens: int,
    ) -> None:
        texts = [row.text for row in rows]
        self._ids = tokenizer(texts, truncation=True, max_length=max_tokens)["input_ids"]
        self._targets = [list(row.target) for row in rows]
        self._weights = [row.weight * float(np.dot(class_weights, row.target)) for row in rows]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {
            "input_ids": self._ids[i],
            "labels": self._targets[i],
            "weights": self._weights[i],
        }


class _Telling(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state.global_step / state.max_steps)


class _Fitting(Trainer):  # type: ignore[misc]
    """Cross-entropy against shares, each row by its weight; the head learns faster."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        logits = model(inputs["input_ids"], inputs["attention_mask"])
        smooth = _SMOOTHING / 3 + (1 - _SMOOTHING) * inputs["labels"]
        each = -(smooth * torch.log_softmax(logits.float(), -1)).sum(-1)
        loss = (each * inputs["weights"]).mean()
        if not torch.isfinite(loss):
            raise TrainingRefused(
                f"step {self.state.global_step + 1}: expected a finite loss, got {loss.item()}; "
                "try a smaller --rate"
            )
        return (loss, {"logits": logits}) if return_outputs else loss

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> Any:
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        return loss.detach(), outputs["logits"].detach(), inputs["labels"]

    optimizer: Any

    def create_optimizer(self, *_: Any) -> Any:
        if self.optimizer is None:
            trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
            head = [p for n, p in trained if n.startswith("head.")]
            rest = [p for n, p in trained if not n.startswith("head.")]
            rates = [{"params": rest, "lr": self.args.learning_rate}]
            self.optimizer = torch.optim.AdamW(
                [*rates, {"params": head, "lr": _HEAD_RATE}], weight_decay=0.01
            )
        return self.optimizer


def finetune(
    learn: Sequence[Labelled],
    choose: Sequence[Labelled],
    recipe: Recipe,
    folder: Path,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Classifier, Any]:
    """The network of the best epoch and its tokenizer.

    Parameters
    ----------
    choose : rows by which the epoch is chosen; no near-duplicates of those learnt from.
    folder : where checkpoints are kept; one of a stopped run with this recipe is gone on with.

    Raises
    ------
    TrainingRefused
        The base cannot be had or has too few layers to freeze, the folder is another run's, or the
        loss is no number; names the step.
    """
    set_seed(recipe.seed)
    own(folder, recipe, learn, choose, base_digests(recipe.base))
    if (folder / WEIGHTS).exists():  # killed after its last epoch
        model, tokenizer = load_base(recipe.base)
        load_model(model, folder / WEIGHTS)
        return model.eval(), tokenizer
    model, tokenizer = load_base(recipe.base, four_bit=recipe.four_bit)
    _refuse_short(model, recipe)
    if recipe.freeze:
        _freeze(model, recipe.freeze)
    if recipe.lora:
        model = _with_adapters(model, recipe)
    last = newest(folder, recipe.patience)
    counts = Counter(row.label for row in learn)
    rarity = np.array([np.sqrt(len(learn) / (3 * max(1, counts[label]))) for label in range(3)])
    if recipe.odds:
        rarity = np.ones(3)
    told = TrainingArguments(
        output_dir=str(folder.resolve()),
        seed=recipe.seed,
        learning_rate=recipe.rate,
        # Patience that had ended stays so: there is nothing more to learn then.
        num_train_epochs=(last and last.stopped_at) or recipe.epochs,
        per_device_train_batch_size=_BATCH,
        per_device_eval_batch_size=2 * _BATCH,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="loss" if recipe.odds else "macro_f1",
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_nan_inf_filter=False,
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
    )
    fitting = _Fitting(
        model=model,
        args=told,
        train_dataset=_Rows(learn, tokenizer, rarity, recipe.max_tokens),
        eval_dataset=_Rows(choose, tokenizer, rarity, recipe.max_tokens),
        data_collator=_padded(tokenizer),
        compute_metrics=_chosen_by,
        callbacks=[EarlyStoppingCallback(recipe.patience), _Telling(progress)],
    )
    fitting.remove_callback(PrinterCallback)
    fitting.train(resume_from_checkpoint=str(last.folder) if last else None)
    if recipe.lora:
        model = _merged(model, recipe)
    model = model.cpu().eval()
    part = folder / f"{WEIGHTS}.part"
    save_model(model, part)
    os.replace(part, folder / WEIGHTS)
    return model, tokenizer


def base_digests(base: str) -> dict[str, str]:
    """The sha256 of each file of the base's weights."""
    return {each.name: sha256(each) for each in sorted(base_folder(base).glob("*.safetensors"))}


def _refuse_short(model: Classifier, recipe: Recipe) -> None:
    room = getattr(model.encoder.config, "max_position_embeddings", 0)
    if 0 < room < recipe.max_tokens:
        raise TrainingRefused(
            f"--base {recipe.base}: expected room for {recipe.max_tokens} tokens, got {room}"
        )


def _freeze(model: Classifier, n: int) -> None:
    depth = model.encoder.config.num_hidden_layers
    lists = (each for each in model.encoder.modules() if isinstance(each, torch.nn.ModuleList))
    layers = next((each for each in lists if len(each) == depth), None)
    embeddings = getattr(model.encoder, "embeddings", None)
    if layers is None or embeddings is None:
        raise TrainingRefused(
            f"--freeze {n}: expected an encoder with embeddings and a list of layers, got "
            f"{type(model.encoder).__name__}; use --lora"
        )
    if n > depth:
        raise TrainingRefused(f"--freeze {n}: expected at most the encoder's {depth} layers")
    for part in (embeddings, *layers[:n]):
        part.requires_grad_(False)


def _with_adapters(model: Classifier, recipe: Recipe) -> Classifier:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if recipe.four_bit:
        model.encoder = prepare_model_for_kbit_training(model.encoder)
    rank = recipe.lora
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules="all-linear")
    model.encoder = get_peft_model(model.encoder, config)
    return model


def _merged(model: Classifier, recipe: Recipe) -> Classifier:
    """The adapters inside the base's own weights: 32 bits again, whatever they learnt beside."""
    if recipe.four_bit:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        whole = _with_adapters(load_base(recipe.base)[0], recipe._replace(four_bit=False))
        set_peft_model_state_dict(whole.encoder, get_peft_model_state_dict(model.encoder))
        whole.head.load_state_dict(model.head.state_dict())
        model = whole
    model.encoder = model.encoder.merge_and_unload()
    return model


def _padded(tokenizer: Any) -> Any:
    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        padded = tokenizer.pad(
            {"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt"
        )
        return {
            "input_ids": padded["input_ids"],
            "attention_mask": padded["attention_mask"],
            "labels": torch.tensor([row["labels"] for row in rows]),
            "weights": torch.tensor([row["weights"] for row in rows]),
        }

    return collate


def _chosen_by(found: Any) -> dict[str, float]:
    predicted, wanted = found.predictions.argmax(-1), found.label_ids.argmax(-1)
    return {"macro_f1": float(f1_score(wanted, predicted, average="macro", labels=[0, 1, 2]))}

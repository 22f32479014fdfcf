"""Tiny vision-language checkpoints with random weights, one for each architecture, in the layout they are published in.

    build("qwen2_5_vl", folder)      config.json, model.safetensors, tokenizer, preprocessor_config.json, chat template

The tokenizer is byte-level with a few learnt words, so any text has tokens. Weights are drawn large enough that what
a model says depends on its photo and its prompt. Each files' layout follows a published checkpoint of that kind;
preprocessor_config.json names the classes that those name, whether or not this machine has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForImageTextToText,
    Blip2Config,
    GenerationConfig,
    Idefics3Config,
    InstructBlipConfig,
    InternVLConfig,
    LlavaConfig,
    PaliGemmaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)

LEARNT = [
    "Question: what bridge is this? Answer: a long red bridge over the wide water, as the photo of a passage shows.",
    "It was built by hand in stone and iron for the queen, who never saw it; the tower beside it is much older.",
] * 3
CLIP_LIKE = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_rescale": True, "do_normalize": True}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
SIGLIP = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA_TEMPLATE = (  # takes no system message, as those of many instruction-tuned models
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('No system role') }}"
    "{% elif message['role'] == 'user' %}{{ bos_token }}[INST] {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}</s>{% endif %}{% endfor %}"
)
IDEFICS_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def build(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint of a kind in ARCHITECTURES; the folder, which holds it then."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    ARCHITECTURES[kind](folder)
    return folder


def make_tokenizer(special: list[str], bos: str | None, eos: str, pad: str, **more: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer; `more` are tokens that it knows by a name, such as image_token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # ASCII alone, so that random replies are words; other characters are left out.
    alphabet = [c for c in pre_tokenizers.ByteLevel.alphabet() if c.isascii() or c in "ĠĊ"]
    tokenizer.train_from_iterator(
        LEARNT, trainers.BpeTrainer(vocab_size=260, initial_alphabet=alphabet, limit_alphabet=len(alphabet))
    )
    tokenizer.add_special_tokens(special)
    if bos:  # as Llama's and Gemma's
        number = tokenizer.token_to_id(bos)
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, number)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=pad, extra_special_tokens=more
    )


def save(
    folder: Path,
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    photos: dict[str, Any],
    template: str | None = None,
    processor: dict[str, Any] | None = None,
) -> None:
    model = AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and parameter.numel() > 1:
                parameter.normal_(std=0.3)
            elif "query_tokens" in name:
                parameter.normal_()
    # Settings as an author may leave them, none of which may be followed.
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=5.0,
        top_k=200,
        repetition_penalty=1.7,
        max_length=7,
        eos_token_id=tokenizer.eos_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(photos))
    if processor:
        (folder / "processor_config.json").write_text(json.dumps(processor))
    if template:
        (folder / "chat_template.jinja").write_text(template)


def qwen(
    folder: Path, config_class: type, name: str, image_processor: str, patch: int, text: dict, vision: dict
) -> None:
    special = [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>",
        "<|vision_end|>",
    ]  # fmt: skip
    tokenizer = make_tokenizer(special, None, "<|im_end|>", "<|endoftext|>")
    number = tokenizer.convert_tokens_to_ids
    config = config_class(
        text_config={**TEXT, "vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": number("<|im_end|>"),
                     **text},
        vision_config={"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": patch,
                       "out_hidden_size": 32, **vision},
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    photos = {
        "image_processor_type": image_processor, "processor_class": name, "patch_size": patch, "merge_size": 2,
        "temporal_patch_size": 2, "size": {"shortest_edge": 4 * patch * patch, "longest_edge": 64 * patch * patch},
        **CLIP_LIKE,
    }  # fmt: skip
    save(folder, config, tokenizer, photos, CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"))


def qwen2_5_vl(folder: Path) -> None:
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
    vision = {"fullatt_block_indexes": [1], "window_size": 56}
    qwen(
        folder, Qwen2_5_VLConfig, "Qwen2_5_VLProcessor", "Qwen2VLImageProcessor", 14, {"rope_parameters": rope}, vision
    )


def qwen3_vl(folder: Path) -> None:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_theta": 10_000.0}
    vision = {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
    text = {"head_dim": 8, "rope_parameters": rope}
    qwen(folder, Qwen3VLConfig, "Qwen3VLProcessor", "Qwen2VLImageProcessorFast", 16, text, vision)


def llava(folder: Path) -> None:
    tokenizer = make_tokenizer(["<s>", "</s>", "<pad>", "<image>", "[INST]", "[/INST]"], "<s>", "</s>", "<pad>")
    config = LlavaConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"model_type": "clip_vision_model", "projection_dim": 16, **SIGLIP},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=4,
    )  # fmt: skip
    photos = {
        "image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor",
        "size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, "do_center_crop": True,
        "do_resize": True, **CLIP_LIKE,
    }  # fmt: skip
    settings = {
        "processor_class": "LlavaProcessor", "patch_size": 14, "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1, "image_token": "<image>",
    }  # fmt: skip
    save(folder, config, tokenizer, photos, LLAVA_TEMPLATE, settings)


def internvl(folder: Path) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
    tokenizer = make_tokenizer(
        special, None, "<|im_end|>", "<|endoftext|>", start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    config = InternVLConfig(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**SIGLIP, "image_size": [28, 28], "patch_size": [7, 7]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    photos = {
        "image_processor_type": "GotOcr2ImageProcessorFast", "processor_class": "InternVLProcessor",
        "size": {"height": 28, "width": 28}, "crop_to_patches": False, "min_patches": 1, "max_patches": 4, **CLIP_LIKE,
    }  # fmt: skip
    settings = {"processor_class": "InternVLProcessor", "image_seq_length": 4}
    save(folder, config, tokenizer, photos, CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"), settings)


def idefics(folder: Path, config_class: type, name: str) -> None:
    places = [f"<row_{i + 1}_col_{j + 1}>" for i in range(2) for j in range(2)]
    special = [
        "<|im_start|>",
        "<|im_end|>",
        "<fake_token_around_image>",
        "<image>",
        "<end_of_utterance>",
        "<global-img>",
    ]
    tokenizer = make_tokenizer([*special, *places], "<|im_start|>", "<end_of_utterance>", "<|im_end|>")
    config = config_class(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**SIGLIP, "patch_size": 7},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    photos = {
        "image_processor_type": f"{name}ImageProcessor", "processor_class": f"{name}Processor",
        "do_image_splitting": True, "size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28},
        "do_pad": True, "do_resize": True, "do_convert_rgb": True, **CLIP_LIKE,
    }  # fmt: skip
    save(
        folder, config, tokenizer, photos, IDEFICS_TEMPLATE, {"processor_class": f"{name}Processor", "image_seq_len": 4}
    )


def idefics3(folder: Path) -> None:
    idefics(folder, Idefics3Config, "Idefics3")


def smolvlm(folder: Path) -> None:
    idefics(folder, SmolVLMConfig, "SmolVLM")


def paligemma(folder: Path) -> None:
    tokenizer = make_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<image>", "<loc0000>", "<seg000>"], "<bos>", "<eos>", "<pad>"
    )
    config = PaliGemmaConfig(
        text_config={"model_type": "gemma", "vocab_size": len(tokenizer), "head_dim": 8, **TEXT},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **SIGLIP},
        projection_dim=32, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    photos = {
        "image_processor_type": "SiglipImageProcessor", "processor_class": "PaliGemmaProcessor", "image_seq_length": 4,
        "size": {"height": 28, "width": 28}, "do_resize": True, **CLIP_LIKE,
    }  # fmt: skip
    save(folder, config, tokenizer, photos)


BLIP_PHOTOS = {"image_processor_type": "BlipImageProcessor", "size": {"height": 28, "width": 28}, **CLIP_LIKE}
QFORMER = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "encoder_hidden_size": 16,
}  # fmt: skip
OPT = {
    "model_type": "opt", "hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 1024, "word_embed_proj_dim": 32,
}  # fmt: skip


def blip2(folder: Path) -> None:
    tokenizer = make_tokenizer(["<pad>", "</s>", "<image>"], "</s>", "</s>", "<pad>")
    config = Blip2Config(
        text_config={**OPT, "vocab_size": len(tokenizer)}, vision_config=SIGLIP, qformer_config=QFORMER,
        num_query_tokens=4, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    settings = {"processor_class": "Blip2Processor", "num_query_tokens": 4}
    save(folder, config, tokenizer, {**BLIP_PHOTOS, "processor_class": "Blip2Processor"}, processor=settings)


def instructblip(folder: Path) -> None:
    """Around a T5, so that there is an encoder-decoder among them."""
    tokenizer = make_tokenizer(["<pad>", "</s>", "<image>"], None, "</s>", "<pad>")
    reader = make_tokenizer(["[PAD]", "[SEP]", "[CLS]"], "[CLS]", "[SEP]", "[PAD]")
    config = InstructBlipConfig(
        text_config={"model_type": "t5", "vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 64,
                     "num_layers": 2, "num_heads": 4, "pad_token_id": tokenizer.pad_token_id,
                     "eos_token_id": tokenizer.eos_token_id, "decoder_start_token_id": tokenizer.pad_token_id},
        vision_config=SIGLIP,
        qformer_config={**QFORMER, "vocab_size": len(reader), "max_position_embeddings": 64},
        num_query_tokens=4, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    settings = {"processor_class": "InstructBlipProcessor", "num_query_tokens": 4}
    save(folder, config, tokenizer, {**BLIP_PHOTOS, "processor_class": "InstructBlipProcessor"}, processor=settings)
    reader.save_pretrained(folder / "qformer_tokenizer")


ARCHITECTURES: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (qwen2_5_vl, qwen3_vl, llava, internvl, idefics3, smolvlm, paligemma, blip2, instructblip)
}

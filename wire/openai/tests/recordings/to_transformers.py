"""Writes the model of the GGUF file next to this script as a folder that transformers and vLLM load.

    python to_transformers.py tiny-chat-f32.gguf OUT

Needs gguf, numpy, tokenizers, safetensors. Same weights, same tokens, same chat template: at temperature 0 every engine
gives the same answers.
"""

import json
import pathlib
import sys

import numpy
from gguf import GGUFReader
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

# What GGUF calls `qwen2`: how text is cut before the merges apply.
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3
LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def renamed(name):
    stem, kind = name.rsplit(".", 1)
    if stem in WHOLE:
        return f"{WHOLE[stem]}.{kind}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{LAYER[part]}.{kind}"


def main():
    source, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    reader = GGUFReader(source)
    field = {name: entry.contents() for name, entry in reader.fields.items()}
    # GGUF lists dimensions fastest first; the array itself has the usual shape already.
    weights = {renamed(tensor.name): numpy.array(tensor.data, dtype=numpy.float32) for tensor in reader.tensors}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})

    eos, pad = field["tokenizer.ggml.eos_token_id"], field["tokenizer.ggml.padding_token_id"]
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": field["qwen2.embedding_length"],
        "intermediate_size": field["qwen2.feed_forward_length"],
        "num_hidden_layers": field["qwen2.block_count"],
        "num_attention_heads": field["qwen2.attention.head_count"],
        "num_key_value_heads": field["qwen2.attention.head_count_kv"],
        "max_position_embeddings": field["qwen2.context_length"],
        "rope_theta": field["qwen2.rope.freq_base"],
        "rms_norm_eps": field["qwen2.attention.layer_norm_rms_epsilon"],
        "vocab_size": len(field["tokenizer.ggml.tokens"]),
        "hidden_act": "silu",
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "torch_dtype": "float32",
        "eos_token_id": eos,
        "pad_token_id": pad,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1))
    (out / "generation_config.json").write_text(json.dumps({"eos_token_id": eos, "pad_token_id": pad, "do_sample": False}))

    tokens = field["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in field["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = field["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, kind in zip(tokens, kinds) if kind == CONTROL_TOKEN])
    tokenizer.add_tokens([AddedToken(token, special=False) for token, kind in zip(tokens, kinds) if kind not in (NORMAL_TOKEN, CONTROL_TOKEN)])
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": tokens[eos],
        "pad_token": tokens[pad],
        "model_max_length": field["qwen2.context_length"],
        "chat_template": field["tokenizer.chat_template"],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))


if __name__ == "__main__":
    main()

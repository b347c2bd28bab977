#!/usr/bin/env python3
"""Writes a small Llama with random weights as a GGUF file.

    tiny_model.py FILE

About 13 MB; on one core of a usual machine it takes 1 to 2 ms per token, so that the times of its
answers stand well above those of HTTP. Its vocabulary has every byte and some English words: what
it says makes no sense, and its characters often come in pieces, as those of a real model do.
The file is the same every time.

Tokens 0 to 2 are <unk>, <s> and </s>, the bytes follow from 3 on, then the words.
"""

import sys

import gguf
import numpy as np

WIDTH = 256
LAYERS = 4
HEADS = 8
FEED_FORWARD = 512
CONTEXT = 2048
WORDS = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use an each which she do "
    "how their if will up other about out many then them these so some her would make like him"
).split()


def vocabulary():
    tokens = [b"<unk>", b"<s>", b"</s>"]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    tokens += [f"<0x{byte:02X}>".encode() for byte in range(256)]
    kinds += [gguf.TokenType.BYTE] * 256
    tokens += ["\u2581".encode() + word.encode() for word in WORDS]
    kinds += [gguf.TokenType.NORMAL] * len(WORDS)
    return tokens, kinds


def write(path):
    tokens, kinds = vocabulary()
    model = gguf.GGUFWriter(path, "llama")
    model.add_name("tiny-random-llama")
    model.add_file_type(gguf.LlamaFileType.ALL_F32)
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(FEED_FORWARD)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_vocab_size(len(tokens))
    model.add_tokenizer_model("llama")
    model.add_token_list(tokens)
    model.add_token_scores([-float(rank) for rank in range(len(tokens))])
    model.add_token_types(kinds)
    model.add_unk_token_id(0)
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)
    model.add_add_bos_token(True)
    model.add_chat_template(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )

    random = np.random.default_rng(0)

    def weights(*shape):
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    model.add_tensor("token_embd.weight", weights(len(tokens), WIDTH))
    model.add_tensor("output_norm.weight", ones)
    model.add_tensor("output.weight", weights(len(tokens), WIDTH))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        model.add_tensor(f"{block}.attn_norm.weight", ones)
        model.add_tensor(f"{block}.ffn_norm.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            model.add_tensor(f"{block}.{name}.weight", weights(WIDTH, WIDTH))
        model.add_tensor(f"{block}.ffn_gate.weight", weights(FEED_FORWARD, WIDTH))
        model.add_tensor(f"{block}.ffn_up.weight", weights(FEED_FORWARD, WIDTH))
        model.add_tensor(f"{block}.ffn_down.weight", weights(WIDTH, FEED_FORWARD))

    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    write(sys.argv[1])

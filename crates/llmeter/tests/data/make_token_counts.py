"""Makes tokenizer.json and token_counts.json: what the Python packages count.

Needs the packages tiktoken and tokenizers. tiktoken fetches its vocabularies, or takes them from
the folder that TIKTOKEN_CACHE_DIR names.
"""

import json
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent

TEXTS = [
    "",
    " ",
    "hello world",
    "Hello, world! It's 12345 o'clock, isn't it?  Two  spaces.",
    "The quick brown fox jumps over the lazy dog.",
    "def f(x):\n    return {'a': x ** 2, \"b\": [1, 2, 3]}\n\n\n# done\t\tnow\r\n",
    "naïve café résumé — “quotes” … ½ £100 €20",
    "Größenwahn, Straße, Äpfel und Öl",
    "日本語のテキストと中文文本，还有한국어.",
    "🙂🚀👩‍👩‍👧‍👦 emoji 🇩🇪 e\u0301 combining",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم",
    "<|endoftext|> is only text here, and so is [CLS] <s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "https://example.com/a/b?c=d&e=%20f#g 1,234,567.89 2024-01-31T12:34:56Z",
    "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7",
    "   leading and trailing   \n\n",
    "don'T DON'T we'Ll I'VE THEY'RE",
    "word " * 200,
]


def train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def main() -> None:
    counts = {}
    tokenizer = train()
    counts["tokenizer.json"] = [
        len(tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS
    ]
    # Neither may change a count.
    tokenizer.enable_truncation(max_length=16)
    tokenizer.enable_padding(length=16, pad_id=1, pad_token="</s>")
    tokenizer.save(str(HERE / "tokenizer.json"))

    for name in sorted(tiktoken.list_encoding_names()):
        encoding = tiktoken.get_encoding(name)
        counts[name] = [len(encoding.encode(text, disallowed_special=())) for text in TEXTS]

    (HERE / "token_counts.json").write_text(
        json.dumps({"texts": TEXTS, "counts": counts}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()

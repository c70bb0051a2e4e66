#!/usr/bin/env python3
"""Makes what tests/tokenizer.c and tests/minilm.c compare with, by independent implementations:
token ids by the `tokenizers` package, embeddings by a float64 forward pass in numpy.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers numpy
    /tmp/venv/bin/python scripts/make_golden.py MODEL_FOLDER

writes into tests/golden/:
    unicode.txt          what the tokenizer does with each single code point
    rules.json           texts and ids with the small vocabulary, tests/golden/vocab.txt
    minilm.json          texts and ids with the model's vocabulary, cut at 256 tokens
    minilm.safetensors   those texts' embeddings, fp32
Without MODEL_FOLDER (all-MiniLM-L6-v2, see scripts/fetch_model.sh) the last two are left alone.
"""
import json
import os
import random
import struct
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")
MAX_TOKENS = 256
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Two dozen texts for the real model; each stands for a case.
MODEL_TEXTS = [
    "",
    " \t\n",
    "a",
    "Tamis",
    "a large natural stream of water (larger than a creek)",
    "The quick brown fox jumps over the lazy dog.",
    "It's 3.14159, isn't it? (Yes -- e.g. $1,000.00 or 50%!)",
    "UPPER lower MiXeD cAsE",
    "Caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00dcber \u0141\u00f3d\u017a \u0130stanbul",
    "cafe\u0301 e\u0323\u0302 a\u030a\u0327 combining marks",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002",
    "\u4e2d\u6587mixed\u6587\u5b57with Latin",
    "\ud55c\uad6d\uc5b4 \ubb38\uc7a5 \ud14c\uc2a4\ud2b8",
    "emoji \U0001f600 and \U0001f468\u200d\U0001f469\u200d\U0001f467 and \u2764\ufe0f!",
    "bell\u0007 null\u0000 delete\u007f zero\u200bwidth soft\u00adhyphen \ufeffbom \ufffd",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 100 + " " + "y" * 101,
    "a [MASK] in the text and a [SEP] too, but no [mask]",
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac, "
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439, \u05e2\u05d1\u05e8\u05d9\u05ea, "
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629, \u0939\u093f\u0928\u094d\u0926\u0940",
    "no\u00a0break\u2003em\u3000ideographic\u2028line",
    "12345678901234567890 1e-12 0xdeadbeef v2.0.1",
    "\u201cquoted\u201d \u2018text\u2019 \u2026 \u2014 \u20ac5 \u00a3 \u00bd \u00b2 \u2122",
    "the state of being one more than three " * 60,
    "word\u0301s, " * 300,
    "a stiff straw hat with a flat crown",
]

# Cases of single rules, on the small vocabulary.
RULE_TEXTS = MODEL_TEXTS + [
    "[SEP]", "x[SEP]y", "[[SEP]]", "[SEP", "[CLS][PAD][UNK][MASK]", "[ SEP ]", "[S\u00adEP]",
    "the theory of there, thereof", "thethethe", "unaffable", "unknown\u2603snowman",
    "a.b..c", "...", "-", "--a--", "a\u00b7b", "\u00bfque?", "$^`|~+<=>", "\u20ac", "a_b@c",
    "\u037e greek question mark", "\u1fef", "\u0344", "\u212b", "\u2126", "\ufb01", "\u00df",
    "\u0130", "\u01c5", "\u1e9e", "\u03a3\u03a3", "\u0410\u0411",
    "\u6771", "\u3400\u4dbf\u4dc0", "\U00020000\U0002b820\U0002b920", "\uf900", "\u3042\u30a2",
    "\uac00\uac01", "\u1100\u1161", "e\u0300\u0301\u0302\u0303x", "\u0301abc", "a \u0301 b",
    "\u0915\u093c", "\u0958", "\u1d165\u1d16d", "\U0001d15e", "\u302e\u302f\u0323a",
    "a\u0000b", "\u0000", "a\u000bb\u000cc", "a\u0085b", "a\u200cb\u200db", "\ue000x", "\u0378x",
    "\u00a0", "\u2028a\u2029b", "\u205f", "\u180e", "\u00ad",
    "a" * 99, "a" * 100, "a" * 101, "\u00e9" * 100, "\u00e9" * 101, "\uac01" * 33, "\uac01" * 34,
    "a" * 100 + "\u0301", "ab" * 49 + "\u2603", "a b " * 200, "thing " * 254, "thing " * 255,
    "a\U0001d16d\U0001d165", "a\U0001d16d\u0300\U0001d165", "a\U0001d16d\u0941\U0001d165",
    "\u166d", "\u111c9", "\U000111c9", "\u1734", "\u08e2", "\U00011938", "\u061d", "\u2e52",
]


def random_texts(count):
    """Strings over code points that meet many rules, from a fixed seed."""
    source = random.Random(5)
    pools = [
        "abcdefghijklmnopqrstuvwxyz", "ABCXYZ", "0123456789", " \t\n  ", ".,;:!?'\"()[]{}-_/\\@#$%",
        "\u0300\u0301\u0302\u0323\u0327\u0345\u093c\u302e\u302f\u3099", "\u00e9\u00c5\u0130\u1ea4\u1e69",
        "\u6771\u4eac\u4e2d\uf900", "\uac00\ud55c", "\u200b\u00ad\u0007\u0000\ufeff\ufffd",
        "\u0958\u0f77\u2126\u212b\u037e\u1fee", "\U0001f600\u2603\u20ac\u00bd",
    ]
    words = ["the", "thing", "un", "ing", "[SEP]", "[MASK]", "[sep]", "there"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(source.randrange(1, 30)):
            if source.random() < 0.15:
                parts.append(source.choice(words))
            else:
                parts.append(source.choice(source.choice(pools)))
        texts.append("".join(parts))
    return texts


def bert_tokenizer(vocabulary):
    tokenizer = Tokenizer(models.WordPiece(
        {token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]",
        max_input_chars_per_word=100, continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[
            ("[CLS]", vocabulary.index("[CLS]")), ("[SEP]", vocabulary.index("[SEP]"))])
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def write_ids(name, tokenizer, texts):
    with open(os.path.join(HERE, name), "w", encoding="ascii", newline="\n") as file:
        rows = [json.dumps({"text": text, "ids": tokenizer.encode(text).ids}) for text in texts]
        file.write("[\n" + ",\n".join(rows) + "\n]\n")


def write_unicode():
    """A line a run of code points: first, last (hex) and what becomes of each by itself: `drop`,
    `space`, `sign` (splits a word, after decomposition), or its text in hex where that is not the
    code point itself. Hangul syllables are left out: their decomposition is arithmetic."""
    clean = normalizers.BertNormalizer(True, False, False, False)
    whole = normalizers.BertNormalizer(True, False, True, True)
    splitter = pre_tokenizers.BertPreTokenizer()
    runs = []
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF or 0xAC00 <= code <= 0xD7A3:
            continue
        char = chr(code)
        text = whole.normalize_str(char)
        if clean.normalize_str(char) == "":
            what = "drop"
        elif text == " ":
            what = "space"
        elif len(splitter.pre_tokenize_str("a" + text + "b")) == 3:
            what = "sign" if text == char else "sign " + text.encode().hex()
        elif text != char:
            what = "text " + text.encode().hex()
        else:
            continue
        if runs and runs[-1][1] == code - 1 and runs[-1][2] == what:
            runs[-1][1] = code
        else:
            runs.append([code, code, what])
    with open(os.path.join(HERE, "unicode.txt"), "w", encoding="ascii", newline="\n") as file:
        for first, last, what in runs:
            file.write("%x %x %s\n" % (first, last, what))


def read_safetensors(path):
    import numpy
    with open(path, "rb") as file:
        header_bytes = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(header_bytes))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(
                entry["shape"]).astype("f8")
    return tensors


def embed(tensors, config, ids):
    """The embedding of one text by the definition of BERT, in float64."""
    import numpy
    from math import erf
    gelu = numpy.vectorize(lambda x: 0.5 * x * (1.0 + erf(x / 2.0 ** 0.5)))

    def norm(x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        x = (x - mean) / numpy.sqrt(variance + config["layer_norm_eps"])
        return x * tensors[name + ".weight"] + tensors[name + ".bias"]

    def linear(x, name):
        return x @ tensors[name + ".weight"].T + tensors[name + ".bias"]

    count, heads = len(ids), config["num_attention_heads"]
    size = config["hidden_size"] // heads
    x = (tensors["embeddings.word_embeddings.weight"][ids]
         + tensors["embeddings.position_embeddings.weight"][:count]
         + tensors["embeddings.token_type_embeddings.weight"][0])
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = "encoder.layer.%d." % layer
        q, k, v = (linear(x, at + "attention.self." + part).reshape(count, heads, size)
                   for part in ("query", "key", "value"))
        scores = numpy.einsum("ihd,jhd->hij", q, k) / size ** 0.5
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = numpy.einsum("hij,jhd->ihd", scores, v).reshape(count, heads * size)
        x = norm(x + linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        inner = gelu(linear(x, at + "intermediate.dense"))
        x = norm(x + linear(inner, at + "output.dense"), at + "output.LayerNorm")
    mean = x.mean(0)
    return mean / numpy.linalg.norm(mean)


def write_model(folder):
    import numpy
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    write_ids("minilm.json", tokenizer, MODEL_TEXTS)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
    rows = [embed(tensors, config, tokenizer.encode(text).ids) for text in MODEL_TEXTS]
    data = numpy.array(rows).astype("<f4").tobytes()
    header = json.dumps({"embeddings": {
        "dtype": "F32", "shape": [len(rows), config["hidden_size"]],
        "data_offsets": [0, len(data)]}})
    header += " " * (-len(header) % 8)
    with open(os.path.join(HERE, "minilm.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode() + data)


def main():
    with open(os.path.join(HERE, "vocab.txt"), encoding="utf-8") as file:
        vocabulary = file.read().split("\n")[:-1]
    write_unicode()
    write_ids("rules.json", bert_tokenizer(vocabulary), RULE_TEXTS + random_texts(300))
    if len(sys.argv) > 1:
        write_model(sys.argv[1])


if __name__ == "__main__":
    main()

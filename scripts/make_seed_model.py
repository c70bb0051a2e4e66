#!/usr/bin/env python3
"""Writes an encoder of the shape of all-MiniLM-L6-v2 with random weights: where the real one can't
be had, speed can still be shown. Its accuracy means nothing.

    python3 scripts/make_seed_model.py FOLDER [--seed 1] [--layers 6]

The vocabulary is the tests' small one, tests/golden/vocab.txt. The same seed gives the same bytes.
FOLDER must not be there. Standard library only.
"""
import argparse
import array
import json
import os
import random
import shutil
import struct
import sys

HIDDEN, HEADS, INTERMEDIATE, POSITIONS, TYPES = 384, 12, 1536, 512, 2
VOCABULARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden",
                          "vocab.txt")


def tensors_of(tokens, layers):
    """(name, shape, mean, deviation) in the order of the file."""
    yield "embeddings.word_embeddings.weight", (tokens, HIDDEN), 0.0, 0.05
    yield "embeddings.position_embeddings.weight", (POSITIONS, HIDDEN), 0.0, 0.02
    yield "embeddings.token_type_embeddings.weight", (TYPES, HIDDEN), 0.0, 0.02
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        at = "encoder.layer.%d." % layer
        for name, n, k in (("attention.self.query", HIDDEN, HIDDEN),
                           ("attention.self.key", HIDDEN, HIDDEN),
                           ("attention.self.value", HIDDEN, HIDDEN),
                           ("attention.output.dense", HIDDEN, HIDDEN),
                           ("intermediate.dense", INTERMEDIATE, HIDDEN),
                           ("output.dense", HIDDEN, INTERMEDIATE)):
            yield at + name + ".weight", (n, k), 0.0, 0.05
            yield at + name + ".bias", (n,), 0.0, 0.05
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
    for name in norms:
        yield name + ".weight", (HIDDEN,), 1.0, 0.05
        yield name + ".bias", (HIDDEN,), 0.0, 0.05


def write_weights(path, tokens, layers, seed):
    header, offset = {"__metadata__": {"seed": str(seed)}}, 0
    tensors = list(tensors_of(tokens, layers))
    for name, shape, _, _ in tensors:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [offset, offset + 4 * count]}
        offset += 4 * count
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    gauss = random.Random(seed).gauss
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, mean, deviation in tensors:
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            values = array.array("f", (gauss(mean, deviation) for _ in range(count)))
            if sys.byteorder == "big":
                values.byteswap()
            values.tofile(file)


def main():
    parser = argparse.ArgumentParser(description="writes a random encoder")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6)
    arguments = parser.parse_args()
    if os.path.exists(arguments.folder):
        sys.exit("make_seed_model: %s is there already" % arguments.folder)

    work = arguments.folder.rstrip("/") + ".part"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    with open(VOCABULARY, encoding="utf-8") as file:
        tokens = len(file.read().split("\n")) - 1
    shutil.copyfile(VOCABULARY, os.path.join(work, "vocab.txt"))
    config = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN,
              "intermediate_size": INTERMEDIATE, "layer_norm_eps": 1e-12,
              "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS,
              "num_hidden_layers": arguments.layers, "position_embedding_type": "absolute",
              "type_vocab_size": TYPES, "vocab_size": tokens}
    with open(os.path.join(work, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    write_weights(os.path.join(work, "model.safetensors"), tokens, arguments.layers,
                  arguments.seed)
    os.rename(work, arguments.folder)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Confirms a demo's zeros, recall and cosine without any of tamis: reads the pruned checkpoints and
WordNet's files itself, tokenizes with the `tokenizers` package, runs the encoder in numpy, ranks.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers numpy
    /tmp/venv/bin/python scripts/check_demo.py build/demo/demo.json [--wordnet DIR] [--rows abc...]

Prints the demo's figures beside its own, a line a row; some minutes for all. Exit code 0: every
share of zeros is equal, recalls and MRR within 0.0011 (two queries of 2,000 may tip by rounding),
cosines within 0.0001; 1: one is not.
"""
import argparse
import json
import os
import struct
import sys

import numpy
from check_eval import choose, read_synsets
from tokenizers import Tokenizer

MAX_TOKENS = 256
BATCH_TOKENS = 4096


def read_tensors(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(
                entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] == "F32"}


def gelu(x):
    """Abramowitz and Stegun 7.1.26 for erf, error below 1.5e-7."""
    z = numpy.abs(x) * numpy.float32(0.5 ** 0.5)
    t = 1 / (1 + numpy.float32(0.3275911) * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (
        -1.453152027 + t * 1.061405429)))) * numpy.exp(-z * z)
    return (0.5 * (x + numpy.abs(x) * (1 - tail))).astype("f4")


class Encoder:
    def __init__(self, folder):
        self.tensors = read_tensors(folder)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def linears(self):
        return {name: w for name, w in self.tensors.items()
                if ".layer." in name and name.endswith(".weight") and w.ndim == 2}

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= numpy.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def run(self, ids):
        """ids [texts, tokens], all of one length: embeddings [texts, hidden]."""
        texts, tokens = ids.shape
        heads = self.config["num_attention_heads"]
        size = self.config["hidden_size"] // heads
        x = (self.tensors["embeddings.word_embeddings.weight"][ids]
             + self.tensors["embeddings.position_embeddings.weight"][:tokens]
             + self.tensors["embeddings.token_type_embeddings.weight"][0])
        x = self.norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            at = "encoder.layer.%d." % layer
            q, k, v = (self.linear(x, at + "attention.self." + part).reshape(
                texts, tokens, heads, size).transpose(0, 2, 1, 3)
                for part in ("query", "key", "value"))
            scores = q @ k.transpose(0, 1, 3, 2) / numpy.float32(size ** 0.5)
            scores = numpy.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ v
            mixed = mixed.transpose(0, 2, 1, 3).reshape(texts, tokens, heads * size)
            x = self.norm(x + self.linear(mixed, at + "attention.output.dense"),
                          at + "attention.output.LayerNorm")
            inner = gelu(self.linear(x, at + "intermediate.dense"))
            x = self.norm(x + self.linear(inner, at + "output.dense"), at + "output.LayerNorm")
        mean = x.mean(1).astype("f8")
        return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)

    def embed(self, texts):
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        by_length = {}
        for i, row in enumerate(ids):
            by_length.setdefault(len(row), []).append(i)
        out = numpy.empty((len(texts), self.config["hidden_size"]))
        for length, members in by_length.items():
            step = max(1, BATCH_TOKENS // length)
            for begin in range(0, len(members), step):
                part = members[begin:begin + step]
                out[part] = self.run(numpy.array([ids[i] for i in part]))
        return out


def holds(pattern, weights):
    """Whether a weight with zeros holds the pattern; shares are judged by the sum, over all."""
    kept = weights != 0
    if pattern == "2:4":
        return bool((kept.reshape(kept.shape[0], -1, 4).sum(-1) <= 2).all())
    if pattern.startswith("block 32x32"):
        blocks = kept.reshape(kept.shape[0] // 32, 32, kept.shape[1] // 32, 32).any((1, 3))
        return abs(1 - blocks.mean() - float(pattern.split()[-1].rstrip("%")) / 100) < 1e-9
    return abs(1 - kept.mean() - float(pattern.split()[-1].rstrip("%")) / 100) < 0.5 / kept.size + 1e-9


def judge(queries, candidates, answers):
    words = candidates.T
    ranks = []
    for query, right in zip(queries, answers):
        cosines = query @ words
        ranks.append(1 + int((cosines > cosines[right].max()).sum()))
    ranks = numpy.array(ranks)
    return (ranks <= 1).mean(), (ranks <= 10).mean(), (1 / ranks).mean()


def main():
    parser = argparse.ArgumentParser(description="confirms a demo independently")
    parser.add_argument("demo")
    parser.add_argument("--wordnet", default="/usr/share/wordnet")
    parser.add_argument("--rows", help="letters of the rows to check; all without")
    arguments = parser.parse_args()
    with open(arguments.demo, encoding="utf-8") as file:
        demo = json.load(file)
    texts, candidates, answers, _ = choose(read_synsets(arguments.wordnet))

    good = True
    dense = Encoder(demo["model"])
    dense_queries = dense.embed(texts)
    done = {}
    print("row  pattern             zeros           recall@1        recall@10       mrr"
          "             cosine")
    for row in demo["rows"]:
        if arguments.rows and row["row"] not in arguments.rows:
            continue
        if row["path"] not in done:
            # What ran is packed; the pruned checkpoint beside it has the same weights as plain arrays.
            encoder = Encoder(row["path"].replace("/packed/", "/pruned/"))
            linears = encoder.linears()
            zeros = (sum(int((w == 0).sum()) for w in linears.values())
                     / sum(w.size for w in linears.values()))
            pruned = [w for w in linears.values() if (w == 0).mean() > 0.1]
            queries = encoder.embed(texts)
            figures = judge(queries, encoder.embed(candidates), answers)
            cosine = float((queries * dense_queries).sum(1).mean())
            done[row["path"]] = (zeros, figures, cosine, pruned)
        zeros, figures, cosine, pruned = done[row["path"]]
        pairs = [(row["zeros"], zeros, 1e-8)]  # the demo prints nine digits
        pairs += [(row[key]["value"], value, 0.0011)
                  for key, value in zip(("recall1", "recall10", "mrr"), figures)]
        pairs.append((row["cosine"], cosine, 0.0001))
        fits = "%" not in row["pattern"] and row["pattern"] != "2:4" or all(
            holds(row["pattern"], w) for w in pruned)
        agrees = fits and all(abs(a - b) <= limit for a, b, limit in pairs)
        good = good and agrees
        print("%-3s  %-18s  %s  %s" % (
            row["row"], row["pattern"],
            "  ".join("%.4f %.4f  " % (a, b) for a, b, _ in pairs),
            "agrees" if agrees else "DIFFERS" if fits else "PATTERN DOES NOT HOLD"), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

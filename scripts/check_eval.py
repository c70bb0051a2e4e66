#!/usr/bin/env python3
"""Confirms an evaluation without any of tamis: chooses the texts from WordNet's files anew, compares
them with a dump, and ranks by embeddings that `tamis embed` wrote.

    tamis eval MODEL --wordnet DIR --dump DUMP
    tamis embed MODEL --text DUMP/queries.txt -o queries.safetensors
    tamis embed MODEL --text DUMP/candidates.txt -o candidates.safetensors
    python3 scripts/check_eval.py --wordnet DIR --dump DUMP \\
        [--queries queries.safetensors --candidates candidates.safetensors]
        [--dense-queries dense.safetensors]

Prints recall@1, recall@10, MRR and the mean cosine to the dense model's definitions. Uses numpy
where it is there; without it only every fortieth query is ranked, and the output says so.
Exit code 0: texts agree; 1: they do not.
"""
import argparse
import array
import json
import os
import re
import struct
import sys

QUERIES, CANDIDATES, CALIBRATION = 2000, 10000, 512


def read_synsets(folder):
    """(lemmas, definition) of every eligible synset, in file order."""
    synsets = []
    for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for line in file:
                if line.startswith(" "):
                    continue
                head, gloss = line.split("|", 1)
                fields = head.split()
                count = int(fields[3], 16)
                lemmas = [word.split("(")[0].replace("_", " ")
                          for word in fields[4:4 + 2 * count:2]]
                definition = gloss.split('; "')[0].strip()
                size = len(definition.encode())
                if (re.fullmatch("[a-z ]{3,}", lemmas[0]) and 20 <= size <= 200
                        and '"' not in definition):
                    synsets.append((lemmas, definition))
    return synsets


def choose(synsets):
    """The texts by the rules of docs/evaluation.md."""
    n = len(synsets)
    chosen = [synsets[j * n // QUERIES] for j in range(QUERIES)]
    queries = [definition for _, definition in chosen]
    candidates = list(dict.fromkeys(lemmas[0] for lemmas, _ in chosen))
    u, taken = len(candidates), set(candidates)
    others = list(dict.fromkeys(lemmas[0] for lemmas, _ in synsets if lemmas[0] not in taken))
    p = len(others)
    candidates += [others[i * p // (CANDIDATES - u)] for i in range(CANDIDATES - u)]
    place = {word: i for i, word in enumerate(candidates)}
    answers = [sorted({place[lemma] for lemma in lemmas if lemma in place})
               for lemmas, _ in chosen]
    asked = set(queries)
    free = [definition for _, definition in synsets if definition not in asked]
    calibration = [free[c * len(free) // CALIBRATION] for c in range(CALIBRATION)]
    return queries, candidates, answers, calibration


def read_lines(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")[:-1]


def read_embeddings(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        entry = header["embeddings"]
        begin, end = entry["data_offsets"]
        file.seek(begin, os.SEEK_CUR)
        values = array.array("f", file.read(end - begin))
    if sys.byteorder == "big":
        values.byteswap()
    rows, size = entry["shape"]
    return [values[i * size:(i + 1) * size] for i in range(rows)]


def ranks_of(queries, candidates, answers):
    """The queries' ranks: of all with numpy, of every fortieth without."""
    try:
        import numpy
    except ImportError:
        print("numpy is not there: every fortieth query only")
        words = [list(word) for word in candidates]
        for j in range(0, len(queries), 40):
            query = list(queries[j])
            cosines = [sum(map(float.__mul__, query, word)) for word in words]
            best = max(cosines[i] for i in answers[j])
            yield 1 + sum(cosine > best for cosine in cosines)
        return
    words = numpy.array(candidates, dtype="f8").T
    for query, right in zip(queries, answers):
        cosines = numpy.array(query, dtype="f8") @ words
        yield 1 + int((cosines > cosines[right].max()).sum())


def main():
    parser = argparse.ArgumentParser(description="confirms an evaluation independently")
    parser.add_argument("--wordnet", required=True)
    parser.add_argument("--dump", required=True)
    parser.add_argument("--queries")
    parser.add_argument("--candidates")
    parser.add_argument("--dense-queries")
    arguments = parser.parse_args()

    queries, candidates, answers, calibration = choose(read_synsets(arguments.wordnet))
    dumped = [[int(i) for i in line.split()] for line in read_lines(arguments.dump, "answers.txt")]
    agree = True
    for name, ours, theirs in (
            ("queries", queries, read_lines(arguments.dump, "queries.txt")),
            ("candidates", candidates, read_lines(arguments.dump, "candidates.txt")),
            ("answers", answers, dumped),
            ("calibration", calibration, read_lines(arguments.dump, "calibration.txt"))):
        agree = agree and ours == theirs
        print("%s: %d, %s" % (name, len(ours), "the same" if ours == theirs else "DIFFERENT"))
    if arguments.queries and arguments.candidates:
        definitions = read_embeddings(arguments.queries)
        ranks = list(ranks_of(definitions, read_embeddings(arguments.candidates), answers))
        for k in (1, 10):
            print("recall@%d: %.4f" % (k, sum(rank <= k for rank in ranks) / len(ranks)))
        print("mrr: %.4f" % (sum(1 / rank for rank in ranks) / len(ranks)))
        if arguments.dense_queries:
            dense = read_embeddings(arguments.dense_queries)
            total = sum(sum(map(float.__mul__, map(float, a), map(float, b)))
                        for a, b in zip(definitions, dense))
            print("cosine: %.6f" % (total / len(dense)))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())

/* The reverse dictionary on a WordNet of twelve synsets, chosen by hand; ranks against the plain
 * definition; the report's figures. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "model/eval.h"
#include "model/model.h"
#include "support/encoder.h"
#include "support/files.h"

static void write_file(const char *folder, const char *name, const char *text) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Eligible synsets e0 .. e7 in file order; the others fail by one rule each. */
static const char nouns[] =
    "  1 A licence line begins with blanks.  \n"
    "00000001 03 n 02 brook 0 stream 1 001 @ 00000002 n 0000 | a natural stream of water; \"the "
    "brook ran\"  \n" /* e0 */
    "00000002 03 n 01 Thames 0 000 | an English river, whose lemma has a capital\n"
    "00000003 03 n 02 stream 0 brook 0 000 |   a body of running water \n" /* e1 */
    "00000004 03 n 01 ox 0 000 | an animal, but a lemma of two bytes\n"
    "00000005 03 n 03 hot_dog 0 frank 0 Frank 0 000 | a sausage in a long soft roll\n" /* e2 */
    "00000006 03 n 01 short 0 000 | nineteen bytes long\n"
    "00000007 03 n 01 quoted 0 000 | called \"quoted\" by those who say so\n";
static const char verbs[] =
    "00000008 29 v 01 flow 0 001 @ 00000002 v 0000 01 + 02 00 | move along, of liquids\n" /* e3 */
    "00000009 29 v 01 stream 0 000 01 + 02 00 | rain as if buckets were emptied\n";       /* e4 */
static const char adjectives[] =
    "00000010 00 a 02 afloat(p) 0 awash 0 000 | borne on the water's surface\n"          /* e5 */
    "00000011 00 s 01 brook 0 000 | a second brook, for a double lemma\n";               /* e6 */
static const char adverbs[] = "00000012 02 r 01 fast 0 000 | a body of running water\n"; /* e7 */

static void make_wordnet(char folder[256]) {
    test_folder_make(folder);
    write_file(folder, "data.noun", nouns);
    write_file(folder, "data.verb", verbs);
    write_file(folder, "data.adj", adjectives);
    write_file(folder, "data.adv", adverbs);
}

static void assert_list(const tmsi_text_list *list, const char *const *texts, int64_t count) {
    assert_int_equal(list->count, count);
    for (int64_t i = 0; i < count; i++) {
        assert_string_equal(list->texts[i], texts[i]);
        assert_int_equal(list->lengths[i], strlen(texts[i]));
    }
}

/* n = 8, 3 queries: e0, e8/3 = e2, e16/3 = e5. u = 3 lemmas: brook, hot dog, afloat. The others:
 * stream, flow, fast (p = 3; brook of e6 and stream of e4 are doubles). Of 5 candidates, 2 are
 * numbers 0 and 1*3/2 = 1 of them: stream, flow. Calibration: all but e0, e2, e5 (r = 5): numbers 0
 * and 5/2 = 2: e1, e4. */
static void texts_are_chosen_by_the_rules(void **state) {
    static const char *const queries[] = {"a natural stream of water",
                                          "a sausage in a long soft roll",
                                          "borne on the water's surface"};
    static const char *const candidates[] = {"brook", "hot dog", "afloat", "stream", "flow"};
    static const char *const calibration[] = {"a body of running water",
                                              "rain as if buckets were emptied"};
    static const int64_t offsets[] = {0, 2, 3, 4}, answers[] = {0, 3, 1, 2};
    const tmsi_dictionary_size size = {3, 5, 2};
    tms_context *context = test_context(1, 0);
    tmsi_dictionary dictionary = {0};
    char folder[256];
    (void)state;

    make_wordnet(folder);
    assert_ok(tmsi_dictionary_create(context, folder, &size, &dictionary));
    assert_list(&dictionary.queries, queries, 3);
    assert_list(&dictionary.candidates, candidates, 5);
    assert_list(&dictionary.calibration, calibration, 2);
    assert_memory_equal(dictionary.answer_offsets, offsets, sizeof offsets);
    assert_memory_equal(dictionary.answers, answers, sizeof answers);
    tmsi_dictionary_free(&dictionary);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

/* e1 and e7 share their definition: with e1 a query (8 queries: all), nothing is left to calibrate
 * with. With 4 queries (e0, e2, e4, e6) e1 and e7 both stay. */
static void calibration_shares_no_definition_with_a_query(void **state) {
    tmsi_dictionary_size size = {4, 4, 4};
    tms_context *context = test_context(1, 0);
    tmsi_dictionary dictionary = {0};
    char folder[256];
    (void)state;

    make_wordnet(folder);
    assert_ok(tmsi_dictionary_create(context, folder, &size, &dictionary));
    assert_string_equal(dictionary.calibration.texts[0], "a body of running water");
    assert_string_equal(dictionary.calibration.texts[3], "a body of running water");
    tmsi_dictionary_free(&dictionary);
    size = (tmsi_dictionary_size){8, 6, 1};
    assert_fails(tmsi_dictionary_create(context, folder, &size, &dictionary), TMS_ERR_FORMAT,
                 "0 synsets whose definition is no query's, but at least 1");
    size = (tmsi_dictionary_size){3, 7, 2};
    assert_fails(tmsi_dictionary_create(context, folder, &size, &dictionary), TMS_ERR_FORMAT,
                 "6 different first lemmas, but at least 7");
    size = (tmsi_dictionary_size){9, 9, 1};
    assert_fails(tmsi_dictionary_create(context, folder, &size, &dictionary), TMS_ERR_FORMAT,
                 "8 eligible synsets, but at least 9");
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void broken_wordnet_lines_are_named(void **state) {
    static const char *const lines[] = {
        "x\n",
        "00000001 03 n 0g word 0 000 | a gloss that is long enough\n",
        "00000001 03 n 00 000 | a gloss that is long enough\n",
        "00000001 03 n 02 word 0 000 | a gloss that is long enough\n",
        "00000001 03 n 01 word 0 000 and no gloss\n",
        "\n",
    };
    const tmsi_dictionary_size size = {1, 1, 1};
    tms_context *context = test_context(1, 0);
    tmsi_dictionary dictionary = {0};
    char folder[256];
    (void)state;

    make_wordnet(folder);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "  licence\n%s", lines[i]);
        write_file(folder, "data.verb", text);
        assert_fails(tmsi_dictionary_create(context, folder, &size, &dictionary), TMS_ERR_FORMAT,
                     "data.verb is no synset");
        test_assert_contains(tms_error_text(), "line 2 of");
    }
    snprintf(folder + strlen(folder), 8, "/none");
    assert_fails(tmsi_dictionary_create(context, folder, &size, &dictionary), TMS_ERR_IO,
                 "data.noun");
    *strrchr(folder, '/') = 0;
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void dump_writes_a_line_each_and_replaces_nothing(void **state) {
    static const char expected[] = "0 3\n1\n2\n";
    const tmsi_dictionary_size size = {3, 5, 2};
    tms_context *context = test_context(1, 0);
    tms_eval *eval = NULL;
    char folder[256], path[300], text[64] = "";
    FILE *file;
    (void)state;

    make_wordnet(folder);
    assert_ok(tmsi_eval_create(context, folder, &size, &eval));
    snprintf(path, sizeof path, "%s/dump", folder);
    assert_ok(tms_eval_dump(eval, path));
    assert_fails(tms_eval_dump(eval, path), TMS_ERR_IO, "exists, and a dump replaces nothing");
    snprintf(path, sizeof path, "%s/dump/answers.txt", folder);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), sizeof expected - 1);
    fclose(file);
    assert_string_equal(text, expected);
    tms_eval_destroy(eval);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void dump_that_fails_leaves_nothing(void **state) {
    const tmsi_dictionary_size size = {3, 5, 2};
    tms_context *context = test_context(1, 0);
    struct rlimit limit, small;
    tms_eval *eval = NULL;
    char folder[256], path[300];
    int before;
    (void)state;

    make_wordnet(folder);
    assert_ok(tmsi_eval_create(context, folder, &size, &eval));
    snprintf(path, sizeof path, "%s/dump", folder);
    before = test_folder_count(folder);
    /* The first list fits into no file of four bytes. */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 4;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_fails(tms_eval_dump(eval, path), TMS_ERR_IO, "File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(test_folder_count(folder), before);
    tms_eval_destroy(eval);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static tms_status create_once(tms_context *context, void *user) {
    const tmsi_dictionary_size size = {3, 5, 2};
    tms_eval *eval = NULL;
    tms_status status = tmsi_eval_create(context, user, &size, &eval);

    tmsi_eval_destroy(eval);
    return status;
}

static void create_survives_running_out_of_memory(void **state) {
    char folder[256];
    (void)state;

    make_wordnet(folder);
    test_every_allocation_fails_once(create_once, folder);
    test_folder_remove(folder);
}

/* Candidates of length 1 in the plane: ranks are read off the angles. Ties do not count. */
static void ranks_count_what_is_strictly_nearer(void **state) {
    const tmsi_dictionary_size size = {3, 5, 2};
    const float candidates[] = {1, 0, 0.6f, 0.8f, 0, 1, 0.8f, 0.6f, -1, 0};
    /* Answers of query 0: 0 and 3; of 1: 1; of 2: 2. */
    const float definitions[] = {0, 1, 0.8f, 0.6f, 0, -1};
    tms_context *context = test_context(2, 0);
    tms_eval *eval = NULL;
    int64_t ranks[3];
    char folder[256];
    (void)state;

    make_wordnet(folder);
    assert_ok(tmsi_eval_create(context, folder, &size, &eval));
    assert_ok(tmsi_eval_rank(eval, definitions, candidates, 2, ranks));
    assert_int_equal(ranks[0], 3); /* 2 and 1 lie nearer than 3 */
    assert_int_equal(ranks[1], 2); /* only 3 is nearer than 1 */
    assert_int_equal(ranks[2], 5);
    tms_eval_destroy(eval);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

/* Embeddings that are equal to fp32's error: double decides, as an independent program would. */
static void ranks_of_near_ties_are_those_of_exact_cosines(void **state) {
    enum { HIDDEN = 96, WORDS = 5, ASKED = 3 };
    const tmsi_dictionary_size size = {ASKED, WORDS, 2};
    tms_context *context = test_context(1, 0);
    tms_eval *eval = NULL;
    float words[WORDS * HIDDEN], asked[ASKED * HIDDEN];
    int64_t ranks[ASKED];
    test_random random;
    char folder[256];
    (void)state;

    test_random_seed(&random, test_seed());
    make_wordnet(folder);
    assert_ok(tmsi_eval_create(context, folder, &size, &eval));
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < HIDDEN; i++)
            words[i] = (float)(test_random_normal(&random) / sqrt(HIDDEN));
        for (int i = HIDDEN; i < WORDS * HIDDEN; i++)
            words[i] = words[i % HIDDEN] * (1.0f + (float)test_random_int(&random, -2, 2) * 6e-8f);
        for (int i = 0; i < ASKED * HIDDEN; i++)
            asked[i] = (float)(test_random_normal(&random) / sqrt(HIDDEN));
        assert_ok(tmsi_eval_rank(eval, asked, words, HIDDEN, ranks));
        for (int q = 0; q < ASKED; q++) {
            double cosines[WORDS] = {0}, best = -2.0;
            int64_t rank = 1;
            for (int w = 0; w < WORDS; w++)
                for (int i = 0; i < HIDDEN; i++)
                    cosines[w] += (double)asked[q * HIDDEN + i] * (double)words[w * HIDDEN + i];
            for (int64_t a = eval->dictionary.answer_offsets[q];
                 a < eval->dictionary.answer_offsets[q + 1]; a++)
                best = fmax(best, cosines[eval->dictionary.answers[a]]);
            for (int w = 0; w < WORDS; w++)
                rank += cosines[w] > best;
            assert_int_equal(ranks[q], rank);
        }
    }
    tms_eval_destroy(eval);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

typedef struct progress_seen {
    int64_t done, total, stop_at; /* stop_at: of texts; 0: never */
} progress_seen;

static int32_t see_progress(void *user, const char *what, int64_t done, int64_t total) {
    progress_seen *seen = user;

    assert_string_equal(what, "texts");
    assert_true(done >= seen->done);
    seen->done = done;
    seen->total = total;
    return seen->stop_at > 0 && done >= seen->stop_at;
}

/* The whole way on a small model: ranks are those of its embeddings, progress counts all texts. */
static void run_ranks_what_the_model_embeds(void **state) {
    enum { HIDDEN = 16, WORDS = 5, ASKED = 3 };
    static const test_encoder_shape shape = {
        .layers = 1, .hidden = HIDDEN, .heads = 2, .intermediate = 24, .activation = "gelu"};
    const tmsi_dictionary_size size = {ASKED, WORDS, 2};
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&shape, test_seed());
    float asked[ASKED * HIDDEN], words[WORDS * HIDDEN];
    progress_seen seen = {0};
    tms_eval *eval = NULL;
    tms_model *model = NULL;
    tms_eval_result *result = NULL;
    int64_t ranks[ASKED];
    char wordnet[256], folder[256];
    (void)state;

    make_wordnet(wordnet);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(tmsi_eval_create(context, wordnet, &size, &eval));
    assert_ok(tms_model_open(context, folder, NULL, &model));
    assert_ok(tms_eval_run(eval, model, see_progress, &seen, &result));
    assert_int_equal(seen.done, ASKED + WORDS);
    assert_int_equal(seen.total, ASKED + WORDS);
    assert_ok(tms_model_embed(model, eval->dictionary.queries.texts,
                              eval->dictionary.queries.lengths, ASKED, NULL, NULL, asked));
    assert_ok(tms_model_embed(model, eval->dictionary.candidates.texts,
                              eval->dictionary.candidates.lengths, WORDS, NULL, NULL, words));
    assert_memory_equal(result->definitions, asked, sizeof asked);
    assert_ok(tmsi_eval_rank(eval, asked, words, HIDDEN, ranks));
    assert_memory_equal(result->ranks, ranks, sizeof ranks);
    tms_eval_result_destroy(result);
    seen = (progress_seen){.stop_at = ASKED + 1};
    assert_fails(tms_eval_run(eval, model, see_progress, &seen, &result), TMS_ERR_CANCELLED,
                 "stopped");
    tms_model_close(model);
    tms_eval_destroy(eval);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    test_folder_remove(wordnet);
    tms_context_destroy(context);
}

static void assert_near(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g, but expected %.9g", found, expected);
}

static void the_report_has_the_textbook_intervals(void **state) {
    int64_t ranks[10] = {1, 1, 1, 2, 4, 5, 10, 11, 20, 100};
    int64_t dense_ranks[10] = {1, 1, 1, 1, 4, 5, 10, 9, 20, 100};
    float definitions[20], turned[20];
    tms_eval_result result = {.queries = 10, .hidden = 2, .ranks = ranks, .seconds = 1.0};
    tms_eval_result dense = {.queries = 10, .hidden = 2, .ranks = dense_ranks, .seconds = 1.0};
    tms_eval_report report = tms_eval_report_default();
    (void)state;

    for (int i = 0; i < 10; i++) {
        definitions[2 * i] = 1.0f, definitions[2 * i + 1] = 0.0f;
        turned[2 * i] = 0.6f, turned[2 * i + 1] = 0.8f;
    }
    result.definitions = definitions;
    dense.definitions = turned;
    assert_ok(tms_eval_compare(&result, &dense, &report));
    /* Wilson's interval of 3 in 10 and 7 in 10, from the literature: 0.1078..0.6032. */
    assert_near(report.recall1.value, 0.3, 0);
    assert_near(report.recall1.low, 0.1078, 5e-5);
    assert_near(report.recall1.high, 0.6032, 5e-5);
    assert_near(report.recall10.low, 1 - 0.6032, 5e-5);
    assert_near(report.mrr.value, (3 + 0.5 + 0.25 + 0.2 + 0.1 + 1 / 11.0 + 0.05 + 0.01) / 10,
                1e-12);
    /* One of ten changes: mean -0.1, deviation sqrt(0.1), half width 1.96 * 0.1. */
    assert_near(report.recall1_change.value, -0.1, 1e-12);
    assert_near(report.recall1_change.low, -0.1 - 1.959964 * 0.1, 1e-6);
    assert_near(report.recall10_change.value, -0.1, 1e-12);
    assert_near(report.cosine, 0.6, 1e-7);
    assert_ok(tms_eval_compare(&result, NULL, &report));
    assert_int_equal(report.has_dense, 0);
    dense.queries = 9;
    assert_fails(tms_eval_compare(&result, &dense, &report), TMS_ERR_INVALID,
                 "dense has 9 queries");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_chosen_by_the_rules),
        cmocka_unit_test(calibration_shares_no_definition_with_a_query),
        cmocka_unit_test(broken_wordnet_lines_are_named),
        cmocka_unit_test(dump_writes_a_line_each_and_replaces_nothing),
        cmocka_unit_test(dump_that_fails_leaves_nothing),
        cmocka_unit_test(create_survives_running_out_of_memory),
        cmocka_unit_test(ranks_count_what_is_strictly_nearer),
        cmocka_unit_test(ranks_of_near_ties_are_those_of_exact_cosines),
        cmocka_unit_test(run_ranks_what_the_model_embeds),
        cmocka_unit_test(the_report_has_the_textbook_intervals),
    };
    return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "options.h"
#include "table.h"
#include "terminal.h"

typedef struct eval_line {
    const char *against, *wordnet, *dump;
    int32_t dense_kernels;
} eval_line;

static json_t *share_json(const tms_share *share) {
    return json_pack("{so so so}", "value", cli_json_number(share->value), "low",
                     cli_json_number(share->low), "high", cli_json_number(share->high));
}

static cli_exit print_json(const char *model, const eval_line *line, const tms_eval_report *r) {
    json_t *object = json_object();

    json_object_set_new(object, "model", cli_json_text(model));
    json_object_set_new(object, "queries", json_integer(r->queries));
    json_object_set_new(object, "candidates", json_integer(r->candidates));
    json_object_set_new(object, "recall1", share_json(&r->recall1));
    json_object_set_new(object, "recall10", share_json(&r->recall10));
    json_object_set_new(object, "mrr", share_json(&r->mrr));
    json_object_set_new(object, "texts_per_second", cli_json_number(r->texts_per_second));
    if (r->has_dense) {
        json_object_set_new(object, "against", cli_json_text(line->against));
        json_object_set_new(object, "recall1_change", share_json(&r->recall1_change));
        json_object_set_new(object, "recall10_change", share_json(&r->recall10_change));
        json_object_set_new(object, "cosine", cli_json_number(r->cosine));
    }
    return cli_json_print(object);
}

static void add_share(cli_table *table, const char *name, const tms_share *share, double scale,
                      int digits) {
    cli_table_add(table, "%s", name);
    cli_table_add(table, "%.*f", digits, scale * share->value);
    cli_table_add(table, "%.*f", digits, scale * share->low);
    cli_table_add(table, "%.*f", digits, scale * share->high);
}

static cli_exit print_table(const tms_eval_report *r) {
    static const char *const heads[] = {"", "value", "from", "to (95 %)"};
    cli_table table;
    cli_exit code;

    printf("reverse dictionary: %" PRId64 " definitions look for their word among %" PRId64 "\n\n",
           r->queries, r->candidates);
    cli_table_begin(&table, "lrrr", heads);
    add_share(&table, "recall@1 in %", &r->recall1, 100.0, 1);
    add_share(&table, "recall@10 in %", &r->recall10, 100.0, 1);
    add_share(&table, "mean reciprocal rank", &r->mrr, 1.0, 3);
    if (r->has_dense) {
        add_share(&table, "recall@1 less that of the dense model, in %", &r->recall1_change, 100.0,
                  1);
        add_share(&table, "recall@10 less that of the dense model, in %", &r->recall10_change,
                  100.0, 1);
    }
    code = cli_table_end(&table);
    if (r->has_dense)
        printf("\nmean cosine of the definitions to the dense model's: %.4f\n", r->cosine);
    printf("\n%.0f texts a second in this run; `tamis bench --whole` measures speed\n",
           r->texts_per_second);
    return code;
}

/* Opens the model, runs the evaluation, closes it. */
static tms_status evaluate(const cli_session *session, const tms_eval *eval, const char *path,
                           const tms_model_desc *desc, tms_eval_result **out) {
    tms_model *model = NULL;
    tms_status status = tms_model_open(session->context, path, desc, &model);

    if (status == TMS_OK)
        status = tms_eval_run(eval, model, cli_progress_step, NULL, out);
    tms_model_close(model);
    return status;
}

static cli_exit run_eval(const cli_session *session, const char *path, const eval_line *line) {
    const tms_model_desc dense_desc = tms_model_desc_default();
    tms_model_desc desc = tms_model_desc_default();
    tms_eval_report report = {.struct_size = sizeof report};
    tms_eval_result *result = NULL, *dense = NULL;
    tms_eval *eval = NULL;
    tms_status status;
    cli_exit code;

    desc.dense_kernels = line->dense_kernels;
    status = tms_eval_create(session->context,
                             line->wordnet != NULL ? line->wordnet : CLI_WORDNET_DIR, &eval);
    if (status == TMS_OK && line->dump != NULL)
        status = tms_eval_dump(eval, line->dump);
    if (status == TMS_OK)
        status = evaluate(session, eval, path, &desc, &result);
    if (status == TMS_OK && line->against != NULL)
        status = evaluate(session, eval, line->against, &dense_desc, &dense);
    if (status == TMS_OK)
        status = tms_eval_compare(result, dense, &report);
    cli_progress_clear();
    if (status != TMS_OK)
        code = cli_fail_status(status);
    else
        code = session->is_json ? print_json(path, line, &report) : print_table(&report);
    tms_eval_result_destroy(dense);
    tms_eval_result_destroy(result);
    tms_eval_destroy(eval);
    return code;
}

cli_exit cli_eval(int argc, char **argv) {
    cli_texts in = {0};
    eval_line line = {0};
    const cli_option options[] = {
        {"--against", NULL, "DENSE", cli_take_text, &line.against,
         "compare with this model, query by query"},
        {"--wordnet", NULL, "DIR", cli_take_text, &line.wordnet,
         "the folder of data.noun and its like (else\n" CLI_WORDNET_DIR ")"},
        {"--dump", NULL, "DIR", cli_take_text, &line.dump,
         "also write queries, candidates, right answers and\ncalibration texts there"},
        {"--dense-kernels", NULL, NULL, cli_take_flag, &line.dense_kernels,
         "multiply zeros too, for comparison"},
    };
    const cli_page page = {
        .name = "eval",
        .usage = "MODEL [--against DENSE]",
        .about = "Judges a sentence encoder by the reverse dictionary: 2,000 WordNet definitions\n"
                 "look for their word among 10,000. recall@k is the share that finds it among the\n"
                 "first k. Against another model, differences are paired, query by query, and the\n"
                 "mean cosine tells how near the embeddings stayed. docs/evaluation.md has the\n"
                 "rules to the last digit.",
        .example = "tamis eval packed --against all-MiniLM-L6-v2\n"
                   "tamis eval pruned --dump texts --json",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_session session = {0};
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON)
        code = run_eval(&session, in.items[0], &line);
    free(in.items);
    return cli_end(&session, code);
}
